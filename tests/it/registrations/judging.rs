//! People look through who asked to be let in, and accept or reject many at once.

use serde_json::{Value, json};

use super::MAC;
use crate::harness::{Device, Operator, Reply, TestServer, assert_fields, sha256};
use crate::webhooks::{come, event, receiver, server_with, webhook};

const REGISTRATIONS: &str = "/api/tender/v1/registrations";

/// As `openssl rsa -pubin -outform der | sha256sum` prints it.
fn fingerprint(device: &Device) -> String {
    use rsa::pkcs8::EncodePublicKey;
    sha256(device.public_key().to_public_key_der().unwrap().as_bytes())
}

fn named(device: &Device) -> Value {
    json!({ "mac_address": device.mac_address, "key_fingerprint": fingerprint(device) })
}

async fn judge(operator: &Operator, verdict: &str, registrations: &[Value]) -> Reply {
    operator.post(&format!("{REGISTRATIONS}/{verdict}"), json!({ "registrations": registrations })).await
}

/// A page of registrations.
async fn page(operator: &Operator, parameters: &[(&str, &str)]) -> Value {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    operator.get(&format!("{REGISTRATIONS}?{query}")).await.ok()
}

/// The addresses of a page, in order.
fn addresses(page: &Value) -> Vec<&str> {
    page["registrations"].as_array().unwrap().iter().map(|entry| entry["mac_address"].as_str().unwrap()).collect()
}

/// Devices that wait.
async fn waiting(server: &TestServer, mac_addresses: &[&str]) -> Vec<Device> {
    let mut devices = Vec::new();
    for mac_address in mac_addresses {
        let mut device = server.device(mac_address);
        device.authorize().await.error(401);
        devices.push(device);
    }
    devices
}

async fn rejected_device(server: &TestServer, operator: &Operator) -> Device {
    let device = waiting(server, &[MAC]).await.remove(0);
    assert_eq!(judge(operator, "reject", &[named(&device)]).await.ok(), json!({}));
    device
}

#[tokio::test]
async fn registrations_come_in_pages() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(page(&admin, &[]).await, json!({ "registrations": [], "next": null, "total": 0 }));
    let devices = waiting(&server, &["a", "b", "c"]).await;
    judge(&admin, "reject", &[named(&devices[1])]).await.ok();

    let all = page(&admin, &[]).await;
    let first = &all["registrations"][0];
    let fields = ["mac_address", "public_key", "key_fingerprint", "metadata", "last_appeared", "state", "device"];
    assert_fields(first, &fields);
    assert_eq!((&first["mac_address"], &first["public_key"]), (&json!("a"), &json!(devices[0].public_key_pem())));
    assert_eq!((&first["key_fingerprint"], &first["device"]), (&json!(fingerprint(&devices[0])), &Value::Null));
    assert_eq!(first["metadata"], Value::Object(devices[0].metadata.clone()));
    assert_eq!((&first["last_appeared"], &first["state"]), (&json!("2027-01-15T08:00:00Z"), &json!("pending")));
    assert_eq!((addresses(&all), &all["next"], &all["total"]), (vec!["a", "b", "c"], &Value::Null, &json!(3)));

    let two = page(&admin, &[("limit", "2")]).await;
    assert_eq!((addresses(&two), &two["total"]), (vec!["a", "b"], &json!(3)));
    let rest = page(&admin, &[("limit", "2"), ("after", &two["next"].to_string())]).await;
    assert_eq!((addresses(&rest), &rest["next"], &rest["total"]), (vec!["c"], &Value::Null, &json!(3)));

    let of_state = async |state| page(&admin, &[("state", state)]).await;
    let (pending, rejected) = (of_state("pending").await, of_state("rejected").await);
    assert_eq!((addresses(&pending), &pending["total"]), (vec!["a", "c"], &json!(2)));
    assert_eq!((addresses(&rejected), &rejected["registrations"][0]["state"]), (vec!["b"], &json!("rejected")));
    for query in ["state=accepted", "limit=0", "after=x", "colour=red", &format!("search={}", "x".repeat(201))] {
        admin.get(&format!("{REGISTRATIONS}?{query}")).await.error(400);
    }
}

#[tokio::test]
async fn registrations_are_found_by_address_by_what_is_reported_and_by_the_device_s_name() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut changed = server.accepted_device("00:1a:2b:3c:4d:5e").await;
    admin.put("/api/tender/v1/devices/1/name", json!({ "name": "Pump north" })).await.ok();
    changed.change_key();
    changed.authorize().await.error(401);
    let mut other = server.device("gateway 7");
    other.report("site", "Küche");
    other.authorize().await.error(401);
    judge(&admin, "reject", &[named(&other)]).await.ok();
    let (pump, gateway) = ("00:1a:2b:3c:4d:5e", "gateway 7");
    let cases: [(&str, &[&str]); 8] = [
        ("pump", &[pump]),
        ("001A2B", &[pump]),
        ("00-1a", &[pump]),
        ("KÜCHE gateway", &[gateway]),
        ("site", &[gateway]),
        ("dummy", &[pump, gateway]),
        ("pump gateway", &[]),
        ("%", &[]),
    ];
    for (search, expected) in cases {
        let found = page(&admin, &[("search", search)]).await;
        assert_eq!((addresses(&found).as_slice(), &found["total"]), (expected, &json!(expected.len())), "{search}");
    }
    assert_eq!(addresses(&page(&admin, &[("search", "dummy"), ("state", "rejected")]).await), [gateway]);
    let last = page(&admin, &[("search", "dummy"), ("after", "1"), ("limit", "1")]).await;
    assert!(addresses(&last).len() == 1 && last["total"] == 2, "{last}");
}

#[tokio::test]
async fn many_are_accepted_at_once_or_none() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut devices = waiting(&server, &["a", "b", "c"]).await;
    let nobody = json!({ "mac_address": "nobody", "key_fingerprint": fingerprint(&devices[0]) });
    let another_key = json!({ "mac_address": "b", "key_fingerprint": fingerprint(&devices[0]) });
    for missing in [nobody, another_key] {
        for verdict in ["accept", "reject"] {
            judge(&admin, verdict, &[named(&devices[0]), missing.clone()]).await.error(404);
            assert_eq!((server.rows("devices"), admin.pending().await.len()), (0, 3));
        }
    }
    let wrong = [
        json!({ "registrations": [named(&devices[0]), named(&devices[0])] }),
        json!({ "registrations": [{ "mac_address": "a", "key_fingerprint": "00" }] }),
        json!({ "registrations": [{ "mac_address": "", "key_fingerprint": fingerprint(&devices[0]) }] }),
        json!({ "registrations": [{ "mac_address": "a" }] }),
        json!({ "registrations": ["a"] }),
        json!({}),
    ];
    for body in wrong {
        admin.post(&format!("{REGISTRATIONS}/accept"), body).await.error(400);
    }
    let reply = judge(&admin, "accept", &[named(&devices[2]), named(&devices[0])]).await.ok();
    let ids = [admin.device_id(&devices[2]).await, admin.device_id(&devices[0]).await];
    assert_eq!(reply, json!({ "devices": ids }));
    devices[0].authorize().await.ok();
    devices[1].authorize().await.error(401);
    devices[2].authorize().await.ok();
    let entries = admin.get("/api/tender/v1/audit?action=device.accept&outcome=done").await.ok();
    assert_eq!(entries["entries"].as_array().unwrap().len(), 2);
    judge(&admin, "accept", &[named(&devices[0])]).await.error(404);
    assert_eq!(judge(&admin, "accept", &[]).await.ok(), json!({ "devices": [] }));
}

#[tokio::test]
async fn a_change_of_keys_shows_both() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let old = fingerprint(&device);
    device.change_key();
    device.authorize().await.error(401);
    let entry = page(&admin, &[("state", "pending")]).await["registrations"][0].clone();
    assert_eq!(entry["key_fingerprint"], fingerprint(&device));
    assert_eq!(entry["device"], json!({ "id": 1, "name": MAC, "key_fingerprint": old }));
    assert_eq!(judge(&admin, "accept", &[named(&device)]).await.ok(), json!({ "devices": [1] }));
    device.authorize().await.ok();
    assert_eq!(admin.get("/api/tender/v1/devices/1").await.ok()["key_fingerprint"], fingerprint(&device));
}

#[tokio::test]
async fn a_rejected_device_asks_in_vain_and_writes_nothing() {
    let mut server = TestServer::start().await;
    let mut device = rejected_device(&server, &server.admin().await).await;
    for _ in 0..2 {
        // Also when nothing of it is in memory any more.
        server.restart().await;
        device.follow(server.url());
        let admin = server.admin().await;
        let database = server.database();
        // Grows with each commit of another connection.
        let commits = || database.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
        let before = commits();
        server.time.advance(std::time::Duration::from_secs(100));
        for version in ["v0", "v1", "v2"] {
            device.report("rdfm.software.version", version);
            device.authorize().await.error(401);
        }
        // Neither with this many bytes.
        let mut verbose = device.authorization_body();
        verbose["metadata"]["note"] = "x".repeat(8 * 1024).into();
        device.authorize_with(&verbose).await.error(401);
        assert_eq!(commits(), before);
        assert_eq!(admin.pending().await, Vec::<Value>::new());
        let rejected = page(&admin, &[("state", "rejected")]).await;
        assert_eq!((addresses(&rejected), &rejected["total"]), (vec![MAC], &json!(1)));
        assert_eq!(rejected["registrations"][0]["last_appeared"], "2027-01-15T08:00:00Z");
        assert_eq!(admin.get("/api/tender/v1/status").await.ok()["pending_registrations"], 0);
    }
}

#[tokio::test]
async fn a_rejected_device_can_be_accepted_later() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = rejected_device(&server, &admin).await;
    let why = admin.get(&format!("/api/tender/v1/decision?mac={MAC}")).await.ok();
    assert!(why["sentence"].as_str().unwrap().ends_with("which a person has rejected."), "{why}");
    assert_eq!(judge(&admin, "accept", &[named(&device)]).await.ok(), json!({ "devices": [1] }));
    device.authorize().await.ok();
    assert_eq!(server.rows("registrations"), 0);
    // By the frozen API as well: whoever names the key means it.
    let mut other = waiting(&server, &["b"]).await.remove(0);
    judge(&admin, "reject", &[named(&other)]).await.ok();
    admin.accept(&other).await;
    other.authorize().await.ok();
}

#[tokio::test]
async fn a_key_that_is_rejected_is_not_the_device() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let old = device.key();
    device.change_key();
    device.authorize().await.error(401);
    let waiting_keys = async || admin.get("/api/tender/v1/devices/1").await.ok()["waiting_keys"].clone();
    assert_eq!(waiting_keys().await, json!([fingerprint(&device)]));
    judge(&admin, "reject", &[named(&device)]).await.ok();
    assert_eq!(waiting_keys().await, json!([]));
    device.authorize().await.error(401);
    device.set_key(old);
    device.authorize().await.ok();
    device.change_key();
    device.authorize().await.error(401);
    assert_eq!(waiting_keys().await, json!([fingerprint(&device)]));
}

#[tokio::test]
async fn a_rejection_is_told_once() {
    let receiver = receiver().await;
    let server = server_with(webhook(&receiver.url())).await;
    let admin = server.admin().await;
    let mut device = rejected_device(&server, &admin).await;
    judge(&admin, "reject", &[named(&device)]).await.ok();
    device.authorize().await.error(401);
    device.report("rdfm.software.version", "v1");
    device.authorize().await.error(401);
    judge(&admin, "accept", &[named(&device)]).await.ok();
    // So is a change of keys.
    device.change_key();
    device.authorize().await.error(401);
    let (asks, accepted) = ("registration.waiting", "device.accepted");
    come(&receiver, &[asks, "registration.rejected", accepted, asks]).await;
    let data = event(&receiver.questions()[1])["data"].clone();
    assert_eq!(data, event(&receiver.questions()[0])["data"]);
    let entries = admin.get("/api/tender/v1/audit?action=registration.reject").await.ok();
    let entries = entries["entries"].as_array().unwrap();
    assert_eq!((entries.len(), &entries[0]["target"]), (1, &json!(format!("registration/{MAC}"))));
}

#[tokio::test]
async fn of_too_many_registrations_the_rejected_go_first() {
    const LIMIT: i64 = tender::store::registrations::LIMIT as i64;
    let server = TestServer::start().await;
    // The latest of all is the only one that was rejected.
    let fill = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
                INSERT INTO registrations
                    (mac_key, mac_address, public_key, key_fingerprint, metadata, last_appeared_at, rejected_at)
                SELECT 'made up ' || n, 'made up ' || n, 'pem', randomblob(32), '{}', n, iif(n = ?1, n, NULL)
                FROM numbers";
    server.database().execute(fill, [LIMIT]).unwrap();
    let is_there = |number: i64| {
        let query = "SELECT count(*) FROM registrations WHERE mac_key = ?1";
        let mac_key = format!("made up {number}");
        server.database().query_row(query, [mac_key], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    server.device("a").authorize().await.error(401);
    assert!(is_there(1) && !is_there(LIMIT));
    server.device("b").authorize().await.error(401);
    assert!(!is_there(1) && is_there(2));
    assert_eq!(server.rows("registrations"), LIMIT);
}
