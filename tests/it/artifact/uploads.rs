//! Artifacts that are uploaded, in both ways: what is taken from them, shown, and refused.

use reqwest::Method;
use serde_json::{Value, json};
use tender::domain::Scope;

use crate::harness::artifact::{Blueprint, tar};
use crate::harness::{Operator, Reply, TestServer, assert_fields, form, metadata, sha256};
use crate::uploads::{append, begin_with, finish, request};

const VERSION: &str = "rdfm.software.version";
const DEVICE_TYPE: &str = "rdfm.hardware.devtype";

fn root_file_system() -> Blueprint {
    Blueprint::of_root_file_system("v2", &["dummy"], b"an image")
}

/// An artifact whose payload is not what its manifest says.
fn flawed() -> Vec<u8> {
    let mut files = root_file_system().files();
    files[3].1[512] ^= 1;
    tar(&files)
}

/// An upload in pieces that is complete; where it goes on.
async fn complete(operator: &Operator, about: &[(&str, &str)], file: &[u8]) -> String {
    let upload = begin_with(operator, file.len(), about).await;
    assert_eq!(append(operator, &upload, 0, file).await.status, 204);
    upload
}

/// Uploads in one of the two ways.
async fn upload(operator: &Operator, in_pieces: bool, about: &[(&str, &str)], file: &[u8]) -> Reply {
    if in_pieces {
        let upload = complete(operator, &[], file).await;
        finish(operator, &upload, about).await
    } else {
        operator.upload(form(about, Some(file))).await
    }
}

/// What is shown about the only package.
async fn overview(operator: &Operator) -> Value {
    let page = operator.get("/api/tender/v1/packages").await.ok();
    assert_eq!(page["packages"].as_array().map(Vec::len), Some(1), "{page}");
    page["packages"][0].clone()
}

#[tokio::test]
async fn an_artifact_needs_no_metadata() {
    for in_pieces in [false, true] {
        let mut server = TestServer::start().await;
        let admin = server.admin().await;
        let file = root_file_system().bytes();
        let package = upload(&admin, in_pieces, &[], &file).await.ok();
        assert_eq!((&package["metadata"][VERSION], &package["metadata"][DEVICE_TYPE]), (&json!("v2"), &json!("dummy")));
        // The frozen API has no field more.
        assert_fields(&package, &["created", "driver", "id", "metadata", "sha256"]);
        assert_fields(
            &package["metadata"],
            &[VERSION, DEVICE_TYPE, "rdfm.storage.local.length", "rdfm.storage.local.uuid"],
        );
        // Another life, the same answer.
        server.restart().await;
        let shown = overview(&server.admin().await).await;
        assert_eq!(shown["metadata"], json!({ VERSION: "v2", DEVICE_TYPE: "dummy" }));
        let artifact = &shown["artifact"];
        assert_eq!((&artifact["name"], &artifact["payloads"][0]["type"]), (&json!("v2"), &json!("rootfs-image")));
        assert_eq!(artifact["checksums"]["data/0000/root.img"], sha256(b"an image"));
        assert_eq!(artifact["unverified"], Value::Null);
    }
}

#[tokio::test]
async fn what_the_uploader_gives_counts_and_both_are_shown() {
    for in_pieces in [false, true] {
        let server = TestServer::start().await;
        let admin = server.admin().await;
        let mut blueprint = root_file_system();
        blueprint.set_header_info(&json!({
            "payloads": [{ "type": "rootfs-image" }],
            "artifact_provides": { "artifact_name": "v2" },
            "artifact_depends": { "device_type": ["dummy"], "artifact_name": ["v1"] },
        }));
        // An empty field of a form is nothing that is given.
        let about = [(VERSION, "2.0"), (DEVICE_TYPE, ""), ("note", "")];
        let package = upload(&admin, in_pieces, &about, &blueprint.bytes()).await.ok();
        let shown = overview(&admin).await;
        // Devices that are told another version do not report the names of artifacts.
        assert_eq!(shown["metadata"], json!({ VERSION: "2.0", DEVICE_TYPE: "dummy", "note": "" }));
        assert_eq!(shown["artifact"]["name"], "v2");
        admin.delete(&format!("/api/v1/packages/{}", package["id"])).await.ok();

        let about = [(VERSION, "v2"), (DEVICE_TYPE, "other")];
        let package = upload(&admin, in_pieces, &about, &blueprint.bytes()).await.ok();
        let base = "requires:rdfm.software.version";
        let expected = json!({ VERSION: "v2", DEVICE_TYPE: "other", base: "v1" });
        assert_eq!(overview(&admin).await["metadata"], expected);
        admin.delete(&format!("/api/v1/packages/{}", package["id"])).await.ok();

        upload(&admin, in_pieces, &[(base, "v0")], &blueprint.bytes()).await.ok();
        let expected = json!({ VERSION: "v2", DEVICE_TYPE: "dummy", base: "v0" });
        assert_eq!(overview(&admin).await["metadata"], expected);
        assert_eq!(server.rows("artifacts"), 1, "those of deleted packages are gone");
    }
}

#[tokio::test]
async fn several_device_types_are_named_and_left_to_the_uploader() {
    for in_pieces in [false, true] {
        let server = TestServer::start().await;
        let admin = server.admin().await;
        let file = Blueprint::of_root_file_system("v2", &["board-a", "board-b"], b"an image").bytes();
        let sentence = upload(&admin, in_pieces, &[], &file).await.error(400);
        assert!(sentence.starts_with("package metadata is missing rdfm.hardware.devtype"), "{sentence}");
        assert!(sentence.contains("\"board-a\", \"board-b\""), "{sentence}");
        assert_eq!(server.rows("packages"), 0);
        let package = upload(&admin, in_pieces, &[(DEVICE_TYPE, "board-b")], &file).await.ok();
        assert_eq!(package["metadata"][DEVICE_TYPE], "board-b");
    }
}

#[tokio::test]
async fn an_artifact_that_is_not_whole_leaves_nothing_behind() {
    let whole = root_file_system().bytes();
    for in_pieces in [false, true] {
        let server = TestServer::start().await;
        let admin = server.admin().await;
        for (file, place) in [
            (&whole[..whole.len() - 1200], "cut off in data/0000.tar"),
            (&whole[..700], "cut off in version"),
            (&flawed(), "data/0000/root.img"),
        ] {
            let sentence = upload(&admin, in_pieces, &metadata("v1"), file).await.error(400);
            assert!(sentence.contains(place) && sentence.contains("nothing of it is kept"), "{sentence}");
        }
        assert_eq!((server.rows("packages"), server.rows("uploads"), server.rows("artifacts")), (0, 0, 0));
        assert_eq!(server.package_files().len(), 0);
    }
}

#[tokio::test]
async fn plain_files_are_as_welcome_as_ever() {
    for in_pieces in [false, true] {
        let server = TestServer::start().await;
        let admin = server.admin().await;
        let sentence = upload(&admin, in_pieces, &[], b"a plain file").await.error(400);
        assert_eq!(sentence, "package metadata is missing rdfm.software.version");
        upload(&admin, in_pieces, &metadata("v1"), b"a plain file").await.ok();
        assert_eq!(overview(&admin).await["artifact"], Value::Null);
    }
}

#[tokio::test]
async fn a_complete_upload_can_be_looked_at_before_it_is_published() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = root_file_system().bytes();
    let about = [("filename", "v2.rdfm"), (DEVICE_TYPE, "other")];
    let upload = begin_with(&admin, file.len(), &about).await;
    append(&admin, &upload, 0, &file[..1000]).await;
    let shown = admin.get(&upload).await.ok();
    assert_fields(&shown, &["artifact", "created", "expires", "id", "length", "metadata", "offset", "problem"]);
    assert_eq!((&shown["artifact"], &shown["problem"]), (&Value::Null, &Value::Null));
    assert_eq!(shown["metadata"], json!({ DEVICE_TYPE: "other" }));
    append(&admin, &upload, 1000, &file[1000..]).await;
    for _ in 0..2 {
        let shown = admin.get(&upload).await.ok();
        assert_eq!((&shown["artifact"]["name"], &shown["problem"]), (&json!("v2"), &Value::Null));
        assert_eq!(shown["metadata"], json!({ DEVICE_TYPE: "other", VERSION: "v2" }));
    }
    let head = admin.send(request(&admin, Method::HEAD, &upload)).await;
    assert_eq!((head.status, head.header("upload-offset")), (200, &*file.len().to_string()));
    let package = finish(&admin, &upload, &[]).await.ok();
    assert_eq!((&package["metadata"][VERSION], &package["metadata"][DEVICE_TYPE]), (&json!("v2"), &json!("other")));
    admin.get(&upload).await.error(404);

    let upload = complete(&admin, &[], &flawed()).await;
    let shown = admin.get(&upload).await.ok();
    let problem = shown["problem"].as_str().unwrap();
    assert!(problem.contains("data/0000/root.img") && shown["artifact"].is_null(), "{problem}");
    finish(&admin, &upload, &metadata("v1")).await.error(400);
    let upload = complete(&admin, &[("rdfm.storage.uuid", "x")], b"a plain file").await;
    let problem = admin.get(&upload).await.ok()["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("rdfm.storage.uuid"), "{problem}");
}

#[tokio::test]
async fn who_cut_a_file_is_told_so_and_not_to_get_another_scope() {
    let server = TestServer::start().await;
    let token = server.issue_token("ci", [Scope::UploadRootfsImage].into_iter().collect(), None).await;
    let uploader = server.holder_of(&token);
    let whole = root_file_system().bytes();
    let sentence = uploader.upload(form(&[], Some(&whole[..whole.len() - 1200]))).await.error(400);
    assert!(sentence.contains("cut off"), "{sentence}");
    uploader.upload(form(&[], Some(&whole))).await.ok();
    // A version that is not known could mean something else by the same types.
    let mut newer = root_file_system().files();
    newer[0].1 = br#"{"format":"rdfm","version":4}"#.to_vec();
    let newer = tar(&newer);
    let sentence = uploader.upload(form(&metadata("v1"), Some(&newer))).await.error(403);
    assert!(sentence.contains("rdfm_upload_nonstandard_artifact"), "{sentence}");
    server.admin().await.upload(form(&metadata("v1"), Some(&newer))).await.ok();
}
