//! Accepted devices.

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::convert::Json;
use super::presence::{Assignment, Presence};
use super::writer::{Change, WriteTx};
use crate::domain::{Device, DeviceId, GroupId, KeyFingerprint, MacKey, Metadata, Registration};

const SELECT: &str =
    "SELECT devices.id, mac_address, name, capabilities, metadata, group_id, last_access_at, public_key
                      FROM devices LEFT JOIN device_presence ON device_id = devices.id";

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

/// Shows `visit` what each device of a group reports, ordered by identifier, as it is now.
pub fn for_each_of_group(
    connection: &Connection,
    presence: &Presence,
    group: GroupId,
    mut visit: impl FnMut(DeviceId, &Metadata),
) -> Result<(), StoreError> {
    let sql = "SELECT id, mac_key, metadata FROM devices WHERE group_id = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([group])?;
    while let Some(row) = rows.next()? {
        let (id, mac_key) = (row.get(0)?, row.get(1)?);
        let is_visited = presence.with_metadata(&mac_key, |reported| visit(id, reported)).is_some();
        if !is_visited {
            visit(id, &row.get(2)?);
        }
    }
    Ok(())
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
