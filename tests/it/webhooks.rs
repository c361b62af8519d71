//! Events, as those who have webhooks get them.

mod commands;
mod delivery;
mod devices;
mod groups;
mod queue;
mod tls;

use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tender::auth::{Secret, WebhookKey};
use tender::config::{Config, HttpUrl, WebhookConfig, WebhookLimits};
use tender::domain::{Backoff, EventFilter};

use crate::harness::description::description;
use crate::harness::provider::{Provider as Receiver, Question};
use crate::harness::{TestServer, assert_fields, eventually};

const SECRET: &str = "shared with the receiver";
const MAC: &str = "00:11:22:33:44:55";

pub async fn receiver() -> Receiver {
    Receiver::answering(&json!({})).await
}

pub fn webhook(url: &str) -> WebhookConfig {
    let key = WebhookKey::parse(&Secret::parse(SECRET).unwrap()).unwrap();
    WebhookConfig { url: HttpUrl::parse(url).unwrap(), key, events: EventFilter::all(), batch: None }
}

/// Webhooks whose failures are tried again soon.
fn configure(config: &mut Config, webhooks: Vec<WebhookConfig>) {
    config.webhooks = webhooks;
    let (first, longest) = (Duration::from_millis(1), Duration::from_millis(20));
    config.webhook_limits.backoff = Backoff { first, longest };
}

async fn server_telling(receiver: &Receiver) -> TestServer {
    server_limited(receiver, |_| {}).await
}

async fn server_limited(receiver: &Receiver, limit: impl FnOnce(&mut WebhookLimits)) -> TestServer {
    TestServer::start_with(|config| {
        configure(config, vec![webhook(&receiver.url())]);
        limit(&mut config.webhook_limits);
    })
    .await
}

pub async fn server_with(webhook: WebhookConfig) -> TestServer {
    TestServer::start_with(|config| configure(config, vec![webhook])).await
}

/// What was sent: an event, or several.
pub fn event(question: &Question) -> Value {
    let sent: Value = serde_json::from_str(&question.body).unwrap();
    for event in sent.as_array().map_or(std::slice::from_ref(&sent), Vec::as_slice) {
        description().assert_fits("Event", event);
    }
    sent
}

/// The types of all events that came, in order.
fn types(receiver: &Receiver) -> Vec<String> {
    receiver.questions().iter().map(|question| event(question)["type"].as_str().unwrap().to_owned()).collect()
}

pub async fn come(receiver: &Receiver, expected: &[&str]) {
    eventually(&format!("{expected:?}"), || types(receiver).len() >= expected.len()).await;
    assert_eq!(types(receiver), expected);
}

/// What the server says of its only webhook.
async fn standing(server: &TestServer) -> Value {
    let mut webhooks = server.admin().await.get("/api/tender/v1/webhooks").await.ok();
    let webhook = webhooks["webhooks"][0].take();
    assert_fields(&webhook, &["host", "queued", "dropped", "failures", "failing_since", "last_error"]);
    webhook
}

/// As a receiver computes it (Standard Webhooks 1.0, "Signature scheme").
fn assert_signed(question: &Question) {
    let header = |name: &str| {
        let values = question.header(name);
        assert_eq!(values.len(), 1, "{name}");
        values[0].to_owned()
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), question.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(header("webhook-signature"), expected);
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("tender/"));
}

#[tokio::test]
async fn what_people_do_is_told_in_order_and_signed() {
    let receiver = receiver().await;
    let server = server_telling(&receiver).await;
    let admin = server.admin().await;
    let mut device = server.device(MAC);
    device.authorize().await;
    device.authorize().await;
    admin.accept(&device).await;
    let package = admin.package("v1", &[], b"contents").await;
    admin.delete(&format!("/api/v1/packages/{package}")).await.ok();
    come(&receiver, &["registration.waiting", "device.accepted", "package.uploaded", "package.deleted"]).await;

    let questions = receiver.questions();
    questions.iter().for_each(assert_signed);
    let events: Vec<_> = questions.iter().map(event).collect();
    for (event, question) in events.iter().zip(&questions) {
        assert_fields(event, &["id", "type", "time", "data"]);
        assert_eq!(event["time"], "2027-01-15T08:00:00Z");
        assert_eq!(question.header("webhook-timestamp"), ["1800000000"]);
        assert!(question.header("webhook-id")[0].ends_with(&format!("_{}", event["id"])));
    }
    assert!(events.windows(2).all(|pair| pair[0]["id"].as_i64() < pair[1]["id"].as_i64()));
    assert_eq!(events[0]["data"]["mac_address"], MAC);
    assert_eq!(events[1]["data"]["device"], 1);
    assert_eq!((&events[2]["data"]["version"], &events[2]["data"]["length_bytes"]), (&json!("v1"), &json!(8)));
    assert_eq!(events[3]["data"], json!({ "package": package }));
}

#[tokio::test]
async fn what_is_refused_is_not_told() {
    let receiver = receiver().await;
    let server = server_telling(&receiver).await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[], &[package], "no_update,").await;
    admin.delete(&format!("/api/v1/packages/{package}")).await.error(409);
    let body = json!({ "mac_address": MAC, "public_key": server.device(MAC).public_key_pem() });
    admin.post("/api/v1/auth/register", body).await.error(404);
    admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": [] })).await.ok();
    admin.delete(&format!("/api/v1/packages/{package}")).await.ok();
    let (created, changed) = ("group.created", "group.changed");
    come(&receiver, &["package.uploaded", created, changed, changed, changed, "package.deleted"]).await;
}

#[tokio::test]
async fn what_becomes_of_devices_is_told() {
    let receiver = receiver().await;
    let events = EventFilter::parse(&["attempt.*", "device.held_back"]).unwrap();
    let server = server_with(WebhookConfig { events, ..webhook(&receiver.url()) }).await;
    let mut device = server.accepted_device(MAC).await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    let id = admin.device_id(&device).await;
    let group = admin.group(&[id], &[package], "exact_match,v1").await;
    let mut expected = Vec::new();
    for _ in 0..3 {
        let offer = device.check().await.ok();
        device.download(&offer).await;
        expected.extend(["attempt.offered", "attempt.fetched"]);
        eventually("it was fetched", || types(&receiver).ends_with(&["attempt.fetched".to_owned()])).await;
        // It comes back later and runs what it ran before.
        server.time.advance(Duration::from_secs(150));
        device.authorize().await;
        expected.push("attempt.reverted");
        if expected.len() == 9 {
            expected.push("device.held_back");
            device.check().await;
            // It is told once, however often the device asks.
            device.check().await;
        }
    }
    come(&receiver, &expected).await;
    let events: Vec<_> = receiver.questions().iter().map(event).collect();
    let data = json!({
        "attempt": 1, "device": id, "group": group, "package": package,
        "from_version": "v0", "to_version": "v1", "target": "v1",
    });
    assert_eq!((&events[0]["data"], &events[1]["data"], &events[2]["data"]), (&data, &data, &data));
    let held_back = &events[9]["data"];
    assert_fields(held_back, &["device", "group", "package", "target", "failures", "until"]);
    assert_eq!((&held_back["failures"], &held_back["until"]), (&json!(3), &json!("2027-01-15T08:17:30Z")));
}

#[tokio::test]
async fn damage_and_concerns_are_told() {
    let receiver = receiver().await;
    let url = receiver.url();
    let server = TestServer::start_with(move |config| {
        config.authentication_is_off = true;
        configure(config, vec![webhook(&url)]);
    })
    .await;
    let admin = server.admin().await;
    come(&receiver, &["concern.raised"]).await;
    assert_eq!(event(&receiver.questions()[0])["data"]["name"], "authentication_off");
    admin.package("v1", &[], b"contents").await;
    let file = server.package_files().into_iter().next().unwrap();
    std::fs::remove_file(server.data().join("packages").join(&file)).unwrap();
    server.anonymous().get(&format!("/local_storage/{}", file.display())).await.error(404);
    admin.package("v1", &[], b"contents").await;
    let expected = ["concern.raised", "package.uploaded", "package.damaged", "package.whole", "package.uploaded"];
    come(&receiver, &expected).await;
    let damaged = event(&receiver.questions()[2]);
    assert_eq!(damaged["data"], json!({ "package": 1, "state": "missing", "detail": "the file is not there" }));
}

#[tokio::test]
async fn without_webhooks_nothing_is_written() {
    let server = TestServer::start().await;
    let device = server.accepted_device(MAC).await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    admin.group(&[admin.device_id(&device).await], &[package], "exact_match,v1").await;
    device.check().await.ok();
    assert_eq!((server.rows("webhooks"), server.rows("webhook_queue")), (0, 0));
    assert_eq!(admin.get("/api/tender/v1/webhooks").await.ok(), json!({ "webhooks": [] }));
}

#[tokio::test]
async fn events_come_in_batches_where_that_is_wanted() {
    let receiver = receiver().await;
    receiver.open(false);
    let server = server_with(WebhookConfig { batch: NonZeroU32::new(2), ..webhook(&receiver.url()) }).await;
    let admin = server.admin().await;
    for version in ["v1", "v2", "v3", "v4"] {
        admin.package(version, &[], b"contents").await;
    }
    receiver.open(true);
    let versions = || {
        let questions = receiver.questions();
        let events = questions.iter().flat_map(|question| match event(question) {
            Value::Array(events) => events,
            other => panic!("not an array: {other}"),
        });
        events.map(|event| event["data"]["version"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually("all have come", || versions().len() == 4).await;
    assert_eq!(versions(), ["v1", "v2", "v3", "v4"]);
    let questions = receiver.questions();
    questions.iter().for_each(assert_signed);
    assert!(questions.iter().any(|question| event(question).as_array().unwrap().len() == 2));
}
