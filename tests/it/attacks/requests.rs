//! Requests for what this server does not do: other protocols, compressed bodies, methods of proxies.

use std::io::Write;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::harness::process::{ServerProcess, create_token};
use crate::harness::raw::{Raw, list_groups};
use crate::harness::{TestServer, form, metadata};

const MEBIBYTE: usize = 1024 * 1024;

/// A connection that asks to become something else (WebSocket, HTTP/2, a tunnel) stays HTTP/1.1: the request is answered as if it had
/// not asked, never with 101, and what follows is read as requests. What is no HTTP/1.1 at all is a 400, and the end.
#[tokio::test]
async fn no_connection_becomes_another_protocol() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let websocket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
    let http_2 = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    let tls = "Connection: Upgrade\r\nUpgrade: TLS/1.2\r\n";
    for upgrade in [websocket, http_2, tls] {
        for (path, status) in
            [("/", 200), ("/api/tender/v1/events", 401), ("/api/v1/groups", 401), ("/ws", 404), ("/health/live", 200)]
        {
            let mut client = Raw::connect(&server).await;
            client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n{upgrade}\r\n")).await;
            let reply = client.reply().await.unwrap();
            assert_eq!((reply.status, reply.header("upgrade")), (status, ""), "{path} {upgrade}");
            client.send(list_groups(&admin.token)).await;
            assert_eq!(client.reply().await.unwrap().status, 200, "{path} {upgrade}");
        }
    }
    for target in ["CONNECT internal.example:22", "CONNECT 127.0.0.1:22", "TRACE /", "TRACE /api/v1/groups"] {
        let mut client = Raw::connect(&server).await;
        client.send(format!("{target} HTTP/1.1\r\nHost: here\r\nX-Secret: told\r\n\r\n")).await;
        let reply = client.reply().await.unwrap();
        reply.error(405);
        assert!(!String::from_utf8_lossy(&reply.body).contains("told"), "{target}");
    }
    for preface in
        ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\u{16}\u{3}\u{1}\u{2}", "SSH-2.0-OpenSSH_9.2\r\n", "*1\r\n$4\r\nPING\r\n"]
    {
        let mut client = Raw::connect(&server).await;
        client.send(preface).await;
        client.end().await;
        let replies = client.replies().await;
        assert!(replies.iter().all(|reply| reply.status == 400), "{preface:?}: {replies:?}");
    }
}

fn zeros(length: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let piece = vec![b' '; MEBIBYTE];
    for _ in 0..length / MEBIBYTE {
        encoder.write_all(&piece).unwrap();
    }
    encoder.finish().unwrap()
}

/// A body that says that it is compressed is not decompressed: as JSON it is a 400, as a package it is kept as the bytes that came.
/// 512 MiB of blanks in half a MiB cost no more than that.
#[tokio::test]
async fn compressed_bodies_are_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let token = create_token(folder.path());
    let admin = server.operator(&token);
    admin.get("/api/v1/groups").await.ok();
    let bomb = zeros(512 * MEBIBYTE);
    let before = server.peak_memory();
    for (path, content_type) in [
        ("/api/v1/groups", "application/json"),
        ("/api/v1/auth/device", "application/json"),
        ("/api/tender/v1/session", "application/json"),
        ("/oauth/token", "application/x-www-form-urlencoded"),
        ("/api/v1/packages", "multipart/form-data; boundary=b"),
        ("/api/tender/v1/bundles", "application/octet-stream"),
    ] {
        let mut client = Raw::to(&server.url).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={token}\r\nContent-Type: {content_type}\r\n\
             Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            bomb.len()
        );
        client.send(head).await;
        client.send(&bomb).await;
        let reply = client.reply().await.expect("an answer");
        assert!(matches!(reply.status, 400..=415), "{path}: {reply:?}");
    }
    // A compressed file is a file.
    let (boundary, body) = form(&metadata("v1"), Some(&bomb));
    let package = admin.upload((boundary, body)).await.ok();
    assert_eq!(package["metadata"]["rdfm.storage.local.length"], bomb.len());
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 24 * MEBIBYTE, "{} MiB more", grown / MEBIBYTE);
}

/// What of the page is kept compressed is never unpacked for a request: whatever is asked for, one of two stored forms comes, with
/// the same contents.
#[tokio::test]
async fn the_page_comes_in_one_of_two_stored_forms_whatever_is_accepted() {
    let server = TestServer::start().await;
    let plain = server.anonymous().get("/static/main.js").await.body;
    let long = "gzip;q=0.001, ".repeat(3_000);
    let accepted = [
        "gzip;q=0",
        "identity;q=0",
        "*;q=0",
        "*",
        "br, zstd, deflate",
        "gzip;q=9999",
        "gzip;q=nan",
        ";;;,,,",
        "\u{e9}",
        &long,
    ];
    for accepted in accepted {
        let mut client = Raw::connect(&server).await;
        client.send(format!("GET /static/main.js HTTP/1.1\r\nHost: here\r\nAccept-Encoding: {accepted}\r\n\r\n")).await;
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.status, 200, "{accepted:.60}");
        let mut contents = Vec::new();
        match reply.header("content-encoding") {
            "gzip" => drop(std::io::Read::read_to_end(&mut GzDecoder::new(&reply.body[..]), &mut contents).unwrap()),
            "" => contents.clone_from(&reply.body),
            other => panic!("{other}"),
        }
        assert!(contents == plain, "{accepted:.60}");
    }
}
