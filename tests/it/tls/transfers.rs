//! Packages over TLS, where every byte is read: they are the same bytes.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;

use super::*;
use crate::harness::{contents, form, sha256};

/// More than windows, buffers and sockets hold together.
const LARGE: u32 = 24 * 1024 * 1024;

async fn large() -> (TestServer, String, Vec<u8>) {
    let server = TestServer::start_with(auto).await;
    let admin = server.admin().await;
    let bytes = contents(LARGE);
    let package = admin.package("v1", &[], &bytes).await;
    let shown = admin.show_package(package).await;
    let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
    let url = format!("{}/local_storage/{uuid}", server.secure_url());
    (server, url, bytes)
}

async fn get(client: &Client, url: &str, range: Option<(usize, usize)>) -> Vec<u8> {
    let mut request = client.get(url);
    if let Some((first, last)) = range {
        request = request.header("Range", format!("bytes={first}-{last}"));
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), if range.is_some() { 206 } else { 200 });
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn downloads_and_ranges_are_byte_for_byte_what_was_uploaded() {
    let (server, url, bytes) = large().await;
    let end = bytes.len() - 1;
    // On both sides of what is read at once, what is copied, and what is framed.
    let ranges =
        [(0, 0), (0, 16_383), (1, 16_384), (5, 32_767), (5, 32_773), (100, 131_171), (100, 131_172), (end, end)];
    for protocols in [H1, H2] {
        let client = http_client(&server, protocols);
        for (first, last) in ranges.into_iter().chain([(1_000_000, end), (7, 20_000_000)]) {
            assert!(
                get(&client, &url, Some((first, last))).await == bytes[first..=last],
                "{protocols:?} {first}-{last}"
            );
        }
        for body in join_all((0..4).map(|_| get(&client, &url, None))).await {
            assert!(body == bytes, "{protocols:?}");
        }
        let head = client.head(&url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"].to_str().unwrap(), bytes.len().to_string());
    }
    // Where files are sent by the operating system they still are the same.
    let plain = url.replace(server.secure_url(), server.url());
    assert!(reqwest_plain().get(plain).send().await.unwrap().bytes().await.unwrap() == bytes);
}

fn reqwest_plain() -> Client {
    Client::builder().tls_backend_preconfigured(client_config("", BOTH_VERSIONS, H1, None)).build().unwrap()
}

#[tokio::test]
async fn what_is_not_in_memory_comes_from_the_disk() {
    let (server, url, bytes) = large().await;
    let path = server.package_files().into_iter().find(|file| !file.ends_with(".tender")).unwrap();
    let file = std::fs::File::open(server.data().join("packages").join(path)).unwrap();
    for protocols in [H1, H2] {
        // The kernel may not do it; then this tests what others test.
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        assert!(get(&http_client(&server, protocols), &url, None).await == bytes);
    }
}

#[tokio::test]
async fn uploads_arrive_whole() {
    let server = TestServer::start_with(auto).await;
    let admin = server.admin().await;
    for (number, protocols) in [H1, H2].into_iter().enumerate() {
        let bytes: Vec<u8> = contents(9 * 1024 * 1024).into_iter().map(|byte| byte ^ number as u8).collect();
        let (boundary, body) =
            form(&[("rdfm.software.version", "v1"), ("rdfm.hardware.devtype", "dummy")], Some(&bytes));
        let upload = http_client(&server, protocols).post(format!("{}/api/v1/packages", server.secure_url()));
        let upload = upload
            .header("Authorization", format!("Bearer token={}", admin.token))
            .header("Content-Type", format!("multipart/form-data; boundary={boundary}"));
        let reply: serde_json::Value = upload.body(body).send().await.unwrap().json().await.unwrap();
        let package = admin.show_package(reply["id"].as_i64().unwrap()).await;
        assert_eq!(package["sha256"], sha256(&bytes));
    }
}

#[tokio::test]
async fn the_end_of_the_server_waits_for_downloads_of_either_protocol() {
    for protocols in [H1, H2] {
        let (mut server, url, bytes) = large().await;
        let client = http_client(&server, protocols);
        let mut response = client.get(&url).send().await.unwrap();
        let mut received = response.chunk().await.unwrap().unwrap().to_vec();
        // More than is on its way is still to come when the server is told to stop.
        let stopping = async {
            server.stop().await;
        };
        let reading = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            while let Some(piece) = response.chunk().await.unwrap() {
                received.extend_from_slice(&piece);
            }
        };
        tokio::join!(stopping, reading);
        assert!(received == bytes, "{protocols:?}");
        assert!(client.get(&url).send().await.is_err(), "nobody is let in any more");
    }
}
