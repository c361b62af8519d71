//! The accepted devices, and what is known of them.

use std::time::Duration;

use futures_util::future::join_all;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Device, START, TestServer, assert_fields, date};

const FIELDS: [&str; 8] =
    ["id", "name", "mac_address", "capabilities", "metadata", "group", "last_access", "public_key"];
const MAC: &str = "00:11:22:33:44:55";

#[tokio::test]
async fn a_device_is_shown_with_exactly_these_fields() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.get("/api/v1/devices").await.ok(), json!([]));
    let device = server.accepted_device(MAC).await;
    let group = admin.group(&[admin.device_id(&device).await], &[], "no_update,").await;

    let shown = admin.show_device(&device).await;
    assert_fields(&shown, &FIELDS);
    assert_eq!(shown["name"], MAC);
    assert_eq!(shown["mac_address"], MAC);
    assert_eq!(shown["group"], group);
    assert_eq!(shown["public_key"], device.public_key_pem());
    assert_eq!(shown["metadata"], Value::Object(device.metadata.clone()));
    let capabilities = shown["capabilities"].as_object().unwrap();
    assert!(!capabilities.is_empty() && capabilities.values().all(Value::is_boolean), "{capabilities:?}");
    assert_eq!(admin.get("/api/v1/devices").await.ok(), json!([shown]));
}

#[tokio::test]
async fn devices_are_listed_in_the_order_of_their_identifiers() {
    let server = TestServer::start().await;
    for mac in ["c", "a", "b"] {
        server.accepted_device(mac).await;
    }
    let devices = server.admin().await.get("/api/v1/devices").await.ok();
    let ids: Vec<_> = devices.as_array().unwrap().iter().map(|device| device["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted() && ids.len() == 3, "{ids:?}");
    assert_eq!(
        devices.as_array().unwrap().iter().map(|device| &device["group"]).collect::<Vec<_>>(),
        [&json!(null); 3]
    );
}

#[tokio::test]
async fn a_device_that_is_not_there_is_a_404() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    server.accepted_device(MAC).await;
    for id in ["0", "2", "-1", "+1", "1.0", "0x1", "one", "99999999999999999999", "%31", "1/2", " 1"] {
        admin.get(&format!("/api/v1/devices/{id}")).await.error(404);
    }
}

#[tokio::test]
async fn last_access_is_null_until_the_first_and_fresh_at_once_after_each() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    admin.accept(&device).await;
    assert_eq!(admin.show_device(&device).await["last_access"], Value::Null);
    device.authorize().await.ok();
    assert_eq!(date(&admin.show_device(&device).await["last_access"]), START);
    for passed in [60, 120] {
        server.time.advance(Duration::from_secs(60));
        assert_eq!(device.check().await.status, 204);
        let devices = admin.get("/api/v1/devices").await.ok();
        assert_eq!(date(&devices[0]["last_access"]), START + Duration::from_secs(passed));
        assert_eq!(admin.show_device(&device).await, devices[0]);
    }
}

#[tokio::test]
async fn what_a_check_reports_is_shown_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    device.report("rdfm.software.version", "v7");
    device.metadata.insert("tags".to_owned(), json!(["a", "b"]));
    device.metadata.insert("none".to_owned(), json!([]));
    assert_eq!(device.check().await.status, 204);
    assert_eq!(admin.show_device(&device).await["metadata"], Value::Object(device.metadata.clone()));
    // What is not reported any more is gone.
    device.metadata.remove("tags");
    assert_eq!(device.check().await.status, 204);
    assert_eq!(admin.show_device(&device).await["metadata"], Value::Object(device.metadata.clone()));
}

#[tokio::test]
async fn a_refused_check_reports_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    let before = admin.show_device(&device).await;
    server.time.advance(Duration::from_secs(60));
    let other = server.holder_of(&server.device_token("loopback").await);
    let mut report = device.metadata.clone();
    report.insert("rdfm.software.version".to_owned(), json!("v9"));
    other.post("/api/v1/update/check", Value::Object(report.clone())).await.error(403);
    report.remove("rdfm.hardware.devtype");
    device.send(device.request(reqwest::Method::POST, "/api/v1/update/check").json(&report)).await.error(400);
    assert_eq!(admin.show_device(&device).await, before);
}

#[tokio::test]
async fn what_is_known_of_a_device_survives_a_restart() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    admin.group(&[admin.device_id(&device).await], &[], "exact_match,v1").await;
    server.time.advance(Duration::from_secs(60));
    device.metadata.insert("tags".to_owned(), json!(["a"]));
    device.check().await;
    let before = admin.show_device(&device).await;

    server.restart().await;
    device.follow(server.url());
    assert_eq!(server.admin().await.show_device(&device).await, before);
    // The token outlives the restart as well.
    assert_eq!(device.check().await.status, 204);
}

const FLEET: usize = 200;
const POLLS: usize = 5;

/// Rows as accepting leaves them, without the arithmetic of two hundred keys.
fn insert_fleet(database: &Connection) {
    for number in 0..FLEET {
        let mac_address = format!("gateway {number}");
        let metadata = Value::Object(Device::reports(&mac_address)).to_string();
        database
            .execute(
                "INSERT INTO devices (mac_key, mac_address, name, capabilities, metadata, created_at)
                 VALUES (?1, ?1, ?1, '{}', ?2, ?3)",
                (&mac_address, metadata, START.as_secs() as i64),
            )
            .unwrap();
    }
}

#[tokio::test]
async fn polls_write_nothing_until_the_batch_that_holds_all_their_news() {
    let mut server = TestServer::start().await;
    let database = server.database();
    insert_fleet(&database);
    let tokens = server.device_tokens((0..FLEET).map(|number| format!("gateway {number}"))).await;
    let fleet: Vec<_> = tokens.iter().map(|token| server.holder_of(token)).collect();
    // It changes with every commit of another connection.
    let version = || database.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let log = server.data().join("tender.sqlite-wal");
    let log_state = || std::fs::metadata(&log).map(|metadata| (metadata.len(), metadata.modified().unwrap())).ok();

    let before = (version(), log_state());
    for round in 0..POLLS {
        server.time.advance(Duration::from_secs(10));
        let polls = fleet.iter().enumerate().map(|(number, device)| {
            let mut report = Device::reports(&format!("gateway {number}"));
            report.insert("round".to_owned(), json!(round.to_string()));
            async move { device.post("/api/v1/update/check", Value::Object(report)).await.status }
        });
        assert_eq!(join_all(polls).await, vec![204; FLEET]);
    }
    assert_eq!((version(), log_state()), before);

    server.stop().await;
    let heard = "SELECT count(*) FROM devices JOIN device_presence ON device_id = id
                 WHERE last_access_at = ?1 AND metadata ->> 'round' = ?2";
    let last = (START.as_secs() as i64 + 10 * POLLS as i64, (POLLS - 1).to_string());
    assert_eq!(database.query_row(heard, last, |row| row.get::<_, usize>(0)).unwrap(), FLEET);
}
