//! What can go wrong between a simulated device and the server, and how it is counted.
//!
//! What a healthy server answers, "not accepted yet" say, is no failure and has no place here.

use reqwest::Response;
use serde::Deserialize;

/// A longer error answer is not read: it is no sentence to show to a person.
const LONGEST_ERROR_BYTES: u64 = 16 * 1024;

/// What a device asks of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Authorize,
    Check,
    PackageMetadata,
    Download,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Operation::Authorize => "authorize",
            Operation::Check => "check",
            Operation::PackageMetadata => "package metadata",
            Operation::Download => "download",
        })
    }
}

/// The kinds of failure, as they are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum FailureKind {
    #[error("no connection")]
    NoConnection,
    #[error("timed out")]
    TimedOut,
    #[error("connection broken")]
    ConnectionBroken,
    #[error("HTTP status {0}")]
    Status(u16),
    #[error("unusable answer")]
    UnusableAnswer,
    #[error("SHA-256 differs")]
    HashMismatch,
    #[error("a token just granted was refused")]
    TokenRefused,
    #[error("the request could not be signed")]
    NotSigned,
    #[error("the package just installed was offered again")]
    OfferedAgain,
}

/// Something the server, or the way to it, did that no healthy server does.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {kind}{}{detail}", if .detail.is_empty() { "" } else { ": " })]
pub struct Failure {
    pub operation: Operation,
    pub kind: FailureKind,
    /// For a person; may be empty.
    pub detail: String,
}

impl Failure {
    pub fn new(operation: Operation, kind: FailureKind, detail: impl Into<String>) -> Self {
        Failure { operation, kind, detail: detail.into() }
    }

    /// Whether the same request may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            FailureKind::NoConnection | FailureKind::TimedOut | FailureKind::ConnectionBroken => true,
            FailureKind::Status(status) => status == 429 || status >= 500,
            FailureKind::UnusableAnswer
            | FailureKind::HashMismatch
            | FailureKind::TokenRefused
            | FailureKind::NotSigned
            | FailureKind::OfferedAgain => false,
        }
    }

    /// An answer that cannot be understood, or not be acted on.
    pub fn unusable(operation: Operation, reason: impl std::fmt::Display) -> Self {
        Failure::new(operation, FailureKind::UnusableAnswer, reason.to_string())
    }

    /// A request without an answer, or an answer without an end.
    pub fn transport(operation: Operation, error: &reqwest::Error) -> Self {
        let kind = if error.is_timeout() {
            FailureKind::TimedOut
        } else if error.is_connect() {
            FailureKind::NoConnection
        } else if error.is_builder() {
            // The request was made of what the server answered before, a token say.
            FailureKind::UnusableAnswer
        } else {
            FailureKind::ConnectionBroken
        };
        // reqwest's own text repeats the URL; the innermost cause is what a person looks for.
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Failure::new(operation, kind, cause.to_string())
    }

    /// The failure of an answer with a status that was not to be expected.
    pub async fn status(operation: Operation, response: Response) -> Self {
        let kind = FailureKind::Status(response.status().as_u16());
        Failure::new(operation, kind, error_sentence(response).await)
    }
}

/// The sentence of an `{"error": "…"}` answer, or nothing.
async fn error_sentence(response: Response) -> String {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
    }
    if response.content_length().is_none_or(|length| length > LONGEST_ERROR_BYTES) {
        return String::new();
    }
    let body = response.bytes().await.unwrap_or_default();
    serde_json::from_slice(&body).map_or_else(|_| String::new(), |Answer { error }| error)
}
