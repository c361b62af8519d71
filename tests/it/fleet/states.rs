//! How devices are: each state is reached by what devices and people do.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DEVICES, MAC, Row, ids, overview, page, shown};
use crate::harness::{Device, Operator, TestServer, assert_fields};

const MINUTE: Duration = Duration::from_secs(60);
const STATES: [&str; 7] = ["updating", "failing", "silent", "blocked", "waiting", "up_to_date", "no_target"];

/// The state of the only device: in lists, alone and in numbers it is the same.
async fn state(admin: &Operator) -> String {
    let state = shown(admin, 1).await["state"].as_str().unwrap().to_owned();
    assert_eq!(page(admin, &[]).await["devices"][0]["state"], *state);
    let overview = overview(admin).await;
    assert_eq!((&overview["states"][&state], &overview["groups"][0]["states"][&state]), (&json!(1), &json!(1)));
    assert_eq!(ids(&page(admin, &[("state", &state)]).await), [1]);
    for other in STATES.iter().filter(|other| **other != state) {
        assert_eq!(page(admin, &[("state", other)]).await["total"], 0, "{other}");
    }
    state
}

/// Its token lives for some minutes.
async fn pass(server: &TestServer, device: &mut Device, time: Duration) {
    server.time.advance(time);
    device.authorize().await.ok();
}

#[tokio::test]
async fn a_device_goes_through_all_states() {
    let server = TestServer::start().await;
    let token = server.issue_token("ci", [tender::domain::Scope::ReadWrite].into_iter().collect(), None).await;
    let admin = server.holder_of(&token);
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    admin.accept(&device).await;
    assert_eq!(state(&admin).await, "silent", "never heard");
    device.authorize().await.ok();
    device.check().await;
    assert_eq!(state(&admin).await, "no_target", "in no group");
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[1], &[], "no_update,").await;
    assert_eq!(state(&admin).await, "no_target", "nothing is wanted");
    let path = format!("/api/v1/groups/{group}");
    admin.post(&format!("{path}/policy"), json!({ "policy": "exact_match,v1" })).await.ok();
    assert_eq!(state(&admin).await, "blocked", "nothing leads there");
    admin.post(&format!("{path}/package"), json!({ "packages": [package] })).await.ok();
    assert_eq!(state(&admin).await, "waiting", "it has not asked");

    for failures in 1..=3 {
        let offer = device.check().await.ok();
        assert_eq!(state(&admin).await, "updating", "{failures}");
        device.download(&offer).await;
        pass(&server, &mut device, 3 * MINUTE).await;
        // It runs what it ran before: this ends the attempt, and the next one begins.
        let again = device.check().await;
        let expected = if failures < 3 { "updating" } else { "failing" };
        assert_eq!((state(&admin).await.as_str(), again.status), (expected, if failures < 3 { 200 } else { 204 }));
    }
    server.time.advance(61 * MINUTE);
    assert_eq!(state(&admin).await, "failing", "silent as well");
    admin.post(&format!("{DEVICES}/1/release"), json!({})).await.ok();
    assert_eq!(state(&admin).await, "silent");
    device.authorize().await.ok();
    assert_eq!(state(&admin).await, "waiting");

    let offer = device.check().await.ok();
    device.download(&offer).await;
    device.report("rdfm.software.version", "v1");
    assert_eq!(device.check().await.status, 204);
    assert_eq!(state(&admin).await, "up_to_date");
    server.time.advance(60 * MINUTE);
    assert_eq!(state(&admin).await, "up_to_date", "heard just in time");
    server.time.advance(Duration::from_secs(1));
    assert_eq!(state(&admin).await, "silent");
}

#[tokio::test]
async fn what_holds_a_device_back_for_a_while_lets_it_wait() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[1], &[package], "exact_match,v1").await;
    let hours = json!({ "hours": { "windows": "20:00-21:00", "zone": "UTC" } });
    let rollout = format!("/api/tender/v1/groups/{group}/rollout");
    admin.send(admin.request(reqwest::Method::PUT, &rollout).json(&hours)).await.ok();
    assert_eq!(device.check().await.status, 204);
    assert_eq!(state(&admin).await, "waiting");
}

#[tokio::test]
async fn failures_of_the_way_count_and_no_others() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let step = admin.package("v1", &[("requires:rdfm.software.version", "v0")], b"contents").await;
    let last = admin.package("v2", &[("requires:rdfm.software.version", "v1")], b"contents").await;
    let direct = admin.package("v2", &[("requires:rdfm.software.version", "v0")], b"contents").await;
    let group = admin.group(&[1], &[step, last], "exact_match,v2").await;
    let rollout = format!("/api/tender/v1/groups/{group}/rollout");
    let settings = json!({ "max_failures": 1 });
    admin.send(admin.request(reqwest::Method::PUT, &rollout).json(&settings)).await.ok();
    let offer = device.check().await.ok();
    device.download(&offer).await;
    pass(&server, &mut device, 3 * MINUTE).await;
    assert_eq!(device.check().await.status, 204);
    assert_eq!(state(&admin).await, "failing");
    // What has failed is not on its way any more.
    admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": [direct] })).await.ok();
    assert_eq!(state(&admin).await, "waiting");
}

#[tokio::test]
async fn how_long_is_silent_can_be_said() {
    let server = TestServer::start_with(|config| config.silent_after = Duration::from_secs(10)).await;
    let admin = server.admin().await;
    server.accepted_device(MAC).await;
    server.time.advance(Duration::from_secs(10));
    assert_eq!(state(&admin).await, "no_target");
    server.time.advance(Duration::from_secs(1));
    assert_eq!(state(&admin).await, "silent");
}

#[tokio::test]
async fn the_overview_counts_all_devices() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let empty = overview(&admin).await;
    let fields = ["devices", "states", "versions", "other_versions", "types", "other_types", "groups"];
    assert_fields(&empty, &fields);
    assert_fields(&empty["states"], &STATES);
    assert_eq!((&empty["devices"], &empty["groups"]), (&json!(0), &json!([])));

    let package = admin.package("v1", &[("requires:rdfm.software.version", "v0")], b"contents").await;
    let group = admin.group(&[], &[package], "exact_match,v1").await;
    let (database, now) = (server.database(), crate::harness::START.as_secs() as i64);
    let row = |mac_address: &str, version: Value, device_type: Value, group| {
        let reports = json!({ "rdfm.software.version": version, "rdfm.hardware.devtype": device_type });
        Row { reports, group, last_access: Some(now), ..Row::of(mac_address) }.insert(&database);
    };
    row("a", json!("v0"), json!("dummy"), Some(group));
    row("b", json!("v0"), json!("camera"), Some(group));
    row("c", json!("v1"), json!("dummy"), Some(group));
    row("d", json!("v1"), json!("dummy"), None);
    row("e", Value::Null, json!(["dummy"]), Some(group));
    for number in 0..30 {
        row(&format!("f{number}"), json!(format!("w{number:02}")), json!("dummy"), None);
    }
    let overview = overview(&admin).await;
    assert_eq!(overview["devices"], 35);
    let states = json!({
        "updating": 0, "failing": 0, "silent": 0, "blocked": 1, "waiting": 1, "up_to_date": 1, "no_target": 32,
    });
    assert_eq!(overview["states"], states);
    let versions = overview["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 20);
    assert_eq!(versions[..2], [json!({ "version": "v0", "devices": 2 }), json!({ "version": "v1", "devices": 2 })]);
    assert_eq!(versions[2], json!({ "version": null, "devices": 1 }));
    assert_eq!(overview["other_versions"], 13);
    let types = json!([
        { "type": "dummy", "devices": 33 }, { "type": null, "devices": 1 }, { "type": "camera", "devices": 1 },
    ]);
    assert_eq!((&overview["types"], &overview["other_types"]), (&types, &json!(0)));
    let groups = overview["groups"].as_array().unwrap();
    assert_eq!((&groups[0]["group"], &groups[0]["devices"]), (&Value::Null, &json!(31)));
    assert_eq!((&groups[1]["group"], &groups[1]["devices"]), (&json!(group), &json!(4)));
    assert_eq!(groups[1]["states"]["blocked"], 1);
    assert_fields(&groups[1], &["group", "devices", "states", "versions", "other_versions"]);
    assert_eq!((groups[0]["versions"].as_array().unwrap().len(), &groups[0]["other_versions"]), (20, &json!(11)));
    let versions = json!([
        { "version": "v0", "devices": 2 }, { "version": null, "devices": 1 }, { "version": "v1", "devices": 1 },
    ]);
    assert_eq!((&groups[1]["versions"], &groups[1]["other_versions"]), (&versions, &json!(0)));
}
