//! A server dies before it serves, and the next one comes as if nothing had been.

use std::path::{Path, PathBuf};
use std::slice;

use rusqlite::Connection;
use tender::store::latest_version;

use super::matrix::{Work, deaths};
use super::site::{Death, Site, assert_sound, open};
use super::workers::{Publisher, Worker, contents};
use crate::harness::process::{
    ServerProcess, assert_refused, create_token, package_files_below, run, run_to_its_end, tender,
};
use crate::harness::sha256;
use crate::store::upgrade::make;

/// Starts a server that dies.
async fn start_doomed(folder: &Path, way: &str, death: Death) {
    let mut command = tender(folder);
    command.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    death.arm(&mut command, way);
    let (mut server, _) = ServerProcess::launch_doubtful(command).await;
    death.assert(server.status().await, way);
}

fn pragma(data: &Path, name: &str) -> u32 {
    open(data).pragma_query_value(None, name, |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn at_each_step_of_the_first_start() {
    for (way, _, death) in deaths(&[Work::FirstStart]) {
        let folder = tempfile::tempdir().unwrap();
        start_doomed(folder.path(), way, death).await;
        let site = Site::in_folder(folder);
        let server = site.start().await;
        let mut worker = Worker::Publisher(Publisher::new("publisher"));
        worker.work(&site.operator(&server), 1).await.unwrap();
        site.check(&server, slice::from_mut(&mut worker)).await;
        // It can only be set before the first table.
        assert_eq!(pragma(&site.data(), "auto_vacuum"), 2, "{way}: room is given back little by little");
    }
}

/// A data folder of an earlier version, with one package, and with the snapshots of two upgrades before. Returns its database.
fn make_earlier(data: &Path) -> PathBuf {
    let [packages, snapshots] = ["packages", "snapshots"].map(|name| data.join(name));
    std::fs::create_dir_all(&packages).unwrap();
    std::fs::create_dir_all(&snapshots).unwrap();
    let database = data.join("tender.sqlite");
    let connection = make(&database, 7);
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    let contents = contents("v1", 40_000);
    connection.execute("DELETE FROM group_packages WHERE package_id = 6", []).unwrap();
    connection.execute("DELETE FROM packages WHERE id = 6", []).unwrap();
    let hash: Vec<u8> = sha256(&contents).as_bytes().chunks(2).map(hex).collect();
    connection.execute("DELETE FROM package_integrity", []).unwrap();
    connection.execute("UPDATE packages SET sha256 = ?1, length_bytes = 40000", [hash]).unwrap();
    std::fs::write(packages.join("67e55044-10b1-426f-9247-bb680e5fe0c8"), contents).unwrap();
    std::fs::write(packages.join(".tender"), "1b4e28ba-2fa1-11d2-883f-0016d3cca427").unwrap();
    for (number, version) in [(1, 5), (2, 6)] {
        drop(make(&snapshots.join(format!("000{number}-schema-{version}.sqlite")), version));
    }
    database
}

fn hex(digits: &[u8]) -> u8 {
    u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap()
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// The complete snapshots, by name, and whatever else is there.
fn snapshots(data: &Path) -> (Vec<String>, Vec<String>) {
    let entries = std::fs::read_dir(data.join("snapshots")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().partition(|name| name.ends_with(".sqlite"))
}

/// The server of a data folder that was upgraded serves what was there before.
async fn assert_upgraded(folder: &Path, way: &str) {
    let data = folder.join("data");
    let token = create_token(folder);
    let server = ServerProcess::start(folder).await;
    assert_eq!(pragma(&data, "user_version"), latest_version());
    let packages = server.operator(&token).get("/api/v1/packages").await.ok();
    assert_eq!(packages.as_array().unwrap().len(), 1, "{way}");
    let uuid = packages[0]["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
    let file = server.anonymous().get(&format!("/local_storage/{uuid}")).await;
    assert_eq!(packages[0]["sha256"], sha256(&file.body), "{way}");
    assert_sound(&data);
    let check = run(folder, ["check", "--deep", "--data-dir", "data"]);
    assert_eq!(check.status.code(), Some(0), "{way}: {}", String::from_utf8_lossy(&check.stdout));
}

#[tokio::test]
async fn at_each_step_of_an_upgrade() {
    for (way, _, death) in deaths(&[Work::Upgrade]) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let database = make_earlier(&data);
        let devices = count(&Connection::open(&database).unwrap(), "devices");
        start_doomed(folder.path(), way, death).await;

        assert_sound(&data);
        let version = pragma(&data, "user_version");
        assert_eq!(version, if way == "migrate.done" { latest_version() } else { 7 }, "{way}: one schema or the other");
        assert_eq!(count(&open(&data), "devices"), devices);
        assert_upgraded(folder.path(), way).await;
        assert_eq!(count(&open(&data), "devices"), devices);
        let (complete, others) = snapshots(&data);
        assert!((2..=3).contains(&complete.len()), "{way}: {complete:?}");
        assert_eq!(others, Vec::<String>::new(), "{way}");
        let last = Connection::open(data.join("snapshots").join(complete.last().unwrap())).unwrap();
        let version: u32 = last.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!((version, count(&last, "devices")), (7, devices), "{way}: the latest is from before this upgrade");
    }
}

#[tokio::test]
async fn at_each_step_of_a_rollback() {
    for (way, _, death) in deaths(&[Work::Rollback]) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let database = make_earlier(&data);
        let token = create_token(folder.path());
        let server = ServerProcess::start(folder.path()).await;
        let group = server.operator(&token).group(&[], &[], "no_update,").await;
        server.kill();

        let mut command = tender(folder.path());
        command.args(["rollback", "--data-dir", "data", "--yes"]);
        death.arm(&mut command, way);
        let output = run_to_its_end(command);
        death.assert(output.status, way);
        assert_sound(&data);
        let is_back = way == "rollback.replaced";
        assert_eq!(pragma(&data, "user_version"), if is_back { 7 } else { latest_version() }, "{way}");

        // Whoever saw it die does it again.
        let again = run(folder.path(), ["rollback", "--data-dir", "data", "--yes"]);
        if is_back {
            assert!(assert_refused(&again, 1).contains("no upgrade to roll back"), "{way}");
        } else {
            assert_eq!(again.status.code(), Some(0), "{way}");
        }
        assert_sound(&data);
        assert_eq!(pragma(&data, "user_version"), 7, "{way}");
        let replaced = Connection::open(database.with_extension("sqlite-replaced")).unwrap();
        let sql = "SELECT count(*) FROM groups WHERE id = ?1";
        let is_kept: bool = replaced.query_row(sql, [group], |row| row.get(0)).unwrap();
        assert!(is_kept, "{way}: what was done since the upgrade is lost");
        drop(replaced);
        assert!(!data.join("tender.sqlite-rollback").exists(), "{way}");
        assert_upgraded(folder.path(), way).await;
    }
}

#[tokio::test]
async fn at_each_step_of_a_sweep() {
    let site = Site::new();
    let mut worker = Worker::Publisher(Publisher::new("publisher"));
    let server = site.start().await;
    worker.work(&site.operator(&server), 1).await.unwrap();
    server.kill();
    let packages = site.data().join("packages");
    for (way, _, death) in deaths(&[Work::Sweep]) {
        for directory in ["", "site b", ".uploads", ".resumable"] {
            let directory = packages.join(directory);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("6f7483ac-5cde-467f-acf7-39e4b397e313"), "left over").unwrap();
        }
        let mut server = site.start_doomed(way, death).await;
        death.assert(server.status().await, way);
        site.check(&site.start().await, slice::from_mut(&mut worker)).await;
    }
}

#[tokio::test]
async fn while_a_package_is_found_to_be_missing() {
    let site = Site::new();
    let mut worker = Worker::Publisher(Publisher::new("publisher"));
    let server = site.start().await;
    worker.work(&site.operator(&server), 1).await.unwrap();
    server.kill();
    let path = package_files_below(&site.data().join("packages")).remove(0);
    let away = site.path().join("away");
    for (way, _, death) in deaths(&[Work::MarkMissing]) {
        std::fs::rename(&path, &away).unwrap();
        let mut server = site.start_doomed(way, death).await;
        death.assert(server.status().await, way);
        std::fs::rename(&away, &path).unwrap();
        let server = site.start().await;
        let operator = site.operator(&server);
        // It is marked as missing, and read again at the start.
        while operator.get("/api/tender/v1/packages").await.ok()["packages"][0]["state"] != "whole" {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        site.check(&server, slice::from_mut(&mut worker)).await;
    }
}
