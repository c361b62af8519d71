//! The database and the package files of the reference server, read to be taken over. Nothing there is ever written: no
//! lock, no journal, no index beside the database.
//!
//! The reference's schema has changed over time, so what is there is found out by looking: tables and columns by the names
//! that they have had, assignments by what they refer to. What nobody here knows is told and not guessed.

mod files;
mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::StoreError;
use super::folder::create_private_directory;

pub use files::{ReferenceFile, ReferenceFiles};
pub use tables::{DeviceRow, GroupRow, PackageRow, ReferenceRows, RegistrationRow, Unread};

/// What SQLite keeps beside a database while it is written: with either, the file alone is not the whole.
const JOURNALS: [&str; 2] = ["-wal", "-journal"];
/// What of a damaged database is told.
const FAULTS: usize = 3;

/// Reads all that can be taken over. Blocks.
///
/// # Errors
/// It is no database, no reference server's, damaged, or somebody writes to it.
pub fn read(path: &Path) -> Result<ReferenceRows, StoreError> {
    let before = states(path)?;
    let opened = Opened::open(path)?;
    let rows = tables::read(&opened.connection, path)?;
    if states(path)? != before {
        return Err(unusable(path, "it changes while it is read: stop the reference server first"));
    }
    Ok(rows)
}

/// The database, or a copy of it with its journal.
struct Opened {
    connection: Connection,
    _copy: Option<PrivateCopy>,
}

impl Opened {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let has_journal =
            JOURNALS.iter().any(|suffix| beside(path, suffix).metadata().is_ok_and(|file| file.len() > 0));
        // SQLite would bring the journal in, and for that write beside the database: a copy may be written to.
        let copy = if has_journal { Some(PrivateCopy::make(path)?) } else { None };
        let connection = match &copy {
            Some(copy) => Connection::open_with_flags(copy.database(), OpenFlags::SQLITE_OPEN_READ_WRITE)?,
            None => {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                Connection::open_with_flags(immutable_url(path)?, flags)?
            }
        };
        connection.pragma_update(None, "trusted_schema", false)?;
        let faults = find_faults(&connection).map_err(|error| unusable(path, &error.to_string()))?;
        if !faults.is_empty() {
            return Err(unusable(path, &format!("it is damaged: {}", faults.join("; "))));
        }
        Ok(Self { connection, _copy: copy })
    }
}

fn find_faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({FAULTS})"))?;
    let mut faults = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    faults.retain(|fault| fault != "ok");
    Ok(faults)
}

/// The URL of a database that nobody changes: SQLite takes no locks, so it may be on a medium that cannot be written.
fn immutable_url(path: &Path) -> Result<String, StoreError> {
    let path = path.canonicalize().map_err(|error| StoreError::file(path, error))?;
    let escaped = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    let escaped: String = path.as_os_str().as_encoded_bytes().iter().map(escaped).collect();
    Ok(format!("file:{escaped}?immutable=1"))
}

/// A private copy of the database and what is beside it; gone when dropped.
struct PrivateCopy(PathBuf);

impl PrivateCopy {
    fn make(path: &Path) -> Result<Self, StoreError> {
        let copy = Self(std::env::temp_dir().join(format!("tender-import-{}", Uuid::new_v4())));
        create_private_directory(&copy.0)?;
        let database = copy.database();
        let copied = |from: PathBuf, to: PathBuf| fs::copy(&from, to).map_err(|error| StoreError::file(from, error));
        copied(path.to_owned(), database.clone())?;
        for suffix in JOURNALS {
            let from = beside(path, suffix);
            if from.exists() {
                copied(from, beside(&database, suffix))?;
            }
        }
        Ok(copy)
    }

    fn database(&self) -> PathBuf {
        self.0.join("reference.sqlite")
    }
}

impl Drop for PrivateCopy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "could not delete the copy of the reference's database");
        }
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

/// Length and last change of the database and its journals.
fn states(path: &Path) -> Result<Vec<Option<(u64, SystemTime)>>, StoreError> {
    let state = |path: &Path| path.metadata().and_then(|file| Ok((file.len(), file.modified()?)));
    let of_database = state(path).map_err(|error| StoreError::file(path, error))?;
    let of_journals = JOURNALS.map(|suffix| state(&beside(path, suffix)).ok());
    Ok([Some(of_database)].into_iter().chain(of_journals).collect())
}

fn unusable(path: &Path, reason: &str) -> StoreError {
    StoreError::Unusable(format!("cannot read the reference's database {}: {reason}", path.display()).into())
}
