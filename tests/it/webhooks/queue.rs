//! What waits for webhooks, and what does not.

use std::sync::Arc;

use serde_json::json;
use tender::domain::{Event, EventFilter, GroupId, Sha256Digest};
use tender::store::webhooks::{self, Target};
use tender::store::{Message, Since, StoreError, Subscription, events};
use tokio::sync::Notify;

use super::*;
use crate::harness::provider::response;

#[tokio::test]
async fn of_too_many_events_the_oldest_are_dropped() {
    let receiver = receiver().await;
    receiver.will(response("500 Internal Server Error", "", b""));
    let server = server_limited(&receiver, |limits| limits.most_queued = 3).await;
    let admin = server.admin().await;
    for version in ["v1", "v2", "v3", "v4", "v5"] {
        admin.package(version, &[], b"contents").await;
    }
    let shown = standing(&server).await;
    assert_eq!((&shown["queued"], &shown["dropped"]), (&json!(3), &json!(2)));
    let sql = "SELECT group_concat(body ->> '$.data.version') FROM webhook_queue";
    let kept: String = server.database().query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "v3,v4,v5");
}

#[tokio::test]
async fn each_webhook_gets_what_it_wants() {
    let (uploads, groups) = (receiver().await, receiver().await);
    let wanting = |receiver: &Receiver, name: &str| WebhookConfig {
        events: EventFilter::parse(&[name]).unwrap(),
        ..webhook(&receiver.url())
    };
    let webhooks = vec![wanting(&uploads, "package.uploaded"), wanting(&groups, "group")];
    let server = TestServer::start_with(move |config| configure(config, webhooks)).await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    admin.delete(&format!("/api/v1/packages/{package}")).await.ok();
    admin.package("v2", &[], b"contents").await;
    come(&uploads, &["package.uploaded"; 2]).await;
    assert_eq!(groups.count(), 0);
}

#[tokio::test]
async fn webhooks_that_are_not_configured_any_more_are_forgotten() {
    let receiver = receiver().await;
    receiver.will(response("500 Internal Server Error", "", b""));
    let mut server = server_telling(&receiver).await;
    server.admin().await.package("v1", &[], b"contents").await;
    assert_eq!((server.rows("webhooks"), server.rows("webhook_queue")), (1, 1));
    server.stop().await;
    server.configure(|config| config.webhooks.clear());
    server.run().await;
    assert_eq!((server.rows("webhooks"), server.rows("webhook_queue")), (0, 0));
}

#[tokio::test]
async fn an_event_is_told_exactly_if_its_transaction_commits() {
    let server = TestServer::start().await;
    let store = server.beside().store;
    let target = Target { url_sha256: Sha256Digest([1; 32]), host: "hooks.example".to_owned() };
    let adopted = store.write(move |tx| webhooks::adopt(tx, &[target])).await.unwrap();
    let arrival = Arc::new(Notify::new());
    store.events().subscribe(vec![Subscription {
        webhook: adopted[0],
        wants: EventFilter::all(),
        most_queued: 10,
        arrival: arrival.clone(),
    }]);
    let mut listener = store.events().listen(Since::Latest(0)).messages;
    let failing = store.write(|tx| {
        events::tell(tx, Event::group_resumed(GroupId(1)))?;
        Err::<(), _>(StoreError::Abandoned)
    });
    assert!(failing.await.is_err());
    assert!(listener.try_recv().is_err());
    assert_eq!(server.rows("webhook_queue"), 0);
    store.write(|tx| events::tell(tx, Event::group_resumed(GroupId(2)))).await.unwrap();
    let Message::Event(told) = listener.try_recv().unwrap() else { panic!("devices were heard") };
    assert_eq!(told.event, Event::group_resumed(GroupId(2)));
    assert!(listener.try_recv().is_err());
    assert_eq!(server.rows("webhook_queue"), 1);
    arrival.notified().await;
    store.close().await;
}

/// A device that fell back in a group where that stops everything.
async fn failed_in_a_halted_group(server: &TestServer) -> (i64, i64) {
    let mut device = server.accepted_device(MAC).await;
    let admin = server.admin().await;
    let id = admin.device_id(&device).await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[id], &[package], "exact_match,v1").await;
    let rollout = json!({ "halt": { "percent": 0, "devices": 1 } });
    let path = format!("/api/tender/v1/groups/{group}/rollout");
    admin.send(admin.request(reqwest::Method::PUT, &path).json(&rollout)).await.ok();
    let offer = device.check().await.ok();
    device.download(&offer).await;
    server.time.advance(std::time::Duration::from_secs(150));
    device.authorize().await.ok();
    device.check().await;
    (id, group)
}

#[tokio::test]
async fn a_group_that_is_halted_is_told_soon() {
    let receiver = receiver().await;
    let events = EventFilter::parse(&["group.halted", "attempt.fetched"]).unwrap();
    let server = server_with(WebhookConfig { events, ..webhook(&receiver.url()) }).await;
    let (_, group) = failed_in_a_halted_group(&server).await;
    come(&receiver, &["attempt.fetched", "group.halted"]).await;
    let data = json!({ "group": group, "target": "v1", "failed": 1, "tried": 1 });
    assert_eq!(event(&receiver.questions()[1])["data"], data);
}

#[tokio::test]
async fn what_a_person_lets_go_on_is_told() {
    let receiver = receiver().await;
    let events = EventFilter::parse(&["group.halted", "group.resumed", "device.released"]).unwrap();
    let server = server_with(WebhookConfig { events, ..webhook(&receiver.url()) }).await;
    let (device, group) = failed_in_a_halted_group(&server).await;
    come(&receiver, &["group.halted"]).await;
    let admin = server.admin().await;
    admin.post(&format!("/api/tender/v1/devices/{device}/release"), json!({})).await.ok();
    admin.post(&format!("/api/tender/v1/groups/{group}/resume"), json!({})).await.ok();
    come(&receiver, &["group.halted", "device.released", "group.resumed"]).await;
    assert_eq!(event(&receiver.questions()[1])["data"], json!({ "device": device }));
    assert_eq!(event(&receiver.questions()[2])["data"], json!({ "group": group }));
}
