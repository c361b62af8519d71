//! Requests that break the protocol: floods of headers, two lengths, bodies that are too long or break off.

use futures_util::future::join_all;
use serde_json::json;

use super::{assert_nothing_stored, assert_still_serves};
use crate::harness::raw::{Raw, json_head, list_groups};
use crate::harness::{Operator, TestServer, form, metadata};

const JSON_LIMIT_BYTES: usize = 2 * 1024 * 1024;

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn chunked_head(path: &str, token: &str, content_type: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={token}\r\n\
         Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
}

async fn groups(admin: &Operator) -> usize {
    admin.get("/api/v1/groups").await.ok().as_array().unwrap().len()
}

#[tokio::test]
async fn a_json_body_that_is_too_long_is_a_413_and_the_connection_goes_on() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(JSON_LIMIT_BYTES)).into_bytes();

    let mut client = Raw::connect(&server).await;
    client.send(json_head("POST /api/v1/groups", &admin.token, body.len())).await;
    client.send(&body).await;
    client.reply().await.unwrap().error(413);
    client.send(list_groups(&admin.token)).await;
    assert_eq!(client.reply().await.unwrap().ok(), json!([]));

    client.send(chunked_head("/api/v1/groups", &admin.token, "application/json")).await;
    for piece in body.chunks(100_000) {
        client.send(chunk(piece)).await;
    }
    client.send("0\r\n\r\n").await;
    client.reply().await.unwrap().error(413);
    client.send(list_groups(&admin.token)).await;
    assert_eq!(client.reply().await.unwrap().ok(), json!([]));

    // As much as is allowed is taken.
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(JSON_LIMIT_BYTES - 8)).into_bytes();
    assert_eq!(body.len(), JSON_LIMIT_BYTES);
    client.send(json_head("POST /api/v1/groups", &admin.token, body.len())).await;
    client.send(&body).await;
    assert_eq!(client.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_without_an_end_is_given_up_after_a_bounded_number_of_bytes() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut client = Raw::connect(&server).await;
    client.send(chunked_head("/api/v1/groups", &admin.token, "application/json")).await;
    let piece = chunk(&[b' '; 64 * 1024]);
    let mut sent = 0;
    while client.try_send(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 64 * 1024 * 1024, "the server reads for ever");
    }
    // One that says how long it is, and is not sent, is refused on its word.
    let mut client = Raw::connect(&server).await;
    client.send(json_head("POST /api/v1/groups", &admin.token, 1 << 40)).await;
    client.end().await;
    if let Some(reply) = client.reply().await {
        reply.error(413);
    }
    assert_eq!(groups(&admin).await, 0);
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_request_that_breaks_off_is_refused_and_does_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (boundary, upload) = form(&metadata("v1"), Some(b"contents"));
    let form_type = format!("multipart/form-data; boundary={boundary}");
    let json = br#"{"name":"a"}"#;
    let json_type = "application/json";
    let mut requests: Vec<Vec<u8>> = vec![
        b"G".to_vec(),
        b"GET /api/v1/groups".to_vec(),
        b"POST /api/v1/groups HTTP/1.1\r\nHost".to_vec(),
        json_head("POST /api/v1/groups", &admin.token, 100).into_bytes(),
        [json_head("POST /api/v1/groups", &admin.token, json.len() + 1).as_bytes(), json].concat(),
        [chunked_head("/api/v1/groups", &admin.token, json_type).as_bytes(), &chunk(json)].concat(),
        [chunked_head("/api/v1/groups", &admin.token, json_type).as_bytes(), b"ff\r\n", json].concat(),
        [chunked_head("/api/v1/groups", &admin.token, json_type).as_bytes(), &chunk(json), b"0\r\n"].concat(),
    ];
    for bad_size in ["zz", "-1", "+5", "0x5", " ", "ffffffffffffffffff", "1\n2"] {
        let body = [bad_size.as_bytes(), b"\r\n", json, b"\r\n0\r\n\r\n"].concat();
        requests.push([chunked_head("/api/v1/groups", &admin.token, json_type).as_bytes(), &body].concat());
    }
    requests.push([chunked_head("/api/v1/packages", &admin.token, &form_type).as_bytes(), &chunk(&upload)].concat());
    let asked = join_all(requests.iter().map(async |request| {
        let mut client = Raw::connect(&server).await;
        client.send(request).await;
        client.end().await;
        for reply in client.replies().await {
            assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(request));
        }
    }));
    asked.await;
    assert_eq!(groups(&admin).await, 0);
    assert_nothing_stored(&server).await;
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_body_of_another_type_is_a_415() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let with_type = async |content_type: &str| {
        let mut client = Raw::connect(&server).await;
        let head = json_head("POST /api/v1/groups", &admin.token, 2).replace("application/json", content_type);
        client.send(head + "{}").await;
        client.reply().await.unwrap()
    };
    for content_type in [
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application",
        "application/",
        "/json",
        "json",
        "////",
        "application/json/x",
        "*/*",
        "\u{e9}",
        "application/jsonx",
        ";",
        " ",
        "image/svg+xml",
    ] {
        with_type(content_type).await.error(415);
    }
    for content_type in ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.example+json"] {
        assert_eq!(with_type(content_type).await.status, 200, "{content_type}");
    }
    // A package only comes as a form.
    for content_type in ["application/json", "text/plain", "multipart/mixed; boundary=x", "multipart/form-data", "x"] {
        let mut client = Raw::connect(&server).await;
        let head = json_head("POST /api/v1/packages", &admin.token, 2).replace("application/json", content_type);
        client.send(head + "{}").await;
        client.reply().await.unwrap().error(400);
    }
    assert_nothing_stored(&server).await;
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let flood = |headers: String| format!("GET /api/v1/groups HTTP/1.1\r\nHost: here\r\n{headers}\r\n");
    let floods = [
        flood((0..101).map(|number| format!("X-{number}: a\r\n")).collect()),
        flood("X: a\r\n".repeat(10_000)),
        flood(format!("X: {}\r\n", "a".repeat(1024 * 1024))),
        flood(format!("{}: a\r\n", "a".repeat(1024 * 1024))),
        flood(format!("Cookie: {}\r\n", "a=b; ".repeat(100_000))),
        format!("GET /{} HTTP/1.1\r\nHost: here\r\n\r\n", "a".repeat(1024 * 1024)),
        format!("GET /?{} HTTP/1.1\r\nHost: here\r\n\r\n", "a".repeat(100_000)),
        format!("{} / HTTP/1.1\r\nHost: here\r\n\r\n", "A".repeat(1024 * 1024)),
        "\r\n".repeat(1024 * 1024),
        "\0".repeat(1024 * 1024),
    ];
    for flood in floods {
        let mut client = Raw::connect(&server).await;
        client.send(&flood).await;
        // A connection that was closed while the flood still came may lose the answer.
        if let Some(reply) = client.reply().await {
            assert!(matches!(reply.status, 400..500), "{reply:?}");
        }
        assert_still_serves(&server, &admin).await;
    }
    let mut client = Raw::connect(&server).await;
    client.send(flood((0..101).map(|number| format!("X-{number}: a\r\n")).collect())).await;
    assert_eq!(client.reply().await.unwrap().status, 431);
}

#[tokio::test]
async fn what_could_be_read_as_two_requests_is_never_answered_twice() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let hidden = list_groups(&admin.token);
    let start = format!(
        "POST /api/v1/groups HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={}\r\nContent-Type: application/json\r\n",
        admin.token
    );
    let length = 5 + hidden.len();
    let refused_or_closed = [
        // Two ideas of where the body ends.
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: 5\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: 5\r\n"),
        "Content-Length: 5, 6\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Content-Length: -5\r\n".to_owned(),
        "Content-Length: 0x5\r\n".to_owned(),
        "Content-Length: 5 5\r\n".to_owned(),
        "Content-Length: \r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        // Encodings that only some understand.
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: gzip\r\n".to_owned(),
        "Transfer-Encoding: \x0bchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Transfer-Encoding\t: chunked\r\n".to_owned(),
        "Transfer-Encoding:\r\n chunked\r\n".to_owned(),
        "X: a\r\n Transfer-Encoding: chunked\r\n".to_owned(),
        " Content-Length: 5\r\n".to_owned(),
        "X: a\rTransfer-Encoding: chunked\r\n".to_owned(),
        "X: a\0\r\n".to_owned(),
        "no colon\r\n".to_owned(),
    ];
    let asked = refused_or_closed.iter().map(async |headers| {
        let mut client = Raw::connect(&server).await;
        client.send(format!("{start}{headers}\r\n0\r\n\r\n{hidden}")).await;
        let replies = client.replies().await;
        assert!(replies.len() <= 1, "{headers:?} was answered as {} requests", replies.len());
        for reply in replies {
            assert_eq!(reply.status, 400, "{headers:?}: {reply:?}");
        }
    });
    join_all(asked).await;
    for line in [
        "GET /api/v1/groups HTTP/1.0",
        "GET  /api/v1/groups HTTP/1.1",
        "GET /api/v1/groups HTTP/2.0",
        "GET /api/v1/groups",
    ] {
        let mut client = Raw::connect(&server).await;
        client.send(format!("{line}\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}")).await;
        let replies = client.replies().await;
        assert!(replies.iter().all(|reply| reply.status == 400) && replies.len() <= 1, "{line}: {replies:?}");
    }
    assert_eq!(groups(&admin).await, 0);
    assert_still_serves(&server, &admin).await;
}
