//! What the protocol says, rule by rule (<https://tus.io/protocols/resumable-upload>).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;
use sha2::{Digest, Sha256};
use tender::domain::Scope;

use super::{PIECE, UPLOADS, append, begin, contents, finish, metadata, offset, request};
use crate::harness::{TestServer, sha256};

#[tokio::test]
async fn an_upload_in_pieces_becomes_a_package_in_one_call() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = contents(1_000_003);
    let upload = begin(&admin, file.len()).await;
    let mut sent = 0;
    for piece in file.chunks(300_000) {
        assert_eq!(offset(&admin, &upload).await, sent);
        let reply = append(&admin, &upload, sent, piece).await;
        sent += piece.len();
        assert_eq!((reply.status, reply.header("upload-offset")), (204, sent.to_string().as_str()));
        assert_eq!(reply.header("tus-resumable"), "1.0.0");
        assert!(reply.header("upload-expires").ends_with(" GMT"), "{}", reply.header("upload-expires"));
    }
    let package = finish(&admin, &upload, &[("requires:rdfm.software.version", "v0")]).await.ok();
    assert_eq!(package["sha256"], sha256(&file));
    assert_eq!(package["metadata"]["rdfm.software.version"], "v1");
    assert_eq!(package["metadata"]["requires:rdfm.software.version"], "v0");
    assert_eq!(package["metadata"].get("filename"), None);
    let stored = admin.show_package(package["id"].as_i64().unwrap()).await;
    let uuid = stored["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
    assert_eq!(server.anonymous().get(&format!("/local_storage/{uuid}")).await.body, file);
    // Nothing is left of the upload.
    admin.get(&upload).await.error(404);
    assert_eq!((server.rows("uploads"), server.package_files().len()), (0, 1));
}

#[tokio::test]
async fn a_client_learns_what_is_spoken() {
    let server = TestServer::start_with(|config| config.storage_limits.package = Some("4MiB".parse().unwrap())).await;
    let anonymous = server.anonymous();
    let reply = anonymous.send(anonymous.request(Method::OPTIONS, UPLOADS)).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("tus-version"), "1.0.0");
    assert_eq!(reply.header("tus-resumable"), "1.0.0");
    assert_eq!(reply.header("tus-extension"), "creation,checksum,expiration,termination");
    assert_eq!(reply.header("tus-checksum-algorithm"), "sha1,sha256");
    assert_eq!(reply.header("tus-max-size"), (4 << 20).to_string());
}

#[tokio::test]
async fn another_version_is_refused_with_the_one_that_is_spoken() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let upload = begin(&admin, 10).await;
    for version in [None, Some("0.2.2"), Some("1.0")] {
        for (method, path) in [(Method::POST, UPLOADS), (Method::PATCH, &upload), (Method::DELETE, &upload)] {
            let request = admin.request(method, path).header("Upload-Length", 5).header("Upload-Offset", 0);
            let request = request.header("Content-Type", PIECE);
            let request = version.iter().fold(request, |request, version| request.header("Tus-Resumable", *version));
            let reply = admin.send(request.body("12345")).await;
            reply.error(412);
            assert_eq!((reply.header("tus-version"), reply.header("tus-resumable")), ("1.0.0", "1.0.0"));
        }
    }
    assert_eq!(offset(&admin, &upload).await, 0);
}

#[tokio::test]
async fn a_piece_belongs_where_the_upload_stopped() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = contents(100);
    let upload = begin(&admin, file.len()).await;
    assert_eq!(append(&admin, &upload, 0, &file[..40]).await.status, 204);
    for wrong in [0, 39, 41, 100] {
        let sentence = append(&admin, &upload, wrong, &file[40..50]).await.error(409);
        assert!(sentence.contains("40"), "{sentence}");
    }
    append(&admin, &upload, 40, &contents(61)).await.error(400);
    assert_eq!(offset(&admin, &upload).await, 40);
    let sentence = finish(&admin, &upload, &[]).await.error(409);
    assert!(sentence.contains("60 bytes"), "{sentence}");
    assert_eq!(append(&admin, &upload, 40, &file[40..]).await.status, 204);
    assert_eq!(finish(&admin, &upload, &[]).await.ok()["sha256"], sha256(&file));
}

#[tokio::test]
async fn headers_that_cannot_be_read_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for length in ["", "0", "-1", "+1", "1.5", "x", "99999999999999999999", "9223372036854775808"] {
        let request = request(&admin, Method::POST, UPLOADS).header("Upload-Length", length);
        admin.send(request).await.error(400);
    }
    admin.send(request(&admin, Method::POST, UPLOADS)).await.error(400);
    for about in ["key", "key !", "a b c", "key /w=="] {
        let request = request(&admin, Method::POST, UPLOADS).header("Upload-Length", 1);
        let status = admin.send(request.header("Upload-Metadata", about)).await.status;
        assert_eq!(status, if about == "key" { 201 } else { 400 }, "{about}");
    }
    let upload = begin(&admin, 10).await;
    for offset in ["", "-0", "x"] {
        let request = request(&admin, Method::PATCH, &upload).header("Upload-Offset", offset);
        admin.send(request.header("Content-Type", PIECE).body("1")).await.error(400);
    }
    let request = request(&admin, Method::PATCH, &upload).header("Upload-Offset", 0);
    admin.send(request.header("Content-Type", "application/octet-stream").body("1")).await.error(415);
    assert_eq!(offset(&admin, &upload).await, 0);
}

#[tokio::test]
async fn a_damaged_piece_is_thrown_away() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = contents(200_000);
    let upload = begin(&admin, file.len()).await;
    let (first, rest) = file.split_at(70_000);
    let send = async |offset: usize, piece: &[u8], checksum: &str| {
        let request = request(&admin, Method::PATCH, &upload).header("Upload-Offset", offset);
        let request = request.header("Content-Type", PIECE).header("Upload-Checksum", checksum);
        admin.send(request.body(piece.to_vec())).await
    };
    let of = |piece: &[u8]| format!("sha256 {}", STANDARD.encode(Sha256::digest(piece)));
    let sha1 = |piece: &[u8]| format!("sha1 {}", STANDARD.encode(sha1::Sha1::digest(piece)));
    assert_eq!(send(0, first, &of(first)).await.status, 204);
    for checksum in [of(first), sha1(first)] {
        let reply = send(first.len(), rest, &checksum).await;
        reply.error(460);
        assert_eq!(offset(&admin, &upload).await, first.len());
    }
    for unknown in ["md5 XrY7u+Ae7tCTyyK7j1rNww==", "sha256", "sha256 !"] {
        send(first.len(), rest, unknown).await.error(400);
    }
    assert_eq!(send(first.len(), rest, &sha1(rest)).await.status, 204);
    assert_eq!(finish(&admin, &upload, &[]).await.ok()["sha256"], sha256(&file));
}

#[tokio::test]
async fn an_upload_can_be_given_up() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let upload = begin(&admin, 10).await;
    append(&admin, &upload, 0, b"12345").await;
    assert_eq!(admin.send(request(&admin, Method::DELETE, &upload)).await.status, 204);
    append(&admin, &upload, 5, b"67890").await.error(404);
    admin.send(request(&admin, Method::DELETE, &upload)).await.error(404);
    assert_eq!((server.rows("uploads"), server.package_files().len()), (0, 0));
}

#[tokio::test]
async fn proxies_that_know_few_methods_are_no_hindrance() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let upload = begin(&admin, 5).await;
    let overridden = |method: &str| request(&admin, Method::POST, &upload).header("X-HTTP-Method-Override", method);
    let patch = overridden("PATCH").header("Upload-Offset", 0).header("Content-Type", PIECE).body("12345");
    assert_eq!(admin.send(patch).await.status, 204);
    admin.send(overridden("PUT")).await.error(400);
    assert_eq!(admin.send(overridden("DELETE")).await.status, 204);
    admin.get(&upload).await.error(404);
}

#[tokio::test]
async fn nobody_goes_on_with_somebody_elses_upload() {
    let server = TestServer::start().await;
    let issue = async |name: &str, scope: Scope| {
        let token = server.issue_token(name, [scope].into_iter().collect(), None).await;
        server.holder_of(&token)
    };
    let anna = issue("anna", Scope::UploadNonstandardArtifact).await;
    let bert = issue("bert", Scope::UploadNonstandardArtifact).await;
    let upload = begin(&anna, 5).await;
    bert.get(&upload).await.error(404);
    append(&bert, &upload, 0, b"12345").await.error(404);
    assert_eq!(bert.get(UPLOADS).await.ok(), json!([]));
    let listed = anna.get(UPLOADS).await.ok();
    assert_eq!((&listed[0]["length"], &listed[0]["offset"]), (&json!(5), &json!(0)));
    append(&anna, &upload, 0, b"12345").await;
    finish(&anna, &upload, &[]).await.ok();
}

#[tokio::test]
async fn the_scope_is_judged_by_what_was_uploaded() {
    let server = TestServer::start().await;
    let token = server.issue_token("ci", [Scope::UploadSingleFile].into_iter().collect(), None).await;
    let uploader = server.holder_of(&token);
    for (file, status) in [
        (crate::harness::artifact::artifact(&["single-file"], false), 200),
        (crate::harness::artifact::artifact(&["rootfs-image"], false), 403),
        (b"a plain file".to_vec(), 403),
    ] {
        let upload = begin(&uploader, file.len()).await;
        append(&uploader, &upload, 0, &file).await;
        assert_eq!(finish(&uploader, &upload, &[]).await.status, status);
    }
}

#[tokio::test]
async fn other_contents_than_expected_are_not_kept() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = contents(1000);
    let wrong = sha256(b"something else");
    let upload = begin(&admin, file.len()).await;
    append(&admin, &upload, 0, &file).await;
    finish(&admin, &upload, &[("rdfm.storage.sha256", "no hash")]).await.error(400);
    let sentence = finish(&admin, &upload, &[("rdfm.storage.sha256", &wrong)]).await.error(422);
    assert!(sentence.contains(&sha256(&file)), "{sentence}");
    admin.get(&upload).await.error(404);
    assert_eq!((server.rows("packages"), server.package_files().len()), (0, 0));
    // Said at the beginning, it counts as well.
    let about = metadata(&[
        ("rdfm.software.version", "v1"),
        ("rdfm.hardware.devtype", "dummy"),
        ("rdfm.storage.sha256", &sha256(&file).to_uppercase()),
    ]);
    let request = request(&admin, Method::POST, UPLOADS).header("Upload-Length", file.len());
    let upload = admin.send(request.header("Upload-Metadata", about)).await.header("location").to_owned();
    append(&admin, &upload, 0, &file).await;
    let package = finish(&admin, &upload, &[]).await.ok();
    assert_eq!(package["metadata"].get("rdfm.storage.sha256"), None);
}

#[tokio::test]
async fn a_form_can_say_what_its_file_must_be() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let with = |hash: &str| {
        let mut fields = crate::harness::metadata("v1");
        fields.push(("rdfm.storage.sha256", hash));
        crate::harness::form(&fields, Some(b"contents"))
    };
    admin.upload(with(&sha256(b"others"))).await.error(422);
    admin.upload(with("x")).await.error(400);
    assert_eq!((server.rows("packages"), server.package_files().len()), (0, 0));
    admin.upload(with(&sha256(b"contents"))).await.ok();
}
