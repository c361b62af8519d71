//! Why a device is offered what it is offered, and what a change would mean for a group.

mod consistency;
mod preview;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tender::domain::Scope;

use crate::harness::{Device, Operator, TestServer, assert_fields};

const MAC: &str = "00:11:22:33:44:55";
const LINKS: [&str; 9] = ["known", "accepted", "reported", "group", "policy", "packages", "path", "rollout", "offer"];

/// The explanation for whoever has an address.
async fn why(operator: &Operator, mac_address: &str) -> Value {
    let decision = operator.get(&format!("/api/tender/v1/decision?mac={mac_address}")).await.ok();
    assert_chain(&decision);
    decision
}

/// The links are all there, in order; up to one they hold, and those after it were not reached.
#[track_caller]
fn assert_chain(decision: &Value) {
    assert_fields(decision, &["offer", "sentence", "steps"]);
    let steps = decision["steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| step["name"].as_str().unwrap()).collect::<Vec<_>>(), LINKS);
    let outcomes: Vec<_> = steps.iter().map(|step| step["outcome"].as_str().unwrap()).collect();
    let holds = outcomes.iter().take_while(|outcome| **outcome == "ok").count();
    let (stops, not_reached) = outcomes[holds..].split_at((outcomes.len() - holds).min(1));
    assert!(stops.iter().all(|outcome| *outcome == "stops_here"), "{decision}");
    assert!(not_reached.iter().all(|outcome| *outcome == "not_reached"), "{decision}");
    assert_eq!(decision["offer"].is_null(), !stops.is_empty(), "{decision}");
    for step in steps {
        assert_fields(step, &["name", "outcome", "sentence", "data"]);
        assert_eq!(step["sentence"].is_null(), step["outcome"] == "not_reached");
        assert_eq!(step["data"].is_null(), step["outcome"] == "not_reached");
    }
    let last = &steps[(holds + stops.len()).saturating_sub(1)];
    assert_eq!(decision["sentence"], last["sentence"]);
}

fn link<'a>(decision: &'a Value, name: &str) -> &'a Value {
    decision["steps"].as_array().unwrap().iter().find(|step| step["name"] == name).unwrap()
}

/// The link at which the chain stops.
fn stop(decision: &Value) -> Option<&str> {
    let steps = decision["steps"].as_array().unwrap();
    steps.iter().find(|step| step["outcome"] == "stops_here").map(|step| step["name"].as_str().unwrap())
}

#[tokio::test]
async fn each_link_can_be_why_nothing_is_offered() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let unknown = why(&admin, MAC).await;
    assert_eq!(stop(&unknown), Some("known"));
    assert_eq!(
        unknown["sentence"],
        "No device with the address 00:11:22:33:44:55 has ever asked this server to be let in."
    );

    let mut device = Device::new(server.url(), MAC);
    device.authorize().await;
    let waits = why(&admin, MAC).await;
    assert_eq!(stop(&waits), Some("accepted"));
    let waiting = &link(&waits, "accepted")["data"]["waiting"][0];
    assert_eq!(waiting["last_appeared"], "2027-01-15T08:00:00Z");
    assert_eq!(waiting["fingerprint"].as_str().unwrap().len(), 64);

    admin.accept(&device).await;
    device.authorize().await;
    let id = admin.device_id(&device).await;
    assert_eq!(stop(&why(&admin, MAC).await), Some("group"));

    let group = admin.group(&[id], &[], "no_update,").await;
    let set_policy = async |policy: &str| {
        admin.post(&format!("/api/v1/groups/{group}/policy"), json!({ "policy": policy })).await.ok();
    };
    assert_eq!(
        why(&admin, MAC).await["sentence"],
        format!("The policy of group {group} is that devices stay as they are.")
    );
    set_policy("exact_match,v0").await;
    assert_eq!(link(&why(&admin, MAC).await, "policy")["data"], json!({ "target": "v0", "runs": "v0" }));
    set_policy("exact_match,v2").await;
    assert_eq!(stop(&why(&admin, MAC).await), Some("packages"));

    let first = admin.package("v1", &[], b"first").await;
    let other = admin.package("v2", &[("requires:rootfs", &"b7".repeat(32))], b"second").await;
    let last = admin.package("v2", &[("requires:rdfm.software.version", "v1")], b"third one").await;
    let set_packages = async |packages: &[i64]| {
        admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": packages })).await.ok();
    };
    set_packages(&[other, last]).await;
    let no_path = why(&admin, MAC).await;
    assert_eq!(stop(&no_path), Some("path"));
    let packages = &link(&no_path, "packages")["data"]["packages"];
    assert_eq!(
        packages[0]["sentence"],
        format!(
            "Package {other} (v2) is for devices that report rootfs = b7b7b7b7b7b7…b7b7b7; this one reports no rootfs."
        )
    );
    assert_eq!(
        packages[0]["obstacles"],
        json!([{ "kind": "requirement", "key": "rootfs", "required": "b7".repeat(32), "reported": null }])
    );

    set_packages(&[other, last, first]).await;
    let offered = why(&admin, MAC).await;
    assert_eq!(stop(&offered), None);
    assert_eq!(offered["offer"], json!({ "package": first, "version": "v1", "bytes": 5 }));
    assert_eq!(link(&offered, "path")["data"]["bytes"], 14);
    let steps = &link(&offered, "packages")["data"]["packages"];
    assert_eq!([&steps[0]["step"], &steps[1]["step"], &steps[2]["step"]], [&json!(null), &json!(2), &json!(1)]);
    assert_eq!(device.check().await.ok()["id"], first);
}

#[tokio::test]
async fn a_device_is_found_by_its_identifier_and_by_any_spelling() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("AA:bb:CC:dd:EE:ff").await;
    let id = admin.device_id(&device).await;
    let by_id = admin.get(&format!("/api/tender/v1/devices/{id}/decision")).await.ok();
    assert_chain(&by_id);
    for spelling in ["aa:bb:cc:dd:ee:ff", "AA-BB-CC-DD-EE-FF", "aabbccddeeff"] {
        assert_eq!(why(&admin, spelling).await, by_id, "{spelling}");
    }
    admin.get("/api/tender/v1/devices/99/decision").await.error(404);
    for query in ["", "?mac=", "?mac=%0a", "?address=x"] {
        admin.get(&format!("/api/tender/v1/decision{query}")).await.error(400);
    }
}

#[tokio::test]
async fn a_device_with_a_new_key_is_told_to_wait_with_it() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    device.change_key();
    device.authorize().await.error(401);
    let decision = why(&admin, MAC).await;
    let accepted = link(&decision, "accepted");
    assert_eq!(accepted["outcome"], "ok");
    assert_eq!(accepted["data"]["waiting"].as_array().unwrap().len(), 1);
    assert!(accepted["sentence"].as_str().unwrap().contains("with the key "), "{accepted}");
}

#[tokio::test]
async fn hypothetical_devices_are_decided_about_and_change_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"first").await;
    let group = admin.group(&[], &[package], "exact_match,v1").await;
    let looker = server.operator(Scope::ReadOnly).await;
    let audited = server.rows("audit_log");
    let ask = async |body: Value| looker.post("/api/tender/v1/decision", body).await;
    let metadata = json!({ "rdfm.software.version": "v0", "rdfm.hardware.devtype": "dummy" });
    let decision = ask(json!({ "metadata": metadata, "group": group })).await.ok();
    assert_chain(&decision);
    assert_eq!(decision["offer"]["package"], package);
    assert_eq!(stop(&ask(json!({ "metadata": metadata })).await.ok()), Some("group"));
    assert_eq!(stop(&ask(json!({ "metadata": {}, "group": group })).await.ok()), Some("reported"));
    ask(json!({ "metadata": metadata, "group": 99 })).await.error(404);
    for body in [json!({}), json!({ "metadata": 1 }), json!({ "metadata": {}, "colour": 1 }), json!([])] {
        ask(body).await.error(400);
    }
    assert_eq!((server.rows("audit_log"), server.rows("attempts")), (audited, 0));
}

#[tokio::test]
async fn damaged_packages_are_named_with_what_is_wrong() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    let package = admin.package("v1", &[], b"first").await;
    fs::write(file_of(&server, &admin, package).await, b"fir").unwrap();
    note_damage(&server, package, "corrupt", "the file has 3 bytes instead of 5");
    admin.group(&[admin.device_id(&device).await], &[package], "exact_match,v1").await;
    let decision = why(&admin, MAC).await;
    assert_eq!(stop(&decision), Some("packages"));
    let considered = &link(&decision, "packages")["data"]["packages"][0];
    assert_eq!(considered["state"], "corrupt");
    assert_eq!(
        considered["sentence"],
        format!("Package {package} (v1) is corrupt and not offered, as the file has 3 bytes instead of 5.")
    );
}

#[tokio::test]
async fn what_holds_a_group_back_is_said() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let [first, second] = [server.accepted_device(MAC).await, server.accepted_device("00:11:22:33:44:66").await];
    let package = admin.package("v1", &[], b"first").await;
    let ids = [admin.device_id(&first).await, admin.device_id(&second).await];
    let group = admin.group(&ids, &[package], "no_update,").await;
    let roll_out = async |columns: &str, values: &str| {
        let database = server.database();
        database.execute("DELETE FROM group_rollouts", []).unwrap();
        let insert =
            format!("INSERT INTO group_rollouts (group_id, max_failures, {columns}) VALUES ({group}, 3, {values})");
        database.execute(&insert, []).unwrap();
        // Also tells the server that plans have changed.
        admin.post(&format!("/api/v1/groups/{group}/policy"), json!({ "policy": "exact_match,v1" })).await.ok();
    };
    let hold = async |mac: &str| {
        let decision = why(&admin, mac).await;
        assert_eq!(stop(&decision), Some("rollout"), "{decision}");
        (link(&decision, "rollout")["data"]["hold"].clone(), decision["sentence"].as_str().unwrap().to_owned())
    };

    // It is Friday, 08:00.
    roll_out("hours, time_zone", "'fri 22:00-06:00', 'UTC'").await;
    let (data, sentence) = hold(MAC).await;
    assert_eq!(data["opens"], "2027-01-15T22:00:00Z");
    assert!(sentence.ends_with("fri 22:00-06:00 (UTC); the next of them begin at 2027-01-15T22:00:00Z."), "{sentence}");

    roll_out("max_parallel", "1").await;
    first.check().await.ok();
    assert_eq!(hold("00:11:22:33:44:66").await.0, json!({ "kind": "too_many_at_once", "limit": 1 }));
    let decision = why(&admin, MAC).await;
    assert_eq!(link(&decision, "offer")["data"]["attempt"]["stage"], "offered");
    first.check().await.ok();
    assert_eq!(link(&why(&admin, MAC).await, "offer")["data"]["attempt"]["stage"], "not_fetched");

    roll_out("first_devices", "1").await;
    assert_eq!(hold("00:11:22:33:44:66").await.0, json!({ "kind": "first_wave", "first": 1, "reached": 0 }));

    // The first device fetches it, comes back later and runs what it ran before: it has failed, as its next check would find.
    roll_out("halt_percent, halt_devices", "0, 1").await;
    first.download(&first.check().await.ok()).await;
    server.time.advance(Duration::from_secs(120));
    assert_eq!(hold(MAC).await.0["kind"], "halted");
    let request = first.request(Method::POST, "/api/v1/update/check").json(&first.metadata);
    assert_eq!(first.send(request).await.status, 204);
    assert_eq!(hold("00:11:22:33:44:66").await.0, json!({ "kind": "halted", "since": "2027-01-15T08:02:00Z" }));
}

/// Where the file of a package is.
async fn file_of(server: &TestServer, admin: &Operator, package: i64) -> PathBuf {
    let shown = admin.show_package(package).await;
    server.data().join("packages").join(shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap())
}

/// Notes what is wrong with a package, as the server does when it looks at the file, which must really be so; it acts on it
/// once plans change.
fn note_damage(server: &TestServer, package: i64, state: &str, detail: &str) {
    let sql = "INSERT INTO package_integrity (package_id, damage, found_at, detail) VALUES (?1, ?2, 0, ?3)";
    server.database().execute(sql, (package, state, detail)).unwrap();
}
