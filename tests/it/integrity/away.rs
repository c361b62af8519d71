//! A package folder whose file system is not mounted: nothing in it is lost, so nothing is marked and nothing made anew.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tender::usecase::sweep::mark_incomplete;

use super::Stored;
use crate::harness::TestServer;
use crate::harness::process::tender;

/// The package folder, and where it is while it is not mounted.
fn places(server: &TestServer) -> (PathBuf, PathBuf) {
    (server.data().join("packages"), server.data().join("elsewhere"))
}

fn serve(server: &TestServer) -> Command {
    let mut command = tender(server.data().parent().unwrap());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(server.data());
    command
}

#[tokio::test]
async fn while_it_is_away_downloads_are_refused_and_nothing_is_marked() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let package = Stored::upload(&server, &admin, "v1", b"contents").await;
    let (mounted, elsewhere) = places(&server);
    fs::rename(&mounted, &elsewhere).unwrap();
    fs::create_dir(&mounted).unwrap();
    let sentence = package.download(&server).await.error(503);
    assert!(sentence.contains("mounted"), "{sentence}");
    let installation = server.beside();
    // Opening it has made nothing that would look like the folder itself.
    assert!(mark_incomplete(&installation.store, &installation.packages).await.is_err());
    installation.store.close().await;
    assert_eq!(package.standing(&admin).await["state"], "whole");

    fs::remove_dir_all(&mounted).unwrap();
    fs::rename(&elsewhere, &mounted).unwrap();
    assert_eq!(package.download(&server).await.body, b"contents");
}

#[tokio::test]
async fn a_server_does_not_start_on_the_empty_folder_below_unless_its_packages_are_lost() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let (token, package) = (admin.token.clone(), Stored::upload(&server, &admin, "v1", b"contents").await);
    server.stop().await;
    let (mounted, elsewhere) = places(&server);
    fs::rename(&mounted, &elsewhere).unwrap();
    let output = serve(&server).output().unwrap();
    let line = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && line.contains("mounted") && line.contains(".tender"), "{line}");

    fs::write(mounted.join(".tender"), "").unwrap();
    server.run().await;
    assert_eq!(package.becomes(&server.holder_of(&token), "missing").await["id"], package.id);
    server.stop().await;

    fs::remove_dir_all(&mounted).unwrap();
    fs::rename(&elsewhere, &mounted).unwrap();
    server.run().await;
    assert_eq!(package.becomes(&server.holder_of(&token), "whole").await["id"], package.id);
    assert_eq!(package.download(&server).await.body, b"contents");
}
