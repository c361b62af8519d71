//! Certificates that somebody else made: read in all usual forms, refused when they are no good, and taken anew when they change.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::harness::process::{assert_refused, run};
use crate::harness::raw::eventually;

/// A folder with a certificate for localhost that vouches for itself; `None` without openssl.
fn certificate(kind: &[&str], name: &str) -> Option<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let subject = format!("/CN={name}");
    let arguments =
        ["req", "-x509", "-nodes", "-days", "2", "-subj", &subject, "-addext", "subjectAltName=DNS:localhost"];
    let files = ["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"];
    let (is_made, text) = tool(folder.path(), "openssl", &[&arguments[..], kind, &files].concat())?;
    assert!(is_made, "{text}");
    Some(folder)
}

const ECDSA: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: &[&str] = &["-newkey", "rsa:2048"];

fn files(folder: &TempDir) -> (PathBuf, PathBuf) {
    (folder.path().join("certificate.pem"), folder.path().join("key.pem"))
}

fn given(folder: &TempDir) -> impl FnOnce(&mut Config) + use<> {
    let (certificate, key) = files(folder);
    |config| {
        config.tls = TlsConfig::Given { certificate, key };
        config.certificate_look = LookInterval(Duration::from_millis(20));
    }
}

/// Whether the server shows the certificate in this folder.
async fn shows(server: &TestServer, folder: &TempDir) -> bool {
    let pem = fs::read_to_string(files(folder).0).unwrap();
    connect(server.secure_url(), client_config(&pem, BOTH_VERSIONS, H1, None), "localhost").await.is_ok()
}

/// Puts other files in the place of those that the server was given, one after the other.
fn replace(given: &TempDir, with: &TempDir) {
    for (from, to) in [(files(with).0, files(given).0), (files(with).1, files(given).1)] {
        fs::copy(from, to).unwrap();
    }
}

#[tokio::test]
async fn keys_come_in_all_usual_forms() {
    for (kind, convert) in [
        (ECDSA, &[][..]),
        (RSA, &[]),
        (&["-newkey", "ed25519"], &[]),
        (ECDSA, &["ec", "-in", "key.pem", "-out", "key.pem"]),
        (RSA, &["rsa", "-traditional", "-in", "key.pem", "-out", "key.pem"]),
    ] {
        let Some(folder) = certificate(kind, "localhost") else { return };
        if !convert.is_empty() {
            let (is_converted, text) = tool(folder.path(), "openssl", convert).unwrap();
            assert!(is_converted, "{text}");
        }
        let server = TestServer::start_with(given(&folder)).await;
        assert!(shows(&server, &folder).await, "{kind:?} {convert:?}");
    }
}

#[tokio::test]
async fn the_chain_is_served_as_it_was_given() {
    let Some((first, second)) = certificate(ECDSA, "a").zip(certificate(ECDSA, "b")) else { return };
    let (path, _) = files(&first);
    let both = [&path, &files(&second).0].map(|path| fs::read_to_string(path).unwrap()).concat();
    fs::write(&path, &both).unwrap();
    let server = TestServer::start_with(given(&first)).await;
    let config = client_config(&both, BOTH_VERSIONS, H1, None);
    let stream = connect(server.secure_url(), config, "localhost").await.unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(both.as_bytes()).map(Result::unwrap).collect();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap(), chain);
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start_in_one_line() {
    let Some((good, other)) = certificate(ECDSA, "a").zip(certificate(ECDSA, "b")) else { return };
    let ((certificate, key), (_, other_key)) = (files(&good), files(&other));
    let folder = good.path();
    fs::write(folder.join("empty.pem"), "").unwrap();
    fs::write(folder.join("damaged.pem"), fs::read_to_string(&certificate).unwrap().replace("MII", "!!!")).unwrap();
    let paths = |name: &str| folder.join(name);
    for (certificate, key, reason) in [
        (certificate.clone(), other_key, "is not that of the certificate"),
        (paths("none.pem"), key.clone(), "cannot read the certificate file"),
        (certificate.clone(), paths("none.pem"), "cannot read the key file"),
        (paths("empty.pem"), key.clone(), "no certificate in"),
        (certificate.clone(), paths("empty.pem"), "no private key in"),
        (key.clone(), certificate.clone(), "no certificate in"),
        (paths("damaged.pem"), key, "damaged"),
    ] {
        let data = tempfile::tempdir().unwrap();
        let arguments = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0", "--server-cert"].map(PathBuf::from);
        let arguments = arguments.into_iter().chain([certificate, "--server-key".into(), key]);
        let line = assert_refused(&run(data.path(), arguments), 2);
        assert!(line.contains(reason), "{line}");
    }
}

#[tokio::test]
async fn another_certificate_is_taken_when_the_files_change_and_a_bad_one_is_not() {
    let Some((first, second)) = certificate(ECDSA, "a").zip(certificate(RSA, "b")) else { return };
    let old = tempfile::tempdir().unwrap();
    replace(&old, &first);
    let server = TestServer::start_with(given(&first)).await;
    assert!(shows(&server, &old).await);
    // Who is connected stays so.
    let client = {
        let pem = fs::read_to_string(files(&old).0).unwrap();
        let config = client_config(&pem, BOTH_VERSIONS, H2, None);
        reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap()
    };
    let url = server.secure_url().replace("127.0.0.1", "localhost");
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);

    replace(&first, &second);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !shows(&server, &second).await {
        assert!(std::time::Instant::now() < deadline, "the new certificate is not taken");
    }
    assert!(!shows(&server, &old).await);
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);

    // Told so, the server looks at once; and what is no good is not taken, whether it looks by itself or is told to.
    fs::write(files(&first).1, "no key").unwrap();
    server.running().settings().reload_certificates().await;
    assert!(shows(&server, &second).await);
    fs::remove_file(files(&first).0).unwrap();
    server.running().settings().reload_certificates().await;
    assert!(shows(&server, &second).await);
    replace(&first, &old);
    server.running().settings().reload_certificates().await;
    assert!(shows(&server, &old).await);
}

#[tokio::test]
async fn a_bad_certificate_is_told_once() {
    use crate::harness::process::ServerProcess;
    let Some(folder) = certificate(ECDSA, "a") else { return };
    let server = ServerProcess::start_with(folder.path(), |command| {
        command.args(["--server-cert", "certificate.pem", "--server-key", "key.pem"])
    })
    .await;
    assert!(server.url.starts_with("https://") && server.log().contains("#claim="), "{}", server.log());
    assert!(server.log().contains("tender: https://127.0.0.1:"), "{}", server.log());
    fs::write(files(&folder).1, "no key").unwrap();
    let complaints = || server.log().lines().filter(|line| line.contains("ERROR")).count();
    eventually("the server complains", || complaints() > 0).await;
    let log = server.log();
    assert!(log.contains("no private key in key.pem") && log.contains("served on"), "{log}");
    assert_eq!(complaints(), 1);
}
