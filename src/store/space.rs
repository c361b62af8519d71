//! How much room there is on file systems, and how much the database takes.

use std::path::{Path, PathBuf};
use std::{fs, io};

use rusqlite::Connection;
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

/// How much the database takes on its file system: its file, and what is written beside it before it goes there.
pub fn database_bytes(connection: &Connection) -> Result<u64, StoreError> {
    // One in memory takes none.
    let Some(database) = connection.path().filter(|path| !path.is_empty()) else { return Ok(0) };
    let write_ahead_log = PathBuf::from(format!("{database}-wal"));
    Ok(file_bytes(Path::new(database))? + file_bytes(&write_ahead_log)?)
}

fn file_bytes(path: &Path) -> Result<u64, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(StoreError::file(path, error)),
    }
}
