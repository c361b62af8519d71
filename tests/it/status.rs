//! How the server says that it is: `/api/tender/v1/status` and `/metrics`.

use serde_json::{Value, json};

use crate::harness::{Operator, TestServer, assert_fields};

async fn concerns(admin: &Operator) -> Vec<String> {
    let status = admin.get("/api/tender/v1/status").await.ok();
    let names = status["concerns"].as_array().unwrap().iter();
    names.map(|concern| concern["name"].as_str().unwrap().to_owned()).collect()
}

/// The value of a line of the metrics.
async fn metric(admin: &Operator, name: &str) -> Option<u64> {
    let reply = admin.get("/metrics").await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(reply.body).unwrap();
    assert!(text.ends_with("# EOF\n"), "{text}");
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[tokio::test]
async fn a_healthy_server_has_no_concerns() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.package("v1", &[], b"contents").await;
    let mut device = server.device("00:11:22:33:44:55");
    assert_eq!(device.authorize().await.status, 401);
    let status = admin.get("/api/tender/v1/status").await.ok();
    assert_fields(
        &status,
        &[
            "version",
            "time",
            "uptime_seconds",
            "concerns",
            "packages",
            "database",
            "storage",
            "unfinished_uploads",
            "pending_registrations",
            "backups",
        ],
    );
    assert_eq!(status["packages"], json!({ "whole": 1, "corrupt": 0, "missing": 0, "bytes": 8 }));
    assert_eq!((&status["concerns"], &status["time"]), (&json!([]), &json!("2027-01-15T08:00:00Z")));
    assert_eq!((&status["pending_registrations"], &status["unfinished_uploads"]), (&json!(1), &json!(0)));
    let bytes = |name: &str| status["storage"][name].as_u64().unwrap();
    assert!(bytes("free") <= bytes("total") && bytes("reserve") >= 256 << 20, "{status}");

    let on_disk = ["tender.sqlite", "tender.sqlite-wal"].map(|name| server.data().join(name).metadata().unwrap().len());
    assert_eq!(status["database"], json!({ "bytes": on_disk.iter().sum::<u64>() }));

    assert_eq!(metric(&admin, "tender_database_bytes").await, status["database"]["bytes"].as_u64());
    assert_eq!(metric(&admin, "tender_packages{state=\"whole\"}").await, Some(1));
    assert_eq!(metric(&admin, "tender_package_files_bytes").await, Some(8));
    assert_eq!(metric(&admin, "tender_pending_registrations").await, Some(1));
    assert_eq!(metric(&admin, "tender_concerns{name=\"writes_fail\"}").await, Some(0));
}

#[tokio::test]
async fn what_is_wrong_is_told_with_a_sentence() {
    let server = TestServer::start_at(std::time::SystemTime::UNIX_EPOCH, |config| {
        config.authentication_is_off = true;
        config.storage_limits.reserve = Some(tender::domain::ByteSize::from_bytes(u64::MAX));
    })
    .await;
    let admin = server.admin().await;
    assert_eq!(concerns(&admin).await, ["no_room", "clock_unset", "authentication_off"]);
    let status: Value = admin.get("/api/tender/v1/status").await.ok();
    for concern in status["concerns"].as_array().unwrap() {
        assert_fields(concern, &["name", "since", "sentence"]);
        assert!(concern["sentence"].as_str().unwrap().len() > 20, "{concern}");
    }
    assert_eq!(metric(&admin, "tender_concerns{name=\"no_room\"}").await, Some(1));
}

#[tokio::test]
async fn damaged_packages_are_counted() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.package("v1", &[], b"contents").await;
    let file = server.package_files().into_iter().find(|file| !file.ends_with(".tender")).unwrap();
    std::fs::remove_file(server.data().join("packages").join(&file)).unwrap();
    assert_eq!(concerns(&admin).await, [""; 0]);
    server.anonymous().get(&format!("/local_storage/{}", file.display())).await.error(404);
    assert_eq!(concerns(&admin).await, ["damaged_packages"]);
    assert_eq!(metric(&admin, "tender_packages{state=\"missing\"}").await, Some(1));
    assert_eq!(metric(&admin, "tender_packages{state=\"whole\"}").await, Some(0));
}
