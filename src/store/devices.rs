//! Accepted devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::convert::Json;
use super::presence::{Assignment, Presence};
use super::writer::{Change, WriteTx};
use crate::domain::{
    Device, DeviceId, DeviceName, GroupId, KeyFingerprint, MacAddress, MacKey, Metadata, Registration, Timestamp,
};

const SELECT: &str =
    "SELECT devices.id, mac_address, name, capabilities, metadata, group_id, last_access_at, public_key, key_fingerprint,
                      created_at FROM devices LEFT JOIN device_presence ON device_id = devices.id";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Device> {
    Ok(Device {
        id: row.get(0)?,
        mac_address: row.get(1)?,
        name: row.get(2)?,
        capabilities: row.get::<_, Json<_>>(3)?.0,
        metadata: row.get(4)?,
        group: row.get(5)?,
        last_access: row.get(6)?,
        public_key: row.get(7)?,
        key_fingerprint: row.get(8)?,
        accepted: row.get(9)?,
        clock_skew_seconds: None,
    })
}

/// Hands each device to `visit`, ordered by identifier, as it is now: a fleet is larger than what one wants in memory. Ends
/// at the first error.
pub fn for_each<E: From<StoreError>>(
    connection: &Connection,
    presence: &Presence,
    mut visit: impl FnMut(Device) -> Result<(), E>,
) -> Result<(), E> {
    let sql = format!("{SELECT} ORDER BY devices.id");
    let mut statement = connection.prepare_cached(&sql).map_err(StoreError::from)?;
    let mut rows = statement.query([]).map_err(StoreError::from)?;
    while let Some(row) = rows.next().map_err(StoreError::from)? {
        let mut device = from_row(row).map_err(StoreError::from)?;
        presence.overlay(&mut device);
        visit(device)?;
    }
    Ok(())
}

/// One device, as it is now.
pub fn find(connection: &Connection, presence: &Presence, id: DeviceId) -> Result<Option<Device>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE devices.id = ?1"))?;
    let mut device = statement.query_row([id], from_row).optional()?;
    if let Some(device) = &mut device {
        presence.overlay(device);
    }
    Ok(device)
}

/// The device with this MAC address, as it is now.
pub fn find_by_address(
    connection: &Connection,
    presence: &Presence,
    mac_key: &MacKey,
) -> Result<Option<Device>, StoreError> {
    match find_known(connection, mac_key)? {
        Some(known) => find(connection, presence, known.assignment.device),
        None => Ok(None),
    }
}

/// A device, as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The device.
    pub device: DeviceId,
    /// Its group.
    pub group: Option<GroupId>,
    /// What it last reported.
    pub metadata: &'a Metadata,
    /// When it was last heard.
    pub last_access: Option<Timestamp>,
}

/// Shows `visit` what each device reports, or each of a group, ordered by identifier, as it is now. Ends at the first error.
pub fn for_each_report(
    connection: &Connection,
    presence: &Presence,
    of_group: Option<GroupId>,
    mut visit: impl FnMut(Report<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(&reports_sql(of_group.is_some()))?;
    let mut rows = statement.query([of_group])?;
    while let Some(row) = rows.next()? {
        let (device, group) = (row.get(0)?, row.get(2)?);
        let mac_key = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        // A copy, so that nobody who is heard waits for what `visit` does.
        let (metadata, last_access) = match presence.report(mac_key) {
            Some((metadata, last_access)) => (metadata, Some(last_access)),
            None => (row.get(4)?, row.get(3)?),
        };
        visit(Report { device, group, metadata: &metadata, last_access })?;
    }
    Ok(())
}

pub(super) fn reports_sql(of_group: bool) -> String {
    let condition = if of_group { "group_id = ?1" } else { "?1 IS NULL" };
    format!(
        "SELECT id, mac_key, group_id, last_access_at, metadata FROM devices
         LEFT JOIN device_presence ON device_id = id WHERE {condition} ORDER BY id"
    )
}

/// What an authorization or update check needs to know of a device.
#[derive(Debug, Clone)]
pub struct KnownDevice {
    /// Which device it is, and its group.
    pub assignment: Assignment,
    /// Its metadata as stored.
    pub metadata: Metadata,
    /// Its accepted key.
    pub key_fingerprint: Option<KeyFingerprint>,
}

/// The device with this MAC address.
pub fn find_known(connection: &Connection, mac_key: &MacKey) -> Result<Option<KnownDevice>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, group_id, metadata, key_fingerprint FROM devices WHERE mac_key = ?1")?;
    let known = statement.query_row([mac_key], |row| {
        Ok(KnownDevice {
            assignment: Assignment { device: row.get(0)?, group: row.get(1)? },
            metadata: row.get(2)?,
            key_fingerprint: row.get(3)?,
        })
    });
    Ok(known.optional()?)
}

/// Lets a registered device in: as a new device, or, if its MAC address is known, with its new key.
pub fn accept(
    tx: &WriteTx<'_>,
    registration: &Registration,
    fingerprint: KeyFingerprint,
) -> Result<DeviceId, StoreError> {
    tx.changes(Change::Assignments);
    let mac_address = &registration.mac_address;
    let mut statement = tx.connection().prepare_cached(
        "INSERT INTO devices (mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata, created_at)
         VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (mac_key) DO UPDATE
         SET public_key = excluded.public_key, key_fingerprint = excluded.key_fingerprint
         RETURNING id",
    )?;
    let id = statement.query_row(
        (
            mac_address.key(),
            mac_address,
            &registration.public_key,
            fingerprint,
            Json(&Device::unknown_capabilities()),
            &registration.metadata,
            tx.now(),
        ),
        |row| row.get(0),
    )?;
    Ok(id)
}

/// Gives a device another name; `false` if there is no such device.
pub fn rename(tx: &WriteTx<'_>, id: DeviceId, name: &DeviceName) -> Result<bool, StoreError> {
    let sql = "UPDATE devices SET name = ?2 WHERE id = ?1";
    Ok(tx.connection().prepare_cached(sql)?.execute((id, name.as_str()))? == 1)
}

/// A device that was removed: what people knew it by.
#[derive(Debug, Clone)]
pub struct RemovedDevice {
    /// The device.
    pub id: DeviceId,
    /// Its MAC address.
    pub mac_address: MacAddress,
    /// Its name.
    pub name: String,
}

/// Removes devices with all that is known of them: key, group, attempts, and what they reported since the last batch. `None`,
/// and nothing was removed, if one of them is not there.
pub fn remove(
    tx: &WriteTx<'_>,
    presence: &Arc<Presence>,
    devices: &BTreeSet<DeviceId>,
) -> Result<Option<Vec<RemovedDevice>>, StoreError> {
    let mut known = tx.connection().prepare_cached("SELECT mac_address, name FROM devices WHERE id = ?1")?;
    let mut removed = Vec::with_capacity(devices.len());
    for &id in devices {
        let found = known.query_row([id], |row| Ok(RemovedDevice { id, mac_address: row.get(0)?, name: row.get(1)? }));
        match found.optional()? {
            Some(device) => removed.push(device),
            None => return Ok(None),
        }
    }
    let mut delete = tx.connection().prepare_cached("DELETE FROM devices WHERE id = ?1")?;
    for id in devices {
        delete.execute([id])?;
    }
    // First the generation: what was read before it is not taken any more, so nothing comes back once it is forgotten.
    tx.changes(Change::Assignments);
    let mac_keys: Vec<_> = removed.iter().map(|device| device.mac_address.key()).collect();
    let presence = presence.clone();
    tx.after_commit(move || presence.devices_were_removed(mac_keys));
    Ok(Some(removed))
}
