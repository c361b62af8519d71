//! What people do with groups is told, also when they do it by the frozen API.

use serde_json::json;
use tender::config::WebhookConfig;
use tender::domain::EventFilter;

use super::{come, event, receiver, server_with, webhook};

#[tokio::test]
async fn creating_changing_and_deleting_groups_is_told() {
    let receiver = receiver().await;
    let events = EventFilter::parse(&["group"]).unwrap();
    let server = server_with(WebhookConfig { events, ..webhook(&receiver.url()) }).await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    admin.post("/api/v1/groups", json!({ "name": "Line 1" })).await.ok();
    admin.post("/api/v1/groups/1/package", json!({ "packages": [package] })).await.ok();
    admin.post("/api/v1/groups/1/policy", json!({ "policy": "exact_match,v1" })).await.ok();
    admin.put("/api/tender/v1/groups/1/rollout", json!({ "first": 1 })).await.ok();
    admin.put("/api/tender/v1/groups/1/metadata", json!({ "name": "Line 2" })).await.ok();
    // What is refused is not told.
    admin.post("/api/v1/groups", json!([])).await.error(400);
    admin.post("/api/v1/groups/1/package", json!({ "packages": [77] })).await.error(404);
    admin.post("/api/v1/groups/77/policy", json!({ "policy": "no_update," })).await.error(404);
    admin.put("/api/tender/v1/groups/77/rollout", json!({})).await.error(404);
    admin.put("/api/tender/v1/groups/77/metadata", json!({})).await.error(404);
    admin.delete("/api/v1/groups/77").await.error(404);
    admin.delete("/api/v1/groups/1").await.ok();

    let changed = "group.changed";
    come(&receiver, &["group.created", changed, changed, changed, changed, "group.deleted"]).await;
    let data: Vec<_> = receiver.questions().iter().map(|question| event(question)["data"].clone()).collect();
    let changed = |what: &str| json!({ "group": 1, "what": what });
    let expected = [
        json!({ "group": 1 }),
        changed("packages"),
        changed("policy"),
        changed("rollout"),
        changed("metadata"),
        json!({ "group": 1 }),
    ];
    assert_eq!(data, expected);
}
