//! `tender webhook`.

use std::fs;
use std::process::Output;

use serde_json::json;

use super::*;
use crate::harness::process::{assert_refused, run};
use crate::harness::provider::response;

fn write_configuration(folder: &std::path::Path, urls: &[&str]) {
    fs::write(folder.join("secret"), SECRET).unwrap();
    let entries = urls.iter().map(|url| format!("[[webhooks]]\nurl = \"{url}?key=hidden\"\nevents = [\"group\"]\n"));
    let text = format!("webhook_secret_file = \"secret\"\n{}", entries.collect::<String>());
    fs::write(folder.join("tender.toml"), text).unwrap();
}

/// Runs a command while the receivers of this test go on.
async fn command(folder: &std::path::Path, arguments: &'static [&'static str]) -> Output {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || run(&folder, arguments)).await.unwrap()
}

#[tokio::test]
async fn a_test_tells_what_came_of_it() {
    let (good, bad) = (receiver().await, receiver().await);
    bad.will(response("401 Unauthorized", "", b""));
    let folder = tempfile::tempdir().unwrap();
    const TEST: &[&str] = &["webhook", "test", "--config", "tender.toml"];

    write_configuration(folder.path(), &[&good.url()]);
    let output = command(folder.path(), TEST).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert!(stdout.starts_with(&format!("{}: HTTP 200 in ", good.host())), "{stdout}");
    let question = &good.questions()[0];
    assert_signed(question);
    assert!(question.head.starts_with("POST /realms/plant/introspect?key=hidden HTTP/1.1"), "{}", question.head);
    assert_eq!((&event(question)["type"], &event(question)["data"]), (&json!("webhook.test"), &json!({})));

    write_configuration(folder.path(), &[&bad.url(), &good.url()]);
    let output = command(folder.path(), TEST).await;
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    let lines: Vec<_> = stdout.lines().collect();
    assert!(lines[0].contains("HTTP 401") && lines[1].contains("HTTP 200"), "{stdout}");
    assert!(!stdout.contains("hidden") && !stdout.contains(SECRET), "{stdout}");
}

#[test]
fn what_cannot_be_tried_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(assert_refused(&run(folder.path(), ["webhook", "test"]), 1).contains("no webhook is configured"));
    let output = run(folder.path(), ["webhook", "test", "--webhook", "http://127.0.0.1:1/"]);
    assert!(assert_refused(&output, 2).contains("needs a secret"));
    assert_refused(&run(folder.path(), ["webhook", "list"]), 1);
}

#[tokio::test]
async fn webhooks_are_listed_without_their_secrets() {
    let receiver = receiver().await;
    receiver.will(response("500 Internal Server Error", "", b""));
    let url = format!("{}?key=hidden", receiver.url());
    let mut server = server_with(webhook(&url)).await;
    server.admin().await.package("v1", &[], b"contents").await;
    eventually("it is tried", || receiver.count() > 1).await;
    server.stop().await;
    let data = server.data().display().to_string();
    let output = run(&server.data(), ["webhook", "list", "--data-dir", &data]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains(&receiver.host()) && stdout.contains("HTTP 500"), "{stdout}");
    assert!(!stdout.contains("hidden"), "{stdout}");
}
