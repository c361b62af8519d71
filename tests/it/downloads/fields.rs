//! What the head of a download says besides length and range: digests, how long to keep it, and a name to save it under.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use sha2::{Digest, Sha256};

use super::{Download, http_date};
use crate::harness::{START, form};

const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A digest as RFC 9530 writes it.
fn digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

#[tokio::test]
async fn the_whole_package_comes_with_the_digest_of_its_content() {
    let download = Download::start(&[]).await;
    for (method, headers) in [
        (Method::GET, vec![]),
        (Method::HEAD, vec![]),
        (Method::HEAD, vec![("Range", "bytes=0-9")]),
        (Method::GET, vec![("Range", "bytes=0-1,5-6")]),
        (Method::GET, vec![("Range", "bytes=0-9"), ("If-Range", "\"another\"")]),
    ] {
        let is_sent = method == Method::GET;
        let reply = download.send(method, &headers).await;
        assert_eq!(reply.status, 200);
        let content_digest = if is_sent { digest(&download.bytes) } else { String::new() };
        assert_eq!(reply.header("content-digest"), content_digest, "{headers:?}");
        assert_eq!(reply.header("repr-digest"), digest(&download.bytes), "{headers:?}");
    }
}

#[tokio::test]
async fn a_part_comes_with_the_digest_of_the_package_that_it_is_of() {
    let download = Download::start(&[]).await;
    for range in ["bytes=0-9", "bytes=299990-", "bytes=-1", "bytes=0-"] {
        let reply = download.get(&[("Range", range)]).await;
        assert_eq!(reply.status, 206);
        assert_eq!(reply.header("repr-digest"), digest(&download.bytes));
        // It would be about the part, whose hash nobody knows before it is sent.
        assert_eq!(reply.header("content-digest"), "", "{range}");
    }
}

#[tokio::test]
async fn what_is_no_package_has_no_digest() {
    let download = Download::start(&[]).await;
    let not_modified = download.get(&[("If-None-Match", &download.entity_tag())]).await;
    let unsatisfiable = download.get(&[("Range", "bytes=300000-")]).await;
    for (reply, status) in [(not_modified, 304), (unsatisfiable, 416)] {
        assert_eq!(reply.status, status);
        for field in ["content-digest", "repr-digest", "content-disposition"] {
            assert_eq!(reply.header(field), "", "{field}");
        }
    }
}

#[tokio::test]
async fn a_package_may_be_kept_for_ever_and_an_error_may_not() {
    let download = Download::start(&[]).await;
    let tag = download.entity_tag();
    for (headers, status) in [(vec![], 200), (vec![("Range", "bytes=0-9")], 206), (vec![("If-None-Match", &*tag)], 304)]
    {
        for method in [Method::GET, Method::HEAD] {
            let status = if method == Method::HEAD && status == 206 { 200 } else { status };
            let reply = download.send(method, &headers).await;
            assert_eq!((reply.status, reply.header("cache-control")), (status, FOR_EVER));
            assert_eq!(reply.header("last-modified"), http_date(START));
        }
    }
    assert_eq!(download.get(&[("Range", "bytes=300000-")]).await.header("cache-control"), "");
    let unknown = download.server.raw_get("/local_storage/6f7483ac-5cde-467f-acf7-39e4b397e313").await;
    assert_eq!((unknown.status, unknown.header("cache-control")), (404, ""));
}

#[tokio::test]
async fn a_package_is_saved_under_its_device_type_and_version() {
    let download = Download::start(&[]).await;
    for headers in [vec![], vec![("Range", "bytes=0-9")]] {
        for method in [Method::GET, Method::HEAD] {
            let reply = download.send(method, &headers).await;
            assert_eq!(reply.header("content-disposition"), "attachment; filename=\"dummy-v1\"");
        }
    }
}

#[tokio::test]
async fn no_metadata_breaks_the_head() {
    let mut download = Download::start(&[]).await;
    let admin = download.server.admin().await;
    let hostile = [
        ("größe", "v1", r#"attachment; filename="gr__e-v1"; filename*=UTF-8''gr%C3%B6%C3%9Fe-v1"#),
        ("../../etc", "passwd\"; x=\"y", r#"attachment; filename="_.._etc-passwd___x__y""#),
        ("a", "1\r\nSet-Cookie: a=b", r#"attachment; filename="a-1__Set-Cookie__a_b""#),
    ];
    for (device_type, version, expected) in hostile {
        let fields = [("rdfm.hardware.devtype", device_type), ("rdfm.software.version", version)];
        let package = admin.upload(form(&fields, Some(&download.bytes))).await.ok();
        download.path = format!("/local_storage/{}", package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
        let reply = download.get(&[]).await;
        download.assert_whole(&reply);
        assert_eq!(reply.header("content-disposition"), expected);
        assert_eq!(reply.header("set-cookie"), "");
    }
}
