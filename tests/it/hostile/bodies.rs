//! JSON bodies that are broken, deep, huge or strange.

use serde_json::{Map, Value, json};

use super::assert_still_serves;
use crate::harness::raw::{Raw, json_head};
use crate::harness::{Device, Operator, Reply, TestServer};

const DEEP: usize = 10_000;

/// Sends a body as it is to one path.
async fn post(server: &TestServer, path: &str, token: &str, body: &[u8]) -> Reply {
    let mut client = Raw::connect(server).await;
    client.send(json_head(&format!("POST {path}"), token, body.len())).await;
    client.send(body).await;
    client.reply().await.expect("an answer")
}

/// Sends a body as it is to every endpoint that takes JSON.
async fn post_everywhere(server: &TestServer, admin: &Operator, device: &Device, body: &[u8]) -> Vec<Reply> {
    let device_token = device.token.as_deref().unwrap();
    let group = admin.post("/api/v1/groups", json!({})).await.ok()["id"].clone();
    let mut replies = vec![device.send_authorization(body.to_vec(), &device.sign(body)).await];
    replies.push(post(server, "/api/v1/update/check", device_token, body).await);
    for path in [
        "/api/v1/auth/register".to_owned(),
        "/api/v1/groups".to_owned(),
        format!("/api/v1/groups/{group}/package"),
        format!("/api/v1/groups/{group}/policy"),
    ] {
        replies.push(post(server, &path, &admin.token, body).await);
    }
    let mut client = Raw::connect(server).await;
    client.send(json_head(&format!("PATCH /api/v1/groups/{group}/devices"), &admin.token, body.len())).await;
    client.send(body).await;
    replies.push(client.reply().await.unwrap());
    replies
}

#[tokio::test]
async fn json_that_is_none_is_a_bad_request_everywhere() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("00:11:22:33:44:55").await;
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b" ".to_vec(),
        b"{".to_vec(),
        b"}".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"1".to_vec(),
        b"\"text\"".to_vec(),
        b"{}{}".to_vec(),
        b"{\"a\":}".to_vec(),
        b"{\"a\":1,}".to_vec(),
        b"{'a':1}".to_vec(),
        b"{\"a\":NaN}".to_vec(),
        b"{\"a\":Infinity}".to_vec(),
        b"{\"a\":1e999999}".to_vec(),
        b"{\"a\":0x10}".to_vec(),
        b"{\"a\":01}".to_vec(),
        format!("{{\"a\":{}}}", "9".repeat(20_000)).into_bytes(),
        // A byte order mark, raw control characters, half a surrogate pair, no UTF-8.
        b"\xef\xbb\xbf{}".to_vec(),
        b"\0".to_vec(),
        b"{\"a\":\"\0\"}".to_vec(),
        b"{\"a\":\"\n\"}".to_vec(),
        b"{\"a\":\"\x1b[2J\"}".to_vec(),
        br#"{"a":"\ud800"}"#.to_vec(),
        br#"{"\udfff":"b"}"#.to_vec(),
        br#"{"a":"\ud800A"}"#.to_vec(),
        b"{\"a\":\"\xff\"}".to_vec(),
        b"{\"a\":\"\xed\xa0\x80\"}".to_vec(),
        b"{\"a\":\"\xc0\x80\"}".to_vec(),
        // Deep, closed and not.
        "[".repeat(DEEP).into_bytes(),
        format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP)).into_bytes(),
        "{\"a\":".repeat(DEEP).into_bytes(),
        format!("{{\"a\":{}{}}}", "[".repeat(DEEP), "]".repeat(DEEP)).into_bytes(),
        format!("{}1{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP)).into_bytes(),
    ];
    for body in bodies {
        for reply in post_everywhere(&server, &admin, &device, &body).await {
            let sentence = reply.error(400);
            assert!(sentence.len() < 500, "{sentence}");
        }
    }
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn values_of_another_type_are_refused_in_words_for_people() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("00:11:22:33:44:55").await;
    let id = admin.device_id(&device).await;
    let group = admin.group(&[], &[], "no_update,").await;
    let path = format!("/api/v1/groups/{group}");
    for add in [
        json!([1.5]),
        json!([null]),
        json!([true]),
        json!([[1]]),
        json!([{}]),
        json!(["x"]),
        json!([""]),
        json!(["+1"]),
        json!(["-1"]),
        json!([" 1"]),
        json!(["1e0"]),
        json!(["\u{661}"]),
        json!([u64::MAX]),
        json!([1e300]),
        json!(["99999999999999999999"]),
        json!({}),
        json!("1"),
        json!(null),
    ] {
        let reply = admin.patch(&format!("{path}/devices"), json!({ "add": add, "remove": [] })).await;
        crate::harness::raw::assert_discreet(&reply);
        reply.error(400);
    }
    for packages in [json!([1.5]), json!(["1"]), json!([null]), json!([u64::MAX]), json!([1e300]), json!(1), json!({})]
    {
        let reply = admin.post(&format!("{path}/package"), json!({ "packages": packages })).await;
        crate::harness::raw::assert_discreet(&reply);
        reply.error(400);
    }
    for policy in
        [json!(1), json!(null), json!([]), json!({}), json!("\0"), json!(","), json!("exact_match,"), json!("x,y")]
    {
        let reply = admin.post(&format!("{path}/policy"), json!({ "policy": policy })).await;
        crate::harness::raw::assert_discreet(&reply);
        reply.error(400);
    }
    // Identifiers that nothing can have.
    for identifier in [0, -1, i64::MIN, i64::MAX] {
        admin.post(&format!("{path}/package"), json!({ "packages": [identifier] })).await.error(404);
        admin.patch(&format!("{path}/devices"), json!({ "add": [identifier], "remove": [] })).await.error(409);
    }
    for path in ["0", "-1", "+1", "1.0", "1e3", "0x1", "%31%00", "99999999999999999999", "\u{661}", "1;2", "NaN"] {
        for kind in ["groups", "devices", "packages"] {
            admin.get(&format!("/api/v1/{kind}/{path}")).await.error(404);
        }
    }
    let unchanged = admin.get(&path).await.ok();
    assert_eq!((&unchanged["devices"], &unchanged["packages"]), (&json!([]), &json!([])));
    assert_eq!(admin.patch(&format!("{path}/devices"), json!({ "add": [id], "remove": [] })).await.status, 200);
}

#[tokio::test]
async fn strange_but_valid_text_comes_back_as_it_was_sent() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device("00:11:22:33:44:55").await;
    let strange = "\0\u{1}\u{1b}[2J\r\n\t\u{7f}\u{85}\u{2028}\u{202e}\u{feff}\u{fffe}\u{10ffff}'\"\\;--<script>%00{{}}";

    let metadata = json!({ strange: [strange, { strange: null }, -0.0, 1e-300, i64::MIN, u64::MAX, 1.5, true] });
    let group = admin.post("/api/v1/groups", metadata.clone()).await.ok();
    assert_eq!(group["metadata"], metadata);
    assert_eq!(admin.get(&format!("/api/v1/groups/{}", group["id"])).await.ok()["metadata"], metadata);

    device.report(strange, strange);
    device.report("rdfm.software.version", strange);
    assert_eq!(device.check().await.status, 204);
    let found = admin.get(&format!("/api/v1/devices/{}", admin.device_id(&device).await)).await.ok();
    assert_eq!(found["metadata"], Value::Object(device.metadata.clone()));

    // But who a device is must be printable.
    device.report("rdfm.hardware.macaddr", "a\0b");
    device.check().await.error(400);
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn ten_thousand_keys_are_kept_or_refused_whole() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device("00:11:22:33:44:55").await;
    let many: Map<String, Value> = (0..10_000).map(|number| (format!("{number:x}"), "".into())).collect();

    let group = admin.post("/api/v1/groups", Value::Object(many.clone())).await.ok();
    assert_eq!(group["metadata"], Value::Object(many.clone()));

    // A device's report has less room.
    device.metadata.extend(many.clone());
    let reply = device.check().await;
    assert_eq!(reply.status, 413, "{reply:?}");
    for key in many.keys().skip(5_000) {
        device.metadata.remove(key);
    }
    assert_eq!(device.check().await.status, 204);
    let found = admin.get(&format!("/api/v1/devices/{}", admin.device_id(&device).await)).await.ok();
    assert_eq!(found["metadata"], Value::Object(device.metadata.clone()));
    assert_eq!(device.authorize().await.status, 200);

    // The same key ten thousand times is one key, with the last value.
    let repeated: Vec<String> = (0..4_000).map(|number| format!("\"k\":\"{number}\"")).collect();
    let identity =
        r#""rdfm.software.version":"v0","rdfm.hardware.devtype":"dummy","rdfm.hardware.macaddr":"00:11:22:33:44:55""#;
    let body = format!("{{{identity},{}}}", repeated.join(","));
    assert_eq!(
        post(&server, "/api/v1/update/check", device.token.as_deref().unwrap(), body.as_bytes()).await.status,
        204
    );
    let found = admin.get(&format!("/api/v1/devices/{}", admin.device_id(&device).await)).await.ok();
    assert_eq!(found["metadata"]["k"], "3999");
    assert_still_serves(&server, &admin).await;
}
