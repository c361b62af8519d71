//! What people do with devices is told, also when they do it by the frozen API.

use serde_json::json;

use super::{come, event, receiver, server_with, webhook};
use crate::harness::TestServer;
use crate::harness::provider::Provider as Receiver;
use tender::config::WebhookConfig;
use tender::domain::EventFilter;

const DEVICES: &str = "/api/tender/v1/devices";

async fn server_telling_of_devices(receiver: &Receiver) -> TestServer {
    let events = EventFilter::parse(&["device.changed", "device.removed"]).unwrap();
    let server = server_with(WebhookConfig { events, ..webhook(&receiver.url()) }).await;
    for mac_address in ["a", "b", "c"] {
        server.accepted_device(mac_address).await;
    }
    server
}

#[tokio::test]
async fn changes_and_removals_are_told_with_all_devices() {
    let receiver = receiver().await;
    let server = server_telling_of_devices(&receiver).await;
    let admin = server.admin().await;
    let name = admin.request(reqwest::Method::PUT, &format!("{DEVICES}/2/name")).json(&json!({ "name": "Pump" }));
    admin.send(name).await.ok();
    let group = admin.group(&[1, 2], &[], "no_update,").await;
    let members = format!("/api/v1/groups/{group}/devices");
    admin.patch(&members, json!({ "add": [3], "remove": [1] })).await.ok();
    admin.post(&format!("{DEVICES}/assign"), json!({ "devices": [1, 3], "group": group })).await.ok();
    admin.post(&format!("{DEVICES}/assign"), json!({ "devices": [1], "group": null })).await.ok();
    // What is refused is not told, nor what changes nothing.
    admin.post(&format!("{DEVICES}/assign"), json!({ "devices": [1, 77], "group": group })).await.error(404);
    admin.post(&format!("{DEVICES}/assign"), json!({ "devices": [], "group": null })).await.ok();
    admin.patch(&members, json!({ "add": [2], "remove": [] })).await.error(409);
    admin.post(&format!("{DEVICES}/remove"), json!({ "devices": [1, 77] })).await.error(404);
    admin.post(&format!("{DEVICES}/remove"), json!({ "devices": [3, 1] })).await.ok();

    let changed = "device.changed";
    come(&receiver, &[changed, changed, changed, changed, changed, changed, "device.removed"]).await;
    let data: Vec<_> = receiver.questions().iter().map(|question| event(question)["data"].clone()).collect();
    let moved = |devices: &[i64], group: Option<i64>| json!({ "devices": devices, "what": "group", "group": group });
    let expected = [
        json!({ "devices": [2], "what": "name" }),
        moved(&[1, 2], Some(group)),
        moved(&[3], Some(group)),
        moved(&[1], None),
        moved(&[1, 3], Some(group)),
        moved(&[1], None),
        json!({ "devices": [1, 3] }),
    ];
    assert_eq!(data, expected);
}
