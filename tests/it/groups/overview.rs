//! Groups and packages as the page shows them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Operator, TestServer, assert_fields};

const GROUPS: &str = "/api/tender/v1/groups";
const FIELDS: [&str; 9] =
    ["id", "created_at", "metadata", "policy", "target", "devices", "packages", "rollout", "halted"];

async fn shown(operator: &Operator, group: i64) -> Value {
    operator.get(&format!("{GROUPS}/{group}")).await.ok()
}

#[tokio::test]
async fn groups_are_shown_with_their_targets_and_numbers() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.get(GROUPS).await.ok(), json!({ "groups": [] }));
    for mac_address in ["a", "b"] {
        server.accepted_device(mac_address).await;
    }
    let packages = [admin.package("v2", &[], b"2").await, admin.package("v1", &[], b"1").await];
    let first = admin.group(&[], &[], "no_update,").await;
    let second = admin.group(&[1, 2], &packages, "exact_match,v1").await;
    let all = admin.get(GROUPS).await.ok();
    assert_eq!(all, json!({ "groups": [shown(&admin, first).await, shown(&admin, second).await] }));

    let [empty, full] = [&all["groups"][0], &all["groups"][1]];
    assert_fields(empty, &FIELDS);
    assert_eq!((&empty["policy"], &empty["target"]), (&json!("no_update,"), &Value::Null));
    assert_eq!((&empty["devices"], &empty["packages"]), (&json!(0), &json!([])));
    assert_eq!((&full["id"], &full["created_at"]), (&json!(second), &json!("2027-01-15T08:00:00Z")));
    assert_eq!((&full["policy"], &full["target"]), (&json!("exact_match,v1"), &json!("v1")));
    assert_eq!((&full["devices"], &full["packages"]), (&json!(2), &json!(packages)));
    assert_eq!((&full["metadata"], &full["halted"]), (&json!({}), &Value::Null));
    assert_eq!(full["rollout"], admin.get(&format!("{GROUPS}/{second}/rollout")).await.ok());
    admin.get(&format!("{GROUPS}/77")).await.error(404);
}

#[tokio::test]
async fn a_group_that_has_stopped_says_since_when() {
    let mut server = TestServer::start().await;
    let mut device = server.accepted_device("a").await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[1], &[package], "exact_match,v1").await;
    let rollout = format!("{GROUPS}/{group}/rollout");
    admin.put(&rollout, json!({ "halt": { "percent": 0, "devices": 1 } })).await.ok();
    device.download(&device.check().await.ok()).await;
    server.time.advance(Duration::from_secs(180));
    device.authorize().await.ok();
    assert_eq!(device.check().await.status, 204);
    let halted = json!({ "since": "2027-01-15T08:03:00Z", "failed": 1 });
    assert_eq!(shown(&admin, group).await["halted"], halted);
    server.restart().await;
    let admin = server.admin().await;
    let after_restart = shown(&admin, group).await;
    assert_eq!((&after_restart["halted"], &after_restart["rollout"]), (&halted, &admin.get(&rollout).await.ok()));
    admin.post(&format!("{GROUPS}/{group}/resume"), json!({})).await.ok();
    assert_eq!(shown(&admin, group).await["halted"], Value::Null);
}

#[tokio::test]
async fn the_metadata_of_a_group_can_be_set() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    let path = format!("{GROUPS}/{group}/metadata");
    // To the last digit, which is why it is text here.
    let text = r#"{"name": "Linie 1", "number": 12345678901234567890123}"#;
    let request = admin.request(reqwest::Method::PUT, &path).header("content-type", "application/json").body(text);
    assert_eq!(admin.send(request).await.ok(), json!({}));
    for path in [format!("{GROUPS}/{group}"), format!("/api/v1/groups/{group}")] {
        let reply = admin.get(&path).await;
        let shown = String::from_utf8(reply.body).unwrap();
        assert!(shown.contains(text), "{shown}");
    }
    let entry = admin.get("/api/tender/v1/audit?limit=1").await.ok()["entries"][0].clone();
    assert_eq!((&entry["action"], &entry["target"]), (&json!("group.metadata"), &json!(format!("group/{group}"))));
    for body in [json!([]), json!(1), json!(null)] {
        admin.put(&path, body).await.error(400);
    }
    admin.put(&format!("{GROUPS}/77/metadata"), json!({})).await.error(404);
    server.restart().await;
    assert_eq!(shown(&server.admin().await, group).await["metadata"]["name"], "Linie 1");
}

#[tokio::test]
async fn one_package_is_shown_as_in_the_list() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let packages = [admin.package("v1", &[], b"1").await, admin.package("v2", &[], b"2").await];
    let groups =
        [admin.group(&[], &packages, "no_update,").await, admin.group(&[], &packages[1..], "no_update,").await];
    let listed = admin.get("/api/tender/v1/packages").await.ok();
    for (package, listed) in packages.iter().zip(listed["packages"].as_array().unwrap()) {
        assert_eq!(admin.get(&format!("/api/tender/v1/packages/{package}")).await.ok(), *listed);
    }
    assert_eq!(listed["packages"][1]["groups"], json!(groups));
    admin.get("/api/tender/v1/packages/77").await.error(404);
}
