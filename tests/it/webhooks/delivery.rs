//! Receivers that fail, and come back.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;
use crate::harness::START;
use crate::harness::process::{ServerProcess, create_token};
use crate::harness::provider::{Conduct, json_response, response};

/// Waits until the only webhook has failed so often.
async fn fails(server: &TestServer, times: i64) {
    let failures = || {
        let sql = "SELECT failures FROM webhooks";
        server.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    eventually("it fails", || failures() >= times).await;
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_in_order() {
    let receiver = receiver().await;
    receiver.will(response("500 Internal Server Error", "", b"secret words"));
    let server = server_telling(&receiver).await;
    let admin = server.admin().await;
    admin.package("v1", &[], b"contents").await;
    admin.package("v2", &[], b"contents").await;
    fails(&server, 8).await;
    let failing = standing(&server).await;
    assert_eq!((&failing["queued"], &failing["failing_since"]), (&json!(2), &json!("2027-01-15T08:00:00Z")));
    assert_eq!(failing["host"], receiver.host());
    let sentence = failing["last_error"].as_str().unwrap();
    assert!(sentence.contains("HTTP 500") && !sentence.contains("secret words"), "{sentence}");
    let status = admin.get("/api/tender/v1/status").await.ok();
    assert_eq!(status["concerns"][0]["name"], "webhook_fails");
    let metrics = String::from_utf8(admin.get("/metrics").await.body).unwrap();
    let line = format!("tender_webhook_events_queued{{host=\"{}\",webhook=\"1\"}} 2\n", receiver.host());
    assert!(metrics.contains(&line), "{metrics}");

    receiver.will(json_response(&json!({})));
    let versions = || {
        let of = |question: &Question| event(question)["data"]["version"].as_str().unwrap().to_owned();
        receiver.questions().iter().map(of).collect::<Vec<_>>()
    };
    eventually("both have come", || versions().contains(&"v2".to_owned())).await;
    let all = versions();
    assert!(all[..all.len() - 1].iter().all(|version| version == "v1"), "{all:?}");
    let ids = |question: &Question| question.header("webhook-id")[0].to_owned();
    let ids: std::collections::BTreeSet<_> = receiver.questions().iter().map(ids).collect();
    assert_eq!(ids.len(), 2, "what is sent again has its identifier again");
    eventually("nothing waits", || server.rows("webhook_queue") == 0).await;
    let recovered = standing(&server).await;
    assert_eq!((&recovered["failures"], &recovered["last_error"]), (&json!(0), &json!(null)));
    assert_eq!(admin.get("/api/tender/v1/status").await.ok()["concerns"], json!([]));
}

#[tokio::test]
async fn a_receiver_that_is_not_there_gets_its_events_when_it_is() {
    let receiver = receiver().await;
    let (host, url) = (receiver.host(), receiver.url());
    drop(receiver);
    // The port is free once the task that listened there has gone.
    tokio::task::yield_now().await;
    let server = server_with(webhook(&url)).await;
    server.admin().await.package("v1", &[], b"contents").await;
    fails(&server, 2).await;
    let receiver = Receiver::answering_at(&host, &json!({})).await;
    come(&receiver, &["package.uploaded"]).await;
}

#[tokio::test]
async fn what_waits_survives_a_restart() {
    let receiver = receiver().await;
    receiver.will(response("503 Service Unavailable", "", b""));
    let mut server = server_telling(&receiver).await;
    server.admin().await.package("v1", &[], b"contents").await;
    fails(&server, 1).await;
    server.restart().await;
    server.admin().await.package("v2", &[], b"contents").await;
    let before = receiver.questions();
    receiver.will(json_response(&json!({})));
    eventually("both are taken", || server.rows("webhook_queue") == 0).await;
    let questions = receiver.questions();
    assert_eq!(questions.last().map(|question| event(question)["data"]["version"].clone()), Some(json!("v2")));
    let sent_again = questions.iter().filter(|question| question.body == before[0].body).collect::<Vec<_>>();
    assert_eq!(sent_again.last().unwrap().header("webhook-id"), before[0].header("webhook-id"));
}

#[tokio::test]
async fn what_waits_survives_sudden_death() {
    let receiver = receiver().await;
    receiver.will(response("503 Service Unavailable", "", b""));
    let (folder, url) = (tempfile::tempdir().unwrap(), receiver.url());
    let start = || {
        ServerProcess::start_with(folder.path(), |command| {
            command.env("TENDER_WEBHOOK", &url).env("TENDER_WEBHOOK_SECRET", SECRET)
        })
    };
    let server = start().await;
    server.operator(&create_token(folder.path())).package("v1", &[], b"contents").await;
    eventually("it is tried", || receiver.count() > 0).await;
    server.kill();
    receiver.will(json_response(&json!({})));
    let before = receiver.count();
    let _server = start().await;
    eventually("it comes", || receiver.count() > before).await;
    let questions = receiver.questions();
    let (first, last) = (&questions[0], questions.last().unwrap());
    assert_eq!((&first.body, first.header("webhook-id")), (&last.body, last.header("webhook-id")));
    assert_signed(last);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (receiver, elsewhere) = (receiver().await, receiver().await);
    let location = format!("Location: {}\r\n", elsewhere.url());
    receiver.will(response("307 Temporary Redirect", &location, b""));
    let server = server_telling(&receiver).await;
    server.admin().await.package("v1", &[], b"contents").await;
    fails(&server, 3).await;
    let sentence = standing(&server).await["last_error"].as_str().unwrap().to_owned();
    assert!(sentence.contains("307") && sentence.contains("redirects are not followed"), "{sentence}");
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_nobody_up() {
    let (hanging, quick) = (receiver().await, receiver().await);
    hanging.will(Conduct::Hang);
    let urls = [hanging.url(), quick.url()];
    let mut server =
        TestServer::start_with(|config| configure(config, urls.iter().map(|url| webhook(url)).collect())).await;
    let admin = server.admin().await;
    for version in ["v1", "v2", "v3"] {
        admin.package(version, &[], b"contents").await;
    }
    come(&quick, &["package.uploaded"; 3]).await;
    eventually("the other one waits", || hanging.waiting() == 1).await;
    let stopping = tokio::time::timeout(Duration::from_secs(5), server.stop());
    stopping.await.expect("a stop that does not wait for a receiver");
    assert_eq!(server.rows("webhook_queue"), 3, "what was not taken waits for the next start");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_and_asked_again() {
    let receiver = receiver().await;
    receiver.will(Conduct::Drip);
    let server = server_limited(&receiver, |limits| limits.patience = Duration::from_millis(50)).await;
    server.admin().await.package("v1", &[], b"contents").await;
    // An answer that never ends has said all that matters.
    eventually("it is taken", || server.rows("webhook_queue") == 0).await;
    receiver.will(Conduct::Hang);
    server.admin().await.package("v2", &[], b"contents").await;
    fails(&server, 2).await;
    assert!(standing(&server).await["last_error"].as_str().unwrap().starts_with("no answer within 50ms"));
}

#[tokio::test]
async fn what_is_not_taken_for_too_long_is_dropped() {
    let receiver = receiver().await;
    receiver.will(response("500 Internal Server Error", "", b""));
    let server = server_limited(&receiver, |limits| limits.give_up = Duration::from_secs(1)).await;
    server.admin().await.package("v1", &[], b"contents").await;
    fails(&server, 1).await;
    server.time.advance(Duration::from_secs(10));
    eventually("it is dropped", || server.rows("webhook_queue") == 0).await;
    assert_eq!((&standing(&server).await["queued"], &standing(&server).await["dropped"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn setting_the_clock_drops_nothing() {
    let receiver = receiver().await;
    receiver.will(response("500 Internal Server Error", "", b""));
    let url = receiver.url();
    let server =
        TestServer::start_at(SystemTime::UNIX_EPOCH, move |config| configure(config, vec![webhook(&url)])).await;
    server.admin().await.package("v1", &[], b"contents").await;
    fails(&server, 1).await;
    server.time.set_wall(SystemTime::UNIX_EPOCH + START);
    fails(&server, 10).await;
    receiver.will(json_response(&json!({})));
    eventually("nothing waits", || server.rows("webhook_queue") == 0).await;
    assert_eq!(standing(&server).await["dropped"], 0);
    assert_eq!(receiver.questions().last().unwrap().header("webhook-timestamp"), ["1800000000"]);
}
