//! Who calls: a person by the cookie of a session, a script by a token of ours or of the external identity provider.

use std::future::Future;

use headers::HeaderMap;
use warp::http::HeaderName;
use warp::http::header::{AUTHORIZATION, ORIGIN};

use super::Api;
use super::error::ApiError;
use super::request::Head;
use super::session_cookie;
use crate::auth::{access_token, device_token};
use crate::domain::{Actor, ActorKind, Scope, Scopes};
use crate::store::StoreError;
use crate::store::sessions::{self, Session};
use crate::usecase::judge_token::is_in_force;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Somebody who showed good credentials.
pub struct Identity {
    /// Who.
    pub actor: Actor,
    /// What they may do.
    pub scopes: Scopes,
    /// Whether the browser showed them by itself, whichever page caused the request.
    pub is_by_cookie: bool,
}

impl Identity {
    /// The user of a session.
    pub fn of_session(session: &Session) -> Self {
        let actor = Actor::new(ActorKind::User, session.user.as_str());
        Self { actor, scopes: session.role.scopes(), is_by_cookie: true }
    }
}

/// The answer to whoever has no session.
pub fn not_logged_in() -> ApiError {
    ApiError::Unauthorized("nobody is logged in, or no longer: log in")
}

/// The answer to a request that another site's page may have caused.
pub fn other_page() -> ApiError {
    ApiError::Forbidden("this request did not come from a page of this server".to_owned())
}

/// Says who calls: by the `Authorization` header, or without one by the cookie of a session. 401 if they are no good.
pub async fn identify(api: &Api, head: &Head) -> Result<Identity, ApiError> {
    identify_by(api, head, session(api, head)).await
}

/// The same for somebody who listens. That is no use of a session.
pub async fn identify_listener(api: &Api, head: &Head) -> Result<Identity, ApiError> {
    identify_by(api, head, session_unused(api, head)).await
}

async fn identify_by(
    api: &Api,
    head: &Head,
    session: impl Future<Output = Result<Option<Session>, ApiError>>,
) -> Result<Identity, ApiError> {
    if api.authentication_is_off {
        return Ok(Identity {
            actor: Actor::new(ActorKind::Anonymous, ""),
            scopes: [Scope::ReadWrite].into_iter().collect(),
            is_by_cookie: false,
        });
    }
    let refused = || ApiError::Unauthorized("a valid management token is needed");
    if head.headers.contains_key(AUTHORIZATION) {
        let token = bearer_token(&head.headers).ok_or_else(refused)?;
        return by_token(api, token).await?.ok_or_else(refused);
    }
    Ok(Identity::of_session(&session.await?.ok_or_else(refused)?))
}

async fn by_token(api: &Api, text: &str) -> Result<Option<Identity>, StoreError> {
    let clock = api.store.clock();
    let Some(token) = access_token::verify(&api.keys, text, clock.now(), clock.steady()) else {
        // A device's token opens nothing here, and whoever is told it could pass for the device.
        if device_token::verify(&api.keys, text, clock.steady()).is_some() {
            return Ok(None);
        }
        return Ok(by_provider(api, text).await);
    };
    let kind = if token.client.is_some() { ActorKind::Client } else { ActorKind::Token };
    let actor = Actor::new(kind, token.name.clone());
    let identity = Identity { actor, scopes: token.scopes.clone(), is_by_cookie: false };
    Ok(is_in_force(&api.store, &token).await?.then_some(identity))
}

async fn by_provider(api: &Api, token: &str) -> Option<Identity> {
    let holder = api.identity_provider.as_ref()?.introspect(token, api.store.clock().now()).await?;
    let actor = Actor::new(ActorKind::External, holder.name);
    Some(Identity { actor, scopes: holder.scopes, is_by_cookie: false })
}

/// The session of the request's cookie, if it has not ended.
pub async fn session(api: &Api, head: &Head) -> Result<Option<Session>, ApiError> {
    let Some(session) = session_unused(api, head).await? else { return Ok(None) };
    let (token_hash, now) = (session.token_hash, api.store.clock().steady());
    if session.should_note_use(now)
        && let Err(error) = api.store.write(move |tx| sessions::note_use(tx, token_hash, now)).await
    {
        // On a disk that is full people must still get in, to see that and make room.
        tracing::warn!(%error, "the use of a session could not be noted");
    }
    Ok(Some(session))
}

async fn session_unused(api: &Api, head: &Head) -> Result<Option<Session>, ApiError> {
    let Some(token_hash) = session_cookie::token_hash(api, head) else { return Ok(None) };
    let now = api.store.clock().steady();
    Ok(api.store.read(move |connection| sessions::find(connection, token_hash, now)).await?)
}

/// Whether a page of this server caused the request, as the browser says; `None` if no browser says anything. Browsers say
/// `Sec-Fetch-Site` where TLS or localhost makes them trust the origin, and `Origin` with every change.
pub fn own_page(api: &Api, head: &Head) -> Option<bool> {
    let text = |name| head.headers.get(name).map(|value: &warp::http::HeaderValue| value.to_str().unwrap_or_default());
    match (text(SEC_FETCH_SITE), text(ORIGIN)) {
        (Some(site), _) => Some(site == "same-origin"),
        (None, Some(origin)) => Some(api.addresses.is_own_origin(head, origin)),
        (None, None) => None,
    }
}

/// The token of an `Authorization` header: `Bearer token=<token>` as existing clients write it, the value quoted or not, or
/// `Bearer <token>` (RFC 6750); the scheme in any case.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let credentials = credentials.trim();
    let value = match credentials.split_once('=') {
        // Tokens end in `=` at most, so what stands before one is a parameter's name.
        Some((name, value)) if name.trim().eq_ignore_ascii_case("token") => value.trim(),
        Some((_, rest)) if rest.trim_matches('=').is_empty() => credentials,
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
        assert_eq!(found("Bearer b3BhcXVl==").as_deref(), Some("b3BhcXVl=="), "an external provider's may be opaque");
        for value in ["token=a.b.c", "Basic a.b.c", "Bearer", "Bearer key=a.b.c"] {
            assert_eq!(found(value), None, "{value}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
