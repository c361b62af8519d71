//! Devices are removed: at once, wholly, and whatever goes on meanwhile.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{DEVICES, MAC, Row, overview, page, server_with, shown};
use crate::harness::{Device, Operator, Reply, TestServer};

async fn remove(operator: &Operator, devices: &[i64]) -> Reply {
    operator.post(&format!("{DEVICES}/remove"), json!({ "devices": devices })).await
}

#[tokio::test]
async fn a_removed_device_has_no_rights_and_may_ask_to_be_let_in_again() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[1], &[package], "exact_match,v1").await;
    device.report("serial", "7");
    let offer = device.check().await.ok();
    device.download(&offer).await;

    assert_eq!(remove(&admin, &[1]).await.ok(), json!({}));
    device.check().await.error(401);
    device.check().await.error(401);
    admin.get(&format!("{DEVICES}/1")).await.error(404);
    admin.get("/api/v1/devices/1").await.error(404);
    admin.get(&format!("{DEVICES}/1/attempts")).await.error(404);
    assert_eq!(admin.get("/api/v1/devices").await.ok(), json!([]));
    assert_eq!(admin.get("/api/tender/v1/attempts").await.ok()["attempts"], json!([]));
    assert_eq!(admin.show_group(group).await["devices"], json!([]));
    let progress = admin.get(&format!("/api/tender/v1/groups/{group}/rollout")).await.ok()["progress"].clone();
    assert_eq!((&progress["trying"], &progress["reached"]), (&json!(0), &json!(0)));
    assert_eq!(page(&admin, &[]).await["total"], 0);
    assert_eq!(overview(&admin).await["devices"], 0);

    // Its key is good for nothing as well: it is one that waits, as it was when it first came.
    device.authorize().await.error(401);
    assert_eq!(admin.pending().await.len(), 1);
    // Nothing that it did before comes back, also not with what is written later.
    server.restart().await;
    let admin = server.admin().await;
    device.follow(server.url());
    for table in ["devices", "device_presence", "attempts"] {
        assert_eq!(server.rows(table), 0, "{table}");
    }
    device.check().await.error(401);
    admin.accept(&device).await;
    let known = shown(&admin, 2).await;
    assert_eq!((&known["group"], &known["last_access"]), (&Value::Null, &Value::Null));
    device.authorize().await.ok();
    assert_eq!(device.check().await.status, 204);
}

#[tokio::test]
async fn what_a_removed_device_had_reported_is_not_that_of_the_next_one_of_its_address() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    device.report("rdfm.software.version", "v7");
    device.check().await;
    remove(&admin, &[1]).await.ok();
    device.report("rdfm.software.version", "v0");
    device.change_key();
    device.authorize().await.error(401);
    admin.accept(&device).await;
    let known = shown(&admin, 2).await;
    assert_eq!((&known["version"], &known["last_access"]), (&json!("v0"), &Value::Null));
    assert_eq!(known["clock_skew_seconds"], Value::Null);

    // The address is known again, and the old token, which has not ended, was that of the other device.
    device.report("serial", "8");
    device.check().await.error(401);
    assert_eq!(shown(&admin, 2).await["last_access"], Value::Null);
    device.authorize().await.ok();
    assert_eq!(device.check().await.status, 204);
    assert_eq!(shown(&admin, 2).await["metadata"]["serial"], "8");
}

#[tokio::test]
async fn all_are_removed_or_none_and_each_is_in_the_audit_log() {
    let (_server, admin) = server_with(&[Row { name: "Pump", ..Row::of(MAC) }, Row::of("b"), Row::of("c")]).await;
    let total = async || page(&admin, &[]).await["total"].as_i64().unwrap();
    remove(&admin, &[1, 2, 77]).await.error(404);
    for body in [json!({}), json!({ "devices": 1 }), json!({ "devices": ["1"] }), json!({ "devices": [1], "x": 1 })] {
        admin.post(&format!("{DEVICES}/remove"), body).await.error(400);
    }
    assert_eq!(total().await, 3);
    remove(&admin, &[1, 3, 1]).await.ok();
    assert_eq!(total().await, 1);
    remove(&admin, &[1]).await.error(404);
    remove(&admin, &[]).await.ok();
    let log = admin.get("/api/tender/v1/audit?action=device.remove&outcome=done").await.ok();
    let entries: Vec<_> =
        log["entries"].as_array().unwrap().iter().map(|entry| (&entry["target"], &entry["detail"])).collect();
    let expected = [(json!("device/3"), json!("c (c)")), (json!("device/1"), json!(format!("{MAC} (Pump)")))];
    assert_eq!(entries, expected.each_ref().map(|(target, detail)| (target, detail)));
}

#[tokio::test]
async fn a_place_in_a_rollout_that_a_removed_device_had_is_free() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let first = server.accepted_device("00:11:22:33:44:01").await;
    let second = server.accepted_device("00:11:22:33:44:02").await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[1, 2], &[package], "exact_match,v1").await;
    let rollout = format!("/api/tender/v1/groups/{group}/rollout");
    admin.send(admin.request(reqwest::Method::PUT, &rollout).json(&json!({ "max_parallel": 1 }))).await.ok();
    assert_eq!(first.check().await.status, 200);
    assert_eq!(second.check().await.status, 204);
    remove(&admin, &[1]).await.ok();
    assert_eq!(second.check().await.status, 200);
}

const FLEET: i64 = 60;

#[tokio::test]
async fn devices_that_poll_are_removed_for_good() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let database = server.database();
    for number in 0..FLEET {
        Row::of(&format!("gateway {number}")).insert(&database);
    }
    let package = admin.package("v1", &[], b"contents").await;
    let ids: Vec<i64> = (1..=FLEET).collect();
    admin.group(&ids, &[package], "exact_match,v1").await;
    let tokens = server.device_tokens((0..FLEET).map(|number| format!("gateway {number}"))).await;
    let fleet: Vec<_> = tokens.iter().map(|token| server.holder_of(token)).collect();
    let polls = fleet.iter().enumerate().map(|(number, device)| {
        let report = Device::reports(&format!("gateway {number}"));
        async move {
            let mut statuses = Vec::new();
            for round in 0..20 {
                let mut report = report.clone();
                report.insert("round".to_owned(), json!(round.to_string()));
                statuses.push(device.post("/api/v1/update/check", Value::Object(report)).await.status);
            }
            statuses
        }
    });
    let removals = async {
        // Every other one, in several goes.
        for some in (1..=FLEET).filter(|id| id % 2 == 0).collect::<Vec<_>>().chunks(5) {
            remove(&admin, some).await.ok();
        }
    };
    let (statuses, ()) = tokio::join!(join_all(polls), removals);
    for (number, statuses) in statuses.iter().enumerate() {
        let is_removed = number % 2 == 1;
        let first_refusal = statuses.iter().position(|status| *status == 401).unwrap_or(statuses.len());
        assert!(statuses[..first_refusal].iter().all(|status| *status == 200), "{statuses:?}");
        assert!(statuses[first_refusal..].iter().all(|status| *status == 401), "{statuses:?}");
        assert!(is_removed || first_refusal == statuses.len(), "{number} is still there");
    }
    let half = FLEET / 2;
    let overview = overview(&admin).await;
    assert_eq!((&overview["states"]["updating"], &overview["devices"]), (&json!(half), &json!(half)));
    let attempts = admin.get("/api/tender/v1/attempts?limit=1000").await.ok()["attempts"].clone();
    let all_odd = attempts.as_array().unwrap().iter().all(|attempt| attempt["device"].as_i64().unwrap() % 2 == 1);
    assert!(all_odd && attempts.as_array().unwrap().len() == half as usize, "{attempts}");

    server.time.advance(Duration::from_secs(1));
    server.restart().await;
    assert_eq!((server.rows("devices"), server.rows("attempts")), (half, half));
    assert!(server.rows("device_presence") <= half);
}
