//! Devices that are not who they say, are somebody else now, or say too much.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tender::http::serve::{Limits, serve};
use tender::http::{Api, route};
use tender::installation::Installation;
use tender::usecase::hold_back::HoldBack;
use tender::usecase::track_progress::Tracker;
use tokio::net::TcpListener;
use tokio::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::harness::process::ServerProcess;
use crate::harness::raw::{Raw, json_head};
use crate::harness::{Anonymous, Device, Reply, TestServer};

const MEBIBYTE: usize = 1024 * 1024;

/// Asks for a token from one address: that of the test.
async fn authorize_from(anonymous: &Anonymous, device: &Device) -> Reply {
    let body = serde_json::to_vec(&device.authorization_body()).unwrap();
    let request = anonymous.request(Method::POST, "/api/v1/auth/device").header("content-type", "application/json");
    anonymous.send(request.header("X-RDFM-Device-Signature", device.sign(&body)).body(body)).await
}

/// An attacker with as many keys as it likes makes no more registrations than one address may, and nothing is written for the rest;
/// they are answered 401 as ever. What waits already goes on, at the same address, too; so do devices that were accepted; and new
/// ones from elsewhere are kept.
#[tokio::test]
async fn one_address_makes_a_bounded_number_of_registrations() {
    const KEPT: i64 = 3;
    let server = TestServer::start().await;
    let accepted = server.accepted_device("00:11:22:33:44:55").await;
    // A second server on the same data, with a limit that a test reaches.
    let Installation { store, keys, packages } = server.beside();
    let tracker = Arc::new(Tracker::restore(&store).await.unwrap());
    let hold_back = HoldBack::with_registrations(KEPT as u32);
    let api = Arc::new(Api { hold_back, ..Api::new(store, packages, keys, tracker) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (shutdown, limits) = (CancellationToken::new(), Limits::new(64, Duration::from_secs(1)));
    let hurry = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, route(&api), api.traffic.clone(), limits, shutdown.clone(), hurry));

    let site = Anonymous::new(&url);
    let waiting = Device::new(&url, "00:00:00:00:00:01");
    assert_eq!(authorize_from(&site, &waiting).await.status, 401);
    for number in 0..20 {
        let made_up = Device::new(&url, &format!("00:00:00:00:01:{number:02x}"));
        assert_eq!(authorize_from(&site, &made_up).await.status, 401);
    }
    assert_eq!(server.rows("registrations"), KEPT);
    let mut waiting_on = waiting;
    waiting_on.report("rdfm.software.version", "v7");
    assert_eq!(authorize_from(&site, &waiting_on).await.status, 401);
    assert_eq!(authorize_from(&site, &accepted).await.status, 200);
    let mut elsewhere = Device::new(&url, "00:00:00:00:02:01");
    assert_eq!(elsewhere.authorize().await.status, 401);
    assert_eq!(server.rows("registrations"), KEPT + 1);
    shutdown.cancel();
    serving.await.unwrap();
}

/// A device that reports 10 MB is answered 413 for as long as it does, with a good token or signature or without; of what it says
/// nothing is kept, it keeps what it has, and the server's memory does not grow by as much.
#[tokio::test]
async fn a_device_that_reports_ten_megabytes_is_refused_and_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let admin = server.operator(&crate::harness::process::create_token(folder.path()));
    let mut device = server.device("00:11:22:33:44:55");
    assert_eq!(device.authorize().await.status, 401);
    admin.accept(&device).await;
    assert_eq!(device.authorize().await.status, 200);
    assert_eq!(device.check().await.status, 204);
    let shown = admin.show_device(&device).await["metadata"].clone();
    let before = server.peak_memory();
    let kept = device.metadata.clone();
    device.report("everything", &"x".repeat(10_000_000));
    for _ in 0..4 {
        device.check().await.error(413);
        device.authorize().await.error(413);
    }
    // Whoever has no token is refused before the body is looked at.
    let body = serde_json::to_vec(&device.metadata).unwrap();
    let mut stranger = Raw::to(&server.url).await;
    stranger.send(json_head("POST /api/v1/update/check", "nobody", body.len())).await;
    stranger.send(&body).await;
    stranger.reply().await.unwrap().error(401);
    assert_eq!(admin.show_device(&device).await["metadata"], shown);
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 8 * MEBIBYTE, "{} MiB more", grown / MEBIBYTE);
    device.metadata = kept;
    assert_eq!(device.check().await.status, 204);
}

/// Every spelling of a MAC address is the same device: in registrations, in tokens and checks, when it is accepted. What only looks
/// like one is another identity, and says so by how it is shown.
#[tokio::test]
async fn there_are_no_two_devices_for_one_mac_address() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.device("0A:1b:2C:3d:4e:05");
    let spellings = [
        "0a:1b:2c:3d:4e:05",
        "0A-1B-2C-3D-4E-05",
        "0a1b2c3d4e05",
        "0A1B2C3D4E05",
        "0a1b.2c3d.4e05",
        "0a.1b.2c.3d.4e.05",
        "0a1b-2c3d-4e05",
        "0a1b2c-3d4e05",
        "0a 1b 2c 3d 4e 05",
        "0a_1b_2c_3d_4e_05",
        "a:1b:2c:3d:4e:5",
    ];
    // One key asks no more often than it is answered at once.
    for spelling in spellings.iter().step_by(2) {
        device.report("rdfm.hardware.macaddr", spelling);
        device.authorize().await.error(401);
        assert_eq!((admin.pending().await.len(), server.rows("registrations")), (1, 1), "{spelling}");
    }
    let accepting = json!({ "mac_address": spellings[5], "public_key": device.public_key_pem() });
    admin.post("/api/v1/auth/register", accepting).await.ok();
    device.authorize().await.ok();
    for spelling in spellings {
        device.report("rdfm.hardware.macaddr", spelling);
        assert_eq!(device.check().await.status, 204, "{spelling}");
        assert_eq!((server.rows("devices"), server.rows("registrations")), (1, 0), "{spelling}");
    }
    // Somebody else with the same address in another spelling has to be accepted as that device's new key.
    let mut thief = server.device(spellings[4]);
    thief.authorize().await.error(401);
    let listed = admin.get("/api/tender/v1/registrations").await.ok();
    assert_eq!(listed["registrations"][0]["device"]["id"], admin.get("/api/v1/devices").await.ok()[0]["id"]);
    assert_eq!(server.rows("devices"), 1);
}

/// A device that changes its MAC address is another device: its token is good for the old one alone (403), its key opens nothing, and
/// a person has to accept it. The one that it was stays as it is.
#[tokio::test]
async fn a_device_that_changes_its_mac_address_is_another_one() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device("00:11:22:33:44:55").await;
    assert_eq!(device.check().await.status, 204);
    let before = admin.show_device(&device).await;
    device.report("rdfm.hardware.macaddr", "00:11:22:33:44:66");
    device.check().await.error(403);
    device.authorize().await.error(401);
    let pending = admin.pending().await;
    assert_eq!((pending.len(), &pending[0]["mac_address"]), (1, &json!("00:11:22:33:44:66")));
    assert_eq!(admin.show_device(&device).await, before);

    // Accepted, it is a second one, and neither can speak for the other.
    let accepting = json!({ "mac_address": "00:11:22:33:44:66", "public_key": device.public_key_pem() });
    admin.post("/api/v1/auth/register", accepting).await.ok();
    let old_token = device.token.clone();
    device.authorize().await.ok();
    assert_eq!(device.check().await.status, 204);
    device.token = old_token;
    device.check().await.error(403);
    // Nor can it take the address of somebody else.
    let victim = server.accepted_device("00:11:22:33:44:77").await;
    device.report("rdfm.hardware.macaddr", "00-11-22-33-44-77");
    device.check().await.error(403);
    device.authorize().await.error(401);
    assert_eq!(victim.check().await.status, 204);
    let Value::Array(devices) = admin.get("/api/v1/devices").await.ok() else { panic!("not a list") };
    assert_eq!(devices.len(), 3);
}
