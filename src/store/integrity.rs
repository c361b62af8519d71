//! What the files of packages were found to be: when each was last read, and which are damaged.
//!
//! A finding is only noted while the file is still the one that was looked at: the stat that tells is made inside the write
//! transaction, so a file that was restored or replaced meanwhile is never marked for what was there before.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::blobs::PackageFolder;
use super::convert::Text;
use super::events;
use super::inspection::Sighting;
use super::packages::{self, SELECT, from_row};
use super::writer::{Change, WriteTx};
use crate::domain::{Damage, Event, GroupId, Package, PackageId, PackageState, Sha256Digest, Timestamp};

/// What is known about the file of a package.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The package.
    pub id: PackageId,
    /// How long it is, by right.
    pub length_bytes: u64,
    /// What its file is.
    pub state: PackageState,
    /// When the file was last read and found whole; `None`: not since it was uploaded.
    pub verified: Option<Timestamp>,
    /// When the damage was found, if there is one.
    pub found: Option<Timestamp>,
    /// What the damage is.
    pub detail: Option<String>,
    /// Which groups have the package.
    pub groups: Vec<GroupId>,
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It is written down.
    Done,
    /// It was known before: nothing is written.
    Known,
    /// It is out of date: the file is another one by now, or the package is gone. Nothing is written.
    Stale,
}

/// The packages that follow this one, ordered by identifier, at most `limit`.
pub fn page(connection: &Connection, after: PackageId, limit: u32) -> Result<Vec<Standing>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT_STANDING} WHERE id > ?1 ORDER BY id LIMIT ?2"))?;
    let rows = statement.query_map((after, limit), standing)?;
    rows.map(|row| with_groups(connection, row?)).collect()
}

/// What is known about the file of a package; `None`: there is no such package.
pub fn find(connection: &Connection, id: PackageId) -> Result<Option<Standing>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT_STANDING} WHERE id = ?1"))?;
    let found = statement.query_row([id], standing).optional()?;
    found.map(|standing| with_groups(connection, standing)).transpose()
}

/// What [`standing`] reads.
const SELECT_STANDING: &str = "SELECT id, length_bytes, damage, verified_at, found_at, detail
     FROM packages LEFT JOIN package_integrity ON package_id = id";

fn with_groups(connection: &Connection, mut standing: Standing) -> Result<Standing, StoreError> {
    let mut groups =
        connection.prepare_cached("SELECT group_id FROM group_packages WHERE package_id = ?1 ORDER BY group_id")?;
    standing.groups = groups.query_map([standing.id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(standing)
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        id: row.get(0)?,
        length_bytes: row.get(1)?,
        state: row.get::<_, Option<Text<_>>>(2)?.map_or(PackageState::Whole, |damage| damage.0),
        verified: row.get(3)?,
        found: row.get(4)?,
        detail: row.get(5)?,
        groups: Vec::new(),
    })
}

/// How many packages there are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// As far as anybody knows.
    pub whole: u64,
    /// Their files are not what was uploaded.
    pub corrupt: u64,
    /// Their files are not there.
    pub missing: u64,
}

/// Counts the packages by state.
pub fn count(connection: &Connection) -> Result<StateCounts, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT damage, count(*) FROM packages LEFT JOIN package_integrity ON package_id = id GROUP BY damage",
    )?;
    let mut rows = statement.query([])?;
    let mut counts = StateCounts::default();
    while let Some(row) = rows.next()? {
        let state = row.get::<_, Option<Text<_>>>(0)?.map_or(PackageState::Whole, |damage| damage.0);
        *match state {
            PackageState::Whole => &mut counts.whole,
            PackageState::Corrupt => &mut counts.corrupt,
            PackageState::Missing => &mut counts.missing,
        } = row.get(1)?;
    }
    Ok(counts)
}

/// Whether a package is known to be damaged.
pub fn is_damaged(connection: &Connection, id: PackageId) -> Result<bool, StoreError> {
    Ok(mark(connection, id)?.is_some())
}

/// State and detail of what is known to be wrong with a package.
fn mark(connection: &Connection, id: PackageId) -> Result<Option<(String, String)>, StoreError> {
    let sql = "SELECT damage, detail FROM package_integrity WHERE package_id = ?1 AND damage IS NOT NULL";
    Ok(connection.prepare_cached(sql)?.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The packages that are known to be damaged.
pub fn damaged(connection: &Connection) -> Result<Vec<Package>, StoreError> {
    let sql = format!("{SELECT} JOIN package_integrity ON package_id = id WHERE damage IS NOT NULL ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The packages that are known to be damaged and were uploaded with these bytes.
pub fn damaged_with(connection: &Connection, sha256: Sha256Digest) -> Result<Vec<Package>, StoreError> {
    let mut packages = damaged(connection)?;
    packages.retain(|package| package.sha256 == sha256);
    Ok(packages)
}

/// The packages to be read again: those that are not known to be damaged and were last read or uploaded at least `every`
/// before `now`, whichever was longest ago first.
pub fn due(
    connection: &Connection,
    now: Timestamp,
    every: Duration,
) -> Result<Vec<(PackageId, Timestamp)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, coalesce(verified_at, created_at) AS read_at
         FROM packages LEFT JOIN package_integrity ON package_id = id
         WHERE damage IS NULL AND read_at <= ?1 - ?2 ORDER BY read_at, id",
    )?;
    let rows = statement.query_map((now, every.as_secs()), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that the whole file was read, as it was sighted, and is what was uploaded. A damage that was known is over.
pub fn note_whole(
    tx: &WriteTx<'_>,
    folder: &PackageFolder,
    package: &Package,
    sighting: Sighting,
) -> Result<Noted, StoreError> {
    if is_stale(tx, folder, package, Some(sighting))? {
        return Ok(Noted::Stale);
    }
    mend(tx, package.id)?;
    tx.connection()
        .prepare_cached(
            "INSERT INTO package_integrity (package_id, verified_at) VALUES (?1, ?2)
             ON CONFLICT (package_id) DO UPDATE SET verified_at = excluded.verified_at",
        )?
        .execute((package.id, tx.now()))?;
    Ok(Noted::Done)
}

/// Notes that the file was replaced by what is now sighted: another upload of the same bytes, which have not been read back.
pub fn note_replaced(
    tx: &WriteTx<'_>,
    folder: &PackageFolder,
    package: &Package,
    sighting: Sighting,
) -> Result<Noted, StoreError> {
    if is_stale(tx, folder, package, Some(sighting))? {
        return Ok(Noted::Stale);
    }
    Ok(if mend(tx, package.id)? { Noted::Done } else { Noted::Known })
}

/// Takes the mark from a package; whether it had one.
fn mend(tx: &WriteTx<'_>, id: PackageId) -> Result<bool, StoreError> {
    let mut statement = tx.connection().prepare_cached(
        "UPDATE package_integrity SET damage = NULL, found_at = NULL, detail = NULL
         WHERE package_id = ?1 AND damage IS NOT NULL",
    )?;
    let is_mended = statement.execute([id])? == 1;
    if is_mended {
        tx.changes(Change::Plans);
        events::tell(tx, Event::package_whole(id))?;
        tx.after_commit(move || tracing::info!(package = %id, "a damaged package is whole again and offered again"));
    }
    Ok(is_mended)
}

/// Notes what is wrong with the file, as it was sighted: from now on the package is not offered. What was known already is
/// not written again.
pub fn note_damage(
    tx: &WriteTx<'_>,
    folder: &PackageFolder,
    package: &Package,
    sighting: Option<Sighting>,
    damage: &Damage,
) -> Result<Noted, StoreError> {
    if is_stale(tx, folder, package, sighting)? {
        return Ok(Noted::Stale);
    }
    let (id, state, detail) = (package.id, damage.state(), damage.to_string());
    if mark(tx.connection(), id)?.is_some_and(|known| known.0 == state.name() && known.1 == detail) {
        return Ok(Noted::Known);
    }
    tx.connection()
        .prepare_cached(
            "INSERT INTO package_integrity (package_id, damage, found_at, detail) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (package_id)
             DO UPDATE SET damage = excluded.damage, found_at = excluded.found_at, detail = excluded.detail",
        )?
        .execute((id, state.name(), tx.now(), &detail))?;
    tx.changes(Change::Plans);
    events::tell(tx, Event::package_damaged(id, damage))?;
    let path = folder.path_of(package);
    tx.after_commit(move || {
        let path = path.display();
        tracing::error!(package = %id, %path, detail, "a package is {state}, and not offered any more: upload it again");
    });
    Ok(Noted::Done)
}

fn is_stale(
    tx: &WriteTx<'_>,
    folder: &PackageFolder,
    package: &Package,
    sighting: Option<Sighting>,
) -> Result<bool, StoreError> {
    Ok(folder.sighting(package)? != sighting || packages::find(tx.connection(), package.id)?.is_none())
}
