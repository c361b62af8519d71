//! A backup becomes an installation again, or is only read to see whether it could.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use crate::auth::Secret;
use crate::auth::age::{AgeError, FIRST_LINE, Opener};
use crate::domain::{PackageId, Sha256Digest};
use crate::store::backup::{BackupError, EntryName, Header, Scratch, Sink, Taken, read_backup};
use crate::store::{DataFolder, Examination, RestoreRefused, Restoring, StoreError, packages};

/// How many rows are in memory at once.
const PAGE: u32 = 100;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Not here.
    #[error(transparent)]
    Refused(#[from] RestoreRefused),
    /// Not from this.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Not with this passphrase.
    #[error(transparent)]
    Closed(#[from] AgeError),
    /// What was restored could not be kept or looked at.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup could not be read.
    #[error("cannot read the backup: {0}")]
    Input(#[from] io::Error),
}

/// What a backup holds that was found whole.
#[derive(Debug)]
pub struct RestoreReport {
    /// What it says about itself.
    pub header: Header,
    /// How many packages have their file.
    pub whole: u64,
    /// Packages without it: there was something wrong with them, or package files were left out.
    pub missing: Vec<PackageId>,
}

/// The archive in a file that may be encrypted; `passphrase` is asked only if it is. Blocks.
pub fn open_backup<'a, E: From<RestoreError>>(
    mut input: impl Read + 'a,
    passphrase: impl FnOnce() -> Result<Secret, E>,
) -> Result<Box<dyn Read + 'a>, E> {
    let failed = |error| E::from(RestoreError::Input(error));
    let mut start = Vec::new();
    input.by_ref().take(FIRST_LINE.len() as u64).read_to_end(&mut start).map_err(failed)?;
    let is_encrypted = start == FIRST_LINE;
    let whole = io::Cursor::new(start).chain(input);
    if !is_encrypted {
        return Ok(Box::new(whole));
    }
    let opener = Opener::new(whole, &passphrase()?).map_err(failed)?;
    Ok(Box::new(opener.map_err(RestoreError::Closed)?))
}

/// Restores a backup into a data folder in which nothing is. Everything is verified before anything is in its place. Blocks.
pub fn restore(input: impl Read, folder: &DataFolder) -> Result<RestoreReport, RestoreError> {
    let mut restoring = Restoring::begin(folder)?;
    let taken = read_backup(input, &mut restoring)?;
    fail_point!("restore.read");
    let report = compare(taken, &restoring.database(), |name| restoring.discard(name))?;
    restoring.commit()?;
    Ok(report)
}

/// Reads a backup as a restore would. In `scratch` is its database as long as that takes. Blocks.
pub fn verify(input: impl Read, scratch: &Path) -> Result<RestoreReport, RestoreError> {
    let mut database = DatabaseAlone { scratch: Scratch::create(scratch)?, is_open: false };
    let taken = read_backup(input, &mut database)?;
    compare(taken, database.scratch.path(), |_| Ok(()))
}

/// Keeps the database, and nothing else.
struct DatabaseAlone {
    scratch: Scratch,
    /// Whether what comes is the database.
    is_open: bool,
}

impl Sink for DatabaseAlone {
    fn open(&mut self, name: &EntryName, _: u64) -> Result<(), StoreError> {
        self.is_open = *name == EntryName::Database;
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        if self.is_open { self.scratch.append(piece) } else { Ok(()) }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Compares the database with the files that came with it, and has those discarded that it does not know, or knows otherwise.
fn compare(
    Taken { header, contents }: Taken,
    database: &Path,
    discard: impl Fn(&EntryName) -> Result<(), StoreError>,
) -> Result<RestoreReport, RestoreError> {
    let damaged = |what: String| RestoreError::Backup(BackupError::Damaged(what));
    if !database.exists() {
        return Err(damaged("it has no database".to_owned()));
    }
    let mut examination = Examination::open(database)?;
    if let Some(fault) = examination.faults()?.into_iter().next() {
        return Err(damaged(format!("its database is not sound: {fault}")));
    }
    examination.refuse_foreign()?;
    if examination.schema_version()? != header.schema {
        return Err(damaged("its database is of another version than it says".to_owned()));
    }
    let named = contents.entries.iter().filter_map(|entry| Some((EntryName::parse(&entry.name)?, entry.sha256)));
    let mut files: HashMap<EntryName, Sha256Digest> =
        named.filter(|(name, _)| matches!(name, EntryName::Package(..))).collect();
    let mut report = RestoreReport { header, whole: 0, missing: Vec::new() };
    let mut last = PackageId(0);
    loop {
        let page = examination.read(|connection| packages::page(connection, last, PAGE))?;
        for package in &page {
            last = package.id;
            let name = EntryName::Package(package.description.directory().cloned(), package.uuid);
            match files.get(&name) {
                Some(sha256) if *sha256 == package.sha256 => {
                    files.remove(&name);
                    report.whole += 1;
                }
                // What is damaged stays among those to be discarded: a file that is missing is never offered.
                _ => report.missing.push(package.id),
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    files.keys().try_for_each(discard)?;
    Ok(report)
}
