//! Guards: who may call an endpoint. Each hands its handler proof of the caller, so that a handler cannot exist without one.
//!
//! Judged from the headers alone, before a byte of the body is read.

use std::future::Future;

use headers::HeaderMap;
use warp::http::header::AUTHORIZATION;

use super::Api;
use super::error::ApiError;
use crate::auth::{access_token, device_token};
use crate::domain::{MacAddress, Scope, Scopes};
use crate::store::access_tokens;

/// Lets a caller in, or not.
pub trait Guard: Clone + Send + Sync + 'static {
    /// Proof of who calls.
    type Caller: Send;

    /// Judges a request by its headers.
    fn admit(&self, api: &Api, headers: &HeaderMap) -> impl Future<Output = Result<Self::Caller, ApiError>> + Send;

    /// Who may call, for the list of routes.
    fn audience(&self) -> Audience;
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Anybody.
    Public,
    /// A device with a device token.
    Device,
    /// A person or script with a management token of this scope.
    Management(Scope),
}

/// For endpoints that anybody may call.
#[derive(Clone, Copy)]
pub struct Public;

/// For endpoints that need a device token.
#[derive(Clone, Copy)]
pub struct DeviceOnly;

/// For endpoints that need a management token of this scope.
#[derive(Clone, Copy)]
pub struct Management(pub Scope);

/// Nobody in particular.
pub struct Anonymous;

/// A device that showed a good token.
pub struct TokenHolder {
    /// Whose token it is; `None` where authentication is switched off.
    pub mac_address: Option<MacAddress>,
}

/// A person or script that showed a good token.
#[derive(Debug)]
pub struct Operator {
    /// Whom or what the token was made for.
    pub name: String,
}

impl Guard for Public {
    type Caller = Anonymous;

    async fn admit(&self, _: &Api, _: &HeaderMap) -> Result<Anonymous, ApiError> {
        Ok(Anonymous)
    }

    fn audience(&self) -> Audience {
        Audience::Public
    }
}

impl Guard for DeviceOnly {
    type Caller = TokenHolder;

    /// 401 without a good device token.
    async fn admit(&self, api: &Api, headers: &HeaderMap) -> Result<TokenHolder, ApiError> {
        if api.authentication_is_off {
            return Ok(TokenHolder { mac_address: None });
        }
        let now = api.store.clock().steady();
        let mac_address = bearer_token(headers).and_then(|token| device_token::verify(&api.keys, token, now));
        match mac_address {
            Some(mac_address) => Ok(TokenHolder { mac_address: Some(mac_address) }),
            None => Err(ApiError::Unauthorized("a valid device token is needed: authorize again")),
        }
    }

    fn audience(&self) -> Audience {
        Audience::Device
    }
}

impl Guard for Management {
    type Caller = Operator;

    /// 401 without a good management token, 403 if its scopes do not reach.
    async fn admit(&self, api: &Api, headers: &HeaderMap) -> Result<Operator, ApiError> {
        if api.authentication_is_off {
            return Ok(Operator { name: "anonymous".to_owned() });
        }
        let refused = || ApiError::Unauthorized("a valid management token is needed");
        let now = api.store.clock().now();
        let token =
            bearer_token(headers).and_then(|token| access_token::verify(&api.keys, token, now)).ok_or_else(refused)?;
        let id = token.id.clone();
        if !api.store.read(move |connection| access_tokens::is_valid(connection, &id)).await? {
            return Err(refused());
        }
        require(&token.scopes, self.0)?;
        Ok(Operator { name: token.name })
    }

    fn audience(&self) -> Audience {
        Audience::Management(self.0)
    }
}

fn require(scopes: &Scopes, needed: Scope) -> Result<(), ApiError> {
    if scopes.allow(needed) { Ok(()) } else { Err(ApiError::Forbidden(format!("the token lacks the scope {needed}"))) }
}

/// The token of an `Authorization` header: `Bearer token=<token>` as existing clients write it, the value quoted or not, or
/// `Bearer <token>` (RFC 6750); the scheme in any case.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let credentials = credentials.trim();
    let value = match credentials.split_once('=') {
        // A JWT has no `=`, so what stands before one is a parameter's name.
        Some((name, value)) if name.trim().eq_ignore_ascii_case("token") => value.trim(),
        Some(_) => return None,
        None => credentials,
    };
    Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_in_every_spelling() {
        let found = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            bearer_token(&headers).map(str::to_owned)
        };
        for value in
            ["Bearer token=a.b.c", "bearer token=a.b.c", "BEARER  Token=\"a.b.c\"", "Bearer a.b.c", "Bearer \"a.b.c\""]
        {
            assert_eq!(found(value).as_deref(), Some("a.b.c"), "{value}");
        }
        for value in ["token=a.b.c", "Basic a.b.c", "Bearer", "Bearer key=a.b.c"] {
            assert_eq!(found(value), None, "{value}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
