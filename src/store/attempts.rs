//! Attempts: what was offered to which device, and what came of it. Written when one begins, when the device has all of the
//! package, and when it ends.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::StoreError;
use super::convert::{Json, Text};
use super::writer::WriteTx;
use crate::domain::attempt::{Attempt, AttemptOutcome, Step};
use crate::domain::{AttemptId, DeviceId, GroupId, PackageId};

/// How many attempts are kept of one device.
const KEPT_OF_DEVICE: u32 = 100;
/// How long attempts are kept.
const KEPT: Duration = Duration::from_secs(366 * 24 * 60 * 60);

const COLUMNS: &str =
    "id, device_id, group_id, package_id, length_bytes, from_version, to_version, target, path, offered_at,
    offers, fetched_bytes, sent_bytes, fetched_at, ended_at, outcome";

/// Which attempts are wanted: those that fit everything that is said.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this device.
    pub device: Option<DeviceId>,
    /// Of this group's devices.
    pub group: Option<GroupId>,
    /// Of this package.
    pub package: Option<PackageId>,
    /// With this outcome.
    pub outcome: Option<AttemptOutcome>,
    /// Before this one: the next page.
    pub before: Option<AttemptId>,
}

impl Filter {
    /// Whether an attempt is wanted.
    pub fn takes(&self, attempt: &Attempt) -> bool {
        self.device.is_none_or(|device| device == attempt.device)
            && self.group.is_none_or(|group| group == attempt.step.group)
            && self.package.is_none_or(|package| package == attempt.step.package)
            && self.outcome.is_none_or(|outcome| attempt.end.is_some_and(|(_, ended)| ended == outcome))
            && self.before.is_none_or(|before| attempt.id < before)
    }
}

/// What the attempts that are read have in common, kept once: most devices of a fleet go the same way.
#[derive(Default)]
struct Shared {
    versions: HashSet<Arc<str>>,
    /// By their JSON.
    paths: HashMap<Box<str>, Arc<[PackageId]>>,
}

impl Shared {
    fn version(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
        let text = row.get_ref(column)?.as_str()?;
        if let Some(known) = self.versions.get(text) {
            return Ok(known.clone());
        }
        let version: Arc<str> = text.into();
        self.versions.insert(version.clone());
        Ok(version)
    }

    fn path(&mut self, row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<[PackageId]>> {
        let json = row.get_ref(column)?.as_str()?;
        if let Some(known) = self.paths.get(json) {
            return Ok(known.clone());
        }
        let path: Arc<[_]> = row.get::<_, Json<Vec<_>>>(column)?.0.into();
        self.paths.insert(json.into(), path.clone());
        Ok(path)
    }
}

fn from_row(row: &Row<'_>, shared: &mut Shared) -> rusqlite::Result<Attempt> {
    let outcome = row.get::<_, Option<Text<_>>>(15)?.map(|outcome| outcome.0);
    Ok(Attempt {
        id: row.get(0)?,
        device: row.get(1)?,
        step: Step {
            group: row.get(2)?,
            package: row.get(3)?,
            length_bytes: row.get(4)?,
            from_version: shared.version(row, 5)?,
            to_version: shared.version(row, 6)?,
            target: shared.version(row, 7)?,
            path: shared.path(row, 8)?,
        },
        offered_at: row.get(9)?,
        offers: row.get(10)?,
        fetched_bytes: row.get(11)?,
        sent_bytes: row.get(12)?,
        fetched_at: row.get(13)?,
        end: row.get::<_, Option<_>>(14)?.zip(outcome),
    })
}

/// The attempts that fit, latest first, at most `limit`.
pub fn page(connection: &Connection, filter: &Filter, limit: u32) -> Result<Vec<Attempt>, StoreError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM attempts
         WHERE (:device IS NULL OR device_id = :device)
             AND (:group IS NULL OR group_id = :group)
             AND (:package IS NULL OR package_id = :package)
             AND (:outcome IS NULL OR outcome = :outcome)
             AND id < coalesce(:before, 9223372036854775807)
         ORDER BY id DESC LIMIT :limit"
    ))?;
    let mut shared = Shared::default();
    let attempts = statement.query_map(
        named_params! {
            ":device": filter.device,
            ":group": filter.group,
            ":package": filter.package,
            ":outcome": filter.outcome.map(AttemptOutcome::name),
            ":before": filter.before,
            ":limit": limit,
        },
        |row| from_row(row, &mut shared),
    )?;
    Ok(attempts.collect::<Result<_, _>>()?)
}

/// The identifier of the latest attempt; 0 if there never was one.
pub fn latest(connection: &Connection) -> Result<AttemptId, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM attempts ORDER BY id DESC LIMIT 1")?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?.unwrap_or(AttemptId(0)))
}

/// Shows `take`, in order, the attempts that matter for what is offered next: those that go on, and those on the way to
/// their group's present target. Failures that a person has forgiven are shown as if nothing had come of them.
pub fn visit_those_that_count(connection: &Connection, mut take: impl FnMut(Attempt)) -> Result<(), StoreError> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS}, is_forgiven FROM attempts
         WHERE outcome IS NULL
             OR EXISTS (
                 SELECT 1 FROM groups WHERE groups.id = group_id AND policy = 'exact_match,' || target
             )
         ORDER BY id"
    ))?;
    let (mut rows, mut shared) = (statement.query([])?, Shared::default());
    while let Some(row) = rows.next()? {
        let mut attempt = from_row(row, &mut shared)?;
        if row.get(16)? {
            attempt.end = attempt.end.map(|(at, _)| (at, AttemptOutcome::Superseded));
        }
        take(attempt);
    }
    Ok(())
}

/// Writes an attempt as it is now. One whose device is gone is passed over.
pub fn put(tx: &WriteTx<'_>, attempt: &Attempt) -> Result<(), StoreError> {
    let mut statement = tx.connection().prepare_cached(&format!(
        "INSERT INTO attempts ({COLUMNS})
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16
         WHERE EXISTS (SELECT 1 FROM devices WHERE id = ?2)
         ON CONFLICT (id) DO UPDATE SET package_id = excluded.package_id, length_bytes = excluded.length_bytes,
             from_version = excluded.from_version, to_version = excluded.to_version, path = excluded.path,
             offers = excluded.offers, fetched_bytes = excluded.fetched_bytes,
             sent_bytes = excluded.sent_bytes, fetched_at = excluded.fetched_at, ended_at = excluded.ended_at,
             outcome = excluded.outcome"
    ))?;
    let Attempt { step, .. } = attempt;
    statement.execute(rusqlite::params![
        attempt.id,
        attempt.device,
        step.group,
        step.package,
        step.length_bytes,
        step.from_version,
        step.to_version,
        step.target,
        Json(&*step.path),
        attempt.offered_at,
        attempt.offers,
        attempt.fetched_bytes,
        attempt.sent_bytes,
        attempt.fetched_at,
        attempt.end.map(|(at, _)| at),
        attempt.end.map(|(_, outcome)| outcome.name()),
    ])?;
    Ok(())
}

/// Failures of a device do not count any more.
pub fn forgive_device(tx: &WriteTx<'_>, device: DeviceId) -> Result<(), StoreError> {
    let sql = "UPDATE attempts SET is_forgiven = 1 WHERE device_id = ?1 AND outcome IN ('reverted', 'failed')";
    tx.connection().prepare_cached(sql)?.execute([device])?;
    Ok(())
}

/// Failures in a group do not count any more.
pub fn forgive_group(tx: &WriteTx<'_>, group: GroupId) -> Result<(), StoreError> {
    let sql = "UPDATE attempts SET is_forgiven = 1 WHERE group_id = ?1 AND outcome IN ('reverted', 'failed')";
    tx.connection().prepare_cached(sql)?.execute([group])?;
    Ok(())
}

/// Takes away what is too old or, of one device, too much; returns how many went. Attempts that go on stay.
pub fn prune(tx: &WriteTx<'_>) -> Result<usize, StoreError> {
    let earliest = tx.now().unix_seconds().saturating_sub(i64::try_from(KEPT.as_secs()).unwrap_or(i64::MAX));
    let old = tx.connection().prepare_cached("DELETE FROM attempts WHERE ended_at < ?1")?.execute([earliest])?;
    let many = tx
        .connection()
        .prepare_cached(
            "DELETE FROM attempts WHERE outcome IS NOT NULL AND id IN (
                 SELECT id FROM (
                     SELECT id, row_number() OVER (PARTITION BY device_id ORDER BY id DESC) AS age FROM attempts
                     WHERE device_id IN (SELECT device_id FROM attempts GROUP BY device_id HAVING count(*) > ?1)
                 ) WHERE age > ?1
             )",
        )?
        .execute([KEPT_OF_DEVICE])?;
    Ok(old + many)
}
