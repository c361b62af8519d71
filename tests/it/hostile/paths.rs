//! Paths that lead out of the package folder, in URLs and in the storage directory of uploads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{assert_nothing_stored, assert_still_serves};
use crate::harness::raw::Raw;
use crate::harness::{TestServer, form, metadata};

const UUID: &str = "6f7483ac-5cde-467f-acf7-39e4b397e313";

fn all_files(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { BTreeSet::from([path]) }).collect()
}

#[tokio::test]
async fn no_spelling_of_a_path_leads_out_of_the_package_folder() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    // Files that are named like packages, but are none.
    for place in ["", "packages", "packages/.uploads", "packages/site", "secrets"] {
        fs::create_dir_all(server.data().join(place)).unwrap();
        fs::write(server.data().join(place).join(UUID), "hidden contents").unwrap();
    }
    let ups = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "..%00",
        "..;",
        "%EF%BC%8E%EF%BC%8E",
        "....",
        ".",
        "%2e",
        ".uploads",
        "site",
    ];
    let slashes = ["/", "%2f", "%2F", "%5c", "\\", "%252f", "%c0%af", "//", "/./"];
    let targets = [UUID, "tender.sqlite", "secrets/jwt-secret", "etc/passwd"];
    let mut paths = vec![
        format!("/local_storage/{UUID}"),
        format!("/local_storage/{UUID}%00"),
        format!("/local_storage/{UUID}/"),
        format!("/local_storage/{UUID}%2f..%2f{UUID}"),
        format!("/local_storage/%00{UUID}"),
        format!("/local_storage/%ff%fe{UUID}"),
        "/local_storage//etc/passwd".to_owned(),
        "/local_storage/%2fetc%2fpasswd".to_owned(),
        "/local_storage/C:%5cwindows".to_owned(),
        "/local_storage/%".to_owned(),
        "/local_storage/%2".to_owned(),
        "/local_storage/%zz".to_owned(),
        "/../../../etc/passwd".to_owned(),
        "/..%2f..%2f..%2fetc%2fpasswd".to_owned(),
        "/local_storage/../api/v1/../../etc/passwd".to_owned(),
    ];
    for up in ups {
        for slash in slashes {
            for target in targets {
                paths.push(format!("/local_storage/{up}{slash}{target}"));
                paths.push(format!("/local_storage/site{slash}{up}{slash}{up}{slash}{up}{slash}{target}"));
            }
        }
    }
    let mut client = Raw::connect(&server).await;
    for path in paths {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
        match client.reply().await {
            Some(reply) => {
                assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
                assert!(!String::from_utf8_lossy(&reply.body).contains("hidden"), "{path}");
                if reply.header("connection") == "close" || reply.body.is_empty() {
                    client = Raw::connect(&server).await;
                }
            }
            None => client = Raw::connect(&server).await,
        }
    }
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_storage_directory_that_leaves_the_store_is_refused_and_makes_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let before = all_files(&server.data());
    let long_part = "x".repeat(129);
    let long_path = "directory/".repeat(60);
    let directories = [
        "..",
        "../x",
        "x/..",
        "x/../../y",
        "/",
        "/etc",
        "//x",
        "x//y",
        ".",
        "./x",
        "x/./y",
        ".hidden",
        ".uploads",
        "x/.git",
        "\\",
        "..\\x",
        "x\\y",
        "C:\\x",
        "C:x",
        "~",
        "~/x",
        "x\0y",
        "\0",
        "x\ny",
        "x\ry",
        "%2e%2e",
        "..%2fx",
        "\u{ff0e}\u{ff0e}/x",
        "\u{202e}x",
        "$HOME",
        "`id`",
        "x;y",
        "x|y",
        "*",
        "x?y",
        "\"",
        " ",
        " x",
        "-x",
        &long_part,
        &long_path,
    ];
    for directory in directories {
        let mut fields = metadata("v1");
        fields.push(("rdfm.storage.directory", directory));
        let reply = admin.upload(form(&fields, Some(b"contents"))).await;
        let sentence = reply.error(400);
        assert!(sentence.contains("rdfm.storage.directory"), "{directory:?}: {sentence}");
    }
    assert_nothing_stored(&server).await;
    let is_database = |path: &PathBuf| path.to_str().unwrap().contains("tender.sqlite");
    let left: Vec<_> =
        all_files(&server.data()).difference(&before).filter(|path| !is_database(path)).cloned().collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_file_name_that_leads_elsewhere_is_never_used() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for file_name in ["../../outside", "/etc/outside", "..\\\\outside", "con", "%2e%2e%2foutside", "a/b/outside"] {
        let (boundary, body) = form(&metadata("v1"), Some(b"contents"));
        let body = String::from_utf8(body).unwrap().replace("file.img", file_name).into_bytes();
        let package = admin.upload((boundary, body)).await.ok();
        let uuid = package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
        assert_eq!(server.package_files(), BTreeSet::from([PathBuf::from(uuid)]), "{file_name}");
        assert_eq!(admin.delete(&format!("/api/v1/packages/{}", package["id"])).await.status, 200);
    }
    assert_nothing_stored(&server).await;
}
