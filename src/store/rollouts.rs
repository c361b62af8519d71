//! How groups' devices get new versions, and which groups are halted.

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::convert::Text;
use super::writer::{Change, WriteTx};
use crate::domain::rollout::{HaltRule, Rollout};
use crate::domain::{GroupId, Hours, LocalHours, Timestamp};

/// How the devices of a group get new versions: what nobody has set is the default.
pub fn find(connection: &Connection, group: GroupId) -> Result<Rollout, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT hours, time_zone, max_failures, halt_percent, halt_devices, max_parallel, first_devices
         FROM group_rollouts WHERE group_id = ?1",
    )?;
    Ok(statement.query_row([group], from_row).optional()?.unwrap_or_default())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Rollout> {
    let hours = row.get::<_, Option<Text<Hours>>>(0)?.zip(row.get::<_, Option<String>>(1)?);
    let hours = hours.map(|(hours, zone)| LocalHours::by_name(hours.0, &zone));
    let halt: Option<(u8, u32)> = row.get::<_, Option<_>>(3)?.zip(row.get(4)?);
    Ok(Rollout {
        hours: hours.transpose().map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
        })?,
        max_failures: row.get(2)?,
        halt: halt.map(|(percent, devices)| HaltRule { percent, devices }),
        max_parallel: row.get(5)?,
        first: row.get(6)?,
    })
}

/// Sets how the devices of a group get new versions; `false`: there is no such group.
pub fn put(tx: &WriteTx<'_>, group: GroupId, rollout: &Rollout) -> Result<bool, StoreError> {
    tx.changes(Change::Plans);
    let mut statement = tx.connection().prepare_cached(
        "INSERT INTO group_rollouts (group_id, hours, time_zone, max_failures, halt_percent, halt_devices, max_parallel,
             first_devices)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM groups WHERE id = ?1)
         ON CONFLICT (group_id) DO UPDATE SET hours = excluded.hours, time_zone = excluded.time_zone,
             max_failures = excluded.max_failures, halt_percent = excluded.halt_percent,
             halt_devices = excluded.halt_devices, max_parallel = excluded.max_parallel,
             first_devices = excluded.first_devices",
    )?;
    let Rollout { hours, max_failures, halt, max_parallel, first } = rollout;
    let hours = hours.as_ref().map(|hours| (hours.hours().to_string(), hours.zone_name()));
    let rows = statement.execute((
        group,
        hours.as_ref().map(|(hours, _)| hours),
        hours.as_ref().map(|(_, zone)| zone),
        max_failures,
        halt.map(|rule| rule.percent),
        halt.map(|rule| rule.devices),
        max_parallel,
        first,
    ))?;
    Ok(rows == 1)
}

/// Nothing is offered in a group any more on the way to this target. A group that is gone is passed over.
pub fn halt(tx: &WriteTx<'_>, group: GroupId, target: &str, since: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE group_rollouts SET halted_at = ?2, halted_target = ?3 WHERE group_id = ?1";
    tx.connection().prepare_cached(sql)?.execute((group, since, target))?;
    Ok(())
}

/// Offers go on in a group.
pub fn resume(tx: &WriteTx<'_>, group: GroupId) -> Result<(), StoreError> {
    let sql = "UPDATE group_rollouts SET halted_at = NULL, halted_target = NULL WHERE group_id = ?1";
    tx.connection().prepare_cached(sql)?.execute([group])?;
    Ok(())
}

/// The groups that are halted: on the way to which target, and since when.
pub fn halted(connection: &Connection) -> Result<Vec<(GroupId, String, Timestamp)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT group_id, halted_target, halted_at FROM group_rollouts
         JOIN groups ON groups.id = group_id WHERE policy = 'exact_match,' || halted_target",
    )?;
    let halted = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(halted.collect::<Result<_, _>>()?)
}
