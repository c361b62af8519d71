//! People name devices and move them between groups.

use reqwest::Method;
use serde_json::{Value, json};

use super::{DEVICES, MAC, Row, server_with, shown};
use crate::harness::{Operator, Reply, TestServer};

async fn rename(operator: &Operator, id: i64, body: Value) -> Reply {
    operator.send(operator.request(Method::PUT, &format!("{DEVICES}/{id}/name")).json(&body)).await
}

async fn assign(operator: &Operator, body: Value) -> Reply {
    operator.post(&format!("{DEVICES}/assign"), body).await
}

/// The latest entry of the audit log.
async fn latest_entry(operator: &Operator) -> Value {
    operator.get("/api/tender/v1/audit?limit=1").await.ok()["entries"][0].clone()
}

#[tokio::test]
async fn a_device_has_the_name_that_people_give_it() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    assert_eq!(rename(&admin, 1, json!({ "name": "  Pumpe süd " })).await.ok(), json!({}));
    assert_eq!(shown(&admin, 1).await["name"], "Pumpe süd");
    assert_eq!(admin.show_device(&device).await["name"], "Pumpe süd");
    let entry = latest_entry(&admin).await;
    assert_eq!((&entry["action"], &entry["target"]), (&json!("device.name"), &json!("device/1")));
    assert_eq!(entry["detail"], "Pumpe süd");

    for name in ["", " ", "a\nb", &"x".repeat(101)] {
        rename(&admin, 1, json!({ "name": name })).await.error(400);
    }
    for body in [json!({}), json!({ "name": 1 }), json!({ "name": "a", "colour": "red" })] {
        rename(&admin, 1, body).await.error(400);
    }
    rename(&admin, 2, json!({ "name": "a" })).await.error(404);
    device.check().await;
    server.restart().await;
    assert_eq!(shown(&server.admin().await, 1).await["name"], "Pumpe süd");
}

#[tokio::test]
async fn devices_go_to_a_group_from_wherever_they_are_all_or_none() {
    let (server, admin) = server_with(&[Row::of("a"), Row::of("b"), Row::of("c")]).await;
    let first = admin.group(&[1, 2], &[], "no_update,").await;
    let second = admin.group(&[], &[], "no_update,").await;
    let groups = async || {
        let devices = admin.get("/api/v1/devices").await.ok();
        devices.as_array().unwrap().iter().map(|device| device["group"].as_i64()).collect::<Vec<_>>()
    };
    assert_eq!(assign(&admin, json!({ "devices": [2, 3, 2], "group": second })).await.ok(), json!({}));
    assert_eq!(groups().await, [Some(first), Some(second), Some(second)]);
    let entry = latest_entry(&admin).await;
    assert_eq!((&entry["action"], &entry["target"]), (&json!("device.assign"), &json!(format!("group/{second}"))));
    assert_eq!(entry["detail"], "2, 3");

    let before = groups().await;
    let refused = [
        (json!({ "devices": [1, 77], "group": second }), 404),
        (json!({ "devices": [1], "group": 77 }), 404),
        (json!({ "devices": [], "group": 77 }), 404),
        (json!({ "devices": [1] }), 400),
        (json!({ "devices": ["1"], "group": null }), 400),
        (json!({ "group": null }), 400),
        (json!({ "devices": [1], "group": null, "colour": "red" }), 400),
    ];
    for (body, status) in refused {
        assign(&admin, body).await.error(status);
        assert_eq!(groups().await, before);
    }
    assert_eq!(assign(&admin, json!({ "devices": [1, 3], "group": null })).await.ok(), json!({}));
    assert_eq!(groups().await, [None, Some(second), None]);
    assert_eq!(latest_entry(&admin).await["target"], "no group");
    assert_eq!(assign(&admin, json!({ "devices": [], "group": null })).await.ok(), json!({}));
    drop(server);
}

#[tokio::test]
async fn a_device_that_was_moved_is_offered_what_its_new_group_has() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    let package = admin.package("v1", &[], b"contents").await;
    admin.group(&[1], &[], "no_update,").await;
    let second = admin.group(&[], &[package], "exact_match,v1").await;
    assert_eq!(device.check().await.status, 204);
    assign(&admin, json!({ "devices": [1], "group": second })).await.ok();
    assert_eq!(device.check().await.ok()["id"], package);
    assign(&admin, json!({ "devices": [1], "group": null })).await.ok();
    assert_eq!(device.check().await.status, 204);
}
