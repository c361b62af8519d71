//! A server with an identity provider: its tokens open what their scopes say, and the server's own go on working.

use serde_json::{Value, json};
use tender::domain::{Role, Scope};

use super::config;
use crate::harness::TestServer;
use crate::harness::provider::{Provider, json_response, response};

async fn server_with(provider: &Provider) -> TestServer {
    TestServer::start_with(|settings| settings.identity_provider = Some(config(&provider.url()))).await
}

#[tokio::test]
async fn tokens_of_the_provider_open_what_their_scopes_say() {
    let provider = Provider::answering(&json!({ "active": false })).await;
    let server = server_with(&provider).await;
    let all = |name: &str| json!({ "active": true, "scope": name, "username": "ada" });
    let roles = |roles: Value| json!({ "active": true, "scope": "openid", "realm_access": { "roles": roles } });
    // Reading a list, creating a group, deleting one that is not there.
    let cases = [
        (json!({ "active": false }), [401, 401, 401]),
        (json!({ "active": true }), [401, 401, 401]),
        (json!({ "active": true, "realm_access": { "roles": ["rdfm_admin_rw"] } }), [401, 401, 401]),
        (all("openid profile"), [403, 403, 403]),
        (all("rdfm_admin_ro"), [200, 403, 403]),
        (all("rdfm_create_group"), [403, 200, 403]),
        (all("openid rdfm_admin_rw"), [200, 200, 404]),
        (roles(json!("rdfm_admin_ro")), [200, 403, 403]),
        (roles(json!(["offline_access", "rdfm_admin_rw"])), [200, 200, 404]),
    ];
    for (number, (answer, expected)) in cases.into_iter().enumerate() {
        provider.will(json_response(&answer));
        // Some providers' tokens are JWT, others are opaque.
        for token in [format!("opaque-{number}=="), format!("a.b{number}.c")] {
            let holder = server.holder_of(&token);
            let statuses = [
                holder.get("/api/v1/groups").await.status,
                holder.post("/api/v1/groups", json!({})).await.status,
                holder.delete("/api/v1/groups/99").await.status,
            ];
            assert_eq!(statuses, expected, "{answer}");
            // What is no device's token opens nothing of the devices'.
            holder.post("/api/v1/update/check", json!({})).await.error(401);
        }
    }
    let admin = server.admin().await;
    let audit = admin.get("/api/tender/v1/audit?actor=ada&action=group.create&outcome=done").await.ok();
    assert_eq!(audit["entries"][0]["actor"]["kind"], "external");
}

#[tokio::test]
async fn our_own_tokens_and_sessions_work_beside_it_and_without_asking() {
    let provider = Provider::answering(&json!({ "active": true, "scope": "rdfm_admin_rw" })).await;
    let server = server_with(&provider).await;
    let viewer = server.operator(Scope::ReadOnly).await;
    viewer.get("/api/v1/groups").await.ok();
    viewer.post("/api/v1/groups", json!({})).await.error(403);
    server.logged_in("anna", Role::Viewer).await.post("/api/v1/groups", json!({})).await.error(403);
    assert_eq!(provider.count(), 0);

    // One of our own that was revoked is not asked about elsewhere.
    let store = server.beside().store;
    store.write(|tx| tender::store::access_tokens::revoke(tx, "somebody")).await.unwrap();
    store.close().await;
    viewer.get("/api/v1/groups").await.error(401);
    // Nor is a device's, with which the provider could pass for the device.
    let device = server.device_token("00:11:22:33:44:55").await;
    server.holder_of(&device).get("/api/v1/groups").await.error(401);
    assert_eq!(provider.count(), 0);
}

#[tokio::test]
async fn a_provider_that_fails_lets_nobody_in_and_keeps_nobody_else_out() {
    let provider = Provider::answering(&json!({ "active": true, "scope": "rdfm_admin_rw" })).await;
    let server = server_with(&provider).await;
    let failures = [response("500 Internal Server Error", "", b"oops"), response("200 OK", "", b"<html>")];
    for (number, failure) in failures.into_iter().enumerate() {
        provider.will(failure);
        server.holder_of(&format!("token{number}")).get("/api/v1/groups").await.error(401);
    }
    drop(provider);
    server.holder_of("another").get("/api/v1/groups").await.error(401);
    server.admin().await.get("/api/v1/groups").await.ok();
}
