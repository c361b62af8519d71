//! The commands around HTTPS, beside a server that runs.

use std::fs;

use tempfile::TempDir;

use super::tool;
use crate::harness::process::{ServerProcess, assert_refused, create_token, run, tender};
use crate::harness::raw::eventually;

const AUTO: [&str; 2] = ["--tls", "auto"];

async fn started() -> (TempDir, ServerProcess) {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| command.args(AUTO)).await;
    (folder, server)
}

fn ca(folder: &TempDir, arguments: &[&str]) -> String {
    let output = run(folder.path(), [&["ca"], arguments, &["--data-dir", "data"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_authority_is_shown_exported_and_rotated_while_the_server_runs() {
    let (folder, server) = started().await;
    let first = ca(&folder, &["export"]);
    assert_eq!(first.matches("BEGIN CERTIFICATE").count(), 1);
    fs::write(folder.path().join("first.pem"), &first).unwrap();
    let shown = ca(&folder, &["show"]);
    for part in ["tender authority of ", "valid until 203", "SHA-256 ", "server ", "localhost", "127.0.0.1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    if let Some((_, text)) =
        tool(folder.path(), "openssl", &["x509", "-in", "first.pem", "-noout", "-fingerprint", "-sha256", "-subject"])
    {
        let fingerprint = text.lines().find_map(|line| line.split_once("Fingerprint=")).unwrap().1;
        assert!(shown.contains(fingerprint) && text.contains("tender authority of "), "{text}{shown}");
    }

    ca(&folder, &["rotate", "--overlap", "30days"]);
    let both = ca(&folder, &["export"]);
    let second = both.strip_suffix(&first).expect("the new one, and then the old one");
    ca(&folder, &["export", "--output", "exported.pem"]);
    assert_eq!(fs::read_to_string(folder.path().join("exported.pem")).unwrap(), both);
    fs::write(folder.path().join("second.pem"), second).unwrap();
    assert!(ca(&folder, &["show"]).contains("trusted until "));
    // The server takes it up by itself.
    eventually("the server serves another certificate", || server.log().contains("certificate is another one")).await;
    let token = create_token(folder.path());
    for authority in ["first.pem", "second.pem"] {
        let arguments = ["why", "00:11:22:33:44:55", "--server", &server.url, "--ca", authority];
        let output = tender(folder.path()).args(arguments).env("TENDER_TOKEN", &token).output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(stdout.contains("known"), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    }
    // It is in the audit log, and nothing secret is in what was printed.
    let audited = rusqlite::Connection::open(folder.path().join("data/tender.sqlite")).unwrap().query_row(
        "SELECT count(*) FROM audit_log WHERE action = 'authority.rotate'",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(audited.unwrap(), 1);
    assert!(!both.contains("PRIVATE KEY") && !shown.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn clients_of_ours_believe_nobody_whom_they_were_not_told_to() {
    let (folder, server) = started().await;
    ca(&folder, &["export", "--output", "ca.pem"]);
    let simulate = ["simulate", "--server", &server.url, "--devices", "1", "--key-bits", "1024", "--once"];
    let with_ca = [&simulate[..], &["--interval", "10ms", "--authorize-interval", "10ms", "--ca", "ca.pem"]].concat();
    let mut child = tender(folder.path()).args(with_ca).stdout(std::process::Stdio::null()).spawn().unwrap();
    let token = create_token(folder.path());
    let waits = || {
        let database = rusqlite::Connection::open(folder.path().join("data/tender.sqlite")).unwrap();
        database.query_row("SELECT count(*) FROM registrations", [], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    eventually("the device asks to be let in", waits).await;
    child.kill().unwrap();
    child.wait().unwrap();
    // Another authority's file, and none at all.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("none.pem"), "").unwrap();
    let ask = |ca: &str| {
        let arguments = ["why", "00:11:22:33:44:55", "--server", &server.url, "--ca", ca];
        tender(other.path()).args(arguments).env("TENDER_TOKEN", &token).output().unwrap()
    };
    assert_refused(&ask("none.pem"), 1);
    let (_stranger, _running) = {
        let (stranger, running) = started().await;
        fs::write(other.path().join("stranger.pem"), ca(&stranger, &["export"])).unwrap();
        (stranger, running)
    };
    let line = assert_refused(&ask("stranger.pem"), 1);
    assert!(line.contains("cannot ask"), "{line}");
}

#[test]
fn without_an_authority_there_is_nothing_to_show() {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(&run(folder.path(), ["ca", "show", "--data-dir", "data"]), 1);
    create_token(folder.path());
    for command in ["show", "export", "rotate"] {
        let line = assert_refused(&run(folder.path(), ["ca", command, "--data-dir", "data"]), 1);
        assert!(line.contains("--tls auto"), "{line}");
    }
    assert_refused(&run(folder.path(), ["serve", "--data-dir", "data", "--plain-listen", "127.0.0.1:0"]), 2);
}

#[tokio::test]
async fn plain_http_on_the_network_is_warned_of_once_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let warns = async |arguments: &'static [&'static str]| {
        let mut command = tender(folder.path());
        command.args(["serve", "--data-dir", "data"]).args(arguments);
        let mut server = ServerProcess::launch(command).await;
        let count = server.log().lines().filter(|line| line.contains("plain HTTP on the network")).count();
        server.signal("TERM");
        server.ended().await;
        count
    };
    assert_eq!(warns(&["--listen", "0.0.0.0:0"]).await, 1);
    assert_eq!(warns(&["--listen", "127.0.0.1:0"]).await, 0);
    assert_eq!(warns(&["--listen", "0.0.0.0:0", "--trusted-proxies", "127.0.0.1"]).await, 0);
    assert_eq!(warns(&["--listen", "0.0.0.0:0", "--tls", "auto"]).await, 0);
}
