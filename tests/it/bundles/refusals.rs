//! Whose bundles are taken, and what cannot be exported.

use std::fs;

use reqwest::Method;
use serde_json::json;

use super::{Site, depot_and_plant};
use crate::harness::Operator;
use crate::harness::process::ServerProcess;

#[tokio::test]
async fn only_bundles_of_those_who_are_trusted_are_taken() {
    let (depot, plant, bundle) = depot_and_plant().await;
    let key = depot.bundled(&["key", "show"]);
    assert!(plant.bundled(&["trust", "list"]).contains(&format!("{key}  ")));
    plant.bundled(&["trust", "remove", "the depot"]);
    for more in [&[][..], &["--dry-run"]] {
        let sentence = plant.refused(&bundle, more);
        assert!(sentence.contains("403") && sentence.contains(&format!("tender bundle trust add {key}")), "{sentence}");
    }
    plant.assert_is_empty().await;
    // Somebody else's key does not help.
    let stranger = Site::start().await;
    plant.trust(&stranger.make_key());
    plant.refused(&bundle, &[]);
    plant.bundled(&["trust", "add", &key, "--name", "the other depot"]);
    assert_eq!(plant.imported(&bundle, &[])["signer"], "the other depot");
}

#[tokio::test]
async fn a_signer_is_trusted_once_under_one_name() {
    let site = Site::start().await;
    let key = site.make_key();
    site.trust(&key);
    let zeros = format!("ed25519:{}", "0".repeat(64));
    for (key, name) in [(key.as_str(), "somebody else"), (&zeros, "the depot")] {
        let output = site.bundle(&["trust", "add", key, "--name", name]);
        assert_eq!(output.status.code(), Some(1), "{name}");
    }
    assert_eq!(site.bundle(&["trust", "add", "ed25519:00", "--name", "x"]).status.code(), Some(2));
    assert_eq!(site.bundle(&["trust", "remove", "nobody"]).status.code(), Some(1));
    site.bundled(&["trust", "remove", &key]);
}

#[tokio::test]
async fn what_is_not_whole_is_not_exported() {
    let site = Site::start().await;
    let admin = site.admin();
    let package = admin.package("v1", &[], b"whole").await;
    let group = admin.group(&[], &[package], "no_update,").await;
    let export = |group: &str| {
        let output = site.bundle(&["export", "--group", group, "site.bundle"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(!site.path().join("site.bundle").exists() && !site.path().join("site.bundle.part").exists());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(export(&group.to_string()).contains("tender bundle key generate"));
    site.make_key();
    assert!(export("99").contains("no group 99"));
    let uuid = admin.show_package(package).await["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap().to_owned();
    let file = site.path().join("data/packages").join(uuid);
    fs::write(&file, b"whale").unwrap();
    assert!(export(&group.to_string()).contains("SHA-256"));
    fs::remove_file(&file).unwrap();
    assert!(export(&group.to_string()).contains("not there"));
}

#[tokio::test]
async fn scripts_can_do_without_the_command() {
    let (_depot, mut plant, bundle) = depot_and_plant().await;
    let whole = fs::read(&bundle).unwrap();
    let [import, plan] = ["/api/tender/v1/bundles", "/api/tender/v1/bundles/plan"];
    let send = async |admin: Operator, path: &str, bundle: Vec<u8>| {
        admin.send(admin.request(Method::POST, path).body(bundle)).await
    };
    let mut changed = whole.clone();
    changed[600] ^= 1;
    send(plant.admin(), plan, changed).await.error(422);

    plant.stop().await;
    let server = ServerProcess::start_with(plant.path(), |command| command.args(["--max-package-size", "1KiB"]));
    plant.server = Some(server.await);
    for path in [plan, import] {
        send(plant.admin(), path, whole.clone()).await.error(413);
    }
    plant.assert_is_empty().await;

    plant.stop().await;
    plant.serve().await;
    let planned = send(plant.admin(), plan, whole.clone()).await.ok();
    assert_eq!((&planned["changes_nothing"], &planned["packages"][0]["package"]), (&json!(false), &json!(null)));
    plant.assert_is_empty().await;
    let imported = send(plant.admin(), import, whole.clone()).await.ok();
    assert_eq!((&imported["changes_nothing"], &imported["groups"][0]["is_new"]), (&json!(false), &json!(true)));
    let again = send(plant.admin(), import, whole).await.ok();
    assert_eq!(again["changes_nothing"], true);
}
