//! How long it takes to preview what a policy would mean for a large group.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::fleet::{Fleet, PACKAGES_OF_GROUP, copy};
use crate::load::{self, Request};
use crate::process::Server;
use crate::table::{Row, mebibytes, median, milliseconds};

const DEVICES: usize = 100_000;
/// Every so many devices are of a type that no package is for.
const OTHERS: usize = 50;
const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(1);

/// A group of 100,000 devices at all the versions of its chain of packages, on a copy of the fleet's data.
pub fn of_large_group(fleet: &Fleet) -> Vec<Row> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = folder.path().join("data");
    copy(&fleet.data(), &data);
    let group = fill(&data.join("tender.sqlite"));

    let server = Server::tender(&data);
    let policy = json!({ "policy": format!("exact_match,v{PACKAGES_OF_GROUP}") });
    let authorization = format!("Authorization: Bearer token={}\r\n", fleet.operator_token);
    let path = format!("/api/tender/v1/groups/{group}/preview");
    let request = Request::post(&path, &authorization, &serde_json::to_vec(&policy).unwrap());
    server.forget_peak();
    let before = server.resident();
    let times = (0..ROUNDS).map(|_| {
        let (reply, elapsed) = load::once(server.address, &request, 200);
        assert_counts(&serde_json::from_slice(&reply).unwrap());
        elapsed.as_secs_f64()
    });
    let time = Duration::from_secs_f64(median(times.collect()));
    vec![
        Row::new(format!("preview of {DEVICES} devices"), milliseconds(time))
            .target(format!("≤ {} ms", LIMIT.as_millis()), time <= LIMIT),
        Row::new("  memory for it, at its most", mebibytes(server.peak().saturating_sub(before))),
    ]
}

/// All devices are counted, and in each way some.
fn assert_counts(preview: &Value) {
    let sum = |devices: &Value| -> u64 {
        devices.as_array().unwrap().iter().map(|some| some["devices"].as_u64().unwrap()).sum()
    };
    let up_to_date = preview["up_to_date"]["devices"].as_u64().unwrap();
    let counts = [sum(&preview["paths"]), sum(&preview["blocked"]), up_to_date];
    assert!(counts.iter().all(|count| *count > 0) && counts.iter().sum::<u64>() == DEVICES as u64, "{preview}");
    assert_eq!(preview["paths"].as_array().unwrap().len(), PACKAGES_OF_GROUP);
}

/// Makes the group, with the packages of the first one; its identifier.
fn fill(database: &Path) -> i64 {
    let mut database = Connection::open(database).unwrap();
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
        for device in 0..DEVICES {
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
