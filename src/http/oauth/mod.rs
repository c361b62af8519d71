//! The authorization server (RFC 6749): clients get tokens, look at tokens, and give them back.

mod basic;
pub mod client;
mod error;
mod form;
pub mod introspection;
pub mod metadata;
pub mod revocation;
pub mod token;

pub use error::OAuthError;

use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use super::reply;

/// A reply that nobody may keep (RFC 6749, section 5.1).
fn ok_unstored(value: &impl Serialize) -> Result<Response, serde_json::Error> {
    let mut response = reply::json(StatusCode::OK, serde_json::to_vec(value)?);
    reply::forbid_storing(&mut response);
    Ok(response)
}
