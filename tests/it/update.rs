//! The main job over HTTP: a device is accepted, put into a group, and led step by step to the target version.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Device, Operator, Reply, START, TestServer, assert_fields, date, sha256};

const MAC: &str = "00:11:22:33:44:55";
const CHECK: &str = "/api/v1/update/check";
const REQUIRED_KEYS: [&str; 3] = ["rdfm.software.version", "rdfm.hardware.devtype", "rdfm.hardware.macaddr"];

/// A server with a device in a group whose policy asks for `target`; the group.
async fn assigned_device(target: &str, packages: &[(&str, &[(&str, &str)])]) -> (TestServer, Operator, Device, i64) {
    assigned_device_on(TestServer::start().await, target, packages).await
}

async fn assigned_device_on(
    server: TestServer,
    target: &str,
    packages: &[(&str, &[(&str, &str)])],
) -> (TestServer, Operator, Device, i64) {
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    let mut stored = Vec::new();
    for (version, more) in packages {
        stored.push(admin.package(version, more, version.as_bytes()).await);
    }
    let group = admin.group(&[admin.device_id(&device).await], &stored, &format!("exact_match,{target}")).await;
    (server, admin, device, group)
}

/// Lets the device install what it is offered until there is no more; the versions that it went through.
async fn install_all(device: &mut Device, admin: &Operator) -> Vec<String> {
    let mut versions = Vec::new();
    loop {
        let reply = device.check().await;
        if reply.status == 204 {
            assert!(reply.body.is_empty());
            return versions;
        }
        let offer = reply.ok();
        let package = admin.show_package(offer["id"].as_i64().unwrap()).await;
        assert_eq!(sha256(&device.download(&offer).await), package["sha256"]);
        let Value::Object(metadata) = &package["metadata"] else { panic!("an object: {package}") };
        for (key, value) in metadata {
            if !key.starts_with("requires:") && !key.starts_with("rdfm.storage.") {
                device.report(key, value.as_str().unwrap());
            }
        }
        versions.push(device.metadata["rdfm.software.version"].as_str().unwrap().to_owned());
        assert!(versions.len() < 10, "no end: {versions:?}");
    }
}

/// The reply to a check with these headers besides.
async fn check_with(device: &Device, headers: &[(&str, &str)]) -> Reply {
    let request = device.request(Method::POST, CHECK).json(&device.metadata);
    device.send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// What stands before the path in the offered address.
fn base_url(reply: &Reply) -> String {
    let uri = reply.ok()["uri"].as_str().unwrap().to_owned();
    uri.split_once("/local_storage/").unwrap().0.to_owned()
}

#[tokio::test]
async fn a_device_is_led_to_the_target_step_by_step() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let id = admin.device_id(&device).await;
    let first = admin.package("v1", &[("requires:rdfm.software.version", "v0")], b"first").await;
    let second = admin.package("v2", &[("requires:rdfm.software.version", "v1")], b"second").await;
    assert_eq!(device.check().await.status, 204);
    admin.group(&[id], &[second, first], "exact_match,v2").await;

    for (package, version, contents) in [(first, "v1", "first"), (second, "v2", "second")] {
        let offer = device.check().await.ok();
        assert_fields(&offer, &["created", "id", "sha256", "uri"]);
        assert_eq!(offer["id"], json!(package));
        assert_eq!(offer["sha256"], sha256(contents.as_bytes()));
        assert_eq!(date(&offer["created"]), START);
        assert_eq!(device.download(&offer).await, contents.as_bytes());
        device.report("rdfm.software.version", version);
    }
    assert_eq!(device.check().await.status, 204);
}

#[tokio::test]
async fn a_simple_package_is_installed_in_one_step() {
    let (_server, admin, mut device, _) = assigned_device("v1", &[("v1", &[])]).await;
    assert_eq!(install_all(&mut device, &admin).await, ["v1"]);
}

#[tokio::test]
async fn a_device_is_led_back_to_an_older_version() {
    let (_server, admin, mut device, _) = assigned_device("v1", &[("v1", &[]), ("v2", &[])]).await;
    device.report("rdfm.software.version", "v2");
    assert_eq!(install_all(&mut device, &admin).await, ["v1"]);
}

#[tokio::test]
async fn versions_that_build_on_each_other_are_installed_in_sequence() {
    let from = |version| [("requires:rdfm.software.version", version)];
    let packages: [(&str, &[(&str, &str)]); 3] = [("v3", &from("v2")), ("v1", &from("v0")), ("v2", &from("v1"))];
    let (_server, admin, mut device, _) = assigned_device("v3", &packages).await;
    assert_eq!(install_all(&mut device, &admin).await, ["v1", "v2", "v3"]);
    device.report("rdfm.software.version", "v1");
    assert_eq!(install_all(&mut device, &admin).await, ["v2", "v3"]);
    device.report("rdfm.software.version", "v7");
    assert_eq!(install_all(&mut device, &admin).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_base_gets_the_delta_that_was_made_for_it() {
    let packages: [(&str, &[(&str, &str)]); 3] = [
        ("v5", &[("requires:rootfs", "a"), ("rootfs", "z"), ("made.for", "a")]),
        ("v5", &[("requires:rootfs", "b"), ("rootfs", "z"), ("made.for", "b")]),
        ("v5", &[("requires:rootfs", "c"), ("rootfs", "z"), ("made.for", "c")]),
    ];
    let (_server, admin, mut device, _) = assigned_device("v5", &packages).await;
    for base in ["c", "a", "b"] {
        device.report("rdfm.software.version", "v0");
        device.report("rootfs", base);
        assert_eq!(install_all(&mut device, &admin).await, ["v5"]);
        assert_eq!((&device.metadata["made.for"], &device.metadata["rootfs"]), (&json!(base), &json!("z")));
    }
    device.report("rdfm.software.version", "v0");
    device.report("rootfs", "unknown");
    assert_eq!(device.check().await.status, 204);
    // A list meets no requirement.
    device.metadata.insert("rootfs".to_owned(), json!(["a"]));
    assert_eq!(device.check().await.status, 204);
}

#[tokio::test]
async fn packages_for_other_devices_are_not_offered() {
    let (_server, _, mut device, _) = assigned_device("v1", &[("v1", &[])]).await;
    device.report("rdfm.hardware.devtype", "another");
    assert_eq!(device.check().await.status, 204);
}

#[tokio::test]
async fn a_change_by_a_person_takes_effect_with_the_very_next_check() {
    let (_server, admin, device, group) = assigned_device("v1", &[("v1", &[]), ("v2", &[])]).await;
    let id = admin.device_id(&device).await;
    let path = format!("/api/v1/groups/{group}");
    let packages = admin.show_group(group).await["packages"].clone();
    let offered = async || {
        let reply = device.check().await;
        if reply.status == 204 { Value::Null } else { reply.ok()["id"].clone() }
    };
    let policy = async |policy: &str| admin.post(&format!("{path}/policy"), json!({ "policy": policy })).await.ok();
    let assign = async |list: Value| admin.post(&format!("{path}/package"), json!({ "packages": list })).await.ok();
    let member = async |change: Value| admin.patch(&format!("{path}/devices"), change).await.ok();

    assert_eq!(offered().await, packages[0]);
    policy("exact_match,v2").await;
    assert_eq!(offered().await, packages[1]);
    policy("no_update,").await;
    assert_eq!(offered().await, json!(null));
    policy("exact_match,v1").await;
    assert_eq!(offered().await, packages[0]);
    assign(json!([packages[1]])).await;
    assert_eq!(offered().await, json!(null));
    assign(json!([])).await;
    assert_eq!(offered().await, json!(null));
    assign(packages.clone()).await;
    assert_eq!(offered().await, packages[0]);
    member(json!({ "add": [], "remove": [id] })).await;
    assert_eq!(offered().await, json!(null));
    let other = admin.group(&[id], &[packages[1].as_i64().unwrap()], "exact_match,v2").await;
    assert_eq!(offered().await, packages[1]);
    let other = format!("/api/v1/groups/{other}");
    admin.patch(&format!("{other}/devices"), json!({ "add": [], "remove": [id] })).await.ok();
    admin.delete(&other).await.ok();
    assert_eq!(offered().await, json!(null));
    member(json!({ "add": [id], "remove": [] })).await;
    assert_eq!(offered().await, packages[0]);
}

#[tokio::test]
async fn each_required_key_must_be_there_as_text() {
    let server = TestServer::start().await;
    let device = server.accepted_device(MAC).await;
    for key in REQUIRED_KEYS {
        for value in [None, Some(json!("")), Some(json!([MAC])), Some(json!(null)), Some(json!(1))] {
            let mut report = device.metadata.clone();
            report.remove(key);
            report.extend(value.map(|value| (key.to_owned(), value)));
            let error = device.send(device.request(Method::POST, CHECK).json(&report)).await.error(400);
            assert!(error.contains(key) || report.get(key).is_some_and(|value| !value.is_array()), "{error}");
        }
    }
}

#[tokio::test]
async fn the_token_must_be_the_devices_own_in_any_spelling() {
    let server = TestServer::start().await;
    let mut device = server.accepted_device("00:1A:2b:3c:4d:5e").await;
    let other = server.accepted_device("loopback").await;
    for spelling in ["00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a2b3c4d5e", "001A2B3C4D5E"] {
        device.report("rdfm.hardware.macaddr", spelling);
        assert_eq!(device.check().await.status, 204);
        let request = other.request(Method::POST, CHECK).json(&device.metadata);
        other.send(request).await.error(403);
    }
}

#[tokio::test]
async fn a_good_token_of_a_device_that_is_not_registered_is_a_401() {
    let server = TestServer::start().await;
    let token = server.device_token(MAC).await;
    let report = Value::Object(Device::reports(MAC));
    server.holder_of(&token).post(CHECK, report.clone()).await.error(401);
    // One that waits is not registered either.
    let mut device = server.device(MAC);
    device.authorize().await.error(401);
    server.holder_of(&token).post(CHECK, report).await.error(401);
    device.token = Some(token);
    server.admin().await.accept(&device).await;
    assert_eq!(device.check().await.status, 204);
}

#[tokio::test]
async fn a_token_ends_after_three_hundred_seconds() {
    let server = TestServer::start().await;
    let mut device = server.accepted_device(MAC).await;
    server.time.advance(Duration::from_secs(299));
    assert_eq!(device.check().await.status, 204);
    server.time.advance(Duration::from_secs(2));
    device.check().await.error(401);
    device.authorize().await.ok();
    assert_eq!(device.check().await.status, 204);
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_ends_no_token() {
    let server = TestServer::start().await;
    let device = server.accepted_device(MAC).await;
    let years = Duration::from_secs(10 * 365 * 24 * 3600);
    for wall in [START + years, START, Duration::ZERO] {
        server.time.set_wall(SystemTime::UNIX_EPOCH + wall);
        assert_eq!(device.check().await.status, 204);
    }
    server.time.advance(Duration::from_secs(301));
    device.check().await.error(401);
}

#[tokio::test]
async fn the_offered_address_is_the_one_that_the_request_was_sent_to() {
    let (server, _, device, _) = assigned_device("v1", &[("v1", &[])]).await;
    assert_eq!(base_url(&device.check().await), server.url());
    for host in ["gateway.local:5000", "gateway.local", "10.0.0.2:8080", "[fe80::1]:5000"] {
        assert_eq!(base_url(&check_with(&device, &[("Host", host)]).await), format!("http://{host}"));
    }
}

#[tokio::test]
async fn a_host_that_cannot_be_one_is_refused() {
    let (server, _, device, _) = assigned_device("v1", &[("v1", &[])]).await;
    let body = Value::Object(device.metadata.clone()).to_string();
    let check = async |host: &str| {
        let token = device.token.as_deref().unwrap();
        let length = body.len();
        let head = format!("POST {CHECK} HTTP/1.1\r\n{host}Authorization: Bearer token={token}");
        server.raw_with_body(&format!("{head}\r\nContent-Length: {length}"), body.as_bytes()).await
    };
    for host in [
        "a b",
        "user@host",
        "http://host",
        "host/path",
        "host?query",
        "\"host\"",
        "",
        "host:port",
        "host:99999",
        "::1",
        "[::1",
    ] {
        check(&format!("Host: {host}\r\n")).await.error(400);
    }
    assert_eq!(base_url(&check("Host: gateway.local\r\n").await), "http://gateway.local");
    // Without one, the address of the connection is known to work.
    assert_eq!(base_url(&check("").await), server.url());
}

const PROXY_HEADERS: [&[(&str, &str)]; 3] = [
    &[("X-Forwarded-Host", "updates.example"), ("X-Forwarded-Proto", "https")],
    &[("Forwarded", "for=10.0.0.9;host=\"updates.example\";Proto=https")],
    &[("X-Forwarded-Host", "liar.example, updates.example"), ("X-Forwarded-Proto", "http, https")],
];

#[tokio::test]
async fn nobody_is_believed_about_forwarding_by_default() {
    let (server, _, device, _) = assigned_device("v1", &[("v1", &[])]).await;
    for headers in PROXY_HEADERS {
        assert_eq!(base_url(&check_with(&device, headers).await), server.url());
    }
}

#[tokio::test]
async fn proxies_elsewhere_are_not_believed() {
    let server = TestServer::start_with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let (server, _, device, _) = assigned_device_on(server, "v1", &[("v1", &[])]).await;
    for headers in PROXY_HEADERS {
        assert_eq!(base_url(&check_with(&device, headers).await), server.url());
    }
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let server = TestServer::start_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let (server, _, device, _) = assigned_device_on(server, "v1", &[("v1", &[])]).await;
    for headers in PROXY_HEADERS {
        assert_eq!(base_url(&check_with(&device, headers).await), "https://updates.example");
    }
    let host_only = [("X-Forwarded-Host", "updates.example:8080")];
    assert_eq!(base_url(&check_with(&device, &host_only).await), "http://updates.example:8080");
    assert_eq!(base_url(&device.check().await), server.url());
    check_with(&device, &[("X-Forwarded-Host", "user@host")]).await.error(400);
}

#[tokio::test]
async fn a_public_url_wins_over_everything() {
    let server = TestServer::start_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.public_url = Some("https://public.example/tender".to_owned());
    })
    .await;
    let (_server, _, device, _) = assigned_device_on(server, "v1", &[("v1", &[])]).await;
    for headers in PROXY_HEADERS.iter().chain([&[("Host", "gateway.local")][..]].iter()) {
        assert_eq!(base_url(&check_with(&device, headers).await), "https://public.example/tender");
    }
}

#[tokio::test]
async fn a_forged_host_reaches_nobody_but_its_sender() {
    let server = TestServer::start_with(|config| config.trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()]).await;
    let (server, admin, forger, _) = assigned_device_on(server, "v1", &[("v1", &[])]).await;
    let victim = server.accepted_device("00:11:22:33:44:66").await;
    let id = admin.device_id(&victim).await;
    admin.patch("/api/v1/groups/1/devices", json!({ "add": [id], "remove": [] })).await.ok();
    // Both are in the same state, for which the answer is remembered.
    for forged in [[("Host", "evil.example")], [("X-Forwarded-Host", "evil.example")]] {
        check_with(&forger, &forged).await.ok();
        assert_eq!(base_url(&victim.check().await), server.url());
    }
}
