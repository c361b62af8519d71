//! How much room there is on file systems, and how much the database takes.

use std::fs;
use std::path::Path;

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

/// How long the files of a database are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseSize {
    /// The database alone.
    pub database_bytes: u64,
    /// Its write-ahead log.
    pub wal_bytes: u64,
}

impl DatabaseSize {
    /// That of the database of a connection. Blocks, for microseconds. What is not there has no bytes.
    pub fn of(connection: &Connection) -> Self {
        let length = |suffix: &str| {
            // One in memory has no path.
            let path = connection.path().filter(|path| !path.is_empty()).map(|path| format!("{path}{suffix}"));
            path.and_then(|path| fs::metadata(path).ok()).map_or(0, |metadata| metadata.len())
        };
        Self { database_bytes: length(""), wal_bytes: length("-wal") }
    }

    /// All of it.
    pub fn total_bytes(self) -> u64 {
        self.database_bytes.saturating_add(self.wal_bytes)
    }
}
