//! Webhooks over HTTPS: each server in a process of its own, as whom it trusts is in its environment.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::harness::Operator;
use crate::harness::certificate::Certificate;
use crate::harness::process::{ServerProcess, create_token, run};
use crate::harness::raw::PATIENCE;

/// A server that tells `url` of packages and trusts `authorities`, and somebody who may do everything.
async fn server_trusting(authorities: &Path, url: &str) -> (TempDir, ServerProcess, Operator) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), SECRET).unwrap();
    let webhook = format!("webhook_secret_file = \"secret\"\n[[webhooks]]\nurl = \"{url}\"\nevents = [\"package\"]\n");
    fs::write(folder.path().join("tender.toml"), webhook).unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| {
        command.args(["--config", "tender.toml"]).env("SSL_CERT_FILE", authorities)
    })
    .await;
    let operator = server.operator(&create_token(folder.path()));
    (folder, server, operator)
}

#[tokio::test]
async fn events_go_over_tls_to_whom_the_machine_trusts() {
    let Some(certificate) = Certificate::make() else { return };
    let receiver = Receiver::answering_over_tls(&json!({}), certificate.acceptor()).await;
    let (_folder, _server, operator) = server_trusting(certificate.path(), &receiver.url()).await;
    operator.package("v1", &[], b"contents").await;
    come(&receiver, &["package.uploaded"]).await;
    assert_signed(&receiver.questions()[0]);
}

#[tokio::test]
async fn strangers_are_told_nothing_and_the_operator_is_told_why() {
    let Some((certificate, other)) = Certificate::make().zip(Certificate::make()) else { return };
    let receiver = Receiver::answering_over_tls(&json!({}), certificate.acceptor()).await;
    let (folder, mut server, operator) = server_trusting(other.path(), &receiver.url()).await;
    operator.package("v1", &[], b"contents").await;
    let telling = async {
        loop {
            let webhooks = operator.get("/api/tender/v1/webhooks").await.ok();
            if let Some(error) = webhooks["webhooks"][0]["last_error"].as_str() {
                break error.to_owned();
            }
        }
    };
    let error = timeout(PATIENCE, telling).await.expect("the webhook fails");
    assert!(error.contains("certificate"), "{error}");
    server.signal("TERM");
    server.ended().await;
    let output = run(folder.path(), ["webhook", "list", "--data-dir", "data"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains(&receiver.host()) && stdout.contains("certificate"), "{stdout}");
    assert_eq!(receiver.count(), 0, "nothing was said to whom nobody vouches for");
}
