//! `/api/tender/v1/session`: people log in and out, and change their password.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use warp::reply::Response;
use zeroize::Zeroizing;

use crate::auth::password::Password;
use crate::domain::{Action, Actor, ActorKind, Deed, Role, UserName};
use crate::http::Api;
use crate::http::body::parse_json;
use crate::http::error::ApiError;
use crate::http::guard::{Anonymous, SessionHolder};
use crate::http::identity::{self, own_page};
use crate::http::request::{Head, Request};
use crate::http::{reply, session_cookie};
use crate::store::{audit, sessions};
use crate::usecase::claim::{self, Claimed, Setup};
use crate::usecase::log_in::{Login, LoginAttempt, Refused};

/// The longest body with a name and a password, in bytes.
const BODY_LIMIT_BYTES: usize = 8 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct LoginBody {
    name: String,
    password: Zeroizing<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ClaimBody {
    code: Zeroizing<String>,
    name: String,
    password: Zeroizing<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PasswordBody {
    current: Zeroizing<String>,
    new: Zeroizing<String>,
}

/// What a page needs to know before it shows anything.
#[derive(Serialize)]
struct SessionReply<'a> {
    /// Whether the first administrator is still to be chosen with the code that the server printed: `open`, `expired`, `done`.
    setup: &'static str,
    /// Whether anybody needs to log in at all.
    authentication: bool,
    /// Who is logged in.
    user: Option<UserReply<'a>>,
}

#[derive(Serialize)]
struct UserReply<'a> {
    name: &'a str,
    role: &'static str,
}

fn session_reply(api: &Api, setup: Setup, user: Option<(&UserName, Role)>) -> Result<Response, ApiError> {
    let setup = match setup {
        Setup::Open => "open",
        Setup::Expired => "expired",
        Setup::Done => "done",
    };
    let user = user.map(|(name, role)| UserReply { name: name.as_str(), role: role.name() });
    Ok(reply::ok(&SessionReply { setup, authentication: !api.authentication_is_off, user })?)
}

/// `GET /api/tender/v1/session`
///
/// - 200: who is logged in, and whether the first administrator is still to be chosen
pub async fn show(api: Arc<Api>, _: Anonymous, (): (), request: Request) -> Result<Response, ApiError> {
    let setup = claim::setup(&api.store, api.claim).await?;
    let session = identity::session(&api, &request.head).await?;
    session_reply(&api, setup, session.as_ref().map(|session| (&session.user, session.role)))
}

/// `POST /api/tender/v1/session`
///
/// - 200: logged in; the browser has a cookie now
/// - 400: the body is not what it should be
/// - 401: the name or the password is wrong
/// - 403: another site's page sent the request
/// - 429: too many have failed, or too many wait; `Retry-After` says for how long
pub async fn log_in(api: Arc<Api>, _: Anonymous, (): (), mut request: Request) -> Result<Response, ApiError> {
    refuse_other_pages(&api, &mut request).await?;
    let LoginBody { name, password } = read_secrets(&mut request).await?;
    let attempt = attempt(&api, &request.head, name.parse().ok(), password);
    let login = api.doorkeeper.log_in(&api.store, &api.audit, attempt).await?;
    begun(&api, &request.head, login, "the name or the password is wrong")
}

/// `DELETE /api/tender/v1/session`
///
/// - 200: logged out: the cookie is worth nothing any more
/// - 401: nobody is logged in
/// - 403: another site's page sent the request
pub async fn log_out(api: Arc<Api>, holder: SessionHolder, (): (), request: Request) -> Result<Response, ApiError> {
    let SessionHolder { session, deed } = holder;
    let is_noted = api.audit.is_worth_noting(&deed, api.store.clock().steady());
    let ending = api.store.write(move |tx| {
        sessions::end(tx, session.token_hash)?;
        if is_noted { audit::append(tx, &deed.done(format!("user/{}", session.user))) } else { Ok(()) }
    });
    ending.await?;
    goodbye(&api, &request.head)
}

/// `DELETE /api/tender/v1/sessions`
///
/// - 200: all sessions of whoever is logged in have ended, in every browser
/// - 401: nobody is logged in
/// - 403: another site's page sent the request
pub async fn log_out_everywhere(
    api: Arc<Api>,
    holder: SessionHolder,
    (): (),
    request: Request,
) -> Result<Response, ApiError> {
    let SessionHolder { session, deed } = holder;
    let ending = api.store.write(move |tx| {
        let ended = sessions::end_all(tx, session.user_id)?;
        audit::append(tx, &deed.done(format!("user/{}", session.user)).with(format!("{ended} sessions")))
    });
    ending.await?;
    goodbye(&api, &request.head)
}

/// `POST /api/tender/v1/session/password`
///
/// - 200: the password is the new one; all other sessions have ended, this one goes on with another cookie
/// - 400: the body is not what it should be, or the new password is not one that is taken
/// - 401: nobody is logged in, or the current password is wrong
/// - 403: another site's page sent the request
/// - 429: too many have failed; `Retry-After` says for how long
pub async fn change_password(
    api: Arc<Api>,
    holder: SessionHolder,
    (): (),
    mut request: Request,
) -> Result<Response, ApiError> {
    let PasswordBody { current, new } = read_secrets(&mut request).await?;
    let name = holder.session.user;
    let new = Password::parse(new, &name)?;
    let attempt = attempt(&api, &request.head, Some(name), current);
    let login = api.doorkeeper.change_password(&api.store, attempt, new).await?;
    begun(&api, &request.head, login, "the current password is wrong")
}

/// `POST /api/tender/v1/claim`
///
/// - 200: the first administrator is chosen, and logged in
/// - 400: the body, the name or the password is not one that is taken
/// - 403: that is not the code, or another site's page sent the request
/// - 409: another user has this name
/// - 410: there is an administrator already, or the code has ended
pub async fn claim(api: Arc<Api>, _: Anonymous, (): (), mut request: Request) -> Result<Response, ApiError> {
    refuse_other_pages(&api, &mut request).await?;
    let ClaimBody { code, name, password } = read_secrets(&mut request).await?;
    let name: UserName = name.parse()?;
    let password = Password::parse(password, &name)?;
    let address = api.addresses.client_address(&request.head);
    let refusal = match claim::claim(&api.store, &api.doorkeeper, api.claim, &code, name, password, address).await? {
        Claimed::Now(token, user) => {
            let mut response = session_reply(&api, Setup::Done, Some((&user.name, user.role)))?;
            session_cookie::begin(&mut response, &api, &request.head, &token, &user.name)?;
            return Ok(response);
        }
        Claimed::Already => ApiError::Gone("this server has its administrator: log in"),
        Claimed::Expired => ApiError::Gone("the claim code has ended: restart the server for a new one"),
        Claimed::NameTaken => ApiError::Conflict("there is a user of this name already: choose another".to_owned()),
        Claimed::WrongCode => {
            ApiError::Forbidden("that is not the claim code which the server printed at its start".to_owned())
        }
    };
    let deed = Deed { actor: Actor::new(ActorKind::Anonymous, ""), address, action: Action::Claim };
    api.audit.note_failure(&api.store, deed.ended(refusal.outcome(), "").with(refusal.sentence())).await;
    Err(refusal)
}

/// Reads a body that holds secrets: what is wrong with it is said without showing any of it.
async fn read_secrets<T: DeserializeOwned>(request: &mut Request) -> Result<T, ApiError> {
    let text = Zeroizing::new(request.body.read_json_text(BODY_LIMIT_BYTES).await?.to_vec());
    parse_json(&text).map_err(|_| ApiError::BadRequest("invalid JSON body: see the fields of this request".to_owned()))
}

fn attempt(api: &Api, head: &Head, name: Option<UserName>, password: Zeroizing<String>) -> LoginAttempt {
    let browser = name.as_ref().and_then(|name| session_cookie::known_browser(api, head, name));
    let address = api.addresses.client_address(head);
    LoginAttempt { name, password, address, browser, session: session_cookie::token_hash(api, head) }
}

fn begun(api: &Api, head: &Head, login: Login, wrong: &'static str) -> Result<Response, ApiError> {
    match login {
        Login::In(token, user) => {
            let mut response = session_reply(api, Setup::Done, Some((&user.name, user.role)))?;
            session_cookie::begin(&mut response, api, head, &token, &user.name)?;
            Ok(response)
        }
        Login::Out(Refused::Wrong) => Err(ApiError::Unauthorized(wrong)),
        Login::Out(Refused::Locked(rest)) => Err(ApiError::TooManyRequests("too many attempts have failed", rest)),
        Login::Out(Refused::Busy) => {
            Err(ApiError::TooManyRequests("too many are logging in", std::time::Duration::from_secs(1)))
        }
    }
}

fn goodbye(api: &Api, head: &Head) -> Result<Response, ApiError> {
    let mut response = reply::done();
    session_cookie::end(&mut response, api, head)?;
    Ok(response)
}

/// Another site's page must not log anybody in: they would work in an account that is not theirs.
async fn refuse_other_pages(api: &Api, request: &mut Request) -> Result<(), ApiError> {
    if own_page(api, &request.head) == Some(false) {
        return Err(request.body.refuse(identity::other_page()).await);
    }
    Ok(())
}
