//! Who may call what: every route of the server with every kind of credentials.

mod credentials;

use std::collections::BTreeSet;
use std::time::Duration;

use jwt::SignWithKey;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tender::auth::Secret;
use tender::domain::Scope;
use tender::http::{Audience, route_table};

use crate::harness::provider::Provider;
use crate::harness::{Anonymous, Device, PASSWORD, TestServer, form, metadata};
use credentials::{Who, hmac_with};

const SECRET: &str = "the secret of this test";
const MAC: &str = "00:11:22:33:44:55";

/// Who may call a route.
enum Access {
    /// Anybody; nobody's credentials matter.
    Anybody,
    /// The device that the request is about.
    TheDevice,
    /// Whoever has one of these scopes.
    Holders(&'static [Scope]),
    /// Whoever has logged in.
    Session,
    /// Clients that show their secret, also those that may have no token.
    Clients,
    /// Clients that may have a token.
    ClientsWithScope,
}

use Access::{Anybody, Clients, ClientsWithScope, Holders, Session, TheDevice};

const READ: Access = Holders(&[Scope::ReadOnly, Scope::ReadWrite]);
const WRITE: Access = Holders(&[Scope::ReadWrite]);
const CREATE_GROUPS: Access = Holders(&[Scope::CreateGroup, Scope::ReadWrite]);
/// What is uploaded here is no artifact.
const UPLOAD: Access = Holders(&[Scope::UploadNonstandardArtifact, Scope::ReadWrite]);

/// Which scope is needed is seen when the package is there.
const UPLOADERS: Access =
    Holders(&[Scope::UploadSingleFile, Scope::UploadRootfsImage, Scope::UploadNonstandardArtifact, Scope::ReadWrite]);

/// A route, who may call it, and the status that a good request of theirs gets.
struct Row {
    method: &'static str,
    path: &'static str,
    access: Access,
    good: u16,
}

const fn row(method: &'static str, path: &'static str, access: Access, good: u16) -> Row {
    Row { method, path, access, good }
}

/// Written by hand: a new route must be thought about here. Deletions find what is in use (409) and so can be repeated; a
/// registration to judge or a device to remove is not there (404), nor is an upload, as one would need more room than there is (507); `auth/device`
/// asks for its signature, a decision for an address, and logging in and claiming for more than nothing (400).
const MATRIX: [Row; 70] = [
    row("POST", "/api/v1/update/check", TheDevice, 204),
    row("GET", "/local_storage/{name...}", Anybody, 200),
    row("POST", "/api/v1/auth/device", Anybody, 400),
    row("GET", "/api/v1/auth/pending", READ, 200),
    row("POST", "/api/v1/auth/register", WRITE, 404),
    row("GET", "/api/v1/devices", READ, 200),
    row("GET", "/api/v1/devices/{device}", READ, 200),
    row("GET", "/api/v1/packages", READ, 200),
    row("POST", "/api/v1/packages", UPLOAD, 200),
    row("GET", "/api/v1/packages/{package}", READ, 200),
    row("DELETE", "/api/v1/packages/{package}", WRITE, 409),
    row("GET", "/api/v1/groups", READ, 200),
    row("POST", "/api/v1/groups", CREATE_GROUPS, 200),
    row("GET", "/api/v1/groups/{group}", READ, 200),
    row("DELETE", "/api/v1/groups/{group}", WRITE, 409),
    row("PATCH", "/api/v1/groups/{group}/devices", WRITE, 200),
    row("POST", "/api/v1/groups/{group}/package", WRITE, 200),
    row("POST", "/api/v1/groups/{group}/policy", WRITE, 200),
    row("GET", "/api/tender/v1/session", Anybody, 200),
    row("POST", "/api/tender/v1/session", Anybody, 400),
    row("DELETE", "/api/tender/v1/session", Session, 200),
    row("DELETE", "/api/tender/v1/sessions", Session, 200),
    row("POST", "/api/tender/v1/session/password", Session, 200),
    row("POST", "/api/tender/v1/claim", Anybody, 400),
    row("GET", "/api/tender/v1/audit", READ, 200),
    row("GET", "/api/tender/v1/events", READ, 400),
    row("GET", "/api/tender/v1/webhooks", READ, 200),
    row("OPTIONS", "/api/tender/v1/uploads", Anybody, 204),
    row("GET", "/api/tender/v1/uploads", UPLOADERS, 200),
    row("POST", "/api/tender/v1/uploads", UPLOADERS, 507),
    row("GET", "/api/tender/v1/uploads/{upload}", UPLOADERS, 404),
    row("PATCH", "/api/tender/v1/uploads/{upload}", UPLOADERS, 404),
    row("POST", "/api/tender/v1/uploads/{upload}", UPLOADERS, 404),
    row("DELETE", "/api/tender/v1/uploads/{upload}", UPLOADERS, 404),
    row("POST", "/api/tender/v1/uploads/{upload}/package", UPLOADERS, 404),
    row("GET", "/api/tender/v1/packages", READ, 200),
    row("GET", "/api/tender/v1/packages/{package}", READ, 200),
    row("GET", "/api/tender/v1/registrations", READ, 200),
    row("POST", "/api/tender/v1/registrations/accept", WRITE, 404),
    row("POST", "/api/tender/v1/registrations/reject", WRITE, 404),
    row("GET", "/api/tender/v1/overview", READ, 200),
    row("GET", "/api/tender/v1/devices", READ, 200),
    row("POST", "/api/tender/v1/devices/assign", WRITE, 200),
    row("POST", "/api/tender/v1/devices/remove", WRITE, 404),
    row("GET", "/api/tender/v1/devices/{device}", READ, 200),
    row("PUT", "/api/tender/v1/devices/{device}/name", WRITE, 200),
    row("GET", "/api/tender/v1/attempts", READ, 200),
    row("GET", "/api/tender/v1/devices/{device}/attempts", READ, 200),
    row("POST", "/api/tender/v1/devices/{device}/release", WRITE, 409),
    row("GET", "/api/tender/v1/groups", READ, 200),
    row("GET", "/api/tender/v1/groups/{group}", READ, 200),
    row("PUT", "/api/tender/v1/groups/{group}/metadata", WRITE, 200),
    row("GET", "/api/tender/v1/groups/{group}/rollout", READ, 200),
    row("PUT", "/api/tender/v1/groups/{group}/rollout", WRITE, 200),
    row("POST", "/api/tender/v1/groups/{group}/resume", WRITE, 409),
    row("GET", "/api/tender/v1/status", READ, 200),
    row("GET", "/api/tender/v1/decision", READ, 400),
    row("POST", "/api/tender/v1/decision", READ, 200),
    row("GET", "/api/tender/v1/devices/{device}/decision", READ, 200),
    row("POST", "/api/tender/v1/groups/{group}/preview", READ, 200),
    row("GET", "/metrics", READ, 200),
    row("GET", "/health/live", Anybody, 200),
    row("GET", "/health/ready", Anybody, 200),
    row("POST", "/oauth/token", ClientsWithScope, 200),
    row("POST", "/oauth/introspect", Clients, 200),
    row("POST", "/oauth/revoke", Clients, 200),
    row("GET", "/.well-known/oauth-authorization-server", Anybody, 200),
    row("GET", "/api/openapi.json", Anybody, 200),
    row("GET", "/", Anybody, 200),
    row("GET", "/static/{name...}", Anybody, 200),
];

impl Row {
    /// The status that a request gets which is good but for who sends it.
    fn status_for(&self, who: Who) -> u16 {
        let may_call = match (&self.access, who) {
            (Anybody, _)
            | (TheDevice, Who::Device)
            | (Session, Who::User(_))
            | (Clients, Who::Client | Who::IntrospectionClient)
            | (ClientsWithScope, Who::Client) => true,
            (Holders(scopes), Who::Holder(Some(scope)) | Who::User(scope)) => scopes.contains(&scope),
            _ => false,
        };
        match (&self.access, who) {
            _ if may_call => self.good,
            (Holders(_), Who::Holder(_) | Who::User(_)) | (TheDevice, Who::AnotherDevice) => 403,
            // It is who it says, and may have no token (RFC 6749, section 5.2).
            (ClientsWithScope, Who::IntrospectionClient) => 400,
            _ => 401,
        }
    }
}

/// A server with a device in a group that has a package, and with an identity provider.
struct Installation {
    server: TestServer,
    provider: Provider,
    device: Device,
    device_id: i64,
    package: i64,
    group: i64,
    uuid: String,
}

impl Installation {
    async fn start(authentication_is_off: bool) -> Self {
        let provider = Provider::answering(&json!({ "active": false })).await;
        let server = TestServer::start_with(|config| {
            config.identity_provider = Some(crate::identity_provider::config(&provider.url()));
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
        Self { server, provider, device, device_id, package, group, uuid }
    }

    fn path(&self, template: &str) -> String {
        let values = [
            ("{device}", self.device_id.to_string()),
            ("{package}", self.package.to_string()),
            ("{group}", self.group.to_string()),
            ("{upload}", "6f7483ac-5cde-467f-acf7-39e4b397e313".to_owned()),
            // One that goes on for ever would hold this up.
            ("/api/tender/v1/events", "/api/tender/v1/events?recent=many".to_owned()),
            ("/static/{name...}", "/static/main.js".to_owned()),
            ("{name...}", self.uuid.clone()),
        ];
        values.iter().fold(template.to_owned(), |path, (parameter, value)| path.replace(parameter, value))
    }

    /// A request that is good but for the credentials, which are still missing.
    fn request(&self, row: &Row) -> RequestBuilder {
        let request =
            Anonymous::elsewhere(self.server.url()).request(row.method.parse().unwrap(), &self.path(row.path));
        match (row.method, row.path) {
            ("POST", "/api/v1/packages") => {
                let (boundary, body) = form(&metadata("v1"), Some(b"x"));
                request.header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}")).body(body)
            }
            (_, "/api/tender/v1/uploads") => {
                request.header("tus-resumable", "1.0.0").header("upload-length", "1000000000000000000")
            }
            ("POST", "/api/tender/v1/uploads/{upload}/package") => request.json(&json!({})),
            ("PATCH" | "POST" | "DELETE", "/api/tender/v1/uploads/{upload}") => request
                .header("tus-resumable", "1.0.0")
                .header("x-http-method-override", "PATCH")
                .header("upload-offset", "0")
                .header(CONTENT_TYPE, "application/offset+octet-stream"),
            ("GET" | "DELETE", _) => request,
            (_, "/api/v1/update/check") => request.json(&Device::reports(MAC)),
            (_, "/api/v1/auth/device") => request.json(&self.device.authorization_body()),
            (_, "/api/v1/auth/register") => {
                request.json(&json!({ "mac_address": "nobody", "public_key": self.device.public_key_pem() }))
            }
            (_, "/api/tender/v1/session" | "/api/tender/v1/claim") => request.json(&json!({})),
            (_, "/api/tender/v1/session/password") => request.json(&json!({ "current": PASSWORD, "new": PASSWORD })),
            (_, "/api/v1/groups") => request.json(&json!({})),
            (_, "/api/v1/groups/{group}/devices") => request.json(&json!({ "add": [], "remove": [] })),
            (_, "/api/v1/groups/{group}/package") => request.json(&json!({ "packages": [self.package] })),
            (_, "/api/v1/groups/{group}/policy") => request.json(&json!({ "policy": "no_update," })),
            (
                _,
                "/api/tender/v1/groups/{group}/metadata"
                | "/api/tender/v1/groups/{group}/rollout"
                | "/api/tender/v1/groups/{group}/resume"
                | "/api/tender/v1/devices/{device}/release",
            ) => request.json(&json!({})),
            (_, "/api/tender/v1/registrations/accept" | "/api/tender/v1/registrations/reject") => {
                let nobody = json!({ "mac_address": "nobody", "key_fingerprint": "00".repeat(32) });
                request.json(&json!({ "registrations": [nobody] }))
            }
            (_, "/api/tender/v1/devices/assign") => {
                request.json(&json!({ "devices": [self.device_id], "group": self.group }))
            }
            (_, "/api/tender/v1/devices/remove") => request.json(&json!({ "devices": [1_000_000] })),
            (_, "/api/tender/v1/devices/{device}/name") => request.json(&json!({ "name": MAC })),
            (_, "/api/tender/v1/decision") => request.json(&json!({ "metadata": {} })),
            (_, "/api/tender/v1/groups/{group}/preview") => request.json(&json!({})),
            (_, "/oauth/token" | "/oauth/introspect" | "/oauth/revoke") => {
                request.form(&[("token", "x"), ("grant_type", "client_credentials")])
            }
            (method, path) => panic!("no request for {method} {path}"),
        }
    }
}

#[tokio::test]
async fn every_route_serves_exactly_those_who_may_call_it() {
    let installation = Installation::start(false).await;
    let all = credentials::all(&installation).await;
    assert!(all.len() > 50, "{}", all.len());
    let mut wrong = Vec::new();
    for row in &MATRIX {
        for credentials in &all {
            let request = credentials.show(&installation, installation.request(row)).await;
            let status = installation.server.anonymous().send(request).await.status;
            let expected = row.status_for(credentials.who);
            if status != expected {
                let name = &credentials.name;
                wrong.push(format!("{} {} with {name}: {status} instead of {expected}", row.method, row.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    every_change_was_noted(&installation);
}

/// Each route at which people change something has been called in vain and with success: the audit log knows both.
fn every_change_was_noted(installation: &Installation) {
    let database = installation.server.database();
    let count = |action: &str, is_done: bool| {
        let sql = "SELECT count(*) FROM audit_log WHERE action = ?1 AND (outcome = 'done') = ?2";
        database.query_row(sql, (action, is_done), |row| row.get::<_, i64>(0)).unwrap()
    };
    for route in route_table() {
        let Some(row) = MATRIX.iter().find(|row| (row.method, row.path) == (route.method.as_str(), route.path)) else {
            continue;
        };
        let Some(action) = route.action else {
            // Whoever may only look changes nothing, also where the question needs a body.
            let is_change = route.method != Method::GET && route.audience != Audience::Management(Scope::ReadOnly);
            let names_its_action = matches!(route.audience, Audience::Public | Audience::Device | Audience::Client);
            assert!(!is_change || names_its_action, "{} {} has no action", route.method, route.path);
            continue;
        };
        // What clients do is noted when it changes something: their own tests look at that.
        if route.audience == Audience::Client {
            continue;
        }
        assert!(row.good != 200 || count(action.name(), true) > 0, "{action} was done");
        let is_ever_refused = row.good != 200 || matches!(row.access, Holders(_));
        assert!(!is_ever_refused || count(action.name(), false) > 0, "{action} was refused");
    }
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
    for row in MATRIX.iter().filter(|row| !row.path.starts_with("/oauth/")) {
        let read_only_status = row.status_for(Who::Holder(Some(Scope::ReadOnly)));
        let credentials = [(None, row.status_for(Who::Nobody)), (Some(&read_only), read_only_status)];
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
        // Whoever is nobody has no session to end, and no client's secret.
        let is_open = !matches!(row.access, Session | Clients | ClientsWithScope);
        let expected = if is_open { row.good } else { 401 };
        for authorization in [None, Some("Bearer token=garbage")] {
            let request = installation.request(row);
            let request = authorization.iter().fold(request, |request, value| request.header(AUTHORIZATION, *value));
            let status = anonymous.send(request).await.status;
            assert_eq!(status, expected, "{} {}", row.method, row.path);
        }
    }
    // A device may still be one that waits.
    let mut device = installation.server.device("loopback");
    device.authorize().await.error(401);
    anonymous.send(anonymous.request(Method::GET, "/api/v1/auth/pending")).await.ok();
}
