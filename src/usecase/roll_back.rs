//! What it means to put back the database from before the last upgrade: said before it is done.

use crate::domain::PackageId;
use crate::store::snapshots::differences;
use crate::store::{Difference, PackageFolder, Rollback, StoreError, packages};

/// How many rows are in memory at once.
const PAGE: u32 = 100;

/// What becomes of what was done since a snapshot was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// What is lost and what comes back.
    pub differences: Vec<Difference>,
    /// Packages of the snapshot without a file as long as theirs: they were deleted since, and will be missing.
    pub missing: Vec<PackageId>,
}

/// Looks what a rollback would mean. The packages are in `folder`. Blocks.
pub fn preview(rollback: &Rollback, folder: &PackageFolder) -> Result<Preview, StoreError> {
    let [snapshot, database] = rollback.databases()?;
    let mut preview = Preview { differences: differences(&snapshot, &database)?, missing: Vec::new() };
    let mut last = PackageId(0);
    loop {
        let page = snapshot.read(|connection| packages::page(connection, last, PAGE))?;
        for package in &page {
            last = package.id;
            if folder.glance(package)?.damage.is_some() {
                preview.missing.push(package.id);
            }
        }
        if page.len() < PAGE as usize {
            return Ok(preview);
        }
    }
}
