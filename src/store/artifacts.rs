//! What the packages that are artifacts say about themselves.

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use super::convert::Json;
use super::writer::WriteTx;
use crate::domain::{Artifact, PackageId};

/// What was read of a package when it was uploaded; `None`: it is no artifact, or was uploaded before artifacts were read.
pub fn find(connection: &Connection, package: PackageId) -> Result<Option<Artifact>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT description FROM artifacts WHERE package_id = ?1")?;
    Ok(statement.query_row([package], |row| row.get(0)).optional()?.map(|Json(artifact)| artifact))
}

/// Notes what was read of a new package.
pub fn insert(tx: &WriteTx<'_>, package: PackageId, artifact: &Artifact) -> Result<(), StoreError> {
    tx.connection()
        .prepare_cached("INSERT INTO artifacts (package_id, description) VALUES (?1, ?2)")?
        .execute((package, Json(artifact)))?;
    Ok(())
}
