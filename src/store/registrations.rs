//! Registrations: devices that asked to be let in.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::events;
use super::presence::Presence;
use super::writer::WriteTx;
use crate::domain::{Event, KeyFingerprint, MacKey, Registration};

/// How many registrations are kept: many more than a person would look through, and few enough that somebody who makes
/// them up does not fill the disk.
pub const LIMIT: usize = 16_384;

const SELECT: &str = "SELECT mac_address, public_key, metadata, last_appeared_at, key_fingerprint FROM registrations";

fn from_row(row: &Row<'_>) -> rusqlite::Result<(Registration, KeyFingerprint)> {
    let registration = Registration {
        mac_address: row.get(0)?,
        public_key: row.get(1)?,
        metadata: row.get(2)?,
        last_appeared: row.get(3)?,
    };
    Ok((registration, row.get(4)?))
}

/// All registrations, in the order in which they first came.
pub fn list(connection: &Connection, presence: &Presence) -> Result<Vec<Registration>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY id"))?;
    let rows = statement.query_map([], from_row)?;
    rows.map(|row| Ok(with_news(presence, row)?.0)).collect()
}

/// The registrations with this MAC address, in the order in which they first came, with their keys' fingerprints.
pub fn of_address(
    connection: &Connection,
    presence: &Presence,
    mac_key: &MacKey,
) -> Result<Vec<(Registration, KeyFingerprint)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE mac_key = ?1 ORDER BY id"))?;
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

/// Keeps a registration, or what is new about the one of this MAC address and key. A MAC address that is known already
/// keeps its first spelling. Nothing is kept of a device that was accepted with this key meanwhile.
///
/// At most [`LIMIT`] registrations are kept: of more, those go that have not appeared for the longest time. A device that
/// still waits appears again.
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
             SET metadata = excluded.metadata, last_appeared_at = max(last_appeared_at, excluded.last_appeared_at)",
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
             SELECT id FROM registrations ORDER BY last_appeared_at DESC, id DESC LIMIT -1 OFFSET ?1
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

/// How many there are.
pub fn count(connection: &Connection) -> Result<usize, StoreError> {
    Ok(connection.query_row("SELECT count(*) FROM registrations", [], |row| row.get(0))?)
}

/// Takes a registration away and returns it; `None` if there is none of this MAC address and key.
pub fn take(
    tx: &WriteTx<'_>,
    presence: &Arc<Presence>,
    mac_key: &MacKey,
    fingerprint: KeyFingerprint,
) -> Result<Option<Registration>, StoreError> {
    let mut statement = tx.connection().prepare_cached(
        "DELETE FROM registrations WHERE mac_key = ?1 AND key_fingerprint = ?2
         RETURNING mac_address, public_key, metadata, last_appeared_at, key_fingerprint",
    )?;
    let taken = statement.query_row((mac_key, fingerprint), from_row).optional()?;
    let (presence, mac_key) = (presence.clone(), mac_key.clone());
    tx.after_commit(move || presence.registration_was_taken(&mac_key, fingerprint));
    Ok(taken.map(|(registration, _)| registration))
}
