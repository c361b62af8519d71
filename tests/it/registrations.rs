//! Devices ask to be let in, and people let them in: `auth/device`, `auth/pending`, `auth/register`.

mod judging;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::RsaPrivateKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use serde_json::{Value, json};

use crate::harness::{Device, START, TestServer, assert_fields, date};

const MAC: &str = "00:11:22:33:44:55";
const KEY_OF_ANOTHER_KIND: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEC27+KW+AQ94CeSBj+Zu6IHBKmBx2
V2fR7EXEqKfziK9pZnIyMAjU4+zT3ls/HG0jFkPgKraqfzcvwF95Bm1lBw==
-----END PUBLIC KEY-----";

/// The body of an authorization request with one field changed; `null` leaves it out.
fn body_with(device: &Device, field: &str, value: Value) -> Value {
    let mut body = device.authorization_body();
    match value {
        Value::Null => drop(body.as_object_mut().unwrap().remove(field)),
        value => body[field] = value,
    }
    body
}

#[tokio::test]
async fn a_request_without_signature_header_is_refused_before_anything_else() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    for body in [json!({}), server.device(MAC).authorization_body()] {
        let error = anonymous.post("/api/v1/auth/device", body).await.error(400);
        assert!(error.contains("X-RDFM-Device-Signature"), "{error}");
    }
    assert_eq!(server.rows("registrations"), 0);
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_a_reason() {
    let server = TestServer::start().await;
    let device = server.device(MAC);
    let small_key = RsaPrivateKey::new(&mut OsRng, 512).unwrap().to_public_key();
    let private_key = device.key().to_pkcs8_pem(LineEnding::LF).unwrap();
    let without_mac = json!({ "rdfm.software.version": "v0", "rdfm.hardware.devtype": "dummy" });
    let with_mac = |mac: Value| json!({ "rdfm.hardware.macaddr": mac });
    let cases = [
        ("metadata", Value::Null, "metadata"),
        ("metadata", json!("text"), ""),
        ("metadata", json!([["rdfm.hardware.macaddr", MAC]]), ""),
        ("metadata", without_mac, "rdfm.hardware.macaddr"),
        ("metadata", with_mac(json!("")), "rdfm.hardware.macaddr"),
        ("metadata", with_mac(json!(" ")), "MAC address"),
        ("metadata", with_mac(json!("a\nb")), "MAC address"),
        ("metadata", with_mac(json!("x".repeat(65))), "MAC address"),
        ("metadata", with_mac(json!(["00:11:22:33:44:55"])), "rdfm.hardware.macaddr"),
        ("metadata", json!({ "rdfm.hardware.macaddr": MAC, "number": 1 }), ""),
        ("metadata", json!({ "rdfm.hardware.macaddr": MAC, "nothing": null }), ""),
        ("metadata", json!({ "rdfm.hardware.macaddr": MAC, "object": {} }), ""),
        ("metadata", json!({ "rdfm.hardware.macaddr": MAC, "numbers": [1] }), ""),
        ("public_key", Value::Null, "public_key"),
        ("public_key", json!(1), ""),
        ("public_key", json!(""), "public_key"),
        ("public_key", json!("not a key"), "public_key"),
        ("public_key", json!("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "public_key"),
        ("public_key", json!(KEY_OF_ANOTHER_KIND), "public_key"),
        ("public_key", json!(small_key.to_public_key_pem(LineEnding::LF).unwrap()), "public_key"),
        ("public_key", json!(private_key.as_str()), "public_key"),
        ("timestamp", Value::Null, "timestamp"),
        ("timestamp", json!("1694414456"), ""),
        ("timestamp", json!(1694414456.5), ""),
        ("timestamp", json!(true), ""),
        ("timestamp", json!(u64::MAX), ""),
    ];
    for (field, value, expected) in cases {
        let body = body_with(&device, field, value);
        let error = device.authorize_with(&body).await.error(400);
        assert!(error.contains(expected), "{body}: {error}");
    }
    assert_eq!(server.rows("registrations"), 0);
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let server = TestServer::start().await;
    let device = server.device(MAC);
    let fields = json!([device.metadata, device.public_key_pem(), 1_694_414_456]);
    for body in ["", "{", "null", "1", "[]", &fields.to_string()] {
        let message = body.as_bytes().to_vec();
        device.send_authorization(message.clone(), &device.sign(&message)).await.error(400);
    }
    assert_eq!(server.rows("registrations"), 0);
}

#[tokio::test]
async fn a_signature_that_does_not_fit_is_refused() {
    let server = TestServer::start().await;
    let (device, other) = (server.device(MAC), server.device("loopback"));
    let message = serde_json::to_vec(&device.authorization_body()).unwrap();
    let spaced = serde_json::to_vec_pretty(&device.authorization_body()).unwrap();
    let good = STANDARD.decode(device.sign(&message)).unwrap();
    let signatures = [
        other.sign(&message),
        device.sign(b"another body"),
        // The very bytes are signed, not what they mean.
        device.sign(&spaced),
        String::new(),
        "not base64!".to_owned(),
        STANDARD.encode(&good[1..]),
        STANDARD.encode([&good[..], b"x"].concat()),
        STANDARD.encode(vec![0; good.len()]),
        STANDARD.encode(vec![0xff; good.len()]),
    ];
    for signature in signatures {
        let error = device.send_authorization(message.clone(), &signature).await.error(400);
        assert!(error.contains("signature"), "{signature:?}: {error}");
    }
    assert_eq!(server.rows("registrations"), 0);
    assert_eq!(device.send_authorization(spaced.clone(), &device.sign(&spaced)).await.status, 401);
}

#[tokio::test]
async fn the_body_is_judged_before_the_signature_and_the_signature_before_the_registration() {
    let server = TestServer::start().await;
    let mut device = server.accepted_device(MAC).await;
    let broken = serde_json::to_vec(&body_with(&device, "timestamp", Value::Null)).unwrap();
    let error = device.send_authorization(broken, "not base64!").await.error(400);
    assert!(error.contains("timestamp"), "{error}");
    // The accepted device itself is told no more than a stranger.
    let message = serde_json::to_vec(&device.authorization_body()).unwrap();
    device.send_authorization(message, &device.sign(b"something else")).await.error(400);
    assert_eq!(device.authorize().await.status, 200);
}

#[tokio::test]
async fn an_unknown_device_is_told_to_wait_and_is_pending_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.pending().await, Vec::<Value>::new());
    let mut device = server.device(MAC);
    for _ in 0..3 {
        device.authorize().await.error(401);
    }
    let pending = admin.pending().await;
    assert_eq!(pending.len(), 1);
    assert_fields(&pending[0], &["mac_address", "public_key", "metadata", "last_appeared"]);
    assert_eq!(pending[0]["mac_address"], MAC);
    assert_eq!(pending[0]["public_key"], device.public_key_pem());
    assert_eq!(pending[0]["metadata"], Value::Object(device.metadata.clone()));
    assert_eq!(date(&pending[0]["last_appeared"]), START);

    let mut namesake = server.device(MAC);
    namesake.authorize().await.error(401);
    assert_eq!(admin.pending().await.len(), 2);
    assert_eq!(server.rows("registrations"), 2);
    assert_eq!(server.rows("devices"), 0);
}

#[tokio::test]
async fn last_appeared_moves_on_at_once_and_survives_a_restart() {
    let mut server = TestServer::start().await;
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    for passed in [10, 20] {
        server.time.advance(Duration::from_secs(10));
        device.authorize().await.error(401);
        let pending = server.admin().await.pending().await;
        assert_eq!(date(&pending[0]["last_appeared"]), START + Duration::from_secs(passed));
    }
    server.restart().await;
    let pending = server.admin().await.pending().await;
    assert_eq!(date(&pending[0]["last_appeared"]), START + Duration::from_secs(20));
}

#[tokio::test]
async fn what_a_waiting_device_says_anew_is_kept() {
    let server = TestServer::start().await;
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    device.report("rdfm.software.version", "v1");
    device.metadata.insert("tags".to_owned(), json!(["a", "b"]));
    device.authorize().await.error(401);
    let admin = server.admin().await;
    let pending = admin.pending().await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0]["metadata"], Value::Object(device.metadata.clone()));
    admin.accept(&device).await;
    assert_eq!(admin.show_device(&device).await["metadata"], Value::Object(device.metadata.clone()));
}

#[tokio::test]
async fn one_key_in_several_spellings_is_one_registration() {
    let server = TestServer::start().await;
    let device = server.device(MAC);
    let pem = device.public_key_pem();
    let spellings = [
        pem.clone(),
        pem.trim_end().to_owned(),
        pem.replace('\n', "\r\n"),
        device.public_key().to_pkcs1_pem(LineEnding::LF).unwrap(),
        device.public_key().to_pkcs1_pem(LineEnding::LF).unwrap().trim_end().to_owned(),
    ];
    for spelling in &spellings {
        device.authorize_with(&body_with(&device, "public_key", json!(spelling))).await.error(401);
    }
    let admin = server.admin().await;
    let pending = admin.pending().await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0]["public_key"], pem);
    // Accepted in one spelling, it is known in all.
    let body = json!({ "mac_address": MAC, "public_key": spellings[4] });
    assert_eq!(admin.post("/api/v1/auth/register", body).await.ok(), json!({}));
    for spelling in &spellings {
        device.authorize_with(&body_with(&device, "public_key", json!(spelling))).await.ok();
    }
}

#[tokio::test]
async fn several_spellings_of_a_mac_address_are_one_device_which_keeps_the_first() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.device("00:1A:2b:3c:4d:5E");
    let spellings = ["00:1A:2b:3c:4d:5E", "00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a2b3c4d5e"];
    for spelling in spellings {
        device.report("rdfm.hardware.macaddr", spelling);
        device.authorize().await.error(401);
    }
    let pending = admin.pending().await;
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0]["mac_address"], spellings[0]);

    let accepting = json!({ "mac_address": spellings[2], "public_key": device.public_key_pem() });
    admin.post("/api/v1/auth/register", accepting).await.ok();
    for spelling in spellings {
        device.report("rdfm.hardware.macaddr", spelling);
        device.authorize().await.ok();
        assert_eq!(device.check().await.status, 204);
    }
    let devices = admin.get("/api/v1/devices").await.ok();
    assert_eq!(devices.as_array().unwrap().len(), 1);
    assert_eq!(devices[0]["mac_address"], spellings[0]);
    assert_eq!(devices[0]["name"], spellings[0]);

    // So does a registration with another key.
    device.change_key();
    device.report("rdfm.hardware.macaddr", spellings[3]);
    device.authorize().await.error(401);
    assert_eq!(admin.pending().await[0]["mac_address"], spellings[0]);
}

#[tokio::test]
async fn registrations_of_one_mac_address_show_one_spelling() {
    let server = TestServer::start().await;
    for spelling in ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e"] {
        server.device(spelling).authorize().await.error(401);
    }
    let pending = server.admin().await.pending().await;
    assert_eq!(pending.iter().map(|entry| &entry["mac_address"]).collect::<Vec<_>>(), ["00:1A:2B:3C:4D:5E"; 2]);
}

#[tokio::test]
async fn identities_that_are_no_mac_addresses_are_taken_as_they_are() {
    let server = TestServer::start().await;
    let longest = "ü".repeat(64);
    for identity in ["loopback", "Loopback", "gateway 7, left", longest.as_str()] {
        let device = server.accepted_device(identity).await;
        assert_eq!(server.admin().await.show_device(&device).await["mac_address"], identity);
    }
    assert_eq!(server.rows("devices"), 4);
}

#[tokio::test]
async fn an_accepted_device_gets_a_token_of_three_hundred_seconds() {
    let server = TestServer::start().await;
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    let admin = server.admin().await;
    admin.accept(&device).await;
    assert_eq!(admin.pending().await, Vec::<Value>::new());

    server.time.advance(Duration::from_secs(7));
    let reply = device.authorize().await.ok();
    assert_fields(&reply, &["expires", "token"]);
    assert_eq!(reply["expires"], 300);
    let parts: Vec<_> = reply["token"].as_str().unwrap().split('.').collect();
    let part =
        |number: usize| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[number]).unwrap()).unwrap() };
    assert_eq!(part(0)["alg"], "HS256");
    let created_at = START.as_secs() + 7;
    assert_eq!(part(1), json!({ "device_id": MAC, "created_at": created_at, "expires": 300 }));
}

#[tokio::test]
async fn a_device_clock_that_is_decades_wrong_is_no_reason_to_refuse() {
    let server = TestServer::start().await;
    let device = server.accepted_device(MAC).await;
    for timestamp in [0_i64, -1_000_000_000, 4_000_000_000, i64::MAX, i64::MIN] {
        device.authorize_with(&body_with(&device, "timestamp", json!(timestamp))).await.ok();
    }
}

#[tokio::test]
async fn a_new_key_must_be_accepted_and_until_then_the_old_one_works() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let id = admin.device_id(&device).await;
    let old = device.key();
    device.change_key();
    let new = device.key();
    device.authorize().await.error(401);
    assert_eq!(admin.pending().await[0]["public_key"], device.public_key_pem());
    device.set_key(old.clone());
    device.authorize().await.ok();

    device.set_key(new.clone());
    admin.accept(&device).await;
    device.authorize().await.ok();
    let shown = admin.show_device(&device).await;
    assert_eq!((&shown["id"], &shown["public_key"]), (&json!(id), &json!(device.public_key_pem())));
    assert_eq!(server.rows("devices"), 1);

    // Going back to the old key is one more change of keys.
    device.set_key(old);
    device.authorize().await.error(401);
    assert_eq!(admin.pending().await.len(), 1);
    admin.accept(&device).await;
    device.authorize().await.ok();
    device.set_key(new);
    device.authorize().await.error(401);
}

#[tokio::test]
async fn accepting_what_did_not_register_is_a_404() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    let (key, other_key) = (device.public_key_pem(), server.device(MAC).public_key_pem());
    for (mac_address, public_key) in
        [("loopback", &*key), (MAC, &*other_key), (MAC, "garbage"), (MAC, ""), ("", &*key), (&"x".repeat(65), &*key)]
    {
        let body = json!({ "mac_address": mac_address, "public_key": public_key });
        let error = admin.post("/api/v1/auth/register", body).await.error(404);
        assert_eq!(error, "the specified registration request does not exist");
    }
    for body in
        [json!({}), json!({ "mac_address": MAC }), json!({ "mac_address": 1, "public_key": key }), json!([MAC, key])]
    {
        admin.post("/api/v1/auth/register", body).await.error(400);
    }
    assert_eq!(server.rows("registrations"), 1);
    admin.accept(&device).await;
    let again = json!({ "mac_address": MAC, "public_key": key });
    admin.post("/api/v1/auth/register", again).await.error(404);
}

#[tokio::test]
async fn a_pending_entry_can_be_posted_back_as_it_is() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    let entry = admin.pending().await.remove(0);
    assert_eq!(admin.post("/api/v1/auth/register", entry).await.ok(), json!({}));
    device.authorize().await.ok();
}

#[tokio::test]
async fn a_waiting_device_that_says_too_much_is_not_kept() {
    let server = TestServer::start().await;
    let mut device = server.device(MAC);
    device.report("note", &"x".repeat(8 * 1024));
    device.authorize().await.error(413);
    assert_eq!(server.rows("registrations"), 0);
}

#[tokio::test]
async fn of_too_many_registrations_the_one_that_appeared_longest_ago_goes() {
    const LIMIT: i64 = tender::store::registrations::LIMIT as i64;
    let server = TestServer::start().await;
    let fill = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?1)
                INSERT INTO registrations
                    (mac_key, mac_address, public_key, key_fingerprint, metadata, last_appeared_at)
                SELECT 'made up ' || n, 'made up ' || n, 'pem', randomblob(32), '{}', n FROM numbers";
    server.database().execute(fill, [LIMIT]).unwrap();
    assert_eq!(server.device(MAC).authorize().await.status, 401);
    assert_eq!(server.rows("registrations"), LIMIT);
    let is_there = |mac_key: &str| {
        let query = "SELECT count(*) FROM registrations WHERE mac_key = ?1";
        server.database().query_row(query, [mac_key], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    assert!(!is_there("made up 1") && is_there("made up 2") && is_there("001122334455"));
}

#[tokio::test]
async fn an_authorization_does_not_replace_what_a_check_reported() {
    let server = TestServer::start().await;
    let mut device = server.accepted_device(MAC).await;
    device.report("rootfs", "a1");
    assert_eq!(device.check().await.status, 204);
    device.metadata.remove("rootfs");
    assert_eq!(device.authorize().await.status, 200);
    let devices = server.admin().await.get("/api/v1/devices").await.ok();
    assert_eq!(devices[0]["metadata"]["rootfs"], "a1");
}
