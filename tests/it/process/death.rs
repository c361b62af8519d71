//! SIGKILL at the worst moments: what was acknowledged is there after the restart, and of the rest nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::process::{ServerProcess, create_token, package_files_below};
use crate::harness::raw::{Raw, eventually, json_head};
use crate::harness::{Device, Operator, form, metadata};

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each package has its file with its hash, and there are no other files.
async fn assert_packages_are_whole(operator: &Operator, folder: &Path) -> Value {
    let packages = operator.get("/api/v1/packages").await.ok();
    let files = package_files_below(&folder.join("data/packages"));
    let mut hashes: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        hashes.insert(name, sha256(&std::fs::read(&file).unwrap()));
    }
    for package in packages.as_array().unwrap() {
        let uuid = package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
        let hash = hashes.remove(uuid);
        assert_eq!(hash.as_deref(), package["sha256"].as_str(), "{package}");
    }
    assert!(hashes.is_empty(), "files without a package: {hashes:?}");
    packages
}

#[tokio::test]
async fn what_was_acknowledged_survives_sudden_death_at_every_step() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let mac_address = "00:11:22:33:44:55";
    let server = ServerProcess::start(folder.path()).await;
    let die = async |server: ServerProcess| {
        server.kill();
        let server = ServerProcess::start(folder.path()).await;
        let operator = server.operator(&token);
        assert_packages_are_whole(&operator, folder.path()).await;
        (server, operator)
    };

    let device = server.device(mac_address);
    device.authorize_with(&device.authorization_body()).await.error(401);
    let (server, operator) = die(server).await;
    let pending = operator.get("/api/v1/auth/pending").await.ok();
    assert_eq!(pending[0]["mac_address"], mac_address);

    operator.accept(&device).await;
    let (server, operator) = die(server).await;
    assert_eq!(operator.get("/api/v1/auth/pending").await.ok(), json!([]));
    let id = operator.device_id(&device).await;

    let contents = vec![7; 300_000];
    let package = operator.package("v1", &[("rdfm.storage.directory", "site a/images")], &contents).await;
    let (server, operator) = die(server).await;
    let found = operator.get(&format!("/api/v1/packages/{package}")).await.ok();
    assert_eq!(found["sha256"], sha256(&contents));

    let group = operator.post("/api/v1/groups", json!({ "name": "g" })).await.ok()["id"].clone();
    let (server, operator) = die(server).await;
    let path = format!("/api/v1/groups/{group}");
    assert_eq!(operator.get(&path).await.ok()["metadata"], json!({ "name": "g" }));

    operator.patch(&format!("{path}/devices"), json!({ "add": [id], "remove": [] })).await.ok();
    let (server, operator) = die(server).await;
    assert_eq!(operator.get(&path).await.ok()["devices"], json!([id]));

    operator.post(&format!("{path}/package"), json!({ "packages": [package] })).await.ok();
    let (server, operator) = die(server).await;
    assert_eq!(operator.get(&path).await.ok()["packages"], json!([package]));

    operator.post(&format!("{path}/policy"), json!({ "policy": "exact_match,v1" })).await.ok();
    let (server, operator) = die(server).await;
    assert_eq!(operator.get(&path).await.ok()["policy"], "exact_match,v1");

    operator.post(&format!("{path}/package"), json!({ "packages": [] })).await.ok();
    operator.delete(&format!("/api/v1/packages/{package}")).await.ok();
    let (server, operator) = die(server).await;
    assert_eq!(operator.get("/api/v1/packages").await.ok(), json!([]));
    operator.get(&format!("/api/v1/packages/{package}")).await.error(404);

    // Identifiers are never used again.
    assert!(operator.package("v2", &[], b"later").await > package);
    drop(server);
}

/// Uploads packages, one after the other, until the server is gone; notes what was acknowledged.
async fn upload_until_death(operator: Operator, worker: usize, acknowledged: Arc<Mutex<Vec<(i64, String)>>>) {
    for number in 0.. {
        let contents = format!("{worker} {number}").repeat(10_000);
        let (boundary, body) = form(&metadata("v1"), Some(contents.as_bytes()));
        let request = operator
            .request(reqwest::Method::POST, "/api/v1/packages")
            .header("Content-Type", format!("multipart/form-data; boundary={boundary}"));
        let Ok(response) = request.body(body).send().await else { return };
        if response.status() != 200 {
            return;
        }
        let Ok(package) = response.json::<Value>().await else { return };
        let acknowledgement = (package["id"].as_i64().unwrap(), sha256(contents.as_bytes()));
        acknowledged.lock().unwrap().push(acknowledgement);
    }
}

#[tokio::test]
async fn death_in_the_middle_of_many_uploads_loses_none_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..8 {
        let server = ServerProcess::start(folder.path()).await;
        let before = acknowledged.lock().unwrap().len();
        let uploads: Vec<_> = (0..4)
            .map(|worker| tokio::spawn(upload_until_death(server.operator(&token), worker, acknowledged.clone())))
            .collect();
        eventually("something is acknowledged", || acknowledged.lock().unwrap().len() > before).await;
        // Each round dies at another moment of the uploads that are under way.
        tokio::time::sleep(Duration::from_millis(round * 7)).await;
        server.kill();
        for upload in uploads {
            upload.await.unwrap();
        }
        let server = ServerProcess::start(folder.path()).await;
        let packages = assert_packages_are_whole(&server.operator(&token), folder.path()).await;
        let stored: BTreeMap<i64, &str> = packages
            .as_array()
            .unwrap()
            .iter()
            .map(|package| (package["id"].as_i64().unwrap(), package["sha256"].as_str().unwrap()))
            .collect();
        for (id, hash) in acknowledged.lock().unwrap().iter() {
            assert_eq!(stored.get(id), Some(&hash.as_str()), "package {id} was acknowledged");
        }
        server.kill();
    }
}

#[tokio::test]
async fn death_in_the_middle_of_an_upload_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let server = ServerProcess::start(folder.path()).await;
    let (boundary, body) = form(&metadata("v1"), Some(&[7; 2_000_000]));
    let head = json_head("POST /api/v1/packages", &token, body.len())
        .replace("application/json", &format!("multipart/form-data; boundary={boundary}"));
    let mut client = Raw::to(&server.url).await;
    client.send(head).await;
    client.send(&body[..1_500_000]).await;
    let packages = folder.path().join("data/packages");
    let has_begun =
        || package_files_below(&packages).iter().any(|file| file.metadata().is_ok_and(|file| file.len() > 0));
    eventually("the upload is on disk in part", has_begun).await;
    server.kill();
    assert_eq!(package_files_below(&packages).len(), 1);

    let server = ServerProcess::start(folder.path()).await;
    assert_eq!(package_files_below(&packages).len(), 0);
    assert_eq!(server.operator(&token).get("/api/v1/packages").await.ok(), json!([]));
}

#[tokio::test]
async fn death_while_a_damaged_package_is_healed_leaves_it_damaged_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let server = ServerProcess::start(folder.path()).await;
    let contents = b"contents".repeat(20_000);
    let package = server.operator(&token).package("v1", &[], &contents).await;
    let path = package_files_below(&folder.path().join("data/packages")).remove(0);
    server.kill();
    for round in 0..6 {
        std::fs::write(&path, &contents[1..]).unwrap();
        let server = ServerProcess::start(folder.path()).await;
        let operator = server.operator(&token);
        let standing = async |operator: &Operator| {
            let page = operator.get("/api/tender/v1/packages?limit=1").await.ok();
            page["packages"][0].clone()
        };
        while standing(&operator).await["state"] != "corrupt" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let upload = tokio::spawn(upload_once(server.operator(&token), contents.clone()));
        tokio::time::sleep(Duration::from_millis(round * 4)).await;
        server.kill();
        let is_acknowledged = upload.await.unwrap();

        let found = std::fs::read(&path).unwrap();
        assert!(found == contents || found == contents[1..], "{} bytes", found.len());
        assert!(!is_acknowledged || found == contents);
        let server = ServerProcess::start(folder.path()).await;
        let operator = server.operator(&token);
        // The mark may have outlived the damage: the file is read again at the start.
        while found == contents && standing(&operator).await["state"] != "whole" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(standing(&operator).await["id"], package);
        let packages = operator.get("/api/v1/packages").await.ok().as_array().unwrap().len();
        assert_eq!(package_files_below(&folder.path().join("data/packages")).len(), packages);
        server.kill();
    }
}

/// Uploads a package; whether that was acknowledged.
async fn upload_once(operator: Operator, contents: Vec<u8>) -> bool {
    let (boundary, body) = form(&metadata("v1"), Some(&contents));
    let request = operator.request(reqwest::Method::POST, "/api/v1/packages");
    let request = request.header("Content-Type", format!("multipart/form-data; boundary={boundary}"));
    request.body(body).send().await.is_ok_and(|response| response.status() == 200)
}

#[tokio::test]
async fn what_devices_report_is_written_at_an_orderly_end() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let mut server = ServerProcess::start(folder.path()).await;
    let mut device: Device = server.device("00:11:22:33:44:55");
    device.authorize().await.error(401);
    server.operator(&token).accept(&device).await;
    device.authorize().await.ok();
    device.report("rdfm.software.version", "v7");
    assert_eq!(device.check().await.status, 204);
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));

    let server = ServerProcess::start(folder.path()).await;
    let devices = server.operator(&token).get("/api/v1/devices").await.ok();
    assert_eq!(devices[0]["metadata"]["rdfm.software.version"], "v7");
    assert!(devices[0]["last_access"].is_string(), "{devices}");
}
