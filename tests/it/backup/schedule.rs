//! Backups that the server makes by itself: when they are due, how many are kept, and what is said when they fail.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::json;
use tender::config::{BackupConfig, Config};
use tender::domain::BackupPlan;

use super::{names, refused, succeed};
use crate::harness::{TestServer, assert_fields};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn daily(folder: PathBuf) -> impl FnOnce(&mut Config) {
    move |config: &mut Config| {
        let plan = BackupPlan { folder, every: DAY, keep: 2.try_into().unwrap(), hours: None, with_packages: true };
        config.backups = Some(BackupConfig { plan, passphrase: None });
    }
}

/// Waits until there are so many complete backups, and returns their names.
async fn backups(folder: &std::path::Path, count: usize) -> Vec<String> {
    let complete = || -> Vec<String> {
        let is_complete =
            |name: &String| name.starts_with("tender-") && (name.ends_with(".tar") || name.ends_with(".tar.age"));
        if folder.exists() { names(folder).into_iter().filter(is_complete).collect() } else { Vec::new() }
    };
    crate::harness::eventually("the backup is complete", || complete().len() == count).await;
    complete()
}

async fn last(server: &TestServer) -> serde_json::Value {
    server.admin().await.get("/api/tender/v1/status").await.ok()["backups"].clone()
}

#[tokio::test]
async fn one_is_made_in_each_period_and_the_latest_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    let foreign = ["tender-00000000-20200101T000000Z.tar", "tender-notes.tar", "family.jpg"];
    for name in foreign {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let mut server = TestServer::start_with(daily(folder.clone())).await;
    let first = backups(&folder, 3).await;
    while last(&server).await["last"] != "2027-01-15T08:00:00Z" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let standing = last(&server).await;
    assert_fields(&standing, &["last", "bytes", "damaged", "failing_since"]);
    assert!(standing["bytes"].as_u64().unwrap() > 10_000, "{standing}");
    let metrics = String::from_utf8(server.admin().await.get("/metrics").await.body).unwrap();
    assert!(metrics.contains("tender_last_backup_timestamp_seconds 1800000000\n"), "{metrics}");
    assert!(metrics.contains("tender_last_backup_size_bytes "), "{metrics}");

    // Not at each start.
    server.time.advance(DAY - Duration::from_secs(60));
    server.restart().await;
    assert_eq!(last(&server).await["last"], "2027-01-15T08:00:00Z");
    // After a long time away one, not many; and the oldest goes when there is a new one.
    for days in [5, 1] {
        server.stop().await;
        server.time.advance(DAY * days);
        server.run().await;
        backups(&folder, 4).await;
        while last(&server).await["last"] == "2027-01-15T08:00:00Z" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    crate::harness::eventually("the oldest is gone", || !folder.join(ours(&first)).exists()).await;
    let kept = names(&folder);
    for name in foreign {
        assert!(kept.iter().any(|kept| kept == name), "{name} is nobody's backup");
    }
    assert_eq!(kept.len(), foreign.len() + 2, "{kept:?}");
}

/// The backup of this server among those that were found.
fn ours(found: &[String]) -> String {
    let is_ours = |name: &&String| name.contains("-20270115T080000Z");
    found.iter().find(is_ours).expect("a backup of the first day").clone()
}

#[tokio::test]
async fn with_a_passphrase_they_are_encrypted() {
    let place = tempfile::tempdir().unwrap();
    let passphrase = place.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse\n").unwrap();
    let plan = daily(place.path().join("backups"));
    std::fs::create_dir(place.path().join("backups")).unwrap();
    let server = TestServer::start_with(|config| {
        plan(config);
        config.backups.as_mut().unwrap().passphrase = tender::config::backup_passphrase(Some(&passphrase)).unwrap();
    })
    .await;
    let [name] = &backups(&place.path().join("backups"), 1).await[..] else { unreachable!("one was waited for") };
    let file = place.path().join("backups").join(name);
    assert!(std::fs::read(&file).unwrap().starts_with(b"age-encryption.org/v1\n"));
    let verify = ["restore", "--verify", file.to_str().unwrap()];
    assert!(refused(place.path(), &verify).contains("passphrase"));
    succeed(place.path(), &[&verify[..], &["--passphrase-file", "passphrase"]].concat());
    drop(server);
}

#[tokio::test]
async fn a_clock_that_was_never_set_stops_no_backup() {
    let place = tempfile::tempdir().unwrap();
    let server = TestServer::start_at(SystemTime::UNIX_EPOCH, daily(place.path().to_owned())).await;
    assert_eq!(backups(place.path(), 1).await.len(), 1);
    drop(server);
}

#[tokio::test]
async fn failures_are_told_until_one_succeeds() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("not mounted/backups");
    let mut server = TestServer::start_with(daily(folder.clone())).await;
    while last(&server).await["failing_since"] != "2027-01-15T08:00:00Z" {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = server.admin().await.get("/api/tender/v1/status").await.ok();
    assert_eq!(status["concerns"][0]["name"], "backups_fail");
    assert_eq!(status["concerns"][0]["since"], "2027-01-15T08:00:00Z");
    std::fs::create_dir_all(&folder).unwrap();
    server.restart().await;
    backups(&folder, 1).await;
    while last(&server).await["last"].is_null() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = server.admin().await.get("/api/tender/v1/status").await.ok();
    assert_eq!(status["concerns"], json!([]));
}
