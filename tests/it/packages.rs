//! Packages: uploaded as forms, listed, deleted, and swept away when something was cut off.

use std::fs;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Operator, START, TestServer, assert_fields, contents, date, eventually, form, metadata, sha256};

const BOUNDARY: &str = "----a-boundary-that-is-in-no-file";

/// A part of a form without a filename.
fn field(name: &str, value: &[u8]) -> Vec<u8> {
    part(&format!("form-data; name=\"{name}\""), value)
}

/// A part of a form that is a file.
fn file(name: &str, contents: &[u8]) -> Vec<u8> {
    part(&format!("form-data; name=\"{name}\"; filename=\"file.img\""), contents)
}

fn part(disposition: &str, contents: &[u8]) -> Vec<u8> {
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n");
    [head.as_bytes(), contents, b"\r\n"].concat()
}

fn version() -> Vec<u8> {
    field("rdfm.software.version", b"v1")
}

fn device_type() -> Vec<u8> {
    field("rdfm.hardware.devtype", b"dummy")
}

/// A form of these parts, with its end.
fn form_of(parts: &[Vec<u8>]) -> (String, Vec<u8>) {
    (BOUNDARY.to_owned(), [parts.concat(), format!("--{BOUNDARY}--\r\n").into_bytes()].concat())
}

/// Asserts that an upload is refused with 400 and leaves nothing behind; the sentence.
async fn assert_refused(server: &TestServer, admin: &Operator, form: (String, Vec<u8>)) -> String {
    let error = admin.upload(form).await.error(400);
    assert_nothing_stored(server).await;
    error
}

async fn assert_nothing_stored(server: &TestServer) {
    // The thread that writes the file deletes it, perhaps a moment after the reply.
    eventually("the package folder is empty", || server.package_files().is_empty()).await;
    assert_eq!(server.rows("packages"), 0);
}

#[tokio::test]
async fn an_upload_is_answered_with_the_package_as_it_is_listed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.get("/api/v1/packages").await.ok(), json!([]));
    let fields = [("rdfm.software.version", "v1"), ("rdfm.hardware.devtype", "dummy"), ("größe", "x y\r\nz")];
    let package = admin.upload(form(&fields, Some(b"contents"))).await.ok();
    assert_fields(&package, &["id", "created", "sha256", "driver", "metadata"]);
    assert_eq!(date(&package["created"]), START);
    assert_eq!(package["sha256"], sha256(b"contents"));
    assert_eq!(package["driver"], "local");
    let uuid = package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
    let expected = json!({
        "rdfm.software.version": "v1",
        "rdfm.hardware.devtype": "dummy",
        "größe": "x y\r\nz",
        "rdfm.storage.local.length": 8,
        "rdfm.storage.local.uuid": uuid,
    });
    assert_eq!(package["metadata"], expected);
    assert_eq!(server.package_files().into_iter().collect::<Vec<_>>(), [std::path::PathBuf::from(uuid)]);
    assert_eq!(admin.show_package(package["id"].as_i64().unwrap()).await, package);
    assert_eq!(admin.get("/api/v1/packages").await.ok(), json!([package]));
}

#[tokio::test]
async fn a_storage_directory_is_shown_under_its_own_key() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[("rdfm.storage.directory", "site-a/images")], b"contents").await;
    let shown = admin.show_package(package).await["metadata"].clone();
    let storage = ["rdfm.storage.local.directory", "rdfm.storage.local.length", "rdfm.storage.local.uuid"];
    assert_fields(&shown, &[&["rdfm.software.version", "rdfm.hardware.devtype"], &storage[..]].concat());
    assert_eq!(shown[storage[0]], "site-a/images");
    let path = std::path::Path::new("site-a/images").join(shown[storage[2]].as_str().unwrap());
    assert_eq!(fs::read(server.data().join("packages").join(path)).unwrap(), b"contents");
}

#[tokio::test]
async fn the_parts_of_a_form_may_come_in_any_order() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (file, version, device_type) = (file("file", b"contents"), version(), device_type());
    let orders = [
        [&file, &version, &device_type],
        [&version, &file, &device_type],
        [&version, &device_type, &file],
        [&device_type, &version, &file],
    ];
    for parts in orders {
        let package = admin.upload(form_of(&parts.map(Clone::clone))).await.ok();
        assert_eq!(package["sha256"], sha256(b"contents"));
        assert_eq!(package["metadata"]["rdfm.software.version"], "v1");
    }
}

#[tokio::test]
async fn three_megabytes_arrive_and_leave_unchanged() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let contents = contents(3 * 1024 * 1024 + 7);
    let package = admin.upload(form(&metadata("v1"), Some(&contents))).await.ok();
    assert_eq!(package["sha256"], sha256(&contents));
    assert_eq!(package["metadata"]["rdfm.storage.local.length"], contents.len());
    let uuid = package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
    let downloaded = server.anonymous().get(&format!("/local_storage/{uuid}")).await;
    assert_eq!(sha256(&downloaded.body), sha256(&contents));
}

#[tokio::test]
async fn contents_may_look_like_a_boundary() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let contents = format!("\r\n--\r\n--{}\r\n{BOUNDARY}--\r\n", &BOUNDARY[..20]).into_bytes();
    let package = admin.upload(form(&metadata("v1"), Some(&contents))).await.ok();
    assert_eq!(package["sha256"], sha256(&contents));
}

#[tokio::test]
async fn reserved_metadata_keys_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for key in ["rdfm.storage.local.uuid", "rdfm.storage.local.length", "rdfm.storage.s3.bucket", "rdfm.storage."] {
        for parts in [
            [file("file", b"x"), version(), device_type(), field(key, b"1")],
            [field(key, b"1"), version(), device_type(), file("file", b"x")],
        ] {
            let error = assert_refused(&server, &admin, form_of(&parts)).await;
            assert!(error.contains(key), "{error}");
        }
    }
}

#[tokio::test]
async fn version_and_device_type_are_required() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let empty = |name: &str| field(name, b"");
    let cases = [
        (vec![device_type()], "rdfm.software.version"),
        (vec![version()], "rdfm.hardware.devtype"),
        (vec![empty("rdfm.software.version"), device_type()], "rdfm.software.version"),
        (vec![version(), empty("rdfm.hardware.devtype")], "rdfm.hardware.devtype"),
    ];
    for (mut parts, missing) in cases {
        parts.insert(0, file("file", b"x"));
        let error = assert_refused(&server, &admin, form_of(&parts)).await;
        assert!(error.contains(missing), "{error}");
    }
}

#[tokio::test]
async fn a_form_needs_exactly_one_file_with_contents_and_a_filename() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let nameless = part("form-data; name=\"file\"; filename=\"\"", b"x");
    let files = [
        vec![],
        vec![file("file", b"")],
        vec![field("file", b"x")],
        vec![nameless],
        vec![file("file", b"x"), file("file", b"y")],
        vec![file("image", b"x")],
        vec![file("file", b"x"), file("rdfm.something", b"y")],
        vec![file("file", b"x"), part("form-data", b"without a name")],
    ];
    for files in files {
        for parts in [[vec![version(), device_type()], files.clone()], [files, vec![version(), device_type()]]] {
            assert_refused(&server, &admin, form_of(&parts.concat())).await;
        }
    }
}

#[tokio::test]
async fn directories_that_leave_the_store_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for directory in ["..", "../x", "a/../../b", "/etc", "a//b", ".", ".uploads", "a\\b", "a\0b"] {
        let directory = field("rdfm.storage.directory", directory.as_bytes());
        assert_refused(&server, &admin, form_of(&[file("file", b"x"), version(), device_type(), directory])).await;
    }
    let above: Vec<_> = fs::read_dir(server.data().parent().unwrap()).unwrap().collect();
    assert_eq!(above.len(), 1, "only the data folder: {above:?}");
}

#[tokio::test]
async fn values_must_be_text_and_not_too_long() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for value in [vec![b'x'; 64 * 1024 + 1], b"\xff\xfe".to_vec()] {
        let parts = [file("file", b"x"), version(), device_type(), field("note", &value)];
        assert_refused(&server, &admin, form_of(&parts)).await;
    }
    let many = (0..300).map(|number| field(&format!("note {number}"), b"x"));
    let parts: Vec<_> = [file("file", b"x"), version(), device_type()].into_iter().chain(many).collect();
    assert_refused(&server, &admin, form_of(&parts)).await;
    let longest = "x".repeat(60 * 1024);
    admin.package("v1", &[("note", &longest)], b"x").await;
}

#[tokio::test]
async fn what_is_no_form_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (_, body) = form_of(&[version(), device_type(), file("file", b"x")]);
    let types = ["application/json", "multipart/form-data", "multipart/mixed; boundary=x", "text/plain", "garbage"];
    for content_type in types {
        let request = admin.request(Method::POST, "/api/v1/packages").header("Content-Type", content_type);
        admin.send(request.body(body.clone())).await.error(400);
    }
    admin.send(admin.request(Method::POST, "/api/v1/packages").body(body)).await.error(400);
    for body in [&b""[..], b"garbage", b"--another boundary--\r\n"] {
        assert_refused(&server, &admin, (BOUNDARY.to_owned(), body.to_vec())).await;
    }
}

#[tokio::test]
async fn boundaries_and_filenames_are_taken_as_clients_write_them() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let dispositions = [
        "form-data; name=\"file\"; filename=\"größe \\\"1\\\".img\"",
        "form-data; name=file; filename=file.img",
        "form-data; filename=\"file.img\"; name=\"file\"",
    ];
    let types =
        [format!("Multipart/Form-Data; Boundary=\"{BOUNDARY}\""), format!("multipart/form-data;boundary={BOUNDARY}")];
    for disposition in dispositions {
        let (_, body) = form_of(&[version(), device_type(), part(disposition, b"contents")]);
        for content_type in &types {
            let request = admin.request(Method::POST, "/api/v1/packages").header("Content-Type", content_type);
            let reply = admin.send(request.body(body.clone())).await;
            assert_eq!(reply.ok()["sha256"], sha256(b"contents"), "{disposition}");
        }
    }
}

#[tokio::test]
async fn a_form_that_lacks_its_end_is_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (boundary, whole) = form_of(&[version(), device_type(), file("file", &contents(1000))]);
    // The last line may lack its line break, and no more than that.
    for length in [10, whole.len() / 2, whole.len() - BOUNDARY.len() - 8, whole.len() - 5] {
        assert_refused(&server, &admin, (boundary.clone(), whole[..length].to_vec())).await;
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_leaves_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (_, body) = form_of(&[version(), device_type(), file("file", &contents(300_000))]);
    let head = format!(
        "POST /api/v1/packages HTTP/1.1\r\nHost: tender.example\r\nAuthorization: Bearer token={}\r\n\
         Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        admin.token,
        body.len()
    );
    let mut stream = server.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body[..body.len() - 1000]).await.unwrap();
    eventually("the upload has begun", || !server.package_files().is_empty()).await;
    stream.shutdown().await.unwrap();
    // Whether or not the server says something more: it ends.
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    assert_nothing_stored(&server).await;
}

#[tokio::test]
async fn a_deleted_package_is_gone_with_its_file() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[("rdfm.storage.directory", "site-a")], b"contents").await;
    let path = format!("/api/v1/packages/{package}");
    assert_eq!(server.package_files().len(), 1);
    assert_eq!(admin.delete(&path).await.ok(), json!({}));
    assert_eq!(server.package_files().len(), 0);
    admin.get(&path).await.error(404);
    admin.delete(&path).await.error(404);
    assert_eq!(admin.get("/api/v1/packages").await.ok(), json!([]));
    for id in ["0", "-1", "one", "99999999999999999999"] {
        admin.get(&format!("/api/v1/packages/{id}")).await.error(404);
        admin.delete(&format!("/api/v1/packages/{id}")).await.error(404);
    }
}

#[tokio::test]
async fn an_assigned_package_cannot_be_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[], &[package], "no_update,").await;
    let path = format!("/api/v1/packages/{package}");
    let error = admin.delete(&path).await.error(409);
    assert_eq!(error, "delete failed, the package is assigned to at least one group");
    assert_eq!(server.package_files().len(), 1);
    assert_eq!(admin.get(&path).await.status, 200);
    admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": [] })).await.ok();
    admin.delete(&path).await.ok();
}

#[tokio::test]
async fn identifiers_are_never_used_again() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let first = admin.package("v1", &[], b"contents").await;
    admin.delete(&format!("/api/v1/packages/{first}")).await.ok();
    let second = admin.package("v1", &[], b"contents").await;
    admin.delete(&format!("/api/v1/packages/{second}")).await.ok();
    server.restart().await;
    let third = server.admin().await.package("v1", &[], b"contents").await;
    assert!(first < second && second < third, "{first} {second} {third}");
}

#[tokio::test]
async fn equal_files_are_packages_of_their_own() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (first, second) = (admin.package("v1", &[], b"x").await, admin.package("v1", &[], b"x").await);
    admin.delete(&format!("/api/v1/packages/{first}")).await.ok();
    let uuid = admin.show_package(second).await["metadata"]["rdfm.storage.local.uuid"].clone();
    assert_eq!(server.anonymous().get(&format!("/local_storage/{}", uuid.as_str().unwrap())).await.body, b"x");
}

#[tokio::test]
async fn a_package_that_is_deleted_during_a_download_arrives_whole() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    // More than all buffers on the way hold.
    let contents = contents(24 * 1024 * 1024);
    let package = admin.package("v1", &[], &contents).await;
    let uuid = admin.show_package(package).await["metadata"]["rdfm.storage.local.uuid"].clone();
    let path = format!("/local_storage/{}", uuid.as_str().unwrap());
    let mut download = server.anonymous().request(Method::GET, &path).send().await.unwrap();
    let mut downloaded = download.chunk().await.unwrap().unwrap().to_vec();
    admin.delete(&format!("/api/v1/packages/{package}")).await.ok();
    assert!(server.package_files().is_empty());
    while let Some(piece) = download.chunk().await.unwrap() {
        downloaded.extend_from_slice(&piece);
    }
    assert_eq!(sha256(&downloaded), sha256(&contents));
    server.anonymous().get(&path).await.error(404);
}

#[tokio::test]
async fn what_was_cut_off_is_swept_at_the_next_start_and_nothing_else() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    admin.package("v1", &[], b"kept").await;
    admin.package("v1", &[("rdfm.storage.directory", "site-a")], b"kept too").await;
    let mut kept = server.package_files();
    server.stop().await;

    let folder = server.data().join("packages");
    let uuid = "6f7483ac-5cde-467f-acf7-39e4b397e313";
    for orphan in [folder.join(uuid), folder.join("site-a").join(uuid), folder.join(".uploads").join(uuid)] {
        fs::write(orphan, "cut off").unwrap();
    }
    for foreign in ["README", "site-a/notes.txt"] {
        fs::write(folder.join(foreign), "not ours").unwrap();
        kept.insert(foreign.into());
    }
    server.run().await;
    assert_eq!(server.package_files(), kept);
    let Value::Array(packages) = server.admin().await.get("/api/v1/packages").await.ok() else { panic!("not a list") };
    assert_eq!(packages.len(), 2);
}

#[tokio::test]
async fn a_deletion_whose_client_hangs_up_is_carried_out_to_the_end() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    for number in 0..8 {
        let package = admin.package("v1", &[], b"contents").await;
        let mut connection = server.connect().await;
        let head = format!("DELETE /api/v1/packages/{package} HTTP/1.1\r\nHost: here\r\n");
        let token = format!("Authorization: Bearer token={}\r\n\r\n", admin.token);
        connection.write_all((head + &token).as_bytes()).await.unwrap();
        // Hang up at different moments of the work.
        for _ in 0..number * 20 {
            tokio::task::yield_now().await;
        }
        drop(connection);
    }
    server.stop().await;
    // Each was either never begun or done to its end: no file is left without its row.
    eventually("as many files as rows", || {
        i64::try_from(server.package_files().len()).unwrap() == server.rows("packages")
    })
    .await;
}
