//! A site whose devices all power up in the same second. How long a thousand take is measured by `cargo bench`.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::TestServer;
use crate::tls::{H1, auto, http_client};

const DEVICES: u8 = 40;

/// Devices that come at once over TLS, with a full handshake and a signature each, are all served; and meanwhile the checks of those
/// that run are answered, none much later than ever.
#[tokio::test]
async fn devices_that_power_up_at_once_are_all_served_and_those_that_run_are_not_held_up() {
    let server = TestServer::start_with(auto).await;
    let admin = server.admin().await;
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        let mut device = server.device(&format!("00:00:00:00:00:{number:02x}"));
        assert_eq!(device.authorize().await.status, 401);
        admin.accept(&device).await;
        devices.push(device);
    }
    let running = server.accepted_device("00:00:00:00:01:00").await;
    let url = server.secure_url();
    let power_up = join_all(devices.iter().map(async |device| {
        // A client of its own shakes hands anew.
        let client = http_client(&server, H1);
        let message = serde_json::to_vec(&device.authorization_body()).unwrap();
        let signature = device.sign(&message);
        let request = client.post(format!("{url}/api/v1/auth/device")).header("Content-Type", "application/json");
        let reply = request.header("X-RDFM-Device-Signature", signature).body(message).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let granted: Value = reply.json().await.unwrap();
        let token = granted["token"].as_str().unwrap();
        let check = client.post(format!("{url}/api/v1/update/check")).json(&device.metadata);
        assert_eq!(check.header("Authorization", format!("Bearer {token}")).send().await.unwrap().status(), 204);
    }));
    let mut power_up = std::pin::pin!(power_up);
    let (mut checks, mut slowest, begin) = (0, Duration::ZERO, Instant::now());
    loop {
        let checking = async {
            let asked = Instant::now();
            assert_eq!(running.check().await.status, 204);
            asked.elapsed()
        };
        tokio::select! {
            _ = &mut power_up => break,
            took = checking => {
                checks += 1;
                slowest = slowest.max(took);
            }
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert!(checks > 0 && slowest < Duration::from_secs(5), "{checks} checks, the slowest {slowest:?}");
}
