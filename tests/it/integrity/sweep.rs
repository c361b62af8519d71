//! The sweep while the server works: what somebody is writing stays, what nobody needs goes, and rows are never touched.

use std::fs;

use tender::domain::PackageDescription;
use tender::store::{PackageFolder, Swept, packages};
use tender::usecase::sweep::{mark_incomplete, sweep};

use super::Stored;
use uuid::Uuid;

use crate::harness::TestServer;

const UUID: &str = "6f7483ac-5cde-467f-acf7-39e4b397e313";

fn description() -> PackageDescription {
    let metadata = [("rdfm.software.version", "v1"), ("rdfm.hardware.devtype", "dummy")];
    PackageDescription::from_stored(metadata.into(), None).unwrap()
}

#[tokio::test]
async fn nothing_that_an_upload_or_a_publication_holds_is_swept() {
    let mut server = TestServer::start().await;
    server.stop().await;
    let store = server.beside().store;
    let root = server.data().join("packages");
    let folder = PackageFolder::open(&root).unwrap();
    let count = || crate::harness::process::package_files_below(&root).len();

    let mut uploading = folder.begin_upload().unwrap();
    uploading.write(bytes::Bytes::from_static(b"uploading")).unwrap();
    let mut staged = folder.begin_upload().unwrap();
    staged.write(bytes::Bytes::from_static(b"staged")).unwrap();
    let staged = staged.finish().unwrap();
    let published = folder.begin_upload().unwrap().finish().unwrap().publish(None).unwrap();
    let beginning = Uuid::new_v4();
    let begun = folder.create_resumable(beginning).unwrap();
    for stray in [root.join(UUID), root.join(".uploads").join(UUID), root.join(".resumable").join(UUID)] {
        fs::write(stray, "stray").unwrap();
    }
    assert_eq!(count(), 7);
    assert_eq!(sweep(&store, &folder).await.unwrap(), Swept { files: 3, bytes: 15 });
    assert_eq!(count(), 4);

    // What is given its row between the look at the files and that at the rows has it by then.
    let leftovers = folder.leftovers();
    let mut upload = folder.begin_upload().unwrap();
    upload.write(bytes::Bytes::from_static(b"later")).unwrap();
    let later = upload.finish().unwrap().publish(None).unwrap();
    store.write(move |tx| packages::insert(tx, description(), later)).await.unwrap();
    let known = store.read(packages::uuids).await.unwrap();
    assert_eq!(folder.sweep(leftovers, &known), Swept::default());

    drop((uploading, staged, published, begun));
    assert_eq!(sweep(&store, &folder).await.unwrap().files, 1, "an upload that never got its row");
    assert_eq!((count(), sweep(&store, &folder).await.unwrap()), (1, Swept::default()));
    store.close().await;
}

#[tokio::test]
async fn packages_without_their_file_are_marked_and_stay() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let mut packages = Vec::new();
    // More than one page of rows.
    for _ in 0..51 {
        for version in ["v1", "v2"] {
            packages.push(Stored::upload(&server, &admin, version, b"contents").await);
        }
    }
    packages[0].delete();
    packages[101].truncate();
    server.restart().await;
    let admin = server.admin().await;
    packages[0].becomes(&admin, "missing").await;
    packages[101].becomes(&admin, "corrupt").await;
    assert_eq!(server.rows("packages"), 102);
    assert_eq!(server.rows("package_integrity"), 2);

    let installation = server.beside();
    assert_eq!(mark_incomplete(&installation.store, &installation.packages).await.unwrap(), 0, "they are known");
    packages[1].delete();
    assert_eq!(mark_incomplete(&installation.store, &installation.packages).await.unwrap(), 1);
    installation.store.close().await;
}
