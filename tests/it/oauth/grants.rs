//! Clients get tokens (RFC 6749, section 4.4), and the API takes these for what they are.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tender::domain::{Action, Scope};

use crate::harness::client::{GRANT, TOKEN};
use crate::harness::{START, TestServer, assert_fields, form, metadata};

const LIFETIME: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_client_gets_a_token_with_all_that_it_may_have() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_create_group rdfm_admin_ro").await;
    for reply in [client.by_header(TOKEN, &[GRANT]).await, client.by_body(TOKEN, &[GRANT, ("scope", "")]).await] {
        let token = reply.ok();
        assert_fields(&token, &["access_token", "token_type", "expires_in", "scope"]);
        assert_eq!((&token["token_type"], &token["expires_in"]), (&json!("Bearer"), &json!(600)));
        assert_eq!(token["scope"], "rdfm_admin_ro rdfm_create_group");
        reply.assert_unstored();
        server.holder_of(token["access_token"].as_str().unwrap()).get("/api/v1/groups").await.ok();
    }
}

#[tokio::test]
async fn a_client_may_ask_for_less_and_never_for_more() {
    let server = TestServer::start().await;
    let everything = server.client("everything", "rdfm_admin_rw").await;
    let little = server.client("little", "rdfm_admin_ro rdfm_create_group").await;
    let asking = async |client: &crate::harness::client::Client, scope| {
        client.by_header(TOKEN, &[GRANT, ("scope", scope)]).await
    };
    for &scope in Scope::ALL {
        let token = asking(&everything, scope.name()).await.ok();
        assert_eq!(token["scope"], scope.name());
        let operator = server.holder_of(token["access_token"].as_str().unwrap());
        assert_eq!(operator.delete("/api/v1/groups/1").await.status, if scope == Scope::ReadWrite { 404 } else { 403 });
    }
    assert_eq!(asking(&little, "rdfm_create_group").await.ok()["scope"], "rdfm_create_group");
    let refused = [
        "rdfm_admin_rw",
        "rdfm_admin_ro rdfm_admin_rw",
        "openid",
        "rdfm_admin_ro openid",
        "RDFM_ADMIN_RO",
        " ",
        "\"\\é",
    ];
    for scope in refused {
        asking(&little, scope).await.oauth_error(400, "invalid_scope");
    }
}

#[tokio::test]
async fn a_client_without_a_scope_gets_no_token() {
    let server = TestServer::start().await;
    let client = server.client("introspection", "").await;
    for fields in [&[GRANT][..], &[GRANT, ("scope", "rdfm_admin_ro")]] {
        client.by_header(TOKEN, fields).await.oauth_error(400, "unauthorized_client");
    }
    let noted = server.audited(Action::GrantToken);
    let [kind, name, target, outcome, _] = &noted[0];
    assert_eq!([kind, name, target, outcome], ["client", "introspection", "/oauth/token", "refused"]);
    // Nor does its secret open anything else.
    let reply = client.send(
        server.anonymous().request(reqwest::Method::GET, "/api/v1/groups").basic_auth(&client.id, Some(&client.secret)),
    );
    reply.await.error(401);
}

#[tokio::test]
async fn there_is_one_grant_type() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    for grant in [
        "password",
        "authorization_code",
        "refresh_token",
        "CLIENT_CREDENTIALS",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ] {
        let fields = [("grant_type", grant), ("username", "anna"), ("password", "x"), ("code", "x")];
        client.by_body(TOKEN, &fields).await.oauth_error(400, "unsupported_grant_type");
    }
    for fields in [&[][..], &[("grant_type", "")], &[("scope", "rdfm_admin_ro")]] {
        client.by_header(TOKEN, fields).await.oauth_error(400, "invalid_request");
    }
}

#[tokio::test]
async fn a_clients_token_opens_exactly_its_scopes() {
    let server = TestServer::start().await;
    for &scope in Scope::ALL {
        let operator = server.client(scope.name(), scope.name()).await.operator().await;
        let all = scope == Scope::ReadWrite;
        let allowed = |yes: bool| if yes { 200 } else { 403 };
        assert_eq!(operator.get("/api/v1/groups").await.status, allowed(all || scope == Scope::ReadOnly), "{scope}");
        let created = operator.post("/api/v1/groups", json!({})).await.status;
        assert_eq!(created, allowed(all || scope == Scope::CreateGroup), "{scope}");
        // No artifact: of another kind than those with scopes of their own.
        let uploaded = operator.upload(form(&metadata("v1"), Some(b"x"))).await.status;
        assert_eq!(uploaded, allowed(all || scope == Scope::UploadNonstandardArtifact), "{scope}");
        assert_eq!(operator.post("/api/v1/update/check", json!({})).await.status, 401, "{scope}");
    }
    let names: Vec<_> = server.audited(Action::CreateGroup).into_iter().filter(|row| row[3] == "done").collect();
    assert_eq!(
        names.iter().map(|row| [&row[0], &row[1]]).collect::<Vec<_>>(),
        [["client", "rdfm_admin_rw"], ["client", "rdfm_create_group"]]
    );
}

#[tokio::test]
async fn a_token_lives_ten_minutes() {
    let server = TestServer::start().await;
    let operator = server.client("ci", "rdfm_admin_ro").await.operator().await;
    server.time.advance(LIFETIME - Duration::from_secs(1));
    operator.get("/api/v1/groups").await.ok();
    server.time.advance(Duration::from_secs(1));
    operator.get("/api/v1/groups").await.error(401);
}

#[tokio::test]
async fn a_token_outlives_the_setting_of_the_clock_and_no_more() {
    let server = TestServer::start_at(SystemTime::UNIX_EPOCH, |_| {}).await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let token = client.token().await;
    let operator = server.holder_of(&token);
    server.time.advance(Duration::from_secs(100));
    server.time.set_wall(SystemTime::UNIX_EPOCH + START);
    operator.get("/api/v1/groups").await.ok();
    // Who looks at it has a wall clock only.
    let seen = client.introspect(&token).await;
    assert_eq!((&seen["active"], &seen["exp"]), (&json!(true), &json!(START.as_secs() + 500)));
    assert_eq!(seen["iat"], json!(START.as_secs() - 100));
    server.time.advance(Duration::from_secs(500));
    operator.get("/api/v1/groups").await.error(401);
}

#[tokio::test]
async fn another_secret_ends_the_tokens_of_the_old_one_at_once() {
    let server = TestServer::start().await;
    let (client, another) = (server.client("ci", "rdfm_admin_ro").await, server.client("other", "rdfm_admin_ro").await);
    let (operator, bystander) = (client.operator().await, another.operator().await);
    let renewed = server.rotate_secret(&client).await;
    assert_ne!(renewed.secret, client.secret);
    operator.get("/api/v1/groups").await.error(401);
    assert_eq!(another.introspect(&operator.token).await, json!({ "active": false }));
    client.by_header(TOKEN, &[GRANT]).await.oauth_error(401, "invalid_client");
    renewed.operator().await.get("/api/v1/groups").await.ok();
    bystander.get("/api/v1/groups").await.ok();
    let expected = ["command-line", "tests", "client/ci", "done", ""];
    assert_eq!(server.audited(Action::RotateSecret), [expected.map(str::to_owned)]);
}

#[tokio::test]
async fn a_client_that_is_removed_takes_its_tokens_along() {
    let mut server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let operator = client.operator().await;
    server.remove_client(&client).await;
    operator.get("/api/v1/groups").await.error(401);
    client.by_header(TOKEN, &[GRANT]).await.oauth_error(401, "invalid_client");
    let expected = ["command-line", "tests", "client/ci", "done", ""];
    assert_eq!(server.audited(Action::RemoveClient), [expected.map(str::to_owned)]);
    // One of the same name is another client.
    server.client("ci", "rdfm_admin_ro").await.operator().await.get("/api/v1/groups").await.ok();
    server.restart().await;
    server.holder_of(&operator.token).get("/api/v1/groups").await.error(401);
}

#[tokio::test]
async fn a_token_is_no_write_and_is_noted_once_an_hour() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    for _ in 0..20 {
        client.token().await;
    }
    let noted = ["client", "ci", "client/ci", "done", "rdfm_admin_ro"].map(str::to_owned);
    assert_eq!(server.audited(Action::GrantToken), std::slice::from_ref(&noted));
    assert_eq!((server.rows("access_tokens"), server.rows("revoked_tokens")), (0, 0));
    server.time.advance(Duration::from_secs(3600));
    client.token().await;
    assert_eq!(server.audited(Action::GrantToken), [noted.clone(), noted]);
}
