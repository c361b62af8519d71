//! `tender check` finds each kind of damage, changes nothing, and tells by its exit code.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::time::SystemTime;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::Stored;
use crate::harness::TestServer;
use crate::harness::process::{assert_refused, files_below, run};

const UUID: &str = "6f7483ac-5cde-467f-acf7-39e4b397e313";

fn check(data: &Path, more: &[&str]) -> Output {
    let folder = data.parent().unwrap();
    run(folder, [&["check", "--data-dir", data.to_str().unwrap()], more].concat())
}

/// What `--json` says, after a look at its exit code and at the lines for people.
fn report(data: &Path, more: &[&str]) -> Value {
    let output = check(data, &[more, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(output.stderr, b"");
    let code = if report["ok"] == true { 0 } else { 1 };
    assert_eq!(output.status.code(), Some(code), "{report}");
    let lines = check(data, more);
    assert_eq!(lines.status.code(), Some(code));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(String::from_utf8(lines.stdout).unwrap().lines().count(), findings.len());
    report
}

/// Kind, package and path of each finding.
fn findings(report: &Value) -> Vec<Value> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| json!([finding["kind"], finding["package"], finding["path"]])).collect()
}

/// All files, their bytes, and when they were changed.
fn state_of(data: &Path) -> Vec<(std::path::PathBuf, Vec<u8>, SystemTime)> {
    let mut files = files_below(data);
    files.sort();
    // What SQLite shares between processes while they work is no part of the data.
    files.retain(|path| !path.to_str().unwrap().ends_with("-shm"));
    let read = |path: std::path::PathBuf| {
        let modified = path.metadata().unwrap().modified().unwrap();
        (path.clone(), fs::read(path).unwrap(), modified)
    };
    files.into_iter().map(read).collect()
}

#[tokio::test]
async fn what_is_whole_is_found_whole_while_the_server_runs_and_after() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(report(&server.data(), &["--deep"]), json!({ "ok": true, "packages": 0, "bytes": 0, "findings": [] }));
    // More than one page of rows.
    for _ in 0..101 {
        admin.package("v1", &[("rdfm.storage.directory", "site/a")], b"four").await;
    }
    admin.package("v1", &[], b"twelve bytes").await;
    let expected = json!({ "ok": true, "packages": 102, "bytes": 416, "findings": [] });
    for is_running in [true, false] {
        if !is_running {
            server.stop().await;
        }
        let before = state_of(&server.data());
        for depth in [&[][..], &["--deep"]] {
            assert_eq!(report(&server.data(), depth), expected);
        }
        assert_eq!(state_of(&server.data()), before, "a check changes nothing");
    }
}

#[tokio::test]
async fn each_kind_of_damage_is_found() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut packages = Vec::new();
    for contents in [b"shorter", b"flipped", b"deleted", b"longer.", b"whole.."] {
        packages.push(Stored::upload(&server, &admin, "v1", contents).await);
    }
    let [shorter, flipped, deleted, longer, _] = &packages[..] else { panic!("five packages") };
    shorter.truncate();
    flipped.flip_a_byte();
    deleted.delete();
    fs::write(&longer.path, "longer...").unwrap();

    let expect = |kind: &str, package: &Stored| json!([kind, package.id, package.path]);
    let (shorter, flipped) = (expect("length", shorter), expect("hash", flipped));
    let (deleted, longer) = (expect("missing", deleted), expect("length", longer));
    let shallow = report(&server.data(), &[]);
    assert_eq!(findings(&shallow), [shorter.clone(), deleted.clone(), longer.clone()]);
    assert_eq!((&shallow["packages"], &shallow["bytes"]), (&json!(5), &json!(35)));
    assert_eq!(shallow["findings"][0]["detail"], "the file has 6 bytes instead of 7");
    let deep = report(&server.data(), &["--deep"]);
    assert_eq!(findings(&deep), [shorter, flipped, deleted, longer]);
    let lines = String::from_utf8(check(&server.data(), &["--deep"]).stdout).unwrap();
    let flipped = format!("hash: package 2: {}: the file has the SHA-256 ", packages[1].path.display());
    assert!(lines.lines().nth(1).unwrap().starts_with(&flipped), "{lines}");
}

#[tokio::test]
async fn files_without_rows_are_told_and_no_fault() {
    let server = TestServer::start().await;
    let package = Stored::upload(&server, &server.admin().await, "v1", b"whole").await;
    let folder = server.data().join("packages");
    // Where no package's file belongs, its name alone makes it nobody's.
    fs::create_dir(folder.join("site")).unwrap();
    let strays = [folder.join(UUID), folder.join("a note\nof two lines"), folder.join("site").join(&package.uuid)];
    for stray in &strays {
        fs::write(stray, "stray").unwrap();
    }
    fs::write(folder.join(".uploads").join(UUID), "unfinished").unwrap();
    let report = report(&server.data(), &["--deep"]);
    assert_eq!(report["ok"], true);
    let mut found = findings(&report);
    assert_eq!(found.pop().unwrap(), json!(["unfinished", null, folder.join(".uploads").join(UUID)]));
    assert_eq!(found.len(), strays.len());
    for stray in &strays {
        assert!(found.contains(&json!(["unowned", null, stray])), "{found:?}");
    }
}

#[tokio::test]
async fn a_damaged_database_is_found() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    for number in 0..200 {
        admin.post("/api/v1/groups", json!({ "number": number, "text": "x".repeat(100) })).await.ok();
    }
    let package = Stored::upload(&server, &admin, "v1", b"whole").await;
    let group = admin.group(&[], &[package.id], "no_update,").await;
    server.stop().await;
    let database = server.data().join("tender.sqlite");
    let kinds = |report: Value| {
        let findings = findings(&report);
        assert!(!findings.is_empty() && findings.iter().all(|finding| finding[0] == "database"), "{report}");
        assert_eq!(findings[0], json!(["database", null, database]));
        report["findings"][0]["detail"].as_str().unwrap().to_owned()
    };

    let connection = server.database();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute("DELETE FROM groups WHERE id = ?1", [group]).unwrap();
    drop(connection);
    let detail = kinds(report(&server.data(), &[]));
    assert!(detail.contains("group_packages") && detail.contains("groups"), "{detail}");

    let mut bytes = fs::read(&database).unwrap();
    let text = bytes.windows(100).rposition(|window| window == [b'x'; 100]).unwrap();
    let page = text / 4096 * 4096;
    bytes[page..page + 200].fill(0xff);
    fs::write(&database, &bytes).unwrap();
    kinds(report(&server.data(), &[]));

    fs::write(&database, "no database, but long enough to be read as the header of one, which it is not").unwrap();
    kinds(report(&server.data(), &[]));
}

#[test]
fn a_database_of_an_earlier_version_is_checked_and_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let connection = Connection::open(data.join("tender.sqlite")).unwrap();
    connection.execute_batch(include_str!("../../../src/store/migrations/1.sql")).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    let package = "INSERT INTO packages VALUES (1, 0, zeroblob(32), 1, ?1, NULL, ?2)";
    let metadata = json!({ "rdfm.software.version": "v1", "rdfm.hardware.devtype": "dummy" });
    connection.execute(package, (UUID, metadata.to_string())).unwrap();
    let path = data.join("packages").join(UUID);
    assert_eq!(findings(&report(&data, &["--deep"])), [json!(["missing", 1, path])]);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!((version, files_below(folder.path()).len()), (1, 1), "nothing was made or migrated");

    connection.pragma_update(None, "user_version", 99).unwrap();
    let line = assert_refused(&check(&data, &["--json"]), 1);
    assert!(line.contains("newer tender"), "{line}");
}

#[test]
fn there_must_be_something_to_check() {
    let folder = tempfile::tempdir().unwrap();
    let line = assert_refused(&check(&folder.path().join("data"), &["--json"]), 1);
    assert!(line.contains("--data-dir"), "{line}");
    assert_eq!(files_below(folder.path()).len(), 0);
}
