//! Lists of devices: complete in every order, whatever happens between two pages.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DEVICES, MAC, Row, all_ids, ids, list, page, server_with, shown};
use crate::harness::{START, TestServer, assert_fields};

const SORTS: [&str; 6] = ["id", "name", "mac_address", "type", "version", "last_access"];
const LISTED: [&str; 8] = ["id", "name", "mac_address", "type", "version", "group", "state", "last_access"];

#[tokio::test]
async fn a_device_is_listed_and_shown_with_exactly_these_fields() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(page(&admin, &[]).await, json!({ "devices": [], "next": null, "total": 0 }));
    let mut device = server.accepted_device(MAC).await;
    device.check().await;
    let group = admin.group(&[1], &[], "no_update,").await;

    let listed = page(&admin, &[]).await;
    assert_eq!((&listed["next"], &listed["total"]), (&Value::Null, &json!(1)));
    let expected = json!({
        "id": 1, "name": MAC, "mac_address": MAC, "type": "dummy", "version": "v0", "group": group, "state": "no_target",
        "last_access": "2027-01-15T08:00:00Z",
    });
    assert_eq!(listed["devices"], json!([expected]));

    let alone = shown(&admin, 1).await;
    let more = ["metadata", "capabilities", "key_fingerprint", "accepted_at", "clock_skew_seconds", "waiting_keys"];
    assert_fields(&alone, &[&LISTED[..], &more].concat());
    for field in LISTED {
        assert_eq!(alone[field], expected[field], "{field}");
    }
    assert_eq!(alone["metadata"], Value::Object(device.metadata.clone()));
    assert_eq!(alone["accepted_at"], "2027-01-15T08:00:00Z");
    assert_eq!(alone["key_fingerprint"].as_str().unwrap().len(), 64);
    assert_eq!(alone["waiting_keys"], json!([]));

    // Somebody of this address comes with another key.
    device.change_key();
    device.authorize().await.error(401);
    let waiting = shown(&admin, 1).await["waiting_keys"].clone();
    assert_eq!(waiting.as_array().unwrap().len(), 1);
    assert_ne!(waiting[0], alone["key_fingerprint"]);
    admin.get(&format!("{DEVICES}/2")).await.error(404);
}

#[tokio::test]
async fn the_clock_of_a_device_is_compared_with_ours_when_it_authorizes() {
    let mut server = TestServer::start().await;
    let mut device = server.accepted_device(MAC).await;
    let admin = server.admin().await;
    let skew = async |admin: &crate::harness::Operator| shown(admin, 1).await["clock_skew_seconds"].clone();
    assert_eq!(skew(&admin).await, 1_694_414_456 - START.as_secs() as i64);
    let mut body = device.authorization_body();
    for ahead in [90, 0, -7] {
        body["timestamp"] = json!(START.as_secs() as i64 + ahead);
        device.authorize_with(&body).await.ok();
        assert_eq!(skew(&admin).await, ahead);
    }
    for extreme in [i64::MIN, i64::MAX] {
        body["timestamp"] = json!(extreme);
        device.authorize_with(&body).await.ok();
        assert!(skew(&admin).await.is_i64());
    }
    device.check().await;
    assert!(skew(&admin).await.is_i64(), "a check says nothing of it");

    server.restart().await;
    device.follow(server.url());
    let admin = server.admin().await;
    assert_eq!(skew(&admin).await, Value::Null);
    device.check().await;
    assert_eq!(skew(&admin).await, Value::Null);
}

#[tokio::test]
async fn a_machine_that_does_not_know_the_time_compares_no_clock_with_its_own() {
    let server = TestServer::start_at(std::time::SystemTime::UNIX_EPOCH, |_| {}).await;
    server.accepted_device(MAC).await;
    assert_eq!(shown(&server.admin().await, 1).await["clock_skew_seconds"], Value::Null);
}

/// Devices with much that is equal and some that is missing.
fn rows(count: usize) -> Vec<(String, String, Value, Option<i64>)> {
    let row = |number: usize| {
        let mac_address = match number % 3 {
            0 => format!("00:11:22:33:{:02x}:{:02x}", 255 - number / 256, number % 256),
            1 => format!("AA-BB-CC-00-{:02X}-{:02X}", number / 256, 255 - number % 256),
            _ => format!("gateway {}", number * 7919 % 1000),
        };
        let name = ["Pump", "pump", "Ärger", "a", "%", "valve \"7\""][number % 6].to_owned();
        let version =
            [json!("v1"), json!("v10"), json!("v2"), Value::Null, json!(["v1"]), json!("")][number % 6].clone();
        // Long texts that differ late only.
        let device_type =
            if number.is_multiple_of(5) { format!("{}{number}", "t".repeat(70)) } else { "dummy".to_owned() };
        let reports = json!({ "rdfm.software.version": version, "rdfm.hardware.devtype": device_type });
        (mac_address, name, reports, (!number.is_multiple_of(4)).then_some((number % 9) as i64))
    };
    (0..count).map(row).collect()
}

async fn server_of(count: usize) -> (TestServer, crate::harness::Operator) {
    let rows = rows(count);
    let rows: Vec<_> = rows
        .iter()
        .map(|(mac_address, name, reports, last_access)| Row {
            name,
            reports: reports.clone(),
            last_access: *last_access,
            ..Row::of(mac_address)
        })
        .collect();
    server_with(&rows).await
}

#[tokio::test]
async fn every_order_is_complete_in_both_directions() {
    let (_server, admin) = server_of(100).await;
    for sort in SORTS {
        let mut up = all_ids(&admin, &[("sort", sort), ("limit", "7")]).await;
        let descending = format!("-{sort}");
        let down = all_ids(&admin, &[("sort", &descending), ("limit", "9")]).await;
        assert_eq!(up, all_ids(&admin, &[("sort", sort), ("limit", "1000")]).await, "{sort}");
        assert!(down.iter().rev().eq(&up), "{sort}");
        up.sort_unstable();
        assert_eq!(up, (1..=100).collect::<Vec<_>>(), "{sort}");
    }
}

#[tokio::test]
async fn devices_are_in_the_order_of_what_is_shown() {
    let (_server, admin) = server_of(60).await;
    let shown = async |sort: &str, field: &str| {
        let page = page(&admin, &[("sort", sort), ("limit", "1000")]).await;
        let value = |device: &Value| device[field].as_str().unwrap_or_default().to_owned();
        page["devices"].as_array().unwrap().iter().map(value).collect::<Vec<_>>()
    };
    let names: Vec<_> = shown("name", "name").await.iter().map(|name| name.to_ascii_lowercase()).collect();
    assert!(names.is_sorted());
    let key = |mac_address: &String| tender::domain::MacAddress::parse(mac_address).unwrap().key();
    assert!(shown("mac_address", "mac_address").await.iter().map(key).is_sorted());
    assert!(shown("last_access", "last_access").await.is_sorted());
    assert!(shown("-last_access", "last_access").await.iter().rev().is_sorted());
}

#[tokio::test]
async fn pages_hold_each_device_once_while_devices_come_and_go() {
    for sort in SORTS {
        let (server, admin) = server_of(40).await;
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for round in 0.. {
            let mut parameters = vec![("sort", sort), ("limit", "4")];
            parameters.extend(after.as_deref().map(|after| ("after", after)));
            let page = page(&admin, &parameters).await;
            found.extend(ids(&page));
            let Some(next) = page["next"].as_str() else { break };
            after = Some(next.to_owned());
            // The last one of this page goes, which the next page begins after, and somebody comes.
            let last = *ids(&page).last().unwrap();
            admin.post(&format!("{DEVICES}/remove"), json!({ "devices": [last] })).await.ok();
            Row::of(&format!("new {sort} {round}")).insert(&server.database());
        }
        let once: std::collections::BTreeSet<_> = found.iter().copied().collect();
        assert_eq!(once.len(), found.len(), "{sort}");
        assert!((1..=40).all(|id| once.contains(&id)), "{sort}: {found:?}");
    }
}

#[tokio::test]
async fn filters_and_what_is_counted_go_together() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    let database = server.database();
    let rows = [
        Row { group: Some(group), ..Row::of("a") },
        Row { group: Some(group), reports: json!({ "rdfm.software.version": "v1" }), ..Row::of("b") },
        Row { reports: json!({ "rdfm.hardware.devtype": "camera" }), ..Row::of("c") },
        Row { reports: json!({ "rdfm.hardware.devtype": null, "rdfm.software.version": null }), ..Row::of("d") },
    ];
    for row in &rows {
        row.insert(&database);
    }
    let group = group.to_string();
    type Case<'a> = (Vec<(&'a str, &'a str)>, &'a [i64]);
    let cases: [Case<'_>; 11] = [
        (vec![], &[1, 2, 3, 4]),
        (vec![("group", &group)], &[1, 2]),
        (vec![("group", "none")], &[3, 4]),
        (vec![("group", "77")], &[]),
        (vec![("version", "v1")], &[2]),
        (vec![("version", "")], &[4]),
        (vec![("type", "camera")], &[3]),
        (vec![("type", "came")], &[]),
        (vec![("type", "dummy"), ("version", "v0")], &[1]),
        (vec![("group", "none"), ("search", "d")], &[3, 4]),
        (vec![("state", "silent"), ("group", &group), ("search", "b"), ("sort", "-name")], &[2]),
    ];
    for (parameters, expected) in cases {
        let page = page(&admin, &parameters).await;
        assert_eq!((ids(&page).as_slice(), &page["total"]), (expected, &json!(expected.len())), "{parameters:?}");
    }
    let first = page(&admin, &[("limit", "1")]).await;
    assert_eq!((ids(&first), &first["total"]), (vec![1], &json!(4)), "all that fit are counted");
}

#[tokio::test]
async fn what_was_reported_a_moment_ago_is_in_the_rows_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    server.time.advance(Duration::from_secs(60));
    device.report("rdfm.software.version", "v7");
    device.check().await;
    let listed = page(&admin, &[]).await["devices"][0].clone();
    assert_eq!((&listed["version"], &listed["last_access"]), (&json!("v7"), &json!("2027-01-15T08:01:00Z")));
}

#[tokio::test]
async fn parameters_that_make_no_sense_are_refused() {
    let (_server, admin) = server_with(&[Row::of("a"), Row::of("b")]).await;
    let next = page(&admin, &[("limit", "1"), ("sort", "name")]).await["next"].as_str().unwrap().to_owned();
    assert_eq!(ids(&page(&admin, &[("sort", "name"), ("after", &next)]).await), [2]);
    let refused = [
        ("sort", "colour"),
        ("sort", "--id"),
        ("sort", ""),
        ("limit", "0"),
        ("limit", "1001"),
        ("group", "x"),
        ("group", ""),
        ("state", "fine"),
        ("after", "x"),
        ("after", ""),
        ("after", &next),
        ("colour", "red"),
        ("search", &"x".repeat(201)),
    ];
    for (name, value) in refused {
        let sentence = list(&admin, &[(name, value)]).await.error(400);
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}
