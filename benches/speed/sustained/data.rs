//! The data under the load: the fleet's, with packages that take a while to download, and more devices that download them.

use std::fs;
use std::thread::{available_parallelism, scope};

use rusqlite::params;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::copy::Copy;
use crate::fleet::{DEVICES, Fleet, PACKAGES_OF_GROUP, mac_address, reported_at};
use crate::load::Request;

const MEBIBYTE: u64 = 1 << 20;
/// Where the devices are that are updated.
const GROUP: usize = 1;

/// A copy of the fleet's data with so many more devices, which are to be updated, and packages of this length for them.
pub fn prepare(fleet: &Fleet, updated: usize, package_mebibytes: u64) -> Copy {
    let copy = Copy::of(fleet);
    let mut database = copy.database();
    let tx = database.transaction().unwrap();
    for package in 1..=PACKAGES_OF_GROUP {
        let uuid: String =
            tx.query_row("SELECT uuid FROM packages WHERE id = ?1", [package], |row| row.get(0)).unwrap();
        // Something that is neither text nor all the same, as packages are.
        let contents: Vec<u8> = (0..package_mebibytes * MEBIBYTE)
            .map(|number| (number.wrapping_mul(2_654_435_761 + package as u64) >> 13) as u8)
            .collect();
        fs::write(copy.data().join("packages").join(uuid), &contents).unwrap();
        let hash = Sha256::digest(&contents);
        let row = params![package, hash.as_slice(), contents.len()];
        tx.execute("UPDATE packages SET sha256 = ?2, length_bytes = ?3 WHERE id = ?1", row).unwrap();
    }
    for device in DEVICES..DEVICES + updated {
        let mac_address = mac_address(device);
        tx.execute(
            "INSERT INTO devices (id, mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata, group_id,
                 created_at)
             SELECT ?1, ?2, ?3, ?3, public_key, key_fingerprint, capabilities, ?4, ?5, created_at FROM devices WHERE id = ?6",
            params![device + 1, mac_address.replace(':', ""), mac_address, reports(device).to_string(), GROUP, DEVICES],
        )
        .unwrap();
    }
    // Reading them again is not of the load: they were read just now.
    tx.execute("INSERT INTO package_integrity (package_id, verified_at) SELECT id, unixepoch() FROM packages", [])
        .unwrap();
    tx.commit().unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    copy
}

/// What a device says of itself: those of the fleet have the newest version, the others the oldest.
pub fn reports(device: usize) -> Value {
    reported_at(device, if device < DEVICES { PACKAGES_OF_GROUP } else { 0 })
}

/// The authorization requests of so many devices, signed beforehand on all processors.
pub fn authorizations(fleet: &Fleet, devices: usize) -> Vec<Request> {
    let share = devices.div_ceil(available_parallelism().map_or(1, usize::from));
    let numbers: Vec<usize> = (0..devices).collect();
    scope(|scope| {
        let sign = |device: &usize| fleet.key_of(*device).request(&reports(*device));
        let signing: Vec<_> = numbers
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(sign).collect::<Vec<_>>()))
            .collect();
        signing.into_iter().flat_map(|share| share.join().unwrap()).collect()
    })
}
