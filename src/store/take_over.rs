//! What another server's database held, put into an empty one: identifiers and dates stay as they were there.

use rusqlite::Connection;

use super::blobs::PublishedFile;
use super::convert::Json;
use super::writer::{Change, WriteTx};
use super::{StoreError, artifacts, groups};
use crate::domain::{Artifact, Device, Group, KeyFingerprint, Package, Registration, StorageDirectory};

/// All that is taken over.
#[derive(Debug)]
pub struct Contents {
    /// Packages with what they say about themselves, and their files in their places.
    pub packages: Vec<(Package, Option<Artifact>, PublishedFile)>,
    /// Groups with their packages. Which devices they have, these say.
    pub groups: Vec<Group>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Registrations that wait, with the fingerprints of their keys.
    pub registrations: Vec<(Registration, KeyFingerprint)>,
}

/// What must be empty before anything is taken over.
const KINDS: [&str; 5] = ["devices", "groups", "packages", "registrations", "uploads"];

/// What is there already, as `3 devices`; empty if nothing is.
pub fn occupants(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    for kind in KINDS {
        let count: u64 = connection.query_row(&format!("SELECT count(*) FROM {kind}"), [], |row| row.get(0))?;
        if count > 0 {
            found.push(format!("{count} {kind}"));
        }
    }
    Ok(found)
}

/// Writes everything, unless something is there already: what that is, as [`occupants`] says it. Files stay if this is
/// committed and go if not.
pub fn insert(tx: &WriteTx<'_>, contents: Contents) -> Result<Vec<String>, StoreError> {
    let occupants = occupants(tx.connection())?;
    if !occupants.is_empty() {
        return Ok(occupants);
    }
    let Contents { packages, groups, devices, registrations } = contents;
    for (package, artifact, file) in packages {
        insert_package(tx, &package, artifact.as_ref(), file)?;
    }
    groups.iter().try_for_each(|group| insert_group(tx, group))?;
    devices.iter().try_for_each(|device| insert_device(tx, device))?;
    for (registration, fingerprint) in &registrations {
        insert_registration(tx, registration, *fingerprint)?;
    }
    Ok(Vec::new())
}

/// Writes a group; its packages must be there.
fn insert_group(tx: &WriteTx<'_>, group: &Group) -> Result<(), StoreError> {
    tx.changes(Change::Plans);
    tx.connection()
        .prepare_cached("INSERT INTO groups (id, created_at, metadata, policy) VALUES (?1, ?2, ?3, ?4)")?
        .execute((group.id, group.created, &group.metadata, &group.policy))?;
    Ok(groups::set_packages(tx, group.id, &group.packages)?)
}

/// Writes a device; its group must be there.
fn insert_device(tx: &WriteTx<'_>, device: &Device) -> Result<(), StoreError> {
    tx.changes(Change::Assignments);
    let connection = tx.connection();
    connection
        .prepare_cached(
            "INSERT INTO devices (id, mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata,
                                  group_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute((
            device.id,
            device.mac_address.key(),
            &device.mac_address,
            &device.name,
            &device.public_key,
            device.key_fingerprint,
            Json(&device.capabilities),
            &device.metadata,
            device.group,
            device.accepted,
        ))?;
    if let Some(last_access) = device.last_access {
        connection
            .prepare_cached("INSERT INTO device_presence (device_id, last_access_at) VALUES (?1, ?2)")?
            .execute((device.id, last_access))?;
    }
    Ok(())
}

/// Writes a registration that waits.
fn insert_registration(
    tx: &WriteTx<'_>,
    registration: &Registration,
    fingerprint: KeyFingerprint,
) -> Result<(), StoreError> {
    let Registration { mac_address, public_key, metadata, last_appeared, state: _ } = registration;
    tx.connection()
        .prepare_cached(
            "INSERT INTO registrations (mac_key, mac_address, public_key, key_fingerprint, metadata, last_appeared_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((mac_address.key(), mac_address, public_key, fingerprint, metadata, last_appeared))?;
    Ok(())
}

/// Makes the row of a file that is in its place.
fn insert_package(
    tx: &WriteTx<'_>,
    package: &Package,
    artifact: Option<&Artifact>,
    file: PublishedFile,
) -> Result<(), StoreError> {
    let directory = package.description.directory().map(StorageDirectory::as_str);
    tx.connection()
        .prepare_cached(
            "INSERT INTO packages (id, created_at, sha256, length_bytes, uuid, directory, metadata)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute((
            package.id,
            package.created,
            file.sha256,
            file.length_bytes,
            file.uuid.to_string(),
            directory,
            package.metadata(),
        ))?;
    if let Some(artifact) = artifact {
        artifacts::insert(tx, package.id, artifact)?;
    }
    tx.after_commit(move || file.keep());
    Ok(())
}
