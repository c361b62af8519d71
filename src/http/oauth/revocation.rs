//! `/oauth/revoke`: clients give tokens back.

use std::sync::Arc;

use warp::reply::Response;

use super::client::{Authenticated, ClientCaller};
use super::error::OAuthError;
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::reply;
use crate::http::request::Request;
use crate::usecase::revoke_token::{Revocation, revoke_token};

/// `POST /oauth/revoke`, with `token` (RFC 7009)
///
/// - 200: the token is good for nothing any more, or was not before
/// - 400: the request is not what it should be, or the token is not the client's
/// - 401: the client did not prove who it is
pub async fn revoke(api: Arc<Api>, caller: ClientCaller, (): (), mut request: Request) -> Result<Response, ApiError> {
    let authenticated = caller.authenticate(&api, &mut request).await?;
    let answer = answer(&api, &authenticated).await;
    authenticated.noting_failure(&api, answer).await
}

async fn answer(api: &Api, authenticated: &Authenticated) -> Result<Response, ApiError> {
    let Authenticated { client, deed, form, .. } = authenticated;
    let token = form.require("token", "the parameter token is missing")?;
    match revoke_token(&api.store, &api.audit, &api.keys, client, token, deed.clone()).await? {
        Revocation::Ended => {
            let mut response = reply::done();
            reply::forbid_storing(&mut response);
            Ok(response)
        }
        Revocation::NotYours => Err(OAuthError::unauthorized_client("this token was not issued to this client")),
        Revocation::Device => {
            Err(OAuthError::unsupported_token_type("device tokens cannot be revoked: they end by themselves"))
        }
    }
}
