//! The log: a line for each request, its forms, and what never stands in it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::harness::process::{ServerProcess, create_token, run, tender};

const MAC: &str = "00:11:22:33:44:55";

/// A server that logs in this form.
async fn server(folder: &tempfile::TempDir, form: &str) -> ServerProcess {
    ServerProcess::start_with(folder.path(), |command| command.args(["--log-format", form])).await
}

/// The lines of a log of JSON objects.
fn objects(log: &str) -> Vec<Value> {
    // The claim code is for whoever reads stderr, and no part of the log.
    let lines = log.lines().filter(|line| !line.starts_with("tender: "));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no object: {line}"))).collect()
}

/// The line about the request of this name, when it is there.
async fn line_of(server: &ServerProcess, request: &str) -> Value {
    let find = || objects(&server.log()).into_iter().find(|line| line["request"] == request);
    eventually("the request is logged", || find().is_some()).await;
    find().unwrap()
}

#[tokio::test]
async fn a_request_has_one_line_that_says_who_did_what_and_holds_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, "json").await;
    let token = create_token(folder.path());
    let admin = server.operator(&token);
    let request =
        admin.request(Method::POST, "/api/v1/groups?password=hunter2").json(&json!({ "secret": "in-the-body" }));
    let reply = admin.send(request).await;
    assert_eq!(reply.status, 200);
    let id = reply.header("x-request-id").to_owned();
    assert_eq!(id.len(), 16, "{id}");

    let line = line_of(&server, &id).await;
    assert_eq!(line["message"], "POST /api/v1/groups 200");
    assert_eq!(
        (&line["level"], &line["who"], &line["peer"]),
        (&json!("info"), &json!("token tests"), &json!("127.0.0.1"))
    );
    assert_eq!(line["bytes"], reply.body.len());
    assert!(line["milliseconds"].is_u64(), "{line}");
    assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    let log = server.log();
    for secret in ["hunter2", "in-the-body", &token, token.rsplit('.').next().unwrap()] {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
    assert_eq!(objects(&log).iter().filter(|line| line["request"] == *id).count(), 1);

    // Only names that can do no harm are taken over from clients.
    let named = |name: &'static str| admin.request(Method::GET, "/api/v1/groups").header("X-Request-Id", name);
    assert_eq!(admin.send(named("job-17.a")).await.header("x-request-id"), "job-17.a");
    assert_eq!(line_of(&server, "job-17.a").await["message"], "GET /api/v1/groups 200");
    for name in ["a b", "\"},{\"level\":\"error", &"x".repeat(65).leak()[..]] {
        assert_eq!(admin.send(named(name)).await.header("x-request-id").len(), 16);
    }
}

#[tokio::test]
async fn why_something_failed_is_logged_once_under_the_name_that_the_client_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, "json").await;
    let admin = server.operator(&create_token(folder.path()));
    let database = rusqlite::Connection::open(folder.path().join("data/tender.sqlite")).unwrap();
    database.execute_batch("ALTER TABLE groups RENAME TO stolen").unwrap();
    let reply = admin.get("/api/v1/groups").await;
    let sentence = reply.error(500);
    assert!(!sentence.contains("no such table"), "{sentence}");
    let line = line_of(&server, reply.header("x-request-id")).await;
    assert_eq!((&line["level"], &line["message"]), (&json!("error"), &json!("GET /api/v1/groups 500")));
    assert!(line["error"].as_str().unwrap().contains("no such table"), "{line}");
    assert_eq!(server.log().matches("no such table").count(), 1);
}

#[tokio::test]
async fn polling_is_counted_and_has_no_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(&folder, "text").await;
    let admin = server.operator(&create_token(folder.path()));
    let mut device = server.device(MAC);
    assert_eq!(device.authorize().await.status, 401);
    admin.accept(&device).await;
    device.authorize().await;
    for _ in 0..100 {
        let reply = device.check().await;
        assert_eq!((reply.status, reply.header("x-request-id")), (204, ""));
    }
    for _ in 0..20 {
        admin.get("/metrics").await;
        server.anonymous().get("/").await;
    }
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    let log = server.log();
    for path in ["update/check", "auth/device", "/metrics", "GET / "] {
        assert!(!log.contains(path), "{path}: {log}");
    }
    assert!(log.contains("routine requests of the last minute checks=100 authorizations=2 page=20 watch=20"), "{log}");
    assert!(log.contains(" POST /api/v1/auth/register 200 request="), "{log}");
}

#[tokio::test]
async fn for_debugging_polling_has_lines_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| command.args(["--log", "debug"])).await;
    let admin = server.operator(&create_token(folder.path()));
    let mut device = server.device(MAC);
    device.authorize().await;
    admin.accept(&device).await;
    device.authorize().await;
    device.check().await;
    let line = "DEBUG POST /api/v1/update/check 204 request=";
    eventually("the check is logged", || server.log().contains(line)).await;
    assert!(server.log().contains(&format!("who=\"device {MAC}\"")), "{}", server.log());
}

#[tokio::test]
async fn what_anybody_can_cause_fills_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&folder, "text").await;
    for number in 0..200 {
        server.anonymous().get(&format!("/scan/{number}")).await.error(404);
    }
    let admin = server.operator(&create_token(folder.path()));
    admin.get("/api/v1/groups").await.ok();
    eventually("the last request is logged", || server.log().contains("/api/v1/groups 200")).await;
    assert_eq!(server.log().matches("/scan/").count(), 10, "{}", server.log());
}

#[test]
fn the_journal_is_found_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = File::create(folder.path().join("journal")).unwrap();
    let stream = journal.metadata().unwrap();
    let mut command = tender(folder.path());
    // There can be no data folder of this name, and it says so after it has said something else.
    std::fs::write(folder.path().join("data"), "").unwrap();
    command.args(["serve", "--data-dir", "data", "--listen", "0.0.0.0:0"]);
    command.env("JOURNAL_STREAM", format!("{}:{}", stream.dev(), stream.ino())).stdout(Stdio::null());
    assert_eq!(command.stderr(journal).status().unwrap().code(), Some(1));
    let lines = std::fs::read_to_string(folder.path().join("journal")).unwrap();
    assert!(lines.starts_with("<4>this server speaks plain HTTP on the network: "), "{lines}");
    assert!(lines.contains("\ntender: "), "{lines}");
}

#[test]
fn forms_that_do_not_exist_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), ["serve", "--data-dir", "data", "--log-format", "xml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("none of auto, text, json and journal"));
}
