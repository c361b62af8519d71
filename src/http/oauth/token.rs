//! `/oauth/token`: clients get tokens.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use super::client::{Authenticated, ClientCaller};
use super::error::OAuthError;
use super::ok_unstored;
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::request::Request;
use crate::usecase::grant_token::{Grant, grant_token};

/// RFC 6749, section 5.1.
#[derive(Serialize)]
struct TokenReply<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    scope: &'a str,
}

/// `POST /oauth/token`, with `grant_type=client_credentials` and perhaps `scope` (RFC 6749, section 4.4)
///
/// - 200: a token
/// - 400: the request is not what it should be, or the client does not get that
/// - 401: the client did not prove who it is
pub async fn grant(api: Arc<Api>, caller: ClientCaller, (): (), mut request: Request) -> Result<Response, ApiError> {
    let authenticated = caller.authenticate(&api, &mut request).await?;
    let answer = answer(&api, &authenticated).await;
    authenticated.noting_failure(&api, answer).await
}

async fn answer(api: &Api, authenticated: &Authenticated) -> Result<Response, ApiError> {
    let Authenticated { client, deed, form, .. } = authenticated;
    if form.require("grant_type", "the parameter grant_type is missing")? != "client_credentials" {
        return Err(OAuthError::unsupported_grant_type("the only grant_type here is client_credentials"));
    }
    let Api { store, keys, audit, .. } = api;
    match grant_token(store, keys, audit, client.clone(), form.get("scope"), deed.clone()).await? {
        Grant::Token { text, scopes, lifetime } => {
            let (scope, expires_in) = (scopes.to_string(), lifetime.as_secs());
            let token = TokenReply { access_token: &text, token_type: "Bearer", expires_in, scope: &scope };
            Ok(ok_unstored(&token)?)
        }
        // Not `invalid_scope`: that would say that another scope might help.
        Grant::NotForThisClient => Err(OAuthError::unauthorized_client(
            "this client has no scope: it gets no tokens, and may only look at them",
        )),
        Grant::WrongScope => {
            Err(OAuthError::invalid_scope("a requested scope is unknown, or the client does not have it"))
        }
    }
}
