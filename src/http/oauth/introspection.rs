//! `/oauth/introspect`: other services ask what a token is good for.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use super::client::ClientCaller;
use super::ok_unstored;
use crate::auth::access_token::AccessToken;
use crate::domain::Timestamp;
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::request::Request;
use crate::usecase::judge_token::read_in_force;

/// RFC 7662, section 2.2, for a token that is good.
#[derive(Serialize)]
struct ActiveReply<'a> {
    active: bool,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    username: &'a str,
    sub: &'a str,
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    iat: i64,
    jti: &'a str,
}

/// The same for all others: why they are not good is nobody's business.
#[derive(Serialize)]
struct InactiveReply {
    active: bool,
}

impl<'a> ActiveReply<'a> {
    /// The times of clients' tokens are `steady` ones: whoever asks has only a wall clock, which shows `now`.
    fn new(token: &'a AccessToken, now: Timestamp, steady: Timestamp) -> Self {
        let behind = if token.client.is_some() { now.unix_seconds() - steady.unix_seconds() } else { 0 };
        let by_wall_clock = |moment: Timestamp| moment.unix_seconds().saturating_add(behind);
        Self {
            active: true,
            scope: token.scopes.to_string(),
            client_id: token.client.as_ref().map(|client| client.id.as_str()),
            username: &token.name,
            sub: &token.name,
            token_type: "Bearer",
            exp: token.expires.map(by_wall_clock),
            iat: by_wall_clock(token.created),
            jti: &token.id,
        }
    }
}

/// `POST /oauth/introspect`, with `token` (RFC 7662)
///
/// - 200: whether it is a management token of this server that is good now, and then what for
/// - 400: the request is not what it should be
/// - 401: the client did not prove who it is
pub async fn introspect(
    api: Arc<Api>,
    caller: ClientCaller,
    (): (),
    mut request: Request,
) -> Result<Response, ApiError> {
    let form = caller.authenticate(&api, &mut request).await?.form;
    let token = form.require("token", "the parameter token is missing")?;
    let clock = api.store.clock();
    match read_in_force(&api.store, &api.keys, token).await? {
        Some(token) => Ok(ok_unstored(&ActiveReply::new(&token, clock.now(), clock.steady()))?),
        None => Ok(ok_unstored(&InactiveReply { active: false })?),
    }
}
