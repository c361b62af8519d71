//! How much room there is on file systems.

use std::path::Path;

use rustix::fs::statvfs;

use super::StoreError;
use super::blobs::PackageFolder;

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What can still be written.
    pub free_bytes: u64,
    /// How large it is.
    pub total_bytes: u64,
}

impl PackageFolder {
    /// How much room there is now. Blocks, for microseconds on a local file system.
    pub fn space(&self) -> Result<Space, StoreError> {
        of(self.root())
    }
}

/// How much room there is on the file system of a folder.
pub(super) fn of(folder: &Path) -> Result<Space, StoreError> {
    let found = statvfs(folder).map_err(|error| StoreError::file(folder, error.into()))?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Space { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) })
}
