//! `tender client`: what it prints, beside a running server and without one.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;

use crate::harness::assert_fields;
use crate::harness::client::{Client, GRANT, TOKEN};
use crate::harness::process::{ServerProcess, assert_refused, run, tender};

fn arguments<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["client"], words, &["--data-dir", "data"]].concat()
}

/// Runs a command that prints a client's configuration: one line that is all of it.
fn configuration(folder: &Path, words: &[&str]) -> Value {
    let output = run(folder, arguments(words));
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let configuration: Value = serde_json::from_str(&stdout).unwrap();
    assert_fields(&configuration, &["client_id", "client_secret"]);
    assert!(!stderr.contains(configuration["client_secret"].as_str().unwrap()), "{stderr}");
    configuration
}

fn client(url: &str, configuration: &Value) -> Client {
    let text = |name: &str| configuration[name].as_str().unwrap();
    Client::new(url, text("client_id"), text("client_secret"))
}

fn listed(folder: &Path) -> String {
    String::from_utf8(run(folder, arguments(&["list"])).stdout).unwrap()
}

#[tokio::test]
async fn a_client_is_created_renewed_and_removed_beside_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Created before there is a server, it is known to the one that comes.
    let created = configuration(folder, &["create", "ci", "--scope", "rdfm_admin_ro", "--scope", "rdfm_create_group"]);
    let server = ServerProcess::start(folder).await;
    let old = client(&server.url, &created);
    let operator = old.operator().await;
    operator.get("/api/v1/groups").await.ok();
    configuration(folder, &["create", "Plant 2: introspection"]);

    let renewed = client(&server.url, &configuration(folder, &["rotate-secret", "ci"]));
    assert_eq!(renewed.id, old.id);
    operator.get("/api/v1/groups").await.error(401);
    old.by_header(TOKEN, &[GRANT]).await.oauth_error(401, "invalid_client");
    let operator = renewed.operator().await;
    operator.get("/api/v1/groups").await.ok();

    let list = listed(folder);
    let line = |end: &str| list.lines().find(|line| line.ends_with(end)).unwrap_or_else(|| panic!("{list}"));
    assert!(line("  ci").starts_with(&old.id) && line("  ci").contains("rdfm_admin_ro rdfm_create_group"), "{list}");
    assert!(line("  Plant 2: introspection").contains(" none "), "{list}");
    assert_eq!(list.lines().count(), 3, "{list}");

    let output = run(folder, arguments(&["remove", &old.id]));
    assert_eq!((output.status.code(), output.stdout), (Some(0), Vec::new()));
    operator.get("/api/v1/groups").await.error(401);
    assert_eq!(listed(folder).lines().count(), 2);
}

#[test]
fn what_cannot_be_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for words in [&["list"][..], &["remove", "ci"], &["rotate-secret", "ci"]] {
        let line = assert_refused(&run(folder, arguments(words)), 1);
        assert!(line.contains("--data-dir"), "{line}");
    }
    configuration(folder, &["create", "ci"]);
    let line = assert_refused(&run(folder, arguments(&["create", "ci", "--scope", "rdfm_admin_ro"])), 1);
    assert!(line.contains("\"ci\" already"), "{line}");
    for command in ["remove", "rotate-secret"] {
        let line = assert_refused(&run(folder, arguments(&[command, "nobody"])), 1);
        assert!(line.contains("\"nobody\"") && line.contains("tender client list"), "{line}");
    }
    let (long, identifier) = ("x".repeat(65), "6f7483ac-5cde-467f-acf7-39e4b397e313");
    for name in ["", " ", " ci", "a\nb", "a\u{1b}[2J", &long, identifier] {
        assert_refused(&run(folder, arguments(&["create", name])), 1);
    }
    for words in [&["create"][..], &["create", "x", "--scope", "everything"], &["remove"], &["unknown"]] {
        assert_refused(&run(folder, arguments(words)), 2);
    }
    assert_eq!(listed(folder).lines().count(), 2);
}

#[test]
fn who_works_at_the_command_line_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let as_account = |words: &[&str], accounts: &[(&str, &str)]| {
        let mut command = tender(folder);
        command.env_remove("SUDO_USER").env_remove("USER").env_remove("LOGNAME");
        let output = command.args(arguments(words)).envs(accounts.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    as_account(&["create", "ci", "--scope", "rdfm_admin_ro"], &[("SUDO_USER", "anna"), ("USER", "root")]);
    as_account(&["rotate-secret", "ci"], &[("SUDO_USER", ""), ("USER", "bert\n"), ("LOGNAME", "x")]);
    as_account(&["create", "other"], &[("LOGNAME", "carla")]);
    as_account(&["remove", "ci"], &[]);

    let database = Connection::open(folder.join("data/tender.sqlite")).unwrap();
    let sql =
        "SELECT concat_ws('|', actor_kind, actor, address, action, target, outcome, detail) FROM audit_log ORDER BY id";
    let mut statement = database.prepare(sql).unwrap();
    let noted: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        noted,
        [
            "command-line|anna|client.create|client/ci|done|rdfm_admin_ro",
            "command-line|bert|client.secret|client/ci|done|",
            "command-line|carla|client.create|client/other|done|",
            "command-line|unknown|client.remove|client/ci|done|",
        ]
    );
}
