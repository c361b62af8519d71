//! The list of packages, and how a damaged one becomes whole: by uploading the same bytes again.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde_json::{Value, json};
use tender::domain::{Damage, PackageId};
use tender::installation::Installation;
use tender::store::integrity::{self, Noted};
use tender::store::packages;

use super::{Stored, flip_a_byte};
use crate::harness::{TestServer, assert_fields};

#[tokio::test]
async fn uploading_the_same_bytes_again_heals_every_package_that_has_them() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let shorter = Stored::upload(&server, &admin, "v1", b"same bytes").await;
    let id = admin.package("v2", &[("rdfm.storage.directory", "site/a")], b"same bytes").await;
    let uuid = admin.show_package(id).await["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap().to_owned();
    let path = server.data().join("packages/site/a").join(&uuid);
    let missing = Stored { id, uuid, path };
    let other = Stored::upload(&server, &admin, "v3", b"other bytes").await;
    shorter.truncate();
    fs::remove_dir_all(server.data().join("packages/site")).unwrap();
    other.truncate();
    server.restart().await;
    let admin = server.admin().await;
    for (package, state) in [(&shorter, "corrupt"), (&missing, "missing"), (&other, "corrupt")] {
        package.becomes(&admin, state).await;
    }

    let again = Stored::upload(&server, &admin, "v4", b"same bytes").await;
    assert!(again.id > other.id, "an upload makes a package of its own, as ever");
    for package in [&shorter, &missing, &again] {
        let standing = package.standing(&admin).await;
        assert_eq!((&standing["state"], &standing["found_at"]), (&json!("whole"), &Value::Null), "{standing}");
        assert_eq!(package.download(&server).await.body, b"same bytes");
        assert_eq!(fs::read(&package.path).unwrap(), b"same bytes");
    }
    assert_eq!(other.standing(&admin).await["state"], "corrupt");
    assert_eq!(server.package_files().len(), 4);
    // The bytes are on disk once, and each package can go without the others.
    assert_eq!(again.path.metadata().unwrap().nlink(), 3);
    for package in [&again, &shorter] {
        admin.delete(&format!("/api/v1/packages/{}", package.id)).await.ok();
    }
    assert_eq!(missing.download(&server).await.body, b"same bytes");
    assert_eq!(server.package_files().len(), 2);
}

#[tokio::test]
async fn an_upload_that_cannot_replace_a_damaged_file_succeeds_all_the_same() {
    let mut server = TestServer::start().await;
    let package = Stored::upload(&server, &server.admin().await, "v1", b"same bytes").await;
    package.delete();
    // Nothing can be renamed over this.
    fs::create_dir_all(package.path.join("in the way")).unwrap();
    server.restart().await;
    let admin = server.admin().await;
    package.becomes(&admin, "missing").await;
    let again = Stored::upload(&server, &admin, "v1", b"same bytes").await;
    assert_eq!(again.download(&server).await.body, b"same bytes");
    assert_eq!(package.standing(&admin).await["state"], "missing");
    assert_eq!(server.package_files().len(), 1, "nothing is left over");
}

#[tokio::test]
async fn what_was_found_about_a_file_that_is_another_one_by_now_is_not_noted() {
    let server = TestServer::start().await;
    let stored = Stored::upload(&server, &server.admin().await, "v1", b"contents").await;
    let Installation { store, packages: folder, .. } = server.beside();
    let package = store.read(move |tx| packages::find(tx, PackageId(stored.id))).await.unwrap().unwrap();
    let note = async |sighting, is_whole| {
        let (folder, package) = (folder.clone(), package.clone());
        let noting = store.write(move |tx| match is_whole {
            true => integrity::note_whole(tx, &folder, &package, sighting),
            false => integrity::note_damage(tx, &folder, &package, Some(sighting), &Damage::Missing),
        });
        noting.await.unwrap()
    };
    let before = folder.sighting(&package).unwrap().unwrap();
    // The same length, and soon after: the time of change has the resolution of a timer tick.
    let is_another = || folder.sighting(&package).unwrap().unwrap() != before;
    while !is_another() {
        fs::write(&stored.path, "restored").unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for is_whole in [true, false] {
        assert_eq!(note(before, is_whole).await, Noted::Stale);
    }
    assert_eq!(server.rows("package_integrity"), 0);
    let now = folder.sighting(&package).unwrap().unwrap();
    assert_eq!(note(now, false).await, Noted::Done);
    assert_eq!(note(now, false).await, Noted::Known);
    assert_eq!(note(now, true).await, Noted::Done);
    fs::remove_file(&stored.path).unwrap();
    assert_eq!(note(now, false).await, Noted::Stale);
    store.close().await;
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut ids = Vec::new();
    for version in ["v1", "v2", "v3"] {
        ids.push(admin.package(version, &[], b"contents").await);
    }
    let groups = [admin.group(&[], &ids[..2], "no_update,").await, admin.group(&[], &ids[1..2], "no_update,").await];
    let page = admin.get("/api/tender/v1/packages?limit=2").await.ok();
    assert_fields(&page, &["packages", "next"]);
    let metadata = |version: &str| json!({ "rdfm.software.version": version, "rdfm.hardware.devtype": "dummy" });
    let expected = json!([
        {
            "id": ids[0], "state": "whole", "verified_at": null, "found_at": null, "detail": null, "length": 8,
            "groups": [groups[0]], "metadata": metadata("v1"), "artifact": null,
        },
        {
            "id": ids[1], "state": "whole", "verified_at": null, "found_at": null, "detail": null, "length": 8,
            "groups": groups, "metadata": metadata("v2"), "artifact": null,
        },
    ]);
    assert_eq!(page["packages"], expected);
    assert_eq!(page["next"], ids[1]);
    let page = admin.get(&format!("/api/tender/v1/packages?limit=2&after={}", ids[1])).await.ok();
    assert_eq!((&page["packages"][0]["id"], &page["packages"][0]["groups"]), (&json!(ids[2]), &json!([])));
    assert_eq!((page["packages"].as_array().unwrap().len(), &page["next"]), (1, &Value::Null));
    for wrong in ["limit=0", "limit=1001", "limit=x", "after=x", "after=-1", "colour=red"] {
        admin.get(&format!("/api/tender/v1/packages?{wrong}")).await.error(400);
    }
}

#[tokio::test]
async fn a_package_that_goes_takes_what_is_known_about_it_along() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    flip_a_byte(&package.path);
    package.truncate();
    package.download(&server).await.error(404);
    assert_eq!(server.rows("package_integrity"), 1);
    admin.delete(&format!("/api/v1/packages/{}", package.id)).await.ok();
    assert_eq!((server.rows("package_integrity"), server.package_files().len()), (0, 0));
    assert_eq!(package.download(&server).await.error(404), "no such package");
}
