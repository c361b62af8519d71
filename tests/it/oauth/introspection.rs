//! Other services ask what a token is good for (RFC 7662), and find their way by the metadata (RFC 8414).

use std::time::Duration;

use serde_json::{Value, json};
use tender::domain::{Action, Scope, Scopes};

use crate::harness::client::{INTROSPECT, REVOKE, TOKEN};
use crate::harness::{START, TestServer, assert_fields};

#[tokio::test]
async fn good_tokens_of_both_kinds_are_active() {
    let server = TestServer::start().await;
    let asking = server.client("introspection", "").await;
    let client = server.client("ci", "rdfm_admin_ro rdfm_create_group").await;
    let reply = asking.by_body(INTROSPECT, &[("token", &client.token().await)]).await;
    reply.assert_unstored();
    let seen = reply.ok();
    let now = START.as_secs();
    assert_fields(&seen, &["active", "scope", "client_id", "username", "sub", "token_type", "exp", "iat", "jti"]);
    assert_eq!((&seen["active"], &seen["scope"]), (&json!(true), &json!("rdfm_admin_ro rdfm_create_group")));
    assert_eq!((&seen["client_id"], &seen["token_type"]), (&json!(client.id), &json!("Bearer")));
    assert_eq!((&seen["username"], &seen["sub"]), (&json!("ci"), &json!("ci")));
    assert_eq!((&seen["iat"], &seen["exp"]), (&json!(now), &json!(now + 600)));

    let scopes: Scopes = [Scope::ReadWrite].into_iter().collect();
    let made = server.issue_token("made by hand", scopes.clone(), Some(Duration::from_secs(60))).await;
    let seen = asking.by_header(INTROSPECT, &[("token", &made), ("token_type_hint", "refresh_token")]).await.ok();
    assert_fields(&seen, &["active", "scope", "username", "sub", "token_type", "exp", "iat", "jti"]);
    assert_eq!((&seen["username"], &seen["exp"]), (&json!("made by hand"), &json!(now + 60)));
    let endless = server.issue_token("endless", scopes, None).await;
    assert_fields(
        &asking.introspect(&endless).await,
        &["active", "scope", "username", "sub", "token_type", "iat", "jti"],
    );
    assert_eq!(server.audited(Action::IntrospectToken), [[""; 5]; 0], "to look is nothing to note");
}

#[tokio::test]
async fn of_all_others_nothing_is_said() {
    let server = TestServer::start().await;
    let other_server = TestServer::start().await;
    let asking = server.client("introspection", "").await;
    let [removed, rotated, lasting] =
        ["removed", "rotated", "lasting"].map(|name| server.client(name, "rdfm_admin_ro"));
    let (removed, rotated, lasting) = (removed.await, rotated.await, lasting.await);
    let mut tokens = vec![
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        server.device_token("loopback").await,
        removed.token().await,
        rotated.token().await,
        lasting.token().await,
        other_server.client("lasting", "rdfm_admin_ro").await.token().await,
        asking.secret.clone(),
    ];
    lasting.revoke(&tokens[5]).await.ok();
    tokens.push(format!("{}x", lasting.token().await));
    server.remove_client(&removed).await;
    server.rotate_secret(&rotated).await;
    for token in &tokens {
        assert_eq!(asking.introspect(token).await, json!({ "active": false }), "{token}");
    }
    let (of_client, by_hand) =
        (lasting.token().await, server.issue_token("x", Scopes::default(), Some(Duration::from_secs(600))).await);
    for token in [of_client, by_hand] {
        assert_eq!(asking.introspect(&token).await["active"], true);
        tokens.push(token);
    }
    server.time.advance(Duration::from_secs(600));
    for token in &tokens {
        let reply = asking.by_header(INTROSPECT, &[("token", token)]).await;
        assert_eq!(reply.body, b"{\"active\":false}");
        reply.assert_unstored();
    }
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_look_at() {
    let server = TestServer::start().await;
    let client = server.client("introspection", "").await;
    for path in [INTROSPECT, REVOKE] {
        for fields in [&[][..], &[("token", "")], &[("token_type_hint", "access_token")]] {
            client.by_header(path, fields).await.oauth_error(400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn the_metadata_lead_to_the_endpoints() {
    let server = TestServer::start().await;
    let found = server.anonymous().get("/.well-known/oauth-authorization-server").await.ok();
    assert_eq!(found["issuer"], server.url());
    for (name, path) in [("token", TOKEN), ("introspection", INTROSPECT), ("revocation", REVOKE)] {
        assert_eq!(found[format!("{name}_endpoint")], format!("{}{path}", server.url()));
        let methods = &found[format!("{name}_endpoint_auth_methods_supported")];
        assert_eq!(*methods, json!(["client_secret_basic", "client_secret_post"]));
    }
    assert_eq!(found["grant_types_supported"], json!(["client_credentials"]));
    assert_eq!(found["response_types_supported"], json!([]));
    assert_eq!(found["scopes_supported"], Value::from_iter(Scope::ALL.iter().map(|scope| scope.name())));
    assert_eq!(found.as_object().unwrap().len(), 10);
}

#[tokio::test]
async fn the_metadata_know_the_address_that_was_configured() {
    let server = TestServer::start_with(|config| config.public_url = Some("https://updates.example".to_owned())).await;
    let found = server.anonymous().get("/.well-known/oauth-authorization-server").await.ok();
    assert_eq!(found["issuer"], "https://updates.example");
    assert_eq!(found["token_endpoint"], "https://updates.example/oauth/token");
}
