//! `/health/live` and `/health/ready`.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::harness::TestServer;
use crate::harness::raw::Raw;

const READY: &str = "/health/ready";

#[tokio::test]
async fn anybody_may_ask_and_is_told_a_word_that_is_not_kept() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    for (path, word) in [("/health/live", "live"), (READY, "ready")] {
        let reply = anonymous.get(path).await;
        assert_eq!(reply.ok(), json!({ "status": word }));
        assert_eq!(reply.header("cache-control"), "no-store");
        let head = anonymous.send(anonymous.request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), reply.body.len().to_string());
        assert_eq!(anonymous.post(path, json!({})).await.status, 405);
    }
}

#[tokio::test]
async fn without_its_packages_it_is_not_ready() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    anonymous.get(READY).await.ok();
    let (packages, elsewhere) = (server.data().join("packages"), server.data().join("elsewhere"));
    fs::rename(&packages, &elsewhere).unwrap();
    fs::create_dir(&packages).unwrap();
    // What was found is good for a second.
    assert_eq!(anonymous.get(READY).await.ok(), json!({ "status": "ready" }));
    server.time.advance(Duration::from_secs(1));
    let reply = anonymous.get(READY).await;
    assert_eq!((reply.status, reply.json()), (503, json!({ "status": "unavailable" })));
    anonymous.get("/health/live").await.ok();

    fs::remove_dir_all(&packages).unwrap();
    fs::rename(&elsewhere, &packages).unwrap();
    server.time.advance(Duration::from_secs(1));
    assert_eq!(anonymous.get(READY).await.ok(), json!({ "status": "ready" }));
}

/// Name, length and time of change of the files of the database.
fn database_files(server: &TestServer) -> Vec<(String, u64, SystemTime)> {
    let mut files: Vec<_> = fs::read_dir(server.data())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("tender.sqlite"))
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            (entry.file_name().into_string().unwrap(), metadata.len(), metadata.modified().unwrap())
        })
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn to_ask_writes_nothing() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    anonymous.get(READY).await.ok();
    let before = database_files(&server);
    assert!(before.len() > 1, "{before:?}");
    for _ in 0..20 {
        server.time.advance(Duration::from_secs(1));
        anonymous.get(READY).await.ok();
    }
    assert_eq!(database_files(&server), before);
}

#[tokio::test]
async fn many_who_ask_at_once_are_answered_by_one_look() {
    let server = TestServer::start().await;
    // The writer hangs: each look takes some seconds.
    let database = server.database();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = Instant::now();
    let asking: Vec<_> = (0..50).map(|_| server.anonymous()).collect();
    for reply in join_all(asking.iter().map(|anonymous| anonymous.get(READY))).await {
        assert_eq!(reply.ok(), json!({ "status": "degraded" }));
    }
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    database.execute_batch("COMMIT").unwrap();
}

#[tokio::test]
async fn who_has_begun_to_ask_when_it_is_told_to_stop_hears_that() {
    let mut server = TestServer::start().await;
    server.anonymous().get(READY).await.ok();
    let mut client = Raw::connect(&server).await;
    client.send(format!("GET {READY} HTTP/1.1\r\nHost: ")).await;
    // Its connection is there by now, as this one came later.
    server.anonymous().get(READY).await.ok();
    let (status, ()) = tokio::join!(
        async {
            client.send("here\r\n\r\n").await;
            client.head().await
        },
        server.stop()
    );
    assert_eq!(status, 503);
}
