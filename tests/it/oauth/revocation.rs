//! Clients give tokens back before they end (RFC 7009).

use std::time::Duration;

use serde_json::json;
use tender::domain::{Action, Scopes};

use crate::harness::TestServer;
use crate::harness::client::REVOKE;

#[tokio::test]
async fn a_token_that_is_given_back_is_good_for_nothing_ever_after() {
    let mut server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let (operator, lasting) = (client.operator().await, client.operator().await);
    let id = client.introspect(&operator.token).await["jti"].as_str().unwrap().to_owned();
    let reply = client.by_body(REVOKE, &[("token", &operator.token), ("token_type_hint", "access_token")]).await;
    reply.ok();
    reply.assert_unstored();
    operator.get("/api/v1/groups").await.error(401);
    lasting.get("/api/v1/groups").await.ok();
    assert_eq!(client.introspect(&operator.token).await, json!({ "active": false }));
    // Once more is no mistake, and nothing to note.
    client.revoke(&operator.token).await.ok();
    let noted = ["client", "ci", &format!("token/{id}"), "done", ""].map(str::to_owned);
    assert_eq!(server.audited(Action::RevokeToken), [noted]);

    server.restart().await;
    server.holder_of(&operator.token).get("/api/v1/groups").await.error(401);
    server.holder_of(&lasting.token).get("/api/v1/groups").await.ok();
}

#[tokio::test]
async fn tokens_that_are_none_or_have_ended_need_no_revoking() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let other = server.client("other", "rdfm_admin_ro").await;
    let (own, others) = (client.token().await, other.token().await);
    server.time.advance(Duration::from_secs(600));
    for token in [own.as_str(), &others, "garbage", "a.b.c", &client.secret] {
        client.revoke(token).await.ok();
    }
    client.by_header(REVOKE, &[("token", "garbage"), ("token_type_hint", "unheard of")]).await.ok();
    assert_eq!((server.rows("revoked_tokens"), server.audited(Action::RevokeToken).len()), (0, 0));
}

#[tokio::test]
async fn nobody_revokes_the_tokens_of_others() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_rw").await;
    let others = server.client("other", "rdfm_admin_ro").await.token().await;
    let by_hand = server.issue_token("by hand", Scopes::from_claim("rdfm_admin_ro"), None).await;
    for token in [&others, &by_hand] {
        client.revoke(token).await.oauth_error(400, "unauthorized_client");
        server.holder_of(token).get("/api/v1/groups").await.ok();
    }
    let noted = server.audited(Action::RevokeToken);
    assert_eq!(noted.len(), 2);
    assert!(noted.iter().all(|[kind, name, target, outcome, _]| {
        [kind, name, target, outcome] == ["client", "ci", "/oauth/revoke", "refused"]
    }));
    let device = server.device_token("loopback").await;
    client.revoke(&device).await.oauth_error(400, "unsupported_token_type");
}

#[tokio::test]
async fn what_was_revoked_is_forgotten_when_it_would_have_ended() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    for _ in 0..3 {
        client.revoke(&client.token().await).await.ok();
    }
    assert_eq!(server.rows("revoked_tokens"), 3);
    server.time.advance(Duration::from_secs(600));
    client.revoke(&client.token().await).await.ok();
    assert_eq!(server.rows("revoked_tokens"), 1);
}
