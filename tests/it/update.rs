//! The main job over HTTP: a device is accepted, put into a group, and led step by step to the target version.

use serde_json::json;

use crate::harness::TestServer;

#[tokio::test]
async fn a_device_is_led_to_the_target_step_by_step() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device("00:11:22:33:44:55").await;
    let id = admin.device_id(&device).await;
    let first = admin.package("v1", &[("requires:rdfm.software.version", "v0")], b"first").await;
    let second = admin.package("v2", &[("requires:rdfm.software.version", "v1")], b"second").await;
    assert_eq!(device.check().await.status, 204);
    admin.group(&[id], &[second, first], "exact_match,v2").await;

    for (package, version, contents) in [(first, "v1", "first"), (second, "v2", "second")] {
        let offer = device.check().await.ok();
        assert_eq!(offer["id"], json!(package));
        assert_eq!(offer.as_object().unwrap().keys().collect::<Vec<_>>(), ["created", "id", "sha256", "uri"]);
        assert_eq!(device.download(&offer).await, contents.as_bytes());
        device.report("rdfm.software.version", version);
    }
    assert_eq!(device.check().await.status, 204);
}
