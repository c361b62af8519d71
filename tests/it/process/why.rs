//! `tender why`: from the data folder, and from the server that runs.

use std::process::Output;

use serde_json::Value;

use crate::harness::process::{ServerProcess, assert_refused, create_token, run, tender};

const MAC: &str = "00:11:22:33:44:55";

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn an_explanation_is_read_from_the_data_folder_or_asked_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let token = create_token(folder.path());
    let admin = server.operator(&token);
    let mut device = server.device(MAC);
    device.authorize().await;
    admin.accept(&device).await;
    device.authorize().await;
    let package = admin.package("v2", &[("requires:rdfm.software.version", "v1")], b"second").await;
    admin.group(&[admin.device_id(&device).await], &[package], "exact_match,v2").await;
    device.check().await;

    let read = |more: &[&str]| run(folder.path(), [&["why", "001122334455", "--data-dir", "data"], more].concat());
    let output = read(&[]);
    let lines = stdout(&output);
    let expected = [
        "ok    known     It is device 1, with the address 00:11:22:33:44:55.",
        "ok    accepted  A person has accepted it.",
        "ok    group     The device is in group 1.",
        "ok    policy    The policy of group 1 names version v2, and the device reports v0.",
        "ok    packages  Group 1 has 1 package, of which the device could install 0 now.",
        "                - Package 1 (v2) is for devices that report version = v1; this one reports v0.",
        "stop  path      No sequence of the group's packages leads this device from v0 to v2.",
    ];
    let told: Vec<_> = lines.lines().filter(|line| !line.starts_with("ok    reported")).collect();
    assert_eq!(told, expected);
    // What it cannot know, it says.
    assert!(String::from_utf8(output.stderr).unwrap().contains("only a running server knows"));

    let ask = |token: Option<&str>| {
        let mut command = tender(folder.path());
        command.args(["why", MAC, "--json", "--server", &server.url]);
        if let Some(token) = token {
            command.env("TENDER_TOKEN", token);
        }
        command.output().unwrap()
    };
    let asked = ask(Some(&token));
    assert_eq!(asked.stderr, b"");
    let asked: Value = serde_json::from_str(&stdout(&asked)).unwrap();
    assert_eq!(asked, admin.get(&format!("/api/tender/v1/decision?mac={MAC}")).await.ok());
    let read: Value = serde_json::from_str(&stdout(&read(&["--json"]))).unwrap();
    assert_eq!((&read["sentence"], &read["offer"]), (&asked["sentence"], &asked["offer"]));

    // What the device reports now, the server knows at once.
    device.report("rdfm.software.version", "v1");
    device.check().await.ok();
    let asked: Value = serde_json::from_str(&stdout(&ask(Some(&token)))).unwrap();
    assert_eq!(asked["offer"]["package"], package);
    assert!(assert_refused(&ask(None), 1).contains("401"));
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(assert_refused(&run(folder.path(), ["why", MAC, "--data-dir", "data"]), 1).contains("data"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made by asking");
    assert_refused(&run(folder.path(), ["why"]), 2);
    assert_refused(&run(folder.path(), ["why", " "]), 2);
    assert_refused(&run(folder.path(), ["why", MAC, "--server", "somewhere"]), 2);
    assert_refused(&run(folder.path(), ["why", MAC, "--server", "http://127.0.0.1:1"]), 1);
}
