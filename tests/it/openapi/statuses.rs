//! Each status that is described is one that the program answers with: the tests have seen it, or there is a reason why they have not.

use std::collections::BTreeSet;
use std::fs;

use reqwest::Method;
use serde_json::json;
use tender::domain::{Role, Scope};

use crate::harness::description::{SEEN, description};
use crate::harness::{PASSWORD, TestServer};

const UPLOADS: &str = "/api/tender/v1/uploads";
const PIECE: &str = "application/offset+octet-stream";

/// What need not be seen, by how it ends: these are tested where they are made, and not at each operation that they can come from.
const NEED_NOT_BE_SEEN: [(&str, &str); 6] = [
    (" 408", "bodies are waited for in one place, for half a minute"),
    (" 500", "the server's own fault: nobody knows how to cause it"),
    (" 503", "what the disk does not take is the same for all writes"),
    (" 507", "room is the same for all writes"),
    (
        "post /api/tender/v1/bundles 409",
        "a package is deleted while a bundle that needs it is read: nobody is that quick",
    ),
    (
        "post /api/tender/v1/session/password 429",
        "guesses are counted as those at logging in are, and take half a minute",
    ),
];

/// Looks at what all other tests have seen: `.ci/run` runs it after them.
#[test]
#[ignore = "needs the file that all other tests have written, in TENDER_SEEN_STATUSES"]
fn every_described_status_was_seen() {
    let seen = fs::read_to_string(std::env::var_os(SEEN).expect("TENDER_SEEN_STATUSES")).unwrap();
    let seen: BTreeSet<&str> = seen.lines().collect();
    let mut unseen = BTreeSet::new();
    for operation in description().operations() {
        for status in description().operation(&operation)["responses"].as_object().unwrap().keys() {
            let line = format!("{} {} {status}", operation.method, operation.path);
            if !seen.contains(&*line) && !NEED_NOT_BE_SEEN.iter().any(|(end, _)| line.ends_with(end)) {
                unseen.insert(line);
            }
        }
    }
    assert!(unseen.is_empty(), "no test has seen these: {unseen:#?}");
}

#[tokio::test]
async fn uploads_that_are_not_there_or_not_ones_own_tell_head_nothing() {
    let server = TestServer::start().await;
    let path = format!("{UPLOADS}/6f7483ac-5cde-467f-acf7-39e4b397e313");
    let (anonymous, admin, reader) = (server.anonymous(), server.admin().await, server.operator(Scope::ReadOnly).await);
    assert_eq!(anonymous.send(anonymous.request(Method::HEAD, &path)).await.status, 401);
    assert_eq!(reader.send(reader.request(Method::HEAD, &path)).await.status, 403);
    assert_eq!(admin.send(admin.request(Method::HEAD, &path)).await.status, 404);
}

#[tokio::test]
async fn what_is_wrong_with_a_piece_is_told_by_the_other_method_too() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let begin = admin.request(Method::POST, UPLOADS).header("tus-resumable", "1.0.0").header("upload-length", "8");
    let begun = admin.send(begin).await;
    let path = begun.header("location").to_owned();
    let piece = |version: &str, offset: &str, content_type: &str| {
        let request = admin.request(Method::POST, &path).header("x-http-method-override", "PATCH");
        request.header("tus-resumable", version).header("upload-offset", offset).header("content-type", content_type)
    };
    admin.send(piece("0.2.2", "0", PIECE)).await.error(412);
    admin.send(piece("1.0.0", "0", "image/png")).await.error(415);
    admin.send(piece("1.0.0", "3", PIECE)).await.error(409);
    let damaged = piece("1.0.0", "0", PIECE).header("upload-checksum", "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=");
    admin.send(damaged.body("x")).await.error(460);
}

#[tokio::test]
async fn sessions_are_changed_by_pages_of_the_server_alone() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    let change = json!({ "current": PASSWORD, "new": "wrong donkey accumulator" });
    let everywhere = browser.request_from_nowhere(Method::DELETE, "/api/tender/v1/sessions");
    browser.send(everywhere).await.error(403);
    let password = browser.request_from_nowhere(Method::POST, "/api/tender/v1/session/password").json(&change);
    browser.send(password).await.error(403);
}

#[tokio::test]
async fn addresses_are_not_made_of_what_is_no_host() {
    let server = TestServer::start().await;
    server
        .raw("GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: somebody@tender.example")
        .await
        .error(400);
}
