//! Package rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::StoreError;
use super::blobs::PublishedFile;
use super::writer::{Change, WriteTx};
use crate::domain::{CheckedPackage, FoundDamage, GroupId, Package, PackageDescription, PackageId, StorageDirectory};

/// What [`from_row`] reads.
pub(super) const SELECT: &str = "SELECT id, created_at, sha256, length_bytes, uuid, directory, metadata FROM packages";

pub(super) fn from_row(row: &Row<'_>) -> rusqlite::Result<Package> {
    let invalid = |column, error: crate::domain::Invalid| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    };
    let directory: Option<String> = row.get(5)?;
    let directory = directory.as_deref().map(StorageDirectory::parse).transpose().map_err(|error| invalid(5, error))?;
    Ok(Package {
        id: row.get(0)?,
        created: row.get(1)?,
        sha256: row.get(2)?,
        length_bytes: row.get(3)?,
        uuid: row.get::<_, super::convert::Text<Uuid>>(4)?.0,
        description: PackageDescription::from_stored(row.get(6)?, directory).map_err(|error| invalid(6, error))?,
    })
}

/// All packages, ordered by identifier.
pub fn list(connection: &Connection) -> Result<Vec<Package>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY id"))?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The packages that follow this one, ordered by identifier, at most `limit`.
pub fn page(connection: &Connection, after: PackageId, limit: u32) -> Result<Vec<Package>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
    let rows = statement.query_map((after, limit), from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One package.
pub fn find(connection: &Connection, id: PackageId) -> Result<Option<Package>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE id = ?1"))?;
    Ok(statement.query_row([id], from_row).optional()?)
}

/// The package whose file has this name.
pub fn find_by_uuid(connection: &Connection, uuid: Uuid) -> Result<Option<Package>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE uuid = ?1"))?;
    Ok(statement.query_row([uuid.to_string()], from_row).optional()?)
}

/// What [`from_checked_row`] reads.
const SELECT_CHECKED: &str =
    "SELECT id, created_at, sha256, length_bytes, uuid, directory, metadata, damage, detail FROM packages
     LEFT JOIN package_integrity AS known ON known.package_id = id";

fn from_checked_row(row: &Row<'_>) -> rusqlite::Result<CheckedPackage> {
    let state: Option<super::convert::Text<_>> = row.get(7)?;
    let damage = match state {
        Some(state) => Some(FoundDamage { state: state.0, detail: row.get(8)? }),
        None => None,
    };
    Ok(CheckedPackage { package: from_row(row)?, damage })
}

/// The packages of a group, in the order assigned, with what is wrong with them.
pub fn list_of_group(connection: &Connection, group: GroupId) -> Result<Vec<CheckedPackage>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "{SELECT_CHECKED} JOIN group_packages AS assigned ON assigned.package_id = id WHERE group_id = ?1
         ORDER BY position"
    ))?;
    let rows = statement.query_map([group], from_checked_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// One package, with what is wrong with it.
pub fn find_checked(connection: &Connection, id: PackageId) -> Result<Option<CheckedPackage>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT_CHECKED} WHERE id = ?1"))?;
    Ok(statement.query_row([id], from_checked_row).optional()?)
}

/// The names of all package files that have a row.
pub fn uuids<C: FromIterator<Uuid>>(connection: &Connection) -> Result<C, StoreError> {
    let mut statement = connection.prepare_cached("SELECT uuid FROM packages")?;
    let rows = statement.query_map([], |row| row.get::<_, super::convert::Text<Uuid>>(0))?;
    Ok(rows.map(|row| row.map(|uuid| uuid.0)).collect::<Result<_, _>>()?)
}

/// Packages that no group has, with their lengths in bytes, the largest first.
pub fn unassigned(connection: &Connection) -> Result<Vec<(PackageId, u64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, length_bytes FROM packages
         WHERE NOT EXISTS (SELECT 1 FROM group_packages WHERE package_id = id) ORDER BY length_bytes DESC, id",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many packages there are.
pub fn count(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM packages", [], |row| row.get(0))?)
}

/// How many bytes all packages have together.
pub fn total_bytes(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection.query_row("SELECT coalesce(sum(length_bytes), 0) FROM packages", [], |row| row.get(0))?)
}

/// Makes the row of a file that is in its place. The file stays if this is committed and goes if not.
pub fn insert(tx: &WriteTx<'_>, description: PackageDescription, file: PublishedFile) -> Result<Package, StoreError> {
    let mut statement = tx.connection().prepare_cached(
        "INSERT INTO packages (created_at, sha256, length_bytes, uuid, directory, metadata)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
    )?;
    let row = (
        tx.now(),
        file.sha256,
        file.length_bytes,
        file.uuid.to_string(),
        description.directory().map(StorageDirectory::as_str),
        description.metadata(),
    );
    let id = statement.query_row(row, |row| row.get(0))?;
    let (sha256, length_bytes, uuid) = (file.sha256, file.length_bytes, file.uuid);
    tx.after_commit(move || file.keep());
    Ok(Package { id, created: tx.now(), sha256, length_bytes, uuid, description })
}

/// What became of a wish to delete a package.
#[derive(Debug)]
pub enum Deletion {
    /// The row is gone; its file may go.
    Deleted(Package),
    /// There is no such package.
    NotFound,
    /// A group has it.
    Assigned,
}

/// Deletes a package's row, unless a group has the package.
pub fn delete(tx: &WriteTx<'_>, id: PackageId) -> Result<Deletion, StoreError> {
    let Some(package) = find(tx.connection(), id)? else { return Ok(Deletion::NotFound) };
    let mut assigned =
        tx.connection().prepare_cached("SELECT EXISTS (SELECT 1 FROM group_packages WHERE package_id = ?1)")?;
    if assigned.query_row([id], |row| row.get(0))? {
        return Ok(Deletion::Assigned);
    }
    tx.changes(Change::Plans);
    tx.connection().prepare_cached("DELETE FROM packages WHERE id = ?1")?.execute([id])?;
    Ok(Deletion::Deleted(package))
}
