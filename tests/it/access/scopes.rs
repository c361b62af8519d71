//! Scopes: each opens its own, and uploads need the scope of what is uploaded.

use serde_json::json;
use tender::domain::{Action, Scope};

use crate::harness::artifact::{Blueprint, artifact};
use crate::harness::process::{ServerProcess, run};
use crate::harness::{Operator, TestServer, form, metadata};

async fn holder_of(server: &TestServer, scopes: &[Scope]) -> Operator {
    let token = server.issue_token("holder", scopes.iter().copied().collect(), None).await;
    server.holder_of(&token)
}

#[tokio::test]
async fn an_upload_needs_the_scope_of_its_artifacts_type() {
    let server = TestServer::start().await;
    let packages = [
        (artifact(&["single-file"], false), vec![Scope::UploadSingleFile]),
        (artifact(&["rootfs-image"], true), vec![Scope::UploadRootfsImage]),
        (artifact(&["delta-rootfs-image"], false), vec![Scope::UploadRootfsImage]),
        (artifact(&["zephyr-image"], false), vec![Scope::UploadNonstandardArtifact]),
        (b"a plain file".to_vec(), vec![Scope::UploadNonstandardArtifact]),
        (artifact(&["single-file", "rootfs-image"], false), vec![Scope::UploadSingleFile, Scope::UploadRootfsImage]),
    ];
    let mut expected = 0;
    for scopes in
        [&Scope::UPLOADS[..1], &Scope::UPLOADS[1..2], &Scope::UPLOADS[2..], &Scope::UPLOADS, &[Scope::ReadWrite]]
    {
        let uploader = holder_of(&server, scopes).await;
        for (package, needed) in &packages {
            let reply = uploader.upload(form(&metadata("v1"), Some(package))).await;
            let missing = needed.iter().find(|needed| !scopes.contains(needed) && !scopes.contains(&Scope::ReadWrite));
            match missing {
                None => {
                    reply.ok();
                    expected += 1;
                }
                Some(missing) => {
                    let sentence = reply.error(403);
                    assert!(sentence.contains(missing.name()), "{sentence}");
                }
            }
        }
    }
    assert_eq!(server.package_files().len(), expected, "nothing is left of what was refused");
    let denied = "SELECT count(*) FROM audit_log WHERE action = ?1 AND outcome = 'denied'";
    let denied: i64 = server.database().query_row(denied, [Action::UploadPackage.name()], |row| row.get(0)).unwrap();
    assert_eq!(usize::try_from(denied).unwrap(), 5 * packages.len() - expected);
}

#[tokio::test]
async fn whoever_may_upload_nothing_is_not_told_to_get_the_scope_for_everything() {
    let server = TestServer::start().await;
    let reader = holder_of(&server, &[Scope::ReadOnly]).await;
    let sentence = reader.upload(form(&metadata("v1"), Some(b"a plain file"))).await.error(403);
    for scope in Scope::UPLOADS {
        assert!(sentence.contains(scope.name()), "{sentence}");
    }
    assert!(!sentence.contains("rdfm_admin_rw"), "{sentence}");
}

#[tokio::test]
async fn a_scope_for_groups_creates_groups_and_nothing_else() {
    let server = TestServer::start().await;
    let creator = holder_of(&server, &[Scope::CreateGroup]).await;
    let group = creator.post("/api/v1/groups", json!({})).await.ok()["id"].clone();
    let sentence = creator.get("/api/v1/groups").await.error(403);
    assert!(sentence.contains("rdfm_admin_ro"), "{sentence}");
    let sentence = creator.delete(&format!("/api/v1/groups/{group}")).await.error(403);
    assert!(sentence.contains("rdfm_admin_rw"), "{sentence}");
}

#[tokio::test]
async fn many_uploads_at_once_are_judged_in_the_memory_of_few() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let scope = "rdfm_upload_single_file";
    let created =
        run(folder.path(), ["token", "create", "--name", "up", "--scope", scope, "--data-dir", "data"]).stdout;
    let token = String::from_utf8(created).unwrap().trim().to_owned();
    // The header is about as long as one may be, and takes many times that when it is read.
    let fields: Vec<_> = (0..20_000).map(|number| format!("\"{number}\":1")).collect();
    let type_info = format!("{{{}}}", fields.join(","));
    let mut blueprint = Blueprint { header_suffix: ".gz", ..Blueprint::of_types(&["single-file"; 15]) };
    for (name, contents) in &mut blueprint.header {
        if name.ends_with("type-info") {
            *contents = type_info.clone().into_bytes();
        }
    }
    let package = blueprint.bytes();
    let before = server.peak_memory();
    let uploads = (0..40).map(|_| {
        let (uploader, package) = (server.operator(&token), package.clone());
        tokio::spawn(async move { uploader.upload(form(&metadata("v1"), Some(&package))).await.status })
    });
    for upload in uploads.collect::<Vec<_>>() {
        assert_eq!(upload.await.unwrap(), 200);
    }
    let grown = (server.peak_memory() - before) / (1024 * 1024);
    assert!(grown < 180, "{grown} MiB");
}
