//! Registrations: devices that asked to be let in and wait, or were rejected.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::events;
use super::presence::Presence;
use super::writer::WriteTx;
use crate::domain::{
    DeviceId, Event, KeyFingerprint, MacAddress, MacKey, Registration, RegistrationState, Search, Searched,
};

/// How many registrations are kept: many more than a person would look through, and few enough that somebody who makes
/// them up does not fill the disk.
pub const LIMIT: usize = 16_384;

/// What [`from_row`] reads.
const COLUMNS: &str = "registrations.mac_address, registrations.public_key, registrations.metadata, last_appeared_at,
    registrations.key_fingerprint, rejected_at IS NOT NULL";

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Registration, KeyFingerprint)> {
    let registration = Registration {
        mac_address: row.get(0)?,
        public_key: row.get(1)?,
        metadata: row.get(2)?,
        last_appeared: row.get(3)?,
        state: if row.get(5)? { RegistrationState::Rejected } else { RegistrationState::Pending },
    };
    Ok((registration, row.get(4)?))
}

/// All registrations that wait, in the order in which they first came.
pub fn list(connection: &Connection, presence: &Presence) -> Result<Vec<Registration>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM registrations WHERE rejected_at IS NULL ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([], from_row)?;
    rows.map(|row| Ok(with_news(presence, row)?.0)).collect()
}

/// The registrations with this MAC address, in the order in which they first came, with their keys' fingerprints.
pub fn of_address(
    connection: &Connection,
    presence: &Presence,
    mac_key: &MacKey,
) -> Result<Vec<(Registration, KeyFingerprint)>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM registrations WHERE mac_key = ?1 ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([mac_key], from_row)?;
    rows.map(|row| with_news(presence, row)).collect()
}

fn with_news(
    presence: &Presence,
    row: rusqlite::Result<(Registration, KeyFingerprint)>,
) -> Result<(Registration, KeyFingerprint), StoreError> {
    let (mut registration, fingerprint) = row?;
    presence.overlay_registration(&mut registration, fingerprint);
    Ok((registration, fingerprint))
}

/// Which registrations are wanted: those that fit everything that is said.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of which people have made this.
    pub state: Option<RegistrationState>,
    /// In which these words are: in the address, in what is reported, or in the name of the device that has the address.
    pub search: Option<Search>,
}

/// A registration, and whose address it has.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its place in the order in which they first came.
    pub place: i64,
    /// The registration.
    pub registration: Registration,
    /// Of its key.
    pub fingerprint: KeyFingerprint,
    /// The device that is known by its MAC address: to accept it is to change that device's key.
    pub device: Option<AddressHolder>,
}

/// A device that is known by the MAC address of a registration.
#[derive(Debug, Clone)]
pub struct AddressHolder {
    /// The device.
    pub id: DeviceId,
    /// Its name.
    pub name: String,
    /// Its accepted key.
    pub key_fingerprint: Option<KeyFingerprint>,
}

/// The registrations that fit and follow this place, at most `limit`, in the order in which they first came; and how many fit
/// at all.
pub fn page(
    connection: &Connection,
    presence: &Presence,
    filter: &Filter,
    after: i64,
    limit: u32,
) -> Result<(Vec<Listed>, usize), StoreError> {
    let places = matching(connection, filter)?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, devices.id, name, devices.key_fingerprint
         FROM registrations LEFT JOIN devices ON devices.mac_key = registrations.mac_key WHERE registrations.id = ?1"
    ))?;
    let wanted = places.iter().filter(|place| **place > after).take(limit as usize);
    let listed = wanted.map(|place| {
        let (found, device) = statement.query_row([place], |row| Ok((from_row(row), holder(row)?)))?;
        let (registration, fingerprint) = with_news(presence, found)?;
        Ok::<_, StoreError>(Listed { place: *place, registration, fingerprint, device })
    });
    Ok((listed.collect::<Result<_, _>>()?, places.len()))
}

/// The device in the columns that follow a registration's.
fn holder(row: &Row<'_>) -> rusqlite::Result<Option<AddressHolder>> {
    let Some(id) = row.get(6)? else { return Ok(None) };
    Ok(Some(AddressHolder { id, name: row.get(7)?, key_fingerprint: row.get(8)? }))
}

/// The places of the registrations that fit, in order.
fn matching(connection: &Connection, filter: &Filter) -> Result<Vec<i64>, StoreError> {
    let state = match filter.state {
        None => "true",
        Some(RegistrationState::Pending) => "(rejected_at IS NULL) = true",
        Some(RegistrationState::Rejected) => "(rejected_at IS NULL) = false",
    };
    let Some(search) = &filter.search else {
        let sql = format!("SELECT id FROM registrations WHERE {state} ORDER BY id");
        let mut statement = connection.prepare_cached(&sql)?;
        return Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?);
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT registrations.id, coalesce(name, ''), registrations.mac_address, registrations.mac_key, registrations.metadata
         FROM registrations LEFT JOIN devices ON devices.mac_key = registrations.mac_key
         WHERE {state} ORDER BY registrations.id"
    ))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
        if search.finds(Searched { name: text(1)?, mac_address: text(2)?, mac_key: text(3)?, metadata: text(4)? }) {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// What people have made of the registration of this MAC address and key; `None` if there is none.
pub fn state(
    connection: &Connection,
    mac_key: &MacKey,
    fingerprint: KeyFingerprint,
) -> Result<Option<RegistrationState>, StoreError> {
    let sql = "SELECT rejected_at IS NOT NULL FROM registrations WHERE mac_key = ?1 AND key_fingerprint = ?2";
    let found = connection.prepare_cached(sql)?.query_row((mac_key, fingerprint), |row| row.get(0)).optional()?;
    Ok(found.map(|is_rejected| if is_rejected { RegistrationState::Rejected } else { RegistrationState::Pending }))
}

/// Keeps a registration, or what is new about the one of this MAC address and key. A MAC address that is known already
/// keeps its first spelling. Nothing is kept of a device that was accepted with this key meanwhile, nor what is new about one
/// that was rejected.
///
/// At most [`LIMIT`] registrations are kept: of more, those go that were rejected, and then those that have not appeared for
/// the longest time. A device that still waits appears again.
pub fn put(
    tx: &WriteTx<'_>,
    presence: &Arc<Presence>,
    registration: Registration,
    fingerprint: KeyFingerprint,
) -> Result<(), StoreError> {
    let connection = tx.connection();
    let is_known: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM registrations WHERE mac_key = ?1 AND key_fingerprint = ?2)")?
        .query_row((registration.mac_address.key(), fingerprint), |row| row.get(0))?;
    let written = connection
        .prepare_cached(
            "INSERT INTO registrations (mac_key, mac_address, public_key, key_fingerprint, metadata, last_appeared_at)
             SELECT ?1, coalesce(
                (SELECT mac_address FROM devices WHERE mac_key = ?1),
                (SELECT mac_address FROM registrations WHERE mac_key = ?1 ORDER BY id LIMIT 1),
                ?2), ?3, ?4, ?5, ?6
             WHERE NOT EXISTS (SELECT 1 FROM devices WHERE mac_key = ?1 AND key_fingerprint = ?4)
             ON CONFLICT (mac_key, key_fingerprint) DO UPDATE
             SET metadata = excluded.metadata, last_appeared_at = max(last_appeared_at, excluded.last_appeared_at)
             WHERE rejected_at IS NULL",
        )?
        .execute((
            registration.mac_address.key(),
            &registration.mac_address,
            &registration.public_key,
            fingerprint,
            &registration.metadata,
            registration.last_appeared,
        ))?;
    if written == 0 {
        return Ok(());
    }
    if !is_known {
        events::tell(tx, Event::registration_waiting(&registration.mac_address, fingerprint))?;
    }
    let mut evict = connection.prepare_cached(
        "DELETE FROM registrations WHERE id IN (
             SELECT id FROM registrations
             ORDER BY rejected_at IS NULL DESC, last_appeared_at DESC, id DESC LIMIT -1 OFFSET ?1
         ) RETURNING mac_key, key_fingerprint",
    )?;
    let evicted = evict.query_map([LIMIT], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<_>, _>>()?;
    // On the writer's thread, so that this and a removal reach the memory in the order in which they reached the disk.
    let presence = presence.clone();
    tx.after_commit(move || {
        presence.registration_was_written(&registration, fingerprint);
        for (mac_key, fingerprint) in &evicted {
            presence.registration_was_taken(mac_key, *fingerprint);
        }
    });
    Ok(())
}

/// How many wait.
pub fn count(connection: &Connection) -> Result<usize, StoreError> {
    let sql = "SELECT count(*) FROM registrations WHERE (rejected_at IS NULL) = true";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// What became of a wish to reject a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It is rejected from now on; this is its MAC address.
    Done(MacAddress),
    /// It was rejected before.
    Known,
    /// There is none of this MAC address and key.
    NotFound,
}

/// Rejects a registration, which stays: whoever asks once more is known to have been rejected.
pub fn reject(tx: &WriteTx<'_>, mac_key: &MacKey, fingerprint: KeyFingerprint) -> Result<Rejection, StoreError> {
    let connection = tx.connection();
    let mut statement = connection.prepare_cached(
        "UPDATE registrations SET rejected_at = ?3 WHERE mac_key = ?1 AND key_fingerprint = ?2 AND rejected_at IS NULL
         RETURNING mac_address",
    )?;
    let rejected = statement.query_row((mac_key, fingerprint, tx.now()), |row| row.get(0)).optional()?;
    Ok(match rejected {
        Some(mac_address) => Rejection::Done(mac_address),
        None if state(connection, mac_key, fingerprint)?.is_some() => Rejection::Known,
        None => Rejection::NotFound,
    })
}

/// Takes a registration away, one that was rejected, too, and returns it; `None` if there is none of this MAC address and key.
pub fn take(
    tx: &WriteTx<'_>,
    presence: &Arc<Presence>,
    mac_key: &MacKey,
    fingerprint: KeyFingerprint,
) -> Result<Option<Registration>, StoreError> {
    let sql = "DELETE FROM registrations WHERE mac_key = ?1 AND key_fingerprint = ?2
         RETURNING mac_address, public_key, metadata, last_appeared_at, key_fingerprint, rejected_at IS NOT NULL";
    let mut statement = tx.connection().prepare_cached(sql)?;
    let taken = statement.query_row((mac_key, fingerprint), from_row).optional()?;
    let (presence, mac_key) = (presence.clone(), mac_key.clone());
    tx.after_commit(move || presence.registration_was_taken(&mac_key, fingerprint));
    Ok(taken.map(|(registration, _)| registration))
}
