//! Who may call what: every route of the server with every kind of credentials.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jwt::SignWithKey;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sha2::Sha256;
use tender::auth::Secret;
use tender::domain::{Scope, Scopes};
use tender::http::route_table;
use tender::store::access_tokens;

use crate::harness::{Anonymous, Device, Operator, TestServer, form, metadata};

const SECRET: &str = "the secret of this test";
const MAC: &str = "00:11:22:33:44:55";

/// The status that a good request gets, by who sends it.
struct Row {
    method: &'static str,
    path: &'static str,
    /// Nobody, or with a token that is not good.
    nobody: u16,
    /// A token without a scope known here.
    no_scope: u16,
    read_only: u16,
    read_write: u16,
    /// The device that the request is about.
    device: u16,
    another_device: u16,
}

const fn row(method: &'static str, path: &'static str, statuses: [u16; 6]) -> Row {
    let [nobody, no_scope, read_only, read_write, device, another_device] = statuses;
    Row { method, path, nobody, no_scope, read_only, read_write, device, another_device }
}

/// Written by hand: a new route must be thought about here. Deletions find what is in use (409) and so can be repeated; a
/// registration to accept is not there (404); `auth/device` asks for its signature (400).
const MATRIX: [Row; 31] = [
    //                                        nobody  no scope  read  write  device  another
    row("POST", "/api/v1/update/check", [401, 401, 401, 401, 204, 403]),
    row("GET", "/local_storage/{name...}", [200, 200, 200, 200, 200, 200]),
    row("POST", "/api/v1/auth/device", [400, 400, 400, 400, 400, 400]),
    row("GET", "/api/v1/auth/pending", [401, 403, 200, 200, 401, 401]),
    row("POST", "/api/v1/auth/register", [401, 403, 403, 404, 401, 401]),
    row("GET", "/api/v1/devices", [401, 403, 200, 200, 401, 401]),
    row("GET", "/api/v1/devices/{device}", [401, 403, 200, 200, 401, 401]),
    row("GET", "/api/v1/packages", [401, 403, 200, 200, 401, 401]),
    row("POST", "/api/v1/packages", [401, 403, 403, 200, 401, 401]),
    row("GET", "/api/v1/packages/{package}", [401, 403, 200, 200, 401, 401]),
    row("DELETE", "/api/v1/packages/{package}", [401, 403, 403, 409, 401, 401]),
    row("GET", "/api/v1/groups", [401, 403, 200, 200, 401, 401]),
    row("POST", "/api/v1/groups", [401, 403, 403, 200, 401, 401]),
    row("GET", "/api/v1/groups/{group}", [401, 403, 200, 200, 401, 401]),
    row("DELETE", "/api/v1/groups/{group}", [401, 403, 403, 409, 401, 401]),
    row("PATCH", "/api/v1/groups/{group}/devices", [401, 403, 403, 200, 401, 401]),
    row("POST", "/api/v1/groups/{group}/package", [401, 403, 403, 200, 401, 401]),
    row("POST", "/api/v1/groups/{group}/policy", [401, 403, 403, 200, 401, 401]),
    // People in a browser have cookies, and no token is one.
    row("GET", "/api/tender/v1/session", [200, 200, 200, 200, 200, 200]),
    row("POST", "/api/tender/v1/session", [400, 400, 400, 400, 400, 400]),
    row("DELETE", "/api/tender/v1/session", [401, 401, 401, 401, 401, 401]),
    row("DELETE", "/api/tender/v1/sessions", [401, 401, 401, 401, 401, 401]),
    row("POST", "/api/tender/v1/session/password", [401, 401, 401, 401, 401, 401]),
    row("POST", "/api/tender/v1/claim", [400, 400, 400, 400, 400, 400]),
    row("GET", "/api/tender/v1/audit", [401, 403, 200, 200, 401, 401]),
    // Clients authenticate with a secret, and no token is one: their own tests are in `oauth`.
    row("POST", "/oauth/token", [401, 401, 401, 401, 401, 401]),
    row("POST", "/oauth/introspect", [401, 401, 401, 401, 401, 401]),
    row("POST", "/oauth/revoke", [401, 401, 401, 401, 401, 401]),
    row("GET", "/.well-known/oauth-authorization-server", [200, 200, 200, 200, 200, 200]),
    row("GET", "/", [200, 200, 200, 200, 200, 200]),
    row("GET", "/static/{name...}", [200, 200, 200, 200, 200, 200]),
];

/// A server with a device in a group that has a package.
struct Installation {
    server: TestServer,
    device: Device,
    device_id: i64,
    package: i64,
    group: i64,
    uuid: String,
}

impl Installation {
    async fn start(authentication_is_off: bool) -> Self {
        let server = TestServer::start_with(|config| {
            config.storage.secret = Some(Secret::parse(SECRET).unwrap());
            config.authentication_is_off = authentication_is_off;
        })
        .await;
        let device = server.accepted_device(MAC).await;
        let admin = server.admin().await;
        let device_id = admin.device_id(&device).await;
        let package = admin.package("v1", &[], b"contents").await;
        let group = admin.group(&[device_id], &[package], "no_update,").await;
        let shown = admin.show_package(package).await;
        let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap().to_owned();
        Self { server, device, device_id, package, group, uuid }
    }

    fn path(&self, template: &str) -> String {
        let values = [
            ("{device}", self.device_id.to_string()),
            ("{package}", self.package.to_string()),
            ("{group}", self.group.to_string()),
            ("/static/{name...}", "/static/main.js".to_owned()),
            ("{name...}", self.uuid.clone()),
        ];
        values.iter().fold(template.to_owned(), |path, (parameter, value)| path.replace(parameter, value))
    }

    /// A request that is good but for the credentials, which are still missing.
    fn request(&self, anonymous: &Anonymous, row: &Row) -> RequestBuilder {
        let request = anonymous.request(row.method.parse().unwrap(), &self.path(row.path));
        match (row.method, row.path) {
            ("POST", "/api/v1/packages") => {
                let (boundary, body) = form(&metadata("v1"), Some(b"x"));
                request.header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}")).body(body)
            }
            ("GET" | "DELETE", _) => request,
            (_, "/api/v1/update/check") => request.json(&Device::reports(MAC)),
            (_, "/api/v1/auth/device") => request.json(&self.device.authorization_body()),
            (_, "/api/v1/auth/register") => {
                request.json(&json!({ "mac_address": "nobody", "public_key": self.device.public_key_pem() }))
            }
            // Without name and password: these are tested elsewhere.
            (_, "/api/tender/v1/session" | "/api/tender/v1/session/password" | "/api/tender/v1/claim") => {
                request.json(&json!({}))
            }
            (_, "/api/v1/groups") => request.json(&json!({})),
            (_, "/api/v1/groups/{group}/devices") => request.json(&json!({ "add": [], "remove": [] })),
            (_, "/api/v1/groups/{group}/package") => request.json(&json!({ "packages": [self.package] })),
            (_, "/api/v1/groups/{group}/policy") => request.json(&json!({ "policy": "no_update," })),
            (_, "/oauth/token" | "/oauth/introspect" | "/oauth/revoke") => request.form(&[("token", "x")]),
            (method, path) => panic!("no request for {method} {path}"),
        }
    }
}

fn hmac_with(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap()
}

/// The key of management tokens under this secret.
fn management_key(secret: &str) -> Hmac<Sha256> {
    hmac_with(&hmac_with(secret.as_bytes()).chain_update(b"tender access token").finalize().into_bytes())
}

fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// The claims of a good token under `alg: none`, with and without the good signature.
fn unsigned(token: &str) -> [String; 2] {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let (_, rest) = token.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    [format!("{header}.{claims}."), format!("{header}.{claims}.{signature}")]
}

/// Tokens that are no good, with what is wrong; time passes meanwhile.
async fn bad_tokens(installation: &Installation) -> Vec<(&'static str, String)> {
    let server = &installation.server;
    let all: Scopes = Scope::ALL.iter().copied().collect();
    let lifetime = Some(Duration::from_secs(60));
    let expired = server.issue_token("expired", all.clone(), lifetime).await;
    let expired_device = server.device_token(MAC).await;
    server.time.advance(Duration::from_secs(301));

    let revoked = server.issue_token("revoked", all.clone(), lifetime).await;
    let good = Operator::new(server.url(), revoked.clone());
    good.get("/api/v1/groups").await.ok();
    let store = server.beside().store;
    assert_eq!(store.write(|tx| access_tokens::revoke(tx, "revoked")).await.unwrap().len(), 1);
    store.close().await;

    let management = server.issue_token("good", all, None).await;
    let device = server.device_token(MAC).await;
    let mut never_issued = claims(&management);
    never_issued["jti"] = json!("6f7483ac-5cde-467f-acf7-39e4b397e313");
    let sign = |claims: &Value, key: &Hmac<Sha256>| claims.clone().sign_with_key(key).unwrap();
    let secret = SECRET.as_bytes();
    let mut bad = vec![
        ("garbage", "garbage".to_owned()),
        ("three times garbage", "a.b.c".to_owned()),
        ("expired management token", expired),
        ("expired device token", expired_device),
        ("revoked management token", revoked),
        ("management token that was never issued", sign(&never_issued, &management_key(SECRET))),
        ("management token of another secret", sign(&claims(&management), &management_key("another"))),
        ("management token under the key of device tokens", sign(&claims(&management), &hmac_with(secret))),
        ("device token of another secret", sign(&claims(&device), &hmac_with(b"another"))),
        ("device token under the key of management tokens", sign(&claims(&device), &management_key(SECRET))),
        ("management token that was cut short", management[..management.len() - 4].to_owned()),
        ("management token without signature", management[..=management.rfind('.').unwrap()].to_owned()),
    ];
    bad.extend([&management, &device].into_iter().flat_map(|token| unsigned(token)).map(|token| ("alg: none", token)));
    bad
}

/// A good management token that claims a scope which is not known here.
async fn token_of_unknown_scope(installation: &Installation) -> String {
    let token = installation.server.issue_token("stranger", Scopes::default(), None).await;
    let mut claims = claims(&token);
    claims["scope"] = json!("rdfm_admin rdfm_admin_rwx openid");
    claims.sign_with_key(&management_key(SECRET)).unwrap()
}

#[tokio::test]
async fn every_route_serves_exactly_those_who_may_call_it() {
    let installation = Installation::start(false).await;
    let server = &installation.server;
    let bad = bad_tokens(&installation).await;
    let no_scope = token_of_unknown_scope(&installation).await;
    let read_only = server.operator(Scope::ReadOnly).await.token;
    let read_write = server.operator(Scope::ReadWrite).await.token;
    let [device, another_device] = [MAC, "loopback"].map(|mac_address| server.device_token(mac_address));
    let (device, another_device) = (device.await, another_device.await);

    let anonymous = server.anonymous();
    let mut wrong = Vec::new();
    for row in &MATRIX {
        let good = [
            ("token of unknown scope", &no_scope, row.no_scope),
            ("read-only", &read_only, row.read_only),
            ("read-write", &read_write, row.read_write),
            ("device", &device, row.device),
            ("another device", &another_device, row.another_device),
        ];
        let bad = bad.iter().map(|(name, token)| (*name, token, row.nobody));
        let with_token = good.into_iter().chain(bad);
        let with_token = with_token.map(|(name, token, status)| (name, Some(format!("Bearer token={token}")), status));
        for (name, authorization, expected) in with_token.chain([("nothing", None, row.nobody)]) {
            let request = installation.request(&anonymous, row);
            let request = authorization.iter().fold(request, |request, value| request.header(AUTHORIZATION, value));
            let status = anonymous.send(request).await.status;
            if status != expected {
                wrong.push(format!("{} {} with {name}: {status} instead of {expected}", row.method, row.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_route_is_in_the_matrix() {
    let routes = route_table();
    let served: BTreeSet<_> = routes.iter().map(|route| (route.method.as_str(), route.path)).collect();
    let thought_about: BTreeSet<_> = MATRIX.iter().map(|row| (row.method, row.path)).collect();
    assert_eq!(served, thought_about);
    assert_eq!((routes.len(), MATRIX.len()), (served.len(), thought_about.len()), "no route is there twice");
}

#[tokio::test]
async fn a_caller_is_judged_before_the_body_is_looked_at() {
    let installation = Installation::start(false).await;
    let anonymous = installation.server.anonymous();
    let read_only = installation.server.operator(Scope::ReadOnly).await.token;
    let huge = vec![b'x'; 6 * 1024 * 1024];
    // Whether a client authenticates in the body is seen there.
    for row in MATRIX.iter().filter(|row| row.nobody == 401 && !row.path.starts_with("/oauth/")) {
        let credentials = [(None, row.nobody), (Some(&read_only), row.read_only)];
        for (token, expected) in credentials.into_iter().filter(|(_, expected)| [401, 403].contains(expected)) {
            for (content_type, body) in [("application/json", b"garbage".to_vec()), ("image/png", huge.clone())] {
                let request = anonymous.request(row.method.parse().unwrap(), &installation.path(row.path));
                let request = request.header(CONTENT_TYPE, content_type).body(body);
                let request = token.iter().fold(request, RequestBuilder::bearer_auth);
                anonymous.send(request).await.error(expected);
            }
        }
    }
    assert_eq!(installation.server.package_files().len(), 1);
}

#[tokio::test]
async fn a_management_token_is_good_until_it_ends() {
    let installation = Installation::start(false).await;
    let server = &installation.server;
    let token = server.issue_token("ci", [Scope::ReadOnly].into_iter().collect(), Some(Duration::from_secs(60))).await;
    let operator = server.holder_of(&token);
    server.time.advance(Duration::from_secs(59));
    operator.get("/api/v1/groups").await.ok();
    server.time.advance(Duration::from_secs(1));
    operator.get("/api/v1/groups").await.error(401);
}

#[tokio::test]
async fn device_tokens_of_the_reference_server_are_taken() {
    let installation = Installation::start(false).await;
    let created = crate::harness::START.as_secs() - 100;
    let check = async |claims: Value| {
        let token = claims.sign_with_key(&hmac_with(SECRET.as_bytes())).unwrap();
        let holder = installation.server.holder_of(&token);
        holder.post("/api/v1/update/check", Value::Object(Device::reports(MAC))).await.status
    };
    assert_eq!(check(json!({ "device_id": MAC, "created": created, "expires": 300 })).await, 204);
    assert_eq!(check(json!({ "device_id": MAC, "created_at": created, "expires": 300 })).await, 204);
    assert_eq!(check(json!({ "device_id": MAC, "created_at": created, "expires": 100 })).await, 401);
    assert_eq!(check(json!({ "device_id": MAC, "created_at": created })).await, 401);
    assert_eq!(check(json!({ "created_at": created, "expires": 300 })).await, 401);
}

#[tokio::test]
async fn with_authentication_switched_off_everybody_may_do_everything() {
    let installation = Installation::start(true).await;
    let anonymous = installation.server.anonymous();
    for row in &MATRIX {
        let allowed = if row.path == "/api/v1/update/check" { row.device } else { row.read_write };
        for authorization in [None, Some("Bearer token=garbage")] {
            let request = installation.request(&anonymous, row);
            let request = authorization.iter().fold(request, |request, value| request.header(AUTHORIZATION, *value));
            let status = anonymous.send(request).await.status;
            assert_eq!(status, allowed, "{} {}", row.method, row.path);
        }
    }
    // A device may still be one that waits.
    let mut device = installation.server.device("loopback");
    device.authorize().await.error(401);
    anonymous.send(anonymous.request(Method::GET, "/api/v1/auth/pending")).await.ok();
}
