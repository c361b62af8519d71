//! What goes wrong at the authorization server, in its own words (RFC 6749, section 5.2).

use std::borrow::Cow;

use crate::http::error::ApiError;

/// An error with one of the names of RFC 6749 (section 5.2) and RFC 7009 (section 2.2.1), and a sentence for people. The
/// sentence has printable ASCII characters only, without `"` and `\`, and nothing of the request in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    /// The name, for programs.
    pub name: &'static str,
    /// The sentence.
    pub sentence: Cow<'static, str>,
}

impl OAuthError {
    const INVALID_CLIENT: &str = "invalid_client";

    fn named(name: &'static str, sentence: impl Into<Cow<'static, str>>) -> ApiError {
        ApiError::OAuth(Self { name, sentence: sentence.into() })
    }

    /// Whether the client did not prove who it is.
    pub fn is_about_the_client(&self) -> bool {
        self.name == Self::INVALID_CLIENT
    }

    /// The client did not prove who it is.
    pub fn invalid_client(sentence: &'static str) -> ApiError {
        Self::named(Self::INVALID_CLIENT, sentence)
    }

    /// The request lacks something, says something twice, or cannot be read.
    pub fn invalid_request(sentence: impl Into<Cow<'static, str>>) -> ApiError {
        Self::named("invalid_request", sentence)
    }

    /// The client may not do this.
    pub fn unauthorized_client(sentence: &'static str) -> ApiError {
        Self::named("unauthorized_client", sentence)
    }

    /// Tokens are not given away in this way.
    pub fn unsupported_grant_type(sentence: &'static str) -> ApiError {
        Self::named("unsupported_grant_type", sentence)
    }

    /// There is no such scope, or the client does not have it.
    pub fn invalid_scope(sentence: &'static str) -> ApiError {
        Self::named("invalid_scope", sentence)
    }

    /// Tokens of this kind cannot be revoked.
    pub fn unsupported_token_type(sentence: &'static str) -> ApiError {
        Self::named("unsupported_token_type", sentence)
    }

    /// What is wrong with a body, as an OAuth error. What is the server's fault stays as it is.
    pub fn of_body(error: ApiError) -> ApiError {
        if error.is_our_fault() { error } else { Self::invalid_request(error.sentence()) }
    }
}
