//! From one installation to another, and again.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Site, depot_and_plant};
use crate::harness::process::{package_files_below, tender};

/// A group without what is each installation's own.
fn essence(mut group: Value) -> Value {
    for own in ["id", "created", "devices", "packages"] {
        group.as_object_mut().unwrap().remove(own);
    }
    group
}

#[tokio::test]
async fn what_one_server_has_the_other_gets_while_both_run() {
    let (depot, plant, bundle) = depot_and_plant().await;
    let there = plant.admin();
    let dry = plant.imported(&bundle, &["--dry-run"]);
    assert_eq!((&dry["changes_nothing"], &dry["packages"][0]["package"]), (&json!(false), &Value::Null));
    plant.assert_is_empty().await;

    let report = plant.imported(&bundle, &[]);
    assert_eq!(report["signer"], "the depot");
    assert_eq!(report["packages"].as_array().unwrap().iter().filter(|package| package["is_new"] == true).count(), 2);
    let group = report["groups"][0]["group"].as_i64().unwrap();
    let (here, there_group) = (depot.admin().show_group(1).await, there.show_group(group).await);
    assert_eq!(essence(here.clone()), essence(there_group.clone()));
    let versions = async |operator: &crate::harness::Operator, group: &Value| {
        let mut found = Vec::new();
        for package in group["packages"].as_array().unwrap() {
            let package = operator.show_package(package.as_i64().unwrap()).await;
            let metadata = &package["metadata"];
            found.push((
                metadata["rdfm.software.version"].clone(),
                metadata["rdfm.storage.local.directory"].clone(),
                package["sha256"].clone(),
            ));
        }
        found
    };
    let expected = versions(&depot.admin(), &here).await;
    assert_eq!(versions(&there, &there_group).await, expected);

    // The plans of the server that runs know of it: a device gets what has come.
    let mut device = plant.server.as_ref().unwrap().device("00:11:22:33:44:55");
    device.authorize().await.error(401);
    there.accept(&device).await;
    device.authorize().await.ok();
    let id = there.device_id(&device).await;
    there.patch(&format!("/api/v1/groups/{group}/devices"), json!({ "add": [id], "remove": [] })).await.ok();
    let offer = device.check().await.ok();
    assert!(device.download(&offer).await == b"first".repeat(1000));
    let audit = there.get("/api/tender/v1/audit?action=bundle.import").await.ok();
    assert_eq!(audit["entries"].as_array().unwrap().len(), 1, "{audit}");

    // Again: nothing is changed, and nothing is written about it.
    assert_eq!(plant.imported(&bundle, &[])["changes_nothing"], true);
    assert_eq!(package_files_below(&plant.path().join("data/packages")).len(), 2);
    let audit = there.get("/api/tender/v1/audit?action=bundle.import").await.ok();
    assert_eq!(audit["entries"].as_array().unwrap().len(), 1, "{audit}");

    // What is new at the depot changes the same group at the plant, and no devices of it.
    let third = depot.admin().package("v3", &[], b"third").await;
    depot.admin().post("/api/v1/groups/1/package", json!({ "packages": [third] })).await.ok();
    depot.admin().post("/api/v1/groups/1/policy", json!({ "policy": "exact_match,v3" })).await.ok();
    let report = plant.imported(&depot.export(1), &[]);
    assert_eq!(report["groups"], json!([{ "group": group, "is_new": false, "changes": ["packages", "policy"] }]));
    let shown = there.show_group(group).await;
    assert_eq!((&shown["devices"], &shown["policy"]), (&json!([id]), &json!("exact_match,v3")));
    // This time the plan was at hand already.
    assert_eq!(device.check().await.ok()["id"], report["packages"][0]["package"]);
}

#[tokio::test]
async fn without_a_server_the_command_does_it_itself() {
    let (_depot, mut plant, bundle) = depot_and_plant().await;
    let bundle = bundle.to_str().unwrap();
    let refused = plant.bundle(&["import", bundle]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--server"), "{refused:?}");

    plant.stop().await;
    let report = plant.bundled(&["import", bundle]);
    assert!(report.starts_with("bundle ") && report.contains("new      group 1"), "{report}");
    plant.bundled(&["import", bundle]);
    plant.serve().await;
    assert_eq!(plant.admin().get("/api/v1/packages").await.ok().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn death_in_the_middle_of_an_import_leaves_nothing_and_it_can_be_done_again() {
    let depot = Site::start().await;
    let mut plant = Site::start().await;
    plant.trust(&depot.make_key());
    let admin = depot.admin();
    let mut packages = Vec::new();
    for number in 0..6 {
        packages.push(admin.package(&format!("v{number}"), &[], &vec![number; 1_500_000]).await);
    }
    let group = admin.group(&[], &packages, "exact_match,v0").await;
    let bundle = depot.export(group);
    for round in 0..4 {
        let mut import = tender(plant.path())
            .env("TENDER_TOKEN", &plant.token)
            .args(["bundle", "import", "--server", plant.url(), bundle.to_str().unwrap()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(40 + 60 * round)).await;
        // Either end may die.
        if round % 2 == 0 {
            plant.server.take().unwrap().kill();
            import.wait().unwrap();
            plant.serve().await;
        } else {
            import.kill().unwrap();
            import.wait().unwrap();
        }
        let found = plant.admin().get("/api/v1/packages").await.ok().as_array().unwrap().len();
        assert!(found == 0 || found == 6, "{found}");
    }
    plant.imported(&bundle, &[]);
    assert_eq!(plant.imported(&bundle, &[])["changes_nothing"], true);
    assert_eq!(plant.admin().get("/api/v1/packages").await.ok().as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_bundle_is_a_tar_that_other_tools_read_and_its_key_is_a_secret() {
    use std::os::unix::fs::PermissionsExt;

    let (depot, _plant, bundle) = depot_and_plant().await;
    let mut tar = tar::Archive::new(fs::File::open(&bundle).unwrap());
    let names: Vec<_> =
        tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names.len(), 4);
    assert_eq!(&names[..2], ["manifest.json", "manifest.sig"]);
    let key = depot.path().join("data/secrets/bundle-key.pem");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    let again = depot.bundle(&["key", "generate"]);
    assert_eq!(again.status.code(), Some(1), "a key that others trust is not replaced");

    let signers: TempDir = tempfile::tempdir().unwrap();
    let nowhere = crate::harness::process::run(signers.path(), ["bundle", "key", "show", "--data-dir", "data"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(!signers.path().join("data").exists(), "looking makes nothing");
}
