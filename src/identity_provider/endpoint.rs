//! One question to the provider on the wire (RFC 7662, section 2.1), and everything that may go wrong with it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use reqwest::Client;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use zeroize::Zeroizing;

use super::IdentityProviderError;
use crate::config::{HttpUrl, IdentityProviderConfig};
use crate::outbound;

/// Far more than what providers say: some KiB, with all the roles of a holder.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why a question got no answer: each says what the operator is to check.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No connection, or it ended too early.
    #[error(
        "{0}: check that it runs, that oauth_url is right, and that this machine reaches it and trusts its certificate"
    )]
    Connection(String),
    /// Too slow.
    #[error("no answer within {}: check that it runs and is not overloaded", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// The provider does not know tender.
    #[error("it refused this server (HTTP {0}): check oauth_client_id and the client secret")]
    Refused(u16),
    /// Something else than the endpoint answers, or the provider is broken.
    #[error(
        "it answered with HTTP {0}: check that oauth_url is its introspection endpoint itself, and the provider's log"
    )]
    Status(u16),
    /// Longer than any answer.
    #[error("its answer is longer than {} KiB: check that oauth_url is its introspection endpoint", LONGEST_ANSWER / 1024)]
    TooLong,
    /// Not an answer of RFC 7662.
    #[error("its answer {0}: check that oauth_url is its introspection endpoint (RFC 7662)")]
    Unusable(&'static str),
}

/// The provider's introspection endpoint.
pub(super) struct Endpoint {
    client: Client,
    url: HttpUrl,
    authorization: HeaderValue,
}

impl Endpoint {
    /// Makes the one client that asks; nothing is sent.
    pub(super) fn new(config: &IdentityProviderConfig) -> Result<Self, IdentityProviderError> {
        let client = outbound::client(config.url.is_https())?;
        Ok(Self { client, url: config.url.clone(), authorization: basic_authorization(config) })
    }

    /// The address, for the log.
    pub(super) fn shown_url(&self) -> String {
        self.url.to_string()
    }

    /// Asks about a token: the body of the answer, if it is one with status 200. Takes as long as the provider likes.
    pub(super) async fn introspect(&self, token: &str) -> Result<Vec<u8>, Failure> {
        let request = self
            .client
            .post(self.url.as_str())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
            .form(&[("token", token), ("token_type_hint", "access_token")]);
        let mut response = request.send().await.map_err(|error| Failure::connection(&error))?;
        match response.status().as_u16() {
            200 => {}
            status @ (400 | 401 | 403) => return Err(Failure::Refused(status)),
            status => return Err(Failure::Status(status)),
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| Failure::connection(&error))? {
            if body.len() + piece.len() > LONGEST_ANSWER {
                return Err(Failure::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}

impl Failure {
    fn connection(error: &reqwest::Error) -> Self {
        Self::Connection(outbound::cause(error))
    }
}

/// HTTP Basic with id and secret encoded as in a form first (RFC 6749, section 2.3.1).
fn basic_authorization(config: &IdentityProviderConfig) -> HeaderValue {
    let encode = |text: &str| Zeroizing::new(byte_serialize(text.as_bytes()).collect::<String>());
    let (id, secret) = (encode(&config.client_id), encode(config.client_secret.reveal()));
    let credentials = Zeroizing::new(format!("{}:{}", *id, *secret));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(credentials.as_bytes())));
    let mut header = HeaderValue::from_str(&value).expect("base64 has only characters that a header may have");
    header.set_sensitive(true);
    header
}
