//! Every kind of credentials there is, good and bad.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use jwt::SignWithKey;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, COOKIE};
use serde_json::{Value, json};
use sha2::Sha256;
use tender::domain::{Role, Scope, Scopes};
use tender::store::{access_tokens, users};

use super::{Installation, MAC, SECRET};
use crate::harness::provider::json_response;
use crate::harness::{Browser, Operator, PASSWORD};

/// What the server should take somebody for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody.
    Nobody,
    /// The device that requests are about.
    Device,
    /// A device that they are not about.
    AnotherDevice,
    /// A person or script with this scope, or none that is known.
    Holder(Option<Scope>),
    /// Somebody who has logged in, and has this scope by their role.
    User(Scope),
    /// A client of the authorization server that shows its secret, and may have some scope.
    Client,
    /// A client that may have none.
    IntrospectionClient,
}

/// How they show who they are.
pub enum Shown {
    Nothing,
    /// As the value of `Authorization`.
    Header(String),
    /// As the value of `Cookie`.
    Cookies(String),
    /// As the cookies of a login that is made for each request: some requests end it.
    Login(&'static str),
}

/// Somebody's credentials.
pub struct Credentials {
    pub name: String,
    pub who: Who,
    pub shown: Shown,
}

impl Credentials {
    fn new(name: impl Into<String>, who: Who, shown: Shown) -> Self {
        Self { name: name.into(), who, shown }
    }

    /// Adds them to a request.
    pub async fn show(&self, installation: &Installation, request: RequestBuilder) -> RequestBuilder {
        let own_page = |request: RequestBuilder| request.header("origin", installation.server.url());
        match &self.shown {
            Shown::Nothing => request,
            Shown::Header(value) => request.header(AUTHORIZATION, value),
            Shown::Cookies(value) => own_page(request).header(COOKIE, value),
            Shown::Login(name) => {
                let mut browser = installation.server.browser();
                browser.log_in(name, PASSWORD).await.ok();
                own_page(request).header(COOKIE, cookies(&browser))
            }
        }
    }
}

fn cookies(browser: &Browser) -> String {
    browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

fn bearer(token: &str) -> Shown {
    Shown::Header(format!("Bearer token={token}"))
}

/// All of them; time passes meanwhile.
pub async fn all(installation: &Installation) -> Vec<Credentials> {
    let mut all = bad(installation).await;
    all.extend(good(installation).await);
    all.extend(of_people(installation).await);
    all
}

/// Those of scripts and devices that are good.
async fn good(installation: &Installation) -> Vec<Credentials> {
    let server = &installation.server;
    let [device, another_device] = [MAC, "loopback"].map(|mac_address| server.device_token(mac_address));
    let mut good = vec![
        Credentials::new("device", Who::Device, bearer(&device.await)),
        Credentials::new("another device", Who::AnotherDevice, bearer(&another_device.await)),
        Credentials::new(
            "token of unknown scope",
            Who::Holder(None),
            bearer(&token_of_unknown_scope(installation).await),
        ),
    ];
    for scope in Scope::ALL {
        let who = Who::Holder(Some(*scope));
        let token = server.issue_token("script", [*scope].into_iter().collect(), None).await;
        good.push(Credentials::new(format!("token of {scope}"), who, bearer(&token)));
        let token = server.client(&format!("client for {scope}"), scope.name()).await.token().await;
        good.push(Credentials::new(format!("client's token of {scope}"), who, bearer(&token)));
        // Providers name scopes of their own as well, and roles.
        let external = format!("external-{scope}");
        let roles =
            json!({ "active": true, "scope": "openid", "realm_access": { "roles": [scope.name(), "offline"] } });
        let answer = json!({ "active": true, "scope": format!("openid {scope} profile") });
        for (kind, answer) in [("scope", answer), ("role", roles)] {
            let token = format!("{external}-{kind}");
            installation.provider.will(json_response(&answer));
            server.holder_of(&token).get("/api/v1/groups").await;
            good.push(Credentials::new(format!("provider's token, {kind} {scope}"), who, bearer(&token)));
        }
    }
    installation.provider.will(json_response(&json!({ "active": true, "scope": "openid" })));
    server.holder_of("external-stranger").get("/api/v1/groups").await.error(403);
    good.push(Credentials::new("provider's token without our scopes", Who::Holder(None), bearer("external-stranger")));
    // What it was told so far is believed for 30 s, and time stands still from here on.
    installation.provider.will(json_response(&json!({ "active": false })));

    let basic = |id: &str, secret: &str| {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        Shown::Header(format!("Basic {pair}"))
    };
    let client = server.client("client", "rdfm_admin_rw").await;
    good.push(Credentials::new("client", Who::Client, basic(&client.id, &client.secret)));
    let client = server.client("introspection client", "").await;
    good.push(Credentials::new("introspection client", Who::IntrospectionClient, basic(&client.id, &client.secret)));
    let removed = server.client("removed client", "rdfm_admin_rw").await;
    let token_of_removed = removed.token().await;
    server.remove_client(&removed).await;
    good.push(Credentials::new("removed client", Who::Nobody, basic(&removed.id, &removed.secret)));
    good.push(Credentials::new("token of a removed client", Who::Nobody, bearer(&token_of_removed)));
    let rotated = server.client("rotated client", "rdfm_admin_rw").await;
    let token_of_old_secret = rotated.token().await;
    server.rotate_secret(&rotated).await;
    good.push(Credentials::new("client with its old secret", Who::Nobody, basic(&rotated.id, &rotated.secret)));
    good.push(Credentials::new("token of an old secret", Who::Nobody, bearer(&token_of_old_secret)));
    let revoked = client_token_that_was_revoked(installation).await;
    good.push(Credentials::new("client's token that was revoked", Who::Nobody, bearer(&revoked)));
    good
}

async fn client_token_that_was_revoked(installation: &Installation) -> String {
    let client = installation.server.client("revoking client", "rdfm_admin_rw").await;
    let token = client.token().await;
    assert_eq!(client.revoke(&token).await.status, 200);
    token
}

/// Those of people in browsers.
async fn of_people(installation: &Installation) -> Vec<Credentials> {
    let server = &installation.server;
    server.add_user("admin", Role::Admin).await;
    server.add_user("viewer", Role::Viewer).await;
    let disabled = server.logged_in("disabled", Role::Admin).await;
    let removed = server.logged_in("removed", Role::Admin).await;
    let mut logged_out = server.logged_in("out", Role::Admin).await;
    let ended = cookies(&logged_out);
    logged_out.delete("/api/tender/v1/session").await.ok();
    let store = server.beside().store;
    let barring = store.write(|tx| {
        users::disable(tx, &"disabled".parse().unwrap())?;
        users::remove(tx, &"removed".parse().unwrap())
    });
    barring.await.unwrap();
    store.close().await;
    let swapped = cookies(&disabled).replace("tender-browser=", "tender-session=");
    let token = server.operator(Scope::ReadWrite).await.token;
    vec![
        Credentials::new("administrator", Who::User(Scope::ReadWrite), Shown::Login("admin")),
        Credentials::new("viewer", Who::User(Scope::ReadOnly), Shown::Login("viewer")),
        Credentials::new("session of a disabled user", Who::Nobody, Shown::Cookies(cookies(&disabled))),
        Credentials::new("session of a removed user", Who::Nobody, Shown::Cookies(cookies(&removed))),
        Credentials::new("session that was ended", Who::Nobody, Shown::Cookies(ended)),
        Credentials::new("mark of a known browser", Who::Nobody, Shown::Cookies(swapped)),
        Credentials::new("token in the cookie", Who::Nobody, Shown::Cookies(format!("tender-session={token}"))),
        Credentials::new("empty cookie", Who::Nobody, Shown::Cookies("tender-session=".to_owned())),
    ]
}

/// The key that this text is.
pub fn hmac_with(key: &[u8]) -> Hmac<Sha256> {
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

/// Those that are no good; time passes meanwhile.
async fn bad(installation: &Installation) -> Vec<Credentials> {
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
    let mut bad: Vec<_> =
        bad.into_iter().map(|(name, token)| Credentials::new(name, Who::Nobody, bearer(&token))).collect();
    bad.push(Credentials::new("nothing", Who::Nobody, Shown::Nothing));
    bad
}

/// A good management token that claims a scope which is not known here.
async fn token_of_unknown_scope(installation: &Installation) -> String {
    let token = installation.server.issue_token("stranger", Scopes::default(), None).await;
    let mut claims = claims(&token);
    claims["scope"] = json!("rdfm_admin rdfm_admin_rwx openid");
    claims.sign_with_key(&management_key(SECRET)).unwrap()
}
