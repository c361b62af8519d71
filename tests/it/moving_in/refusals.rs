//! What is not taken over, and why; then nothing is.

use std::fs;

use rusqlite::Connection;
use serde_json::Value;

use super::{Reference, Shape, UUIDS, findings};
use crate::harness::Device;
use crate::harness::process::{ServerProcess, package_files_below};

/// Refused with this among its last words, and nothing is there.
fn assert_refused(reference: &Reference, more: &[&str], words: &str) {
    let output = reference.import(more);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    assert_nothing_is_there(reference);
}

fn assert_nothing_is_there(reference: &Reference) {
    let database = reference.path().join("data/tender.sqlite");
    if database.exists() {
        let database = Connection::open(database).unwrap();
        for table in ["devices", "groups", "packages", "registrations"] {
            let rows: i64 = database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 0, "{table}");
        }
    }
    assert!(package_files_below(&reference.path().join("data/packages")).is_empty());
}

#[test]
fn damaged_packages_are_refused_unless_they_may_be_skipped() {
    let reference = Reference::new(Shape::Earlier);
    for (id, uuid) in (1..).zip(UUIDS) {
        reference.package(id, uuid, None, "v1", uuid.as_bytes());
    }
    reference.group(1, "{}", "exact_match,v1");
    (1..=3).for_each(|package| reference.assign(1, package));
    // Only the bytes tell.
    fs::write(reference.files().join(UUIDS[1]), UUIDS[0]).unwrap();
    assert_refused(&reference, &[], "--skip-damaged");
    fs::remove_file(reference.files().join(UUIDS[2])).unwrap();
    assert_refused(&reference, &[], "--skip-damaged");

    let dry = reference.report(&["--dry-run", "--skip-damaged"]);
    assert!(!reference.path().join("data/packages").join(UUIDS[0]).exists());
    let report = reference.report(&["--skip-damaged"]);
    assert_eq!(findings(&report), ["damage: package 3", "damage: package 2", "change: group 1", "change: group 1"]);
    assert_eq!(dry["findings"], report["findings"]);
    assert_eq!((&report["packages"], &report["bytes"]), (&1.into(), &36.into()));
    assert_eq!(package_files_below(&reference.path().join("data/packages")).len(), 1);
}

#[test]
fn a_dry_run_makes_nothing() {
    let reference = Reference::new(Shape::Earlier);
    reference.package(1, UUIDS[0], None, "v1", b"image");
    assert_eq!(reference.report(&["--dry-run"])["dry_run"], true);
    assert!(!reference.path().join("data").exists());
}

#[test]
fn two_spellings_of_one_address_are_refused_with_both_named() {
    let reference = Reference::new(Shape::Earlier);
    for (id, spelling) in [(1, "00:1a:2b:3c:4d:5e"), (2, "001A2B3C4D5E")] {
        reference.device_row(id, spelling, None, None);
    }
    let output = reference.import(&["--json", "--skip-damaged"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sentence = &report["findings"][0]["sentence"];
    assert_eq!(report["findings"][0]["severity"], "obstacle");
    assert!(sentence.as_str().unwrap().contains("(001A2B3C4D5E) and device 1 (00:1a:2b:3c:4d:5e)"), "{sentence}");
    assert_nothing_is_there(&reference);
}

#[tokio::test]
async fn an_installation_that_is_used_is_left_alone() {
    let reference = Reference::new(Shape::Earlier);
    reference.group(1, "{}", "no_update,");
    let server = ServerProcess::start(reference.path()).await;
    let output = reference.import(&[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("another tender is running"));
    drop(server);
    reference.report(&[]);
    for more in [&[][..], &["--dry-run"]] {
        let output = reference.import(more);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("not empty, it has 1 groups"), "{stderr}");
    }
}

#[test]
fn what_is_no_reference_database_is_refused() {
    let reference = Reference::new(Shape::Earlier);
    reference.device(1, &Device::new("", "loopback"), None);
    reference.database.execute_batch("ALTER TABLE devices RENAME COLUMN public_key TO colour").unwrap();
    assert_refused(&reference, &[], "no column for the public key");
    reference.database.execute_batch("DROP TABLE devices").unwrap();
    assert_refused(&reference, &[], "no table devices");
    fs::write(reference.path().join("reference.db"), "text ".repeat(1000)).unwrap();
    assert_refused(&reference, &[], "not a database");
    fs::remove_file(reference.path().join("reference.db")).unwrap();
    assert_refused(&reference, &[], "reference.db");
}
