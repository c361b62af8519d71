//! Facts about this installation, by name.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use super::writer::WriteTx;

/// Tells whether a command runs with the same secret as the server did.
pub const SECRET_CHECK: &str = "secret_check";

/// Tells this installation from others.
pub const INSTALLATION: &str = "installation";

/// The last backup that the server made by itself: a [`crate::domain::BackupRecord`] as JSON.
pub const LAST_BACKUP: &str = "last_backup";

/// When it was last tried whether the disk takes writes again.
pub(super) const WRITE_TRIAL: &str = "write_trial";

/// The value kept under `name`.
pub fn find(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM facts WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Keeps `value` under `name`.
pub fn put(tx: &WriteTx<'_>, name: &str, value: &[u8]) -> Result<(), StoreError> {
    tx.connection().execute(
        "INSERT INTO facts (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )?;
    Ok(())
}

/// The value kept under `name`, which from now on is `proposed` if there was none.
pub fn find_or_put(tx: &WriteTx<'_>, name: &str, proposed: &[u8]) -> Result<Vec<u8>, StoreError> {
    if let Some(known) = find(tx.connection(), name)? {
        return Ok(known);
    }
    put(tx, name, proposed)?;
    Ok(proposed.to_vec())
}
