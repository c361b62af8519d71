//! Copies of the fleet's data, for what is measured with more than the fleet has.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use tempfile::TempDir;
use tender::clock::Clock;

use crate::fleet::{Fleet, PACKAGES_OF_GROUP, Size};

/// How many devices the large group has.
pub const LARGE_GROUP: usize = 100_000;
/// Every so many devices are of a type that no package is for.
const OTHERS: usize = 50;

/// A copy of a fleet's data folder; goes when dropped.
pub struct Copy(TempDir);

impl Copy {
    /// As the fleet's data is now.
    pub fn of(fleet: &Fleet) -> Self {
        let copy = Self(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
        copy_folder(&fleet.data(), &copy.data());
        copy
    }

    /// The same installation with a fleet of another size.
    pub fn with_size(fleet: &Fleet, size: Size) -> Self {
        let copy = Self::of(fleet);
        let mut database = copy.database();
        database.execute_batch("DELETE FROM devices; DELETE FROM groups; DELETE FROM packages").unwrap();
        let now = Clock::system().now().unix_seconds();
        fleet.fill(&mut database, &copy.data().join("packages"), now, size);
        copy
    }

    pub fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    pub fn database(&self) -> Connection {
        Connection::open(self.data().join("tender.sqlite")).unwrap()
    }
}

/// A copy with one more group, of 100,000 devices at all the versions of its chain of packages, and the group's identifier.
pub fn with_large_group(fleet: &Fleet) -> (Copy, i64) {
    let copy = Copy::of(fleet);
    let group = fill(&mut copy.database());
    (copy, group)
}

/// Makes the group, with the packages of the first one; its identifier.
fn fill(database: &mut Connection) -> i64 {
    let tx = database.transaction().unwrap();
    tx.execute("INSERT INTO groups (created_at, metadata, policy) VALUES (0, '{}', 'no_update,')", []).unwrap();
    let group = tx.last_insert_rowid();
    let packages = "INSERT INTO group_packages SELECT ?1, package_id, position FROM group_packages WHERE group_id = 1";
    tx.execute(packages, [group]).unwrap();
    {
        // Keys are as long as those of the fleet.
        let mut insert = tx
            .prepare(
                "INSERT INTO devices (mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata, group_id,
                     created_at)
                 SELECT ?1, ?2, ?2, public_key, key_fingerprint, capabilities, ?3, ?4, created_at FROM devices LIMIT 1",
            )
            .unwrap();
        for device in 0..LARGE_GROUP {
            let mac_address = format!("06:00:00:{:02x}:{:02x}:{:02x}", device >> 16, device >> 8 & 0xff, device & 0xff);
            let mut metadata = crate::fleet::reported(device);
            metadata["rdfm.software.version"] = format!("v{}", device % (PACKAGES_OF_GROUP + 1)).into();
            metadata["rdfm.hardware.macaddr"] = mac_address.clone().into();
            if device.is_multiple_of(OTHERS) {
                metadata["rdfm.hardware.devtype"] = "something else".into();
            }
            insert.execute(params![mac_address.replace(':', ""), mac_address, metadata.to_string(), group]).unwrap();
        }
    }
    tx.commit().unwrap();
    group
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
