//! A client of the authorization server: it has an identifier and a secret, and shows them in the head or in the body.

use reqwest::Method;
use reqwest::RequestBuilder;
use tender::domain::{Action, Actor, ActorKind, ClientName, Deed, Scopes};
use tender::installation::Installation;
use tender::usecase::manage_clients::{self, ClientSecret};

use super::{Anonymous, Operator, Reply, TestServer, assert_fields};

pub const TOKEN: &str = "/oauth/token";
pub const INTROSPECT: &str = "/oauth/introspect";
pub const REVOKE: &str = "/oauth/revoke";

/// What most token requests say.
pub const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// Parameters of a form.
pub type Fields<'a> = &'a [(&'a str, &'a str)];

/// A program with a client's identifier and secret, right or wrong.
pub struct Client {
    url: String,
    anonymous: Anonymous,
    pub id: String,
    pub secret: String,
}

impl Client {
    pub fn new(url: &str, id: &str, secret: &str) -> Self {
        Self { url: url.to_owned(), anonymous: Anonymous::new(url), id: id.to_owned(), secret: secret.to_owned() }
    }

    /// The same client with another secret.
    pub fn with_secret(&self, secret: &str) -> Self {
        Self::new(&self.url, &self.id, secret)
    }

    /// A request without credentials that is not sent yet.
    pub fn request(&self, path: &str) -> RequestBuilder {
        self.anonymous.request(Method::POST, path)
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        self.anonymous.send(request).await
    }

    /// Posts a form, with the credentials in the `Authorization` header.
    pub async fn by_header(&self, path: &str, fields: Fields<'_>) -> Reply {
        self.send(self.request(path).basic_auth(&self.id, Some(&self.secret)).form(fields)).await
    }

    /// Posts a form that the credentials are in.
    pub async fn by_body(&self, path: &str, fields: Fields<'_>) -> Reply {
        let credentials = [("client_id", self.id.as_str()), ("client_secret", self.secret.as_str())];
        self.send(self.request(path).form(&[fields, &credentials].concat())).await
    }

    /// Asks for a token with everything that the client may have.
    pub async fn token(&self) -> String {
        let reply = self.by_header(TOKEN, &[GRANT]).await.ok();
        reply["access_token"].as_str().unwrap().to_owned()
    }

    /// Somebody who works with a new token of the client.
    pub async fn operator(&self) -> Operator {
        Operator::new(&self.url, self.token().await)
    }

    /// Asks what a token is good for.
    pub async fn introspect(&self, token: &str) -> serde_json::Value {
        self.by_header(INTROSPECT, &[("token", token)]).await.ok()
    }

    /// Gives a token back.
    pub async fn revoke(&self, token: &str) -> Reply {
        self.by_header(REVOKE, &[("token", token)]).await
    }
}

impl Reply {
    /// The sentence of an error of the authorization server, in the form of RFC 6749, section 5.2.
    pub fn oauth_error(&self, status: u16, name: &str) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let error = self.json();
        assert_fields(&error, &["error", "error_description"]);
        assert_eq!(error["error"], name, "{error}");
        self.assert_unstored();
        let challenge = if status == 401 { "Basic realm=\"tender\", charset=\"UTF-8\"" } else { "" };
        assert_eq!(self.header("www-authenticate"), challenge);
        let sentence = error["error_description"].as_str().unwrap();
        assert!(sentence.bytes().all(|byte| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e)), "{sentence}");
        sentence.to_owned()
    }

    /// Nobody on the way may keep this.
    pub fn assert_unstored(&self) {
        assert_eq!((self.header("cache-control"), self.header("pragma")), ("no-store", "no-cache"));
    }
}

impl TestServer {
    /// A client that may be given these scopes, separated by spaces, created as `tender client create` does: beside the
    /// server.
    pub async fn client(&self, name: &str, scopes: &str) -> Client {
        let Installation { store, .. } = self.beside();
        let (name, scopes): (ClientName, _) = (name.parse().unwrap(), Scopes::parse(scopes).unwrap());
        let created = manage_clients::create(&store, name, scopes, deed(Action::CreateClient)).await.unwrap();
        store.close().await;
        let ClientSecret { id, secret } = created.expect("a name that is free");
        Client::new(self.url(), &id, secret.reveal())
    }

    /// Gives a client another secret: the client with it.
    pub async fn rotate_secret(&self, client: &Client) -> Client {
        let Installation { store, .. } = self.beside();
        let rotated = manage_clients::rotate_secret(&store, client.id.clone(), deed(Action::RotateSecret)).await;
        store.close().await;
        client.with_secret(rotated.unwrap().expect("a client that is there").secret.reveal())
    }

    /// Removes a client.
    pub async fn remove_client(&self, client: &Client) {
        let Installation { store, .. } = self.beside();
        assert!(manage_clients::remove(&store, client.id.clone(), deed(Action::RemoveClient)).await.unwrap());
        store.close().await;
    }

    /// The audit log's rows of an action: kind and name of the actor, target, outcome and detail, oldest first.
    pub fn audited(&self, action: Action) -> Vec<[String; 5]> {
        let database = self.database();
        let sql = "SELECT actor_kind, actor, target, outcome, detail FROM audit_log WHERE action = ?1 ORDER BY id";
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement
            .query_map([action.name()], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]));
        rows.unwrap().map(Result::unwrap).collect()
    }
}

fn deed(action: Action) -> Deed {
    Deed { actor: Actor::new(ActorKind::CommandLine, "tests"), address: None, action }
}
