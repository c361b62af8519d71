//! A server that has as many files open as it may: it goes on with what it has, and takes more when some were closed.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;

use super::lab::Lab;
use crate::harness::contents;
use crate::harness::process::ServerProcess;

/// What a server has open by itself, and a few connections.
const DESCRIPTORS: &str = "64";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_goes_on_and_recovers() {
    let lab = Lab::new();
    let token = lab.create_token();
    let served = lab.command(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
    let mut command = Command::new("prlimit");
    command.arg(format!("--nofile={DESCRIPTORS}")).arg(served.get_program()).args(served.get_args());
    command.current_dir(lab.root());
    let server = ServerProcess::launch(command).await;
    let operator = server.operator(&token);
    let package = operator.package("v1", &[], &contents(10_000)).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let mut connections = Vec::new();
    while !server.log().contains("accepting a connection failed") {
        connections.push(TcpStream::connect(address).await.unwrap());
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(connections.len() < 200, "{}", server.log());
    }
    // Those who are connected are served as ever.
    for _ in 0..10 {
        operator.get("/api/v1/devices").await.ok();
        operator.post("/api/v1/groups", json!({})).await.ok();
    }
    let refused = operator.upload(crate::harness::form(&crate::harness::metadata("v2"), Some(b"x"))).await;
    assert!(refused.error(503).contains("as many files open as it may"), "{refused:?}");
    // It does not spin: trying to accept takes a pause.
    let warnings = server.log().matches("accepting a connection failed").count();
    assert!(warnings < 20, "{warnings}");

    connections.clear();
    let operator = server.operator(&token);
    operator.get("/api/v1/devices").await.ok();
    operator.package("v2", &[], b"contents").await;
    operator.show_package(package).await;
    assert_eq!(server.anonymous().get("/health/ready").await.ok()["status"], "ready");
}
