//! Packages are read again: what has gone bad is found and not offered any more, gently and without needless writes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use jiff::tz::TimeZoneDatabase;
use serde_json::{Value, json};
use tender::config::Config;
use tender::domain::{ByteSize, Hours, PackageId, ScrubPlan, Timestamp};
use tender::store::{StoreError, integrity};

use super::Stored;
use crate::harness::{START, TestServer, assert_fields, contents, eventually};

const MAC: &str = "00:11:22:33:44:55";
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads everything again and again.
fn restless(config: &mut Config) {
    config.scrub =
        ScrubPlan { rate: Some(ByteSize::from_bytes(1 << 30)), every: Duration::from_millis(20), hours: None };
}

#[tokio::test]
async fn a_flipped_byte_is_found_and_the_package_is_neither_offered_nor_delivered() {
    let server = TestServer::start_with(restless).await;
    let admin = server.admin().await;
    let direct = Stored::upload(&server, &admin, "v2", b"straight to v2").await;
    let first = Stored::upload(&server, &admin, "v1", b"to v1 first").await;
    let mut device = server.accepted_device(MAC).await;
    let devices = [admin.device_id(&device).await];
    let group = admin.group(&devices, &[first.id, direct.id], "exact_match,v2").await;
    assert_eq!(device.check().await.ok()["id"], direct.id);
    let shown = admin.show_package(direct.id).await;

    server.time.advance(SECOND);
    direct.flip_a_byte();
    let standing = direct.becomes(&admin, "corrupt").await;
    let known = ["id", "state", "verified_at", "found_at", "detail", "length", "groups", "metadata", "artifact"];
    assert_fields(&standing, &known);
    assert_eq!(standing["found_at"], "2027-01-15T08:00:01Z");
    assert_eq!((&standing["length"], &standing["groups"]), (&json!(14), &json!([group])));
    assert!(standing["detail"].as_str().unwrap().contains("SHA-256"), "{standing}");
    assert_eq!(device.check().await.status, 204, "v1 leads nowhere alone");
    let sentence = direct.download(&server).await.error(404);
    assert!(sentence.contains("damaged"), "{sentence}");
    assert_eq!(admin.show_package(direct.id).await, shown, "the reply of the frozen API stays as it is");
    assert_eq!(admin.get("/api/v1/packages").await.ok().as_array().unwrap().len(), 2);

    // Another way to the target is taken.
    let detour = Stored::upload(&server, &admin, "v2", b"another v2").await;
    admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": [direct.id, detour.id] })).await.ok();
    assert_eq!(device.check().await.ok()["id"], detour.id);
    assert_eq!(first.standing(&admin).await["state"], "whole");

    // What is known to be damaged stays so over a restart, and is whole again when its file is.
    let mut server = server;
    server.restart().await;
    let admin = server.admin().await;
    device.follow(server.url());
    assert_eq!(direct.standing(&admin).await["state"], "corrupt");
    direct.flip_a_byte();
    let standing = direct.becomes(&admin, "whole").await;
    assert_eq!((&standing["found_at"], &standing["detail"]), (&Value::Null, &Value::Null));
    assert!(standing["verified_at"].is_string(), "{standing}");
    assert_eq!(device.check().await.ok()["id"], direct.id);
    assert_eq!(direct.download(&server).await.body, b"straight to v2");
}

#[tokio::test]
async fn a_restored_file_is_noticed_also_where_scrubbing_is_off() {
    let server = TestServer::start_with(|config| {
        config.scrub = ScrubPlan { rate: None, every: Duration::from_millis(20), hours: None };
    })
    .await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    package.delete();
    package.download(&server).await.error(404);
    let standing = package.standing(&admin).await;
    assert_eq!((&standing["state"], &standing["verified_at"]), (&json!("missing"), &Value::Null));
    fs::write(&package.path, "CONTENTS").unwrap();
    package.becomes(&admin, "corrupt").await;
    fs::write(&package.path, "contents").unwrap();
    package.becomes(&admin, "whole").await;
    // What is whole is not read again.
    server.time.advance(SECOND);
    package.flip_a_byte();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(package.standing(&admin).await["state"], "whole");
}

#[tokio::test]
async fn a_download_that_finds_the_file_cut_off_marks_it_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut packages = Vec::new();
    for version in ["v1", "v2", "v3"] {
        packages.push(Stored::upload(&server, &admin, version, b"contents").await);
    }
    packages[0].truncate();
    packages[1].delete();
    for (package, state) in packages.iter().zip(["corrupt", "missing"]) {
        let path = format!("/local_storage/{}", package.uuid);
        let anonymous = server.anonymous();
        // The range asked for would still be there.
        let request = anonymous.request(reqwest::Method::GET, &path).header("Range", "bytes=0-0");
        let sentence = anonymous.send(request).await.error(404);
        assert!(sentence.contains("damaged"), "{sentence}");
        assert_eq!(package.standing(&admin).await["state"], state);
    }
    assert_eq!(packages[0].standing(&admin).await["detail"], "the file has 7 bytes instead of 8");
    assert_eq!(packages[2].download(&server).await.body, b"contents");
    assert_eq!(packages[2].standing(&admin).await["state"], "whole");
    // Asking again costs no write.
    let database = server.database();
    let version = || database.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    packages[0].download(&server).await.error(404);
    assert_eq!(version(), before);
}

#[tokio::test]
async fn nothing_is_written_while_nothing_is_due() {
    let mut server = TestServer::start_with(|config| config.scrub.every = SECOND).await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    server.time.advance(SECOND);
    server.restart().await;
    let admin = server.admin().await;
    let database = server.database();
    let version = || database.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).unwrap();
    let is_verified = async || package.standing(&admin).await["verified_at"] == "2027-01-15T08:00:01Z";
    while !is_verified().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let before = version();
    tokio::time::sleep(SECOND * 5 / 2).await;
    assert_eq!(version(), before, "two looks that found nothing to do");
    // A known damage is no reason to write either.
    package.flip_a_byte();
    server.time.advance(SECOND);
    package.becomes(&admin, "corrupt").await;
    let before = version();
    tokio::time::sleep(SECOND * 5 / 2).await;
    assert_eq!(version(), before);
}

/// A server that begins to read one package of so many mebibytes again, and since when.
async fn reading(mebibytes: u32) -> (TestServer, Stored, Instant) {
    let mut server = TestServer::start().await;
    let package = Stored::upload(&server, &server.admin().await, "v1", &contents(mebibytes << 20)).await;
    server.stop().await;
    server.time.advance(DAY * 31);
    let begin = Instant::now();
    server.run().await;
    (server, package, begin)
}

async fn verified(package: &Stored, server: &TestServer) {
    let admin = server.admin().await;
    while package.standing(&admin).await["verified_at"].is_null() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn reading_keeps_to_its_rate() {
    let mebibytes = 6;
    let (server, package, begin) = reading(mebibytes).await;
    verified(&package, &server).await;
    let rate = f64::from(mebibytes) / begin.elapsed().as_secs_f64();
    assert!(rate < 4.4, "{rate} MiB/s");
}

#[tokio::test]
async fn reading_makes_way_for_downloads() {
    let (server, package, _) = reading(6).await;
    let admin = server.admin().await;
    let other = Stored::upload(&server, &admin, "v2", b"another").await;
    let begin = Instant::now();
    // Without these it would take a second and a half.
    while begin.elapsed() < SECOND * 3 {
        assert_eq!(other.download(&server).await.body, b"another");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(package.standing(&admin).await["verified_at"], Value::Null);
    verified(&package, &server).await;
}

#[tokio::test]
async fn what_has_waited_for_twice_its_time_makes_way_for_nobody() {
    let (server, package, _) = reading(6).await;
    let admin = server.admin().await;
    let other = Stored::upload(&server, &admin, "v2", b"another").await;
    // Patience ends also while it waits.
    for (days, is_patient) in [(28, true), (1, false)] {
        server.time.advance(DAY * days);
        // Tokens have ended by now.
        let admin = server.admin().await;
        let begin = Instant::now();
        while package.standing(&admin).await["verified_at"].is_null() && (!is_patient || begin.elapsed() < SECOND * 2) {
            other.download(&server).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(package.standing(&admin).await["verified_at"].is_null(), is_patient);
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_under_a_download_is_looked_at() {
    let server = TestServer::start_with(|config| {
        config.scrub = ScrubPlan { rate: None, every: Duration::from_millis(20), hours: None };
    })
    .await;
    let admin = server.admin().await;
    // More than all buffers on the way hold.
    let package = Stored::upload(&server, &admin, "v1", &contents(24 << 20)).await;
    let path = format!("/local_storage/{}", package.uuid);
    let mut download = server.anonymous().request(reqwest::Method::GET, &path).send().await.unwrap();
    download.chunk().await.unwrap().unwrap();
    fs::OpenOptions::new().write(true).open(&package.path).unwrap().set_len(1 << 20).unwrap();
    while let Ok(Some(_)) = download.chunk().await {}
    package.becomes(&admin, "corrupt").await;
}

#[tokio::test]
async fn what_was_read_longest_ago_is_due_first() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut packages = Vec::new();
    for version in ["v1", "v2", "v3", "v4"] {
        packages.push(Stored::upload(&server, &admin, version, version.as_bytes()).await);
        server.time.advance(SECOND);
    }
    packages[3].delete();
    packages[3].download(&server).await.error(404);
    let start = i64::try_from(START.as_secs()).unwrap();
    let sql = "INSERT INTO package_integrity (package_id, verified_at) VALUES (?1, ?2)";
    server.database().execute(sql, (packages[0].id, start + 90)).unwrap();
    let store = server.beside().store;
    let due = async |seconds: i64| {
        let now = Timestamp::from_unix_seconds(start + seconds);
        let reading = store.read(move |connection| integrity::due(connection, now, Duration::from_secs(60)));
        let due: Result<Vec<(PackageId, Timestamp)>, StoreError> = reading.await;
        due.unwrap().into_iter().map(|(package, _)| package.0).collect::<Vec<_>>()
    };
    let [first, second, third, _] = [0, 1, 2, 3].map(|position| packages[position].id);
    assert_eq!(due(60).await, [0; 0]);
    assert_eq!(due(61).await, [second]);
    assert_eq!(due(149).await, [second, third]);
    assert_eq!(due(150).await, [second, third, first]);
    store.close().await;
}

/// From one to five in the night by the clocks of Berlin: while it is 08:00 UTC when the tests begin, it opens at 00:00 UTC.
fn at_night(config: &mut Config) {
    let hours = "01:00-05:00".parse::<Hours>().unwrap();
    let berlin = TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
    restless(config);
    config.scrub.hours = Some(hours.local(berlin));
}

const HOUR: Duration = Duration::from_secs(60 * 60);

#[tokio::test]
async fn what_is_due_is_read_in_its_hours_and_however_long_that_takes() {
    let server = TestServer::start_with(at_night).await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    package.flip_a_byte();
    // Also what has waited for far more than twice its time waits for its hour.
    server.time.advance(HOUR * 16 - SECOND);
    let admin = server.admin().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(package.standing(&admin).await["state"], "whole");
    server.time.advance(SECOND);
    package.becomes(&admin, "corrupt").await;
}

#[tokio::test]
async fn reading_that_has_begun_rests_at_the_end_of_its_hours_and_lets_go_of_what_is_deleted() {
    let server = TestServer::start_with(|config| {
        at_night(config);
        config.scrub.rate = Some(ByteSize::from_bytes(4 << 20));
    })
    .await;
    let package = Stored::upload(&server, &server.admin().await, "v1", &contents(6 << 20)).await;
    server.time.advance(HOUR * 16);
    let is_open = || files_open_below(&server.data().join("packages")) > 0;
    eventually("reading has begun", is_open).await;
    server.time.advance(HOUR * 4);
    let admin = server.admin().await;
    tokio::time::sleep(SECOND * 2).await;
    assert!(is_open(), "it goes on where it was");
    assert_eq!(package.standing(&admin).await["verified_at"], Value::Null);
    assert_eq!(admin.delete(&format!("/api/v1/packages/{}", package.id)).await.status, 200);
    eventually("the file is closed", || !is_open()).await;
}

#[tokio::test]
async fn damaged_and_suspect_packages_are_read_at_any_hour() {
    let server = TestServer::start_with(at_night).await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    package.delete();
    package.download(&server).await.error(404);
    fs::write(&package.path, "contents").unwrap();
    package.becomes(&admin, "whole").await;
}

#[tokio::test]
async fn hours_do_not_count_where_the_clock_was_never_set() {
    let server = TestServer::start_at(SystemTime::UNIX_EPOCH, at_night).await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    package.flip_a_byte();
    server.time.advance(SECOND);
    package.becomes(&admin, "corrupt").await;
}

/// How many files below a folder this process has open.
fn files_open_below(folder: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    open.filter(|path| path.starts_with(folder) && !path.ends_with(".tender")).count()
}
