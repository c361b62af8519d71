//! The HTTP client for what tender asks or tells other servers: it goes where it was told to go, and nowhere else.

use std::error::Error;

use reqwest::Client;
use reqwest::redirect::Policy;

use crate::tls::{TlsError, Trust, client_config};

/// Why other servers cannot be reached from this machine: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// HTTPS needs something that this machine does not have.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// A client that follows no redirect and asks no proxy; nothing is sent. `is_https` says whether it is to speak HTTPS: plain HTTP
/// works on a machine without any certificates.
///
/// # Errors
/// For HTTPS, when the machine has no certificates of authorities.
pub fn client(is_https: bool) -> Result<Client, OutboundError> {
    let trust = if is_https { Trust::OperatingSystem } else { Trust::Nobody };
    let client = Client::builder()
        .user_agent(concat!("tender/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(client_config(trust)?)
        // Whoever is redirected to would get what is meant for another: tokens, secrets, events.
        .redirect(Policy::none())
        .no_proxy()
        .build()?;
    Ok(client)
}

/// What went wrong, for people: reqwest's own text is about the request, address included, and the innermost cause is what a
/// person looks for.
pub fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
