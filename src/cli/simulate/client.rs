//! The HTTP side of a simulated device: authorize, check, download, and the look at a package's
//! metadata that tells what an installed package makes of a device.
//!
//! What a server is expected to answer comes back as an enum value; a [`Failure`] is everything
//! else. There is no waiting for acceptance, no counting and no state of a device in here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::download::{Download, download};
use super::failure::{Failure, Operation};
use crate::tls::{Trust, client_config};

/// What a device reports about itself, or what a package says of itself: keys and their values.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Generous, because a server may hold back its answer to slow a device down.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// The answer to an authorization request.
#[derive(Debug)]
pub enum Authorization {
    /// How long the token lives is not kept: like a real device, a simulated one learns that its
    /// token has expired from a check that is answered 401.
    Granted { token: String },
    /// Nobody has accepted the device yet.
    Pending,
}

/// The answer to an update check.
#[derive(Debug)]
pub enum Check {
    Update(Update),
    UpToDate,
    TokenExpired,
}

/// A package offered to a device.
#[derive(Debug)]
pub struct Update {
    pub package_id: i64,
    pub uri: Url,
    /// Hexadecimal.
    pub sha256: String,
}

/// Filled by the first device that asks; the others wait for it.
type MetadataCell = Arc<OnceCell<Arc<Metadata>>>;

/// Talks to one server for all devices of a fleet.
pub struct Client {
    http: reqwest::Client,
    authorize_url: Url,
    check_url: Url,
    packages_url: String,
    /// Whether packages may be offered over HTTPS.
    speaks_https: bool,
    management_token: Option<String>,
    /// Asked for once for each package, however many devices install it. The hash is part of the
    /// key because a server may give the id of a removed package to a new one.
    package_metadata: Mutex<HashMap<(i64, String), MetadataCell>>,
}

impl Client {
    /// A client of the server at `server` (a URL) that keeps at most `idle_connections` open between requests. `trust` says
    /// whom to believe when the URL is of HTTPS, or not.
    ///
    /// # Errors
    /// When `server` is not a URL this client can speak to, or nobody can be believed.
    pub fn new(
        server: &str,
        trust: impl FnOnce(bool) -> anyhow::Result<Trust>,
        management_token: Option<String>,
        idle_connections: usize,
    ) -> anyhow::Result<Self> {
        let server = server.trim_end_matches('/');
        let api = |path: &str| format!("{server}/api/v1/{path}");
        let authorize_url =
            Url::parse(&api("auth/device")).with_context(|| format!("the server's URL `{server}` cannot be used"))?;
        let check_url = Url::parse(&api("update/check"))?;
        let scheme = authorize_url.scheme();
        ensure!(matches!(scheme, "http" | "https"), "the server's URL must start with http:// or https://");
        let trust = trust(scheme == "https")?;
        let speaks_https = !matches!(trust, Trust::Nobody);
        let http = reqwest::Client::builder()
            .user_agent(concat!("tender-simulate/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(client_config(trust)?)
            // The latencies are to be the server's, not those of a proxy found in the environment.
            .no_proxy()
            .pool_max_idle_per_host(idle_connections)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(ANSWER_TIMEOUT)
            .build()
            .context("cannot set up the HTTP client")?;
        Ok(Client {
            http,
            authorize_url,
            check_url,
            packages_url: api("packages"),
            speaks_https,
            management_token,
            package_metadata: Mutex::default(),
        })
    }

    /// Asks for a device token with a `body` signed by the device; `signature` is in base64.
    ///
    /// # Errors
    /// Any answer but 200 with a token or 401.
    pub async fn authorize(&self, body: Vec<u8>, signature: &str) -> Result<Authorization, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }
        let request = self
            .http
            .post(self.authorize_url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("X-RDFM-Device-Signature", signature)
            .body(body);
        let response = send(Operation::Authorize, request).await?;
        match response.status() {
            StatusCode::OK => {
                let Answer { token } = read_json(Operation::Authorize, response).await?;
                Ok(Authorization::Granted { token })
            }
            StatusCode::UNAUTHORIZED => {
                drain(response).await;
                Ok(Authorization::Pending)
            }
            _ => Err(Failure::status(Operation::Authorize, response).await),
        }
    }

    /// Asks whether there is an update for a device that reports `metadata`.
    ///
    /// # Errors
    /// Any answer but 204, 401 or 200 with a package that can be downloaded.
    pub async fn check(&self, token: &str, metadata: &Metadata) -> Result<Check, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            id: i64,
            sha256: String,
            uri: String,
        }
        let request = self
            .http
            .post(self.check_url.clone())
            .header(AUTHORIZATION, format!("Bearer token={token}"))
            .json(metadata);
        let response = send(Operation::Check, request).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(Check::UpToDate),
            StatusCode::UNAUTHORIZED => {
                drain(response).await;
                Ok(Check::TokenExpired)
            }
            StatusCode::OK => {
                let answer: Answer = read_json(Operation::Check, response).await?;
                let uri = package_url(&answer.uri, self.speaks_https)?;
                Ok(Check::Update(Update { package_id: answer.id, uri, sha256: answer.sha256 }))
            }
            _ => Err(Failure::status(Operation::Check, response).await),
        }
    }

    /// The metadata of the package of `update`; `None` without a management token.
    ///
    /// # Errors
    /// Any answer but 200 with a package. A failed question is asked again by the next caller.
    pub async fn package_metadata(&self, update: &Update) -> Result<Option<Arc<Metadata>>, Failure> {
        let Some(management_token) = &self.management_token else {
            return Ok(None);
        };
        let cell = self
            .package_metadata
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((update.package_id, update.sha256.clone()))
            .or_default()
            .clone();
        cell.get_or_try_init(|| self.fetch_package_metadata(update.package_id, management_token))
            .await
            .cloned()
            .map(Some)
    }

    async fn fetch_package_metadata(&self, package_id: i64, management_token: &str) -> Result<Arc<Metadata>, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            metadata: Metadata,
        }
        let request = self
            .http
            .get(format!("{}/{package_id}", self.packages_url))
            .header(AUTHORIZATION, format!("Bearer token={management_token}"));
        let response = send(Operation::PackageMetadata, request).await?;
        if response.status() != StatusCode::OK {
            return Err(Failure::status(Operation::PackageMetadata, response).await);
        }
        let answer: Answer = read_json(Operation::PackageMetadata, response).await?;
        Ok(Arc::new(answer.metadata))
    }

    /// Downloads the package of `update` and compares its SHA-256; `received` is told the length
    /// of each chunk.
    ///
    /// # Errors
    /// When the connection breaks too often, the server refuses, or the SHA-256 differs.
    pub async fn download(&self, update: &Update, received: impl Fn(u64)) -> Result<Download, Failure> {
        download(&self.http, &update.uri, &update.sha256, received).await
    }
}

/// The URL a package is offered at, used as it is.
fn package_url(uri: &str, speaks_https: bool) -> Result<Url, Failure> {
    match Url::parse(uri) {
        Ok(url) if url.scheme() == "http" || (url.scheme() == "https" && speaks_https) => Ok(url),
        Ok(_) => Err(Failure::unusable(
            Operation::Check,
            format!("uri `{uri}` is not plain HTTP, and the fleet speaks HTTPS only with a server of HTTPS, or --ca"),
        )),
        Err(error) => Err(Failure::unusable(Operation::Check, format!("uri `{uri}`: {error}"))),
    }
}

async fn send(operation: Operation, request: RequestBuilder) -> Result<Response, Failure> {
    request.send().await.map_err(|error| Failure::transport(operation, &error))
}

async fn read_json<T: DeserializeOwned>(operation: Operation, response: Response) -> Result<T, Failure> {
    let body = response.bytes().await.map_err(|error| Failure::transport(operation, &error))?;
    serde_json::from_slice(&body).map_err(|error| Failure::unusable(operation, error))
}

/// Reads what is left of an answer, so that its connection can be used again.
async fn drain(mut response: Response) {
    while let Ok(Some(_)) = response.chunk().await {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_only_offered_at_an_absolute_http_url() {
        let url = package_url("http://127.0.0.1:5000/local_storage/a", false).unwrap();
        assert_eq!(url.path(), "/local_storage/a");
        assert!(package_url("https://127.0.0.1/a", true).is_ok());
        for uri in ["/local_storage/a", "https://127.0.0.1/a", "http://", ""] {
            assert!(package_url(uri, false).is_err(), "{uri}");
        }
    }

    #[test]
    fn a_server_must_be_an_http_url() {
        let client = |server| Client::new(server, |_| Ok(Trust::Nobody), None, 1);
        assert!(client("http://127.0.0.1:5000/").is_ok() && client("https://127.0.0.1").is_ok());
        for server in ["ftp://127.0.0.1", "127.0.0.1:5000", ""] {
            assert!(client(server).is_err(), "{server}");
        }
    }
}
