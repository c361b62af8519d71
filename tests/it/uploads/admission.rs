//! What is taken in, and what is refused before a byte of it is read.

use reqwest::Method;
use tender::domain::ByteSize;

use super::{UPLOADS, append, begin, contents, finish, request};
use crate::harness::raw::Raw;
use crate::harness::{TestServer, form, metadata};

/// More than any test machine has.
const HUGE: &str = "1000000000000000000";

#[tokio::test]
async fn what_there_is_no_room_for_is_refused_before_it_is_sent() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let first = admin.package("v1", &[], &contents(3000)).await;
    let second = admin.package("v2", &[], &contents(4000)).await;
    admin.group(&[], &[first], "no_update,").await;
    let reply = admin.send(request(&admin, Method::POST, UPLOADS).header("Upload-Length", HUGE)).await;
    let sentence = reply.error(507);
    assert!(sentence.contains("are free") && sentence.contains("kept back"), "{sentence}");
    assert!(sentence.contains(&format!("{second} (3.9 KiB)")) && !sentence.contains("2.9 KiB"), "{sentence}");

    // A form that says how long it is is answered while its client still waits to be told to go on.
    let mut client = Raw::connect(&server).await;
    let head = format!(
        "POST /api/v1/packages HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={}\r\nExpect: 100-continue\r\n\
         Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {HUGE}\r\n\r\n",
        admin.token
    );
    client.send(head).await;
    client.reply().await.unwrap().error(507);
    assert_eq!((server.rows("uploads"), server.package_files().len()), (0, 2));
}

#[tokio::test]
async fn the_reserve_stays_free() {
    let server = TestServer::start_with(|config| {
        config.storage_limits.reserve = Some(ByteSize::from_bytes(1_000_000_000_000_000));
    })
    .await;
    let admin = server.admin().await;
    admin.upload(form(&metadata("v1"), Some(b"x"))).await.error(507);
    admin.send(request(&admin, Method::POST, UPLOADS).header("Upload-Length", 1)).await.error(507);
}

#[tokio::test]
async fn a_form_that_does_not_say_how_long_it_is_ends_where_the_room_does() {
    let server = TestServer::start_with(|config| config.storage_limits.store = Some("1MiB".parse().unwrap())).await;
    let admin = server.admin().await;
    let (boundary, body) = form(&metadata("v1"), Some(&contents(20_000_000)));
    let pieces: Vec<_> = body.chunks(100_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    let request = admin.request(Method::POST, "/api/v1/packages");
    let request = request.header("Content-Type", format!("multipart/form-data; boundary={boundary}"));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    // All packages together are not more than they may be, as long as this one has no row.
    let status = admin.send(request.body(body)).await.status;
    assert_eq!(status, 507);
    assert_eq!(server.package_files().len(), 0);
}

#[tokio::test]
async fn packages_have_a_largest_size() {
    let server = TestServer::start_with(|config| config.storage_limits.package = Some("10kB".parse().unwrap())).await;
    let admin = server.admin().await;
    for length in [10_001, 100_000] {
        admin.upload(form(&metadata("v1"), Some(&contents(length)))).await.error(413);
        admin.send(request(&admin, Method::POST, UPLOADS).header("Upload-Length", length)).await.error(413);
    }
    assert_eq!(server.package_files().len(), 0);
    let upload = begin(&admin, 10_000).await;
    assert_eq!(append(&admin, &upload, 0, &contents(10_000)).await.status, 204);
    finish(&admin, &upload, &[]).await.ok();
    admin.upload(form(&metadata("v2"), Some(&contents(9_000)))).await.ok();
}

#[tokio::test]
async fn what_was_promised_counts_as_taken() {
    let server = TestServer::start_with(|config| config.storage_limits.store = Some("100kB".parse().unwrap())).await;
    let admin = server.admin().await;
    let upload = begin(&admin, 60_000).await;
    admin.send(request(&admin, Method::POST, UPLOADS).header("Upload-Length", 60_000)).await.error(507);
    admin.upload(form(&metadata("v1"), Some(&contents(60_000)))).await.error(507);
    append(&admin, &upload, 0, &contents(60_000)).await;
    finish(&admin, &upload, &[]).await.ok();
    admin.upload(form(&metadata("v1"), Some(&contents(60_000)))).await.error(507);
    admin.upload(form(&metadata("v1"), Some(&contents(30_000)))).await.ok();
}

#[tokio::test]
async fn unfinished_uploads_are_bounded() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for _ in 0..100 {
        begin(&admin, 1).await;
    }
    let reply = admin.send(request(&admin, Method::POST, UPLOADS).header("Upload-Length", 1)).await;
    let sentence = reply.error(409);
    assert!(sentence.contains("finish or delete"), "{sentence}");
}
