//! The first administrator, and `tender user`.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::json;

use crate::harness::process::{ServerProcess, assert_refused, run, tender};
use crate::harness::{Browser, PASSWORD, eventually};

/// Runs `tender user …` with a line on its standard input.
fn user_with(folder: &Path, arguments: &[&str], line: &str) -> Output {
    let mut command = tender(folder);
    command
        .arg("user")
        .args(arguments)
        .args(["--data-dir", "data"])
        .env("USER", "root-of-the-box")
        .env_remove("SUDO_USER");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(line.as_bytes());
    child.wait_with_output().unwrap()
}

fn user(folder: &Path, arguments: &[&str]) -> Output {
    user_with(folder, arguments, "")
}

fn assert_done(output: &Output) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), stdout.as_ref()), (Some(0), ""), "{stderr}");
    assert!(stderr.is_empty() || stderr.contains("a new installation"), "{stderr}");
}

fn add(folder: &Path, name: &str, role: &str) {
    assert_done(&user_with(folder, &["add", name, "--role", role, "--password-stdin"], &format!("{PASSWORD}\n")));
}

fn list(folder: &Path) -> String {
    String::from_utf8(user(folder, &["list"]).stdout).unwrap()
}

/// The URL that the server printed, if it did.
fn claim_url(server: &ServerProcess) -> Option<String> {
    server.log().lines().find_map(|line| {
        Some(line.strip_prefix("tender: ")?.trim()).filter(|text| text.contains("#claim=")).map(str::to_owned)
    })
}

#[tokio::test]
async fn an_unclaimed_server_prints_one_url_that_works_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    eventually("the URL is printed", || claim_url(&server).is_some()).await;
    let url = claim_url(&server).unwrap();
    let (base, code) = url.split_once("/#claim=").unwrap();
    assert_eq!(base, server.url);
    assert_eq!(code.len(), 43, "32 bytes");
    assert_eq!(server.log().matches(code).count(), 1);
    assert!(server.log().contains("30m"), "{}", server.log());
    Browser::new(&server.url).claim(code, "anna", PASSWORD).await.ok();
    let listed = list(folder.path());
    assert!(listed.contains("anna") && !listed.contains("never"), "claiming is a login: {listed}");
    drop(server);

    let server = ServerProcess::start(folder.path()).await;
    Browser::new(&server.url).claim(code, "bert", PASSWORD).await.error(410);
    assert_eq!(claim_url(&server), None);
}

#[tokio::test]
async fn the_url_is_one_that_others_reach() {
    let folder = tempfile::tempdir().unwrap();
    let serve = |listen: &'static str, public: Option<&'static str>| {
        let folder = folder.path().to_owned();
        async move {
            let mut command = tender(&folder);
            command.args(["serve", "--data-dir", "data", "--listen", listen]);
            command.args(public.map(|url| ["--public-url", url]).into_iter().flatten());
            let server = ServerProcess::launch(command).await;
            eventually("the URL is printed", || claim_url(&server).is_some()).await;
            claim_url(&server).unwrap()
        }
    };
    let url = serve("0.0.0.0:0", None).await;
    assert!(url.starts_with("http://") && !url.contains("//0.0.0.0"), "{url}");
    let url = serve("127.0.0.1:0", Some("https://updates.example/tender/")).await;
    assert!(url.starts_with("https://updates.example/tender/#claim="), "{url}");
}

#[tokio::test]
async fn users_are_managed_beside_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    add(folder.path(), "Anna", "admin");
    add(folder.path(), "bert", "viewer");
    let listed = list(folder.path());
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(
        line("anna").contains("admin") && line("anna").contains("active") && line("anna").contains("never"),
        "{listed}"
    );
    assert!(!listed.contains("argon2"), "{listed}");

    let mut anna = Browser::new(&server.url);
    anna.log_in("anna", PASSWORD).await.ok();
    assert!(list(folder.path()).lines().all(|line| !line.starts_with("anna") || !line.contains("never")));
    let mut bert = Browser::new(&server.url);
    bert.log_in("bert", PASSWORD).await.ok();
    bert.post("/api/v1/groups", json!({})).await.error(403);

    assert_done(&user(folder.path(), &["set-role", "bert", "--role", "admin"]));
    bert.post("/api/v1/groups", json!({})).await.ok();
    assert_done(&user(folder.path(), &["disable", "bert"]));
    bert.get("/api/v1/groups").await.error(401);
    assert_done(&user(folder.path(), &["enable", "BERT"]));
    bert.log_in("bert", PASSWORD).await.ok();
    let line = "another good one\r\nmore\n";
    assert_done(&user_with(folder.path(), &["set-password", "bert", "--password-stdin"], line));
    bert.get("/api/v1/groups").await.error(401);
    bert.log_in("bert", "another good one").await.ok();
    assert_done(&user(folder.path(), &["remove", "bert"]));
    bert.get("/api/v1/groups").await.error(401);
    bert.log_in("bert", "another good one").await.error(401);

    let audit = anna.get("/api/tender/v1/audit?actor=root-of-the-box").await.ok();
    let actions: Vec<_> =
        audit["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect();
    let expected = ["user.remove", "user.password", "user.enable", "user.disable", "user.role", "user.add", "user.add"];
    assert_eq!(actions, expected);
    assert_eq!(audit["entries"][0]["target"], "user/bert");
    assert_eq!(audit["entries"][0]["actor"]["kind"], "command-line");
}

#[test]
fn the_last_admin_stays() {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), "anna", "admin");
    add(folder.path(), "bert", "admin");
    add(folder.path(), "viewer", "viewer");
    assert_done(&user(folder.path(), &["disable", "bert"]));
    for arguments in [&["remove", "anna"][..], &["disable", "anna"], &["set-role", "anna", "--role", "viewer"]] {
        let line = assert_refused(&user(folder.path(), arguments), 1);
        assert!(line.contains("last admin"), "{line}");
    }
    // One who is barred is no loss.
    assert_done(&user(folder.path(), &["remove", "bert"]));
    assert_done(&user(folder.path(), &["remove", "viewer"]));
    assert!(list(folder.path()).contains("anna"));
    add(folder.path(), "carla", "admin");
    assert_done(&user(folder.path(), &["remove", "anna"]));
}

#[test]
fn what_cannot_be_done_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    add(folder.path(), "anna", "admin");
    let taken =
        user_with(folder.path(), &["add", "ANNA", "--role", "viewer", "--password-stdin"], "long enough it is\n");
    assert!(assert_refused(&taken, 1).contains("anna"));
    for password in ["", "\n", "tinyone\n", "password123\n", "carla\n", &"x".repeat(5000)] {
        let arguments = ["add", "carla", "--role", "viewer", "--password-stdin"];
        let line = assert_refused(&user_with(folder.path(), &arguments, password), 1);
        assert!(password.len() < 6 || !line.contains(password.trim()), "{line}");
    }
    for arguments in [&["remove", "nobody"][..], &["disable", "nobody"], &["enable", "nobody"]] {
        assert!(assert_refused(&user(folder.path(), arguments), 1).contains("nobody"));
    }
    // Without a terminal there is nobody to ask.
    let line = assert_refused(&user(folder.path(), &["add", "carla", "--role", "viewer"]), 1);
    assert!(line.contains("--password-stdin"), "{line}");
    for arguments in [
        &["user", "add", "carla"][..],
        &["user", "add", "a b", "--role", "admin"],
        &["user", "add", "carla", "--role", "root"],
        &["user", "add", "carla", "--role", "admin", "--password", "on the command line"],
        &["user", "set-password"],
    ] {
        assert_refused(&run(folder.path(), arguments), 2);
    }
}
