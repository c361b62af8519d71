//! How long pages of the fleet take, and the fleet in numbers.

use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::copy::Copy;
use crate::fleet::{self, Fleet, PACKAGES_OF_GROUP};
use crate::load::{self, Request};
use crate::process::Server;
use crate::table::{Row, median, milliseconds};

const LARGE: usize = 100_000;
const ROUNDS: usize = 9;
const LIMIT: Duration = Duration::from_millis(20);
const STARTS: usize = 5;
const LARGE_START_LIMIT: Duration = Duration::from_millis(300);
/// Nobody notices that he waits.
const LARGE_PAGE_LIMIT: Duration = Duration::from_millis(200);

/// Pages of the fleet, and of one that is ten times as large, on copies of the data.
pub fn of_fleets(fleet: &Fleet) -> Vec<Row> {
    let small = of_fleet(fleet, fleet::DEVICES, Some(LIMIT));
    small.into_iter().chain(of_fleet(fleet, LARGE, None)).collect()
}

/// What must go on to work with many more devices than one gateway is likely to have: the start, the list and the search.
pub fn with_many_registered(fleet: &Fleet) -> Vec<Row> {
    let copy = varied_copy(fleet, LARGE);
    let times = (0..STARTS).map(|_| Server::tender(&copy.data()).started_in.as_secs_f64()).collect();
    let time = Duration::from_secs_f64(median(times));
    let start = Row::new(format!("start, {LARGE} devices"), milliseconds(time))
        .target(format!("≤ {} ms", LARGE_START_LIMIT.as_millis()), time <= LARGE_START_LIMIT);
    let server = Server::tender(&copy.data());
    let asked = [
        ("page of the list", "/api/tender/v1/devices"),
        ("search", "/api/tender/v1/devices?search=substation+77+6c"),
        ("search for what all have", "/api/tender/v1/devices?search=edge+substation&sort=name"),
        ("filter by state", "/api/tender/v1/devices?state=waiting&sort=name"),
        ("overview", "/api/tender/v1/overview"),
    ];
    let pages = asked.into_iter().map(|(name, path)| {
        let request = Request::get(path, &fleet.operator());
        let times = (0..ROUNDS).map(|_| load::once(server.address, &request, 200).1.as_secs_f64()).collect();
        let time = Duration::from_secs_f64(median(times));
        Row::new(format!("{name}, {LARGE} devices"), milliseconds(time))
            .target(format!("≤ {} ms", LARGE_PAGE_LIMIT.as_millis()), time <= LARGE_PAGE_LIMIT)
    });
    [start].into_iter().chain(pages).collect()
}

fn varied_copy(fleet: &Fleet, devices: usize) -> Copy {
    let copy = Copy::of(fleet);
    vary(&mut copy.database(), devices);
    copy
}

fn of_fleet(fleet: &Fleet, devices: usize, limit: Option<Duration>) -> Vec<Row> {
    let copy = varied_copy(fleet, devices);
    let server = Server::tender(&copy.data());
    let authorization = fleet.operator();
    let ask = |path: &str| {
        let (reply, elapsed) = load::once(server.address, &Request::get(path, &authorization), 200);
        (serde_json::from_slice::<Value>(&reply).unwrap(), elapsed.as_secs_f64())
    };
    let list = |query: &str| ask(&format!("/api/tender/v1/devices?{query}"));
    let mut rows = Vec::new();
    let mut row = |name: &str, limit: Option<Duration>, times: Vec<f64>| {
        let time = Duration::from_secs_f64(median(times));
        let row = Row::new(format!("{name}, {devices} devices"), milliseconds(time));
        rows.push(match limit {
            Some(limit) => row.target(format!("≤ {} ms", limit.as_millis()), time <= limit),
            None => row,
        });
    };
    // The last page by name: what comes before it is skipped in larger steps.
    let mut after = String::new();
    for _ in 1..devices / 1000 {
        after = list(&format!("sort=name&limit=1000{after}")).0["next"]
            .as_str()
            .map(|next| format!("&after={next}"))
            .unwrap();
    }
    let last = list(&format!("sort=name&limit=900{after}")).0["next"].as_str().unwrap().to_owned();
    let pages = [
        ("first page", String::new()),
        ("last page by name", format!("sort=name&after={last}")),
        ("first page by version", "sort=-version".to_owned()),
        ("first page by last access", "sort=-last_access".to_owned()),
        ("page of a group by name", "sort=name&group=3".to_owned()),
        ("search for something rare", "search=substation+77+6c".to_owned()),
        ("search for what all have", "search=edge+substation&sort=name".to_owned()),
        ("filter by state, kept", "state=waiting&sort=name".to_owned()),
    ];
    for (name, query) in &pages {
        let times = (0..ROUNDS).map(|_| {
            let (page, time) = list(query);
            assert!(page["total"].as_u64().unwrap() > 0, "{name}");
            time
        });
        row(name, limit, times.collect());
    }
    // Whatever people change has all devices looked at anew.
    let anew = |path: &str| {
        let times = (0..ROUNDS).map(|_| {
            let body = serde_json::to_vec(&json!({ "devices": [1], "group": 1 })).unwrap();
            load::once(server.address, &Request::post("/api/tender/v1/devices/assign", &authorization, &body), 200);
            ask(path).1
        });
        times.collect()
    };
    row("filter by state, anew", limit, anew("/api/tender/v1/devices?state=blocked"));
    row("overview, anew", None, anew("/api/tender/v1/overview"));
    row("overview, kept", None, (0..ROUNDS).map(|_| ask("/api/tender/v1/overview").1).collect());
    rows
}

/// So many devices, with names and at all versions of the chain; every so many of a type that no package is for.
fn vary(database: &mut Connection, devices: usize) {
    let tx = database.transaction().unwrap();
    for device in fleet::DEVICES..devices {
        let insert = "INSERT INTO devices (id, mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata, group_id,
                 created_at)
             SELECT ?1, ?2, ?2, ?2, public_key, key_fingerprint, capabilities, '{}', ?3, created_at FROM devices WHERE id = 1";
        let mac_key = format!("06{device:010x}");
        tx.execute(insert, params![device + 1, mac_key, device / 2 % fleet::GROUPS + 1]).unwrap();
    }
    for device in 0..devices {
        let mut metadata = fleet::reported(device);
        metadata["rdfm.software.version"] = format!("v{}", device % (PACKAGES_OF_GROUP + 1)).into();
        if device.is_multiple_of(50) {
            metadata["rdfm.hardware.devtype"] = "something else".into();
        }
        let name = format!("Device {:05x}", device.wrapping_mul(0x9e37_79b1) & 0xf_ffff);
        tx.execute(
            "UPDATE devices SET name = ?2, metadata = ?3 WHERE id = ?1",
            params![device + 1, name, metadata.to_string()],
        )
        .unwrap();
    }
    // Each was heard within the last minutes, as devices are.
    let heard = "INSERT OR REPLACE INTO device_presence SELECT id, created_at - id % 900 FROM devices";
    tx.execute(heard, []).unwrap();
    tx.commit().unwrap();
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}
