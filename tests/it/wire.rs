//! What holds for every endpoint: errors, paths, types of bodies, dates, spellings of tokens.

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::json;

use crate::harness::{Operator, Reply, TestServer, date};

const CHECK: &str = "/api/v1/update/check";

/// Posts these bytes with or without a `Content-Type`.
async fn post_bytes(operator: &Operator, path: &str, content_type: Option<&str>, body: &str) -> Reply {
    let request = operator.request(Method::POST, path).body(body.to_owned());
    let request = content_type.into_iter().fold(request, |request, value| request.header(CONTENT_TYPE, value));
    operator.send(request).await
}

/// The names in `Allow`, in order.
fn allowed(reply: &Reply) -> Vec<&str> {
    let mut methods: Vec<_> = reply.header("allow").split(", ").collect();
    methods.sort_unstable();
    methods
}

#[tokio::test]
async fn unknown_paths_are_json_errors() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for path in ["/api", "/api/v1", "/api/v2/groups", "/api/v1/group", "/api/v1/groups/1/2", "/API/v1/groups", "/x%00"]
    {
        admin.get(path).await.error(404);
        server.anonymous().get(path).await.error(404);
        admin.post(path, json!({})).await.error(404);
    }
}

#[tokio::test]
async fn a_trailing_slash_is_another_path() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    for path in ["/api/v1/groups/".to_owned(), "/api/v1/devices/".to_owned(), format!("/api/v1/groups/{group}/")] {
        admin.get(&path).await.error(404);
    }
    admin.post("/api/v1/groups/", json!({})).await.error(404);
}

#[tokio::test]
async fn doubled_slashes_count_as_one() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    for path in ["//api/v1/groups", "//api//v1///groups", "/api/v1//groups?a=//b"] {
        assert_eq!(admin.get(path).await.ok()[0]["id"], group);
    }
    assert_eq!(admin.get(&format!("//api/v1/groups//{group}")).await.ok()["id"], group);
    admin.post("//api/v1/groups", json!({})).await.ok();
    admin.get("//api/v1/groups//").await.error(404);
}

#[tokio::test]
async fn a_query_is_not_looked_at() {
    let server = TestServer::start().await;
    assert_eq!(server.admin().await.get("/api/v1/groups?limit=1&x").await.ok(), json!([]));
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_a_405_that_tells_which_it_takes() {
    let server = TestServer::start().await;
    let cases = [
        (Method::DELETE, "/api/v1/groups", vec!["GET", "HEAD", "POST"]),
        (Method::PUT, "/api/v1/groups/1", vec!["DELETE", "GET", "HEAD"]),
        (Method::POST, "/api/v1/groups/1", vec!["DELETE", "GET", "HEAD"]),
        (Method::GET, "/api/v1/groups/1/policy", vec!["POST"]),
        (Method::GET, "/api/v1/groups/1/package", vec!["POST"]),
        (Method::POST, "/api/v1/groups/1/devices", vec!["PATCH"]),
        (Method::PATCH, "/api/v1/packages", vec!["GET", "HEAD", "POST"]),
        (Method::OPTIONS, "/api/v1/packages/1", vec!["DELETE", "GET", "HEAD"]),
        (Method::POST, "/api/v1/devices", vec!["GET", "HEAD"]),
        (Method::DELETE, "/api/v1/devices/1", vec!["GET", "HEAD"]),
        (Method::GET, "/api/v1/auth/device", vec!["POST"]),
        (Method::POST, "/api/v1/auth/pending", vec!["GET", "HEAD"]),
        (Method::GET, "/api/v1/auth/register", vec!["POST"]),
        (Method::GET, CHECK, vec!["POST"]),
        (Method::PUT, "/local_storage/6f7483ac-5cde-467f-acf7-39e4b397e313", vec!["GET", "HEAD"]),
    ];
    let (admin, anonymous) = (server.admin().await, server.anonymous());
    for (method, path, methods) in cases {
        for request in [admin.request(method.clone(), path), anonymous.request(method.clone(), path)] {
            let reply = anonymous.send(request.body("some body")).await;
            reply.error(405);
            assert_eq!(allowed(&reply), methods, "{method} {path}");
        }
    }
    let head = anonymous.send(anonymous.request(Method::HEAD, CHECK)).await;
    assert_eq!((head.status, allowed(&head)), (405, vec!["POST"]));
}

#[tokio::test]
async fn head_is_answered_wherever_get_is() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("loopback").await;
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&[], &[package], "no_update,").await;
    let device = admin.device_id(&device).await;
    for path in [
        "/api/v1/auth/pending".to_owned(),
        "/api/v1/devices".to_owned(),
        format!("/api/v1/devices/{device}"),
        "/api/v1/packages".to_owned(),
        format!("/api/v1/packages/{package}"),
        "/api/v1/groups".to_owned(),
        format!("/api/v1/groups/{group}"),
        format!("/api/v1/groups/{}", group + 1),
    ] {
        let get = admin.get(&path).await;
        let head = admin.send(admin.request(Method::HEAD, &path)).await;
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for header in ["content-type", "content-length"] {
            assert_eq!(head.header(header), get.header(header), "{path}");
        }
        let anonymous = server.anonymous();
        assert_eq!(anonymous.send(anonymous.request(Method::HEAD, &path)).await.status, 401);
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_a_415_and_one_without_type_is_taken() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "garbage"]
    {
        post_bytes(&admin, "/api/v1/groups", Some(content_type), "{}").await.error(415);
    }
    assert_eq!(server.rows("groups"), 0);
    for content_type in [
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("Application/JSON"),
        Some("application/problem+json"),
    ] {
        post_bytes(&admin, "/api/v1/groups", content_type, "{}").await.ok();
    }
    let group = admin.group(&[], &[], "no_update,").await;
    let paths = [
        "/api/v1/auth/register".to_owned(),
        format!("/api/v1/groups/{group}/package"),
        format!("/api/v1/groups/{group}/policy"),
    ];
    for path in paths {
        post_bytes(&admin, &path, Some("text/plain"), "{}").await.error(415);
    }
    let device = server.accepted_device("loopback").await;
    let holder = server.holder_of(device.token.as_deref().unwrap());
    let report = serde_json::to_string(&device.metadata).unwrap();
    post_bytes(&holder, CHECK, Some("text/plain"), &report).await.error(415);
    assert_eq!(post_bytes(&holder, CHECK, None, &report).await.status, 204);
    let signature = [("X-RDFM-Device-Signature", device.sign(report.as_bytes()))];
    let request = holder.request(Method::POST, "/api/v1/auth/device").header(CONTENT_TYPE, "text/plain");
    holder.send(request.header(signature[0].0, &signature[0].1).body(report)).await.error(415);
}

#[tokio::test]
async fn broken_json_and_what_is_no_object_are_a_400() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    let device = server.accepted_device("loopback").await;
    let holder = server.holder_of(device.token.as_deref().unwrap());
    let groups = format!("/api/v1/groups/{group}");
    let posts = [
        (&admin, "/api/v1/groups".to_owned()),
        (&admin, "/api/v1/auth/register".to_owned()),
        (&admin, format!("{groups}/package")),
        (&admin, format!("{groups}/policy")),
        (&holder, CHECK.to_owned()),
    ];
    let bodies = [
        "",
        " ",
        "{",
        "{}}",
        "{\"a\":}",
        "{'a':1}",
        "[]",
        "[[]]",
        "[\"a\",\"b\"]",
        "null",
        "1",
        "\"text\"",
        "\u{feff}{}",
    ];
    for body in bodies {
        for (operator, path) in &posts {
            let reply = post_bytes(operator, path, Some("application/json"), body).await;
            assert_eq!(reply.status, 400, "{path} {body:?}");
            reply.error(400);
        }
        let request = admin.request(Method::PATCH, &format!("{groups}/devices")).body(body);
        admin.send(request).await.error(400);
    }
    let not_text = admin.request(Method::POST, "/api/v1/groups").body(b"{\"a\":\"\xff\"}".to_vec());
    admin.send(not_text).await.error(400);
    assert_eq!(server.rows("groups"), 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_a_413() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let text = "x".repeat(3 * 1024 * 1024);
    admin.post("/api/v1/groups", json!({ "text": text })).await.error(413);
    // The length need not be told beforehand.
    let pieces =
        text.as_bytes().chunks(100_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    admin.send(admin.request(Method::POST, "/api/v1/groups").body(body)).await.error(413);

    let mut device = server.accepted_device("loopback").await;
    device.report("note", &text[..100_000]);
    device.check().await.error(413);
    device.authorize().await.error(413);
    assert_eq!(server.rows("groups"), 0);
}

#[tokio::test]
async fn dates_are_written_in_gmt() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.post("/api/v1/groups", json!({})).await.ok();
    assert_eq!(group["created"], "Fri, 15 Jan 2027 08:00:00 GMT");
    let mut device = server.device("loopback");
    device.authorize().await.error(401);
    date(&admin.pending().await[0]["last_appeared"]);
}

#[tokio::test]
async fn a_token_is_taken_in_every_usual_spelling() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("loopback").await;
    let anonymous = server.anonymous();
    let get = |value: String| anonymous.request(Method::GET, "/api/v1/groups").header(AUTHORIZATION, value);
    let check =
        |value: String| anonymous.request(Method::POST, CHECK).header(AUTHORIZATION, value).json(&device.metadata);
    let spell = |spelling: &str, token: &str| spelling.replace('T', token);
    let device_token = device.token.as_deref().unwrap();
    for spelling in [
        "Bearer token=T",
        "bearer token=T",
        "BEARER token=T",
        "Bearer token=\"T\"",
        "Bearer T",
        "bearer T",
        "Bearer \"T\"",
    ] {
        anonymous.send(get(spell(spelling, &admin.token))).await.ok();
        assert_eq!(anonymous.send(check(spell(spelling, device_token))).await.status, 204, "{spelling}");
    }
    for spelling in
        ["T", "token=T", "Basic T", "Token T", "Bearer", "Bearer ", "Bearer token=", "Bearer key=T", "BearerT"]
    {
        anonymous.send(get(spell(spelling, &admin.token))).await.error(401);
        anonymous.send(check(spell(spelling, device_token))).await.error(401);
    }
}

#[tokio::test]
async fn a_401_tells_how_to_authenticate() {
    let server = TestServer::start().await;
    for path in ["/api/v1/groups", "/api/v1/devices"] {
        let reply = server.anonymous().get(path).await;
        reply.error(401);
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply:?}");
    }
    let reply = server.anonymous().post(CHECK, json!({})).await;
    reply.error(401);
    assert!(reply.header("www-authenticate").starts_with("Bearer"), "{reply:?}");
}

#[tokio::test]
async fn a_204_has_neither_body_nor_type() {
    let server = TestServer::start().await;
    let reply = server.accepted_device("loopback").await.check().await;
    assert_eq!((reply.status, reply.body.len(), reply.header("content-type")), (204, 0, ""));
}

#[tokio::test]
async fn a_path_may_be_sent_with_scheme_and_host() {
    let server = TestServer::start().await;
    server.raw_get("http://tender.example/api/v1/groups").await.error(401);
    server.raw_get("http://tender.example//api/v1/groups").await.error(401);
    server.raw_get("http://tender.example/nowhere").await.error(404);
}

#[tokio::test]
async fn requests_of_http_1_0_are_answered() {
    let server = TestServer::start().await;
    server.raw("GET /api/v1/groups HTTP/1.0").await.error(401);
    server.raw("GET /nowhere HTTP/1.0").await.error(404);
}
