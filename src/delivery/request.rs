//! One request to a webhook on the wire, and everything that may go wrong with it. Headers are those of Standard Webhooks 1.0.

use std::time::Duration;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};

use crate::auth::WebhookKey;
use crate::clock::Clock;
use crate::config::{HttpUrl, WebhookConfig};
use crate::outbound::{self, OutboundError};

/// How much of an answer is read, so that the connection can be used again. What it says is nobody's business here.
const READ_OF_ANSWER: usize = 4 * 1024;

/// Why events were not taken: each says what the operator is to check.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection, or it ended too early.
    #[error("{0}: check that the receiver runs, and that this machine reaches it and trusts its certificate")]
    Connection(String),
    /// Too slow.
    #[error("no answer within {}: check that the receiver is not overloaded", humantime::format_duration(*.0))]
    TimedOut(Duration),
    /// It sends us elsewhere.
    #[error("it answered with HTTP {0}, and redirects are not followed: configure the address that it leads to")]
    Redirected(u16),
    /// It wants nothing more, and is asked seldom from now on.
    #[error("it answered with HTTP 410 (Gone): take it out of the configuration, or mend the receiver")]
    Gone,
    /// It did not take them.
    #[error("it answered with HTTP {status}: check the secret, and the receiver's log")]
    Status {
        /// What it answered.
        status: u16,
        /// How long it wants to be left alone (RFC 9110, section 10.2.3).
        retry_after: Option<Duration>,
    },
}

/// Whoever is told of events.
#[derive(Debug)]
pub struct Receiver {
    client: Client,
    url: HttpUrl,
    key: WebhookKey,
    patience: Duration,
    clock: Clock,
}

impl Receiver {
    /// Makes the one client that sends; nothing is sent. `patience` is how long a request may take.
    ///
    /// # Errors
    /// For an https address, when the machine has no certificates of authorities.
    pub fn new(config: &WebhookConfig, patience: Duration, clock: Clock) -> Result<Self, OutboundError> {
        let client = outbound::client(config.url.is_https())?;
        Ok(Self { client, url: config.url.clone(), key: config.key.clone(), patience, clock })
    }

    /// Where it is, as everybody may know.
    pub fn host(&self) -> String {
        self.url.host()
    }

    /// Sends `body`, which is JSON and has this identifier, however often it is sent. Returns the status if it is a good one.
    pub async fn send(&self, id: &str, body: Vec<u8>) -> Result<u16, Failure> {
        let now = self.clock.now();
        let request = self
            .client
            .post(self.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.unix_seconds())
            .header("webhook-signature", self.key.sign(id, now, &body))
            .timeout(self.patience)
            .body(body);
        let response = request.send().await.map_err(|error| match error.is_timeout() {
            true => Failure::TimedOut(self.patience),
            false => Failure::Connection(outbound::cause(&error)),
        })?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        drain(response).await;
        match status {
            200..=299 => Ok(status),
            300..=399 => Err(Failure::Redirected(status)),
            410 => Err(Failure::Gone),
            status => Err(Failure::Status { status, retry_after }),
        }
    }
}

/// The delay in seconds; a date is not believed, as clocks are wrong.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

async fn drain(mut response: reqwest::Response) {
    let mut left = READ_OF_ANSWER;
    // The status has said everything: how the body ends does not matter.
    while let Ok(Some(piece)) = response.chunk().await {
        let Some(still_left) = left.checked_sub(piece.len()) else { return };
        left = still_left;
    }
}
