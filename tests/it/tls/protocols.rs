//! Which versions and protocols are spoken, and what the server makes of a connection that is encrypted.

use std::time::Duration;

use reqwest::{Method, Version};
use serde_json::json;
use tender::domain::Role;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::rustls::HandshakeKind;

use super::*;
use crate::harness::PASSWORD;
use crate::harness::raw::Raw;

const MAC: &str = "00:11:22:33:44:55";

#[tokio::test]
async fn browsers_speak_http_2_and_devices_http_1() {
    let server = TestServer::start_with(auto).await;
    for (protocols, version) in [(H1, Version::HTTP_11), (H2, Version::HTTP_2), (&[][..], Version::HTTP_11)] {
        let response = http_client(&server, protocols).get(server.secure_url()).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        assert!(response.headers().get("strict-transport-security").is_none(), "the authority is our own");
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_sessions_go_on() {
    let server = TestServer::start_with(auto).await;
    for version in [&TLS12, &TLS13] {
        let config = client_config(&exported(&server), &[version], H1, None);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut stream = connect(server.secure_url(), config.clone(), "localhost").await.unwrap();
            // The ticket of TLS 1.3 comes after the handshake, with what is read next.
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut reply = Vec::new();
            stream.read_to_end(&mut reply).await.unwrap();
            assert!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
            let connection = stream.get_ref().1;
            assert_eq!(connection.handshake_kind(), Some(kind), "{version:?}");
            assert_eq!(connection.protocol_version(), Some(version.version));
        }
    }
}

#[tokio::test]
async fn openssl_gets_what_is_safe_and_nothing_older() {
    let server = TestServer::start_with(auto).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), exported(&server)).unwrap();
    let address = server.secure_url().strip_prefix("https://").unwrap().to_owned();
    let shake = |version: &'static str| {
        let (folder, address) = (folder.path().to_owned(), address.clone());
        tokio::task::spawn_blocking(move || {
            let arguments = ["s_client", "-connect", &address, "-CAfile", "ca.pem", "-verify_return_error", version];
            tool(&folder, "openssl", &[&arguments[..], &["-cipher", "DEFAULT@SECLEVEL=0"]].concat())
        })
    };
    for (version, is_spoken) in [("-tls1_2", true), ("-tls1_3", true), ("-tls1_1", false), ("-tls1", false)] {
        let Some((_, text)) = shake(version).await.unwrap() else { return };
        let is_verified = text.contains("Verify return code: 0 (ok)") && !text.contains("Cipher is (NONE)");
        assert_eq!(is_verified, is_spoken, "{version}: {text}");
    }
}

#[tokio::test]
async fn addresses_and_cookies_are_those_of_an_encrypted_connection() {
    let server = TestServer::start_with(auto).await;
    let admin = server.admin().await;
    let device = server.accepted_device(MAC).await;
    let package = admin.package("v1", &[], b"contents").await;
    admin.group(&[admin.device_id(&device).await], &[package], "exact_match,v1").await;
    server.add_user("ada", Role::Admin).await;
    for protocols in [H1, H2] {
        let client = http_client(&server, protocols);
        let token = device.token.as_ref().unwrap();
        let check = client.post(format!("{}/api/v1/update/check", server.secure_url()));
        let check = check.header("Authorization", format!("Bearer token={token}")).json(&device.metadata);
        let offered: serde_json::Value = check.send().await.unwrap().json().await.unwrap();
        let uri = offered["uri"].as_str().unwrap();
        assert!(uri.starts_with(&format!("{}/local_storage/", server.secure_url())), "{uri}");
        assert_eq!(client.get(uri).send().await.unwrap().bytes().await.unwrap(), "contents");

        let log_in = client.post(format!("{}/api/tender/v1/session", server.secure_url()));
        let log_in = log_in.header("Origin", server.secure_url()).json(&json!({ "name": "ada", "password": PASSWORD }));
        let reply = log_in.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let cookies: Vec<_> = reply.headers().get_all("set-cookie").iter().map(|c| c.to_str().unwrap()).collect();
        assert!(cookies.iter().any(|cookie| cookie.starts_with("__Host-tender-session=")), "{cookies:?}");
        assert!(cookies.iter().all(|cookie| cookie.ends_with("; Secure")), "{cookies:?}");
        // A page from elsewhere is one over HTTP/2, too.
        let forged = client.post(format!("{}/api/tender/v1/session", server.secure_url()));
        let forged = forged.header("Origin", "https://elsewhere.example").json(&json!({}));
        assert_eq!(forged.send().await.unwrap().status(), 403);
    }
}

#[tokio::test]
async fn who_speaks_plain_http_to_the_port_of_https_is_told_so() {
    let server = TestServer::start_with(auto).await;
    let mut lost = Raw::to(&server.secure_url().replace("https", "http")).await;
    lost.send("POST /api/v1/update/check HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
    lost.send(vec![b'x'; 100_000]).await;
    let reply = lost.reply().await.unwrap();
    assert_eq!(reply.status, 400);
    assert!(String::from_utf8(reply.body).unwrap().contains("https://"));
    // What is neither is let go.
    let mut noise = Raw::to(&server.secure_url().replace("https", "http")).await;
    noise.send([0_u8; 100]).await;
    assert!(noise.reply().await.is_none());
    // Beside HTTPS there is plain HTTP where that was asked for.
    assert_eq!(server.anonymous().get("/").await.status, 200);
}

#[tokio::test]
async fn many_requests_share_one_connection_of_http_2() {
    let server = TestServer::start_with(auto).await;
    let admin = server.admin().await;
    let client = http_client(&server, H2);
    let ask = |number: usize| {
        let request = client.request(Method::GET, format!("{}//api/v1/groups?a={number}", server.secure_url()));
        request.header("Authorization", format!("Bearer token={}", admin.token)).send()
    };
    for response in futures_util::future::join_all((0..200).map(ask)).await {
        assert_eq!(response.unwrap().json::<serde_json::Value>().await.unwrap(), json!([]));
    }
    // Events keep coming beside other requests.
    let listen = client.get(format!("{}/api/tender/v1/events", server.secure_url()));
    let mut events = listen.header("Authorization", format!("Bearer {}", admin.token)).send().await.unwrap();
    assert_eq!(events.version(), Version::HTTP_2);
    assert!(String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()).contains("hello"));
    admin.package("v1", &[], b"contents").await;
    let told = async {
        loop {
            let piece = events.chunk().await.unwrap().unwrap();
            if String::from_utf8_lossy(&piece).contains("package.uploaded") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("the event comes");
}
