//! The cookies of the pages: which session a browser is in, and that it is known to its user.

use std::fmt;

use headers::{Cookie, HeaderMapExt};
use warp::http::HeaderValue;
use warp::http::header::SET_COOKIE;
use warp::reply::Response;

use super::Api;
use super::error::ApiError;
use super::request::Head;
use crate::auth::{Credential, credential, known_browser};
use crate::domain::{CredentialHash, UserName};
use crate::store::sessions;

/// The path that browsers send the mark of a known browser to: where people log in.
const LOGIN_PATH: &str = "/api/tender/v1/session";
/// 400 days: browsers keep no cookie longer.
const MARK_SECONDS: u64 = 400 * 24 * 60 * 60;

/// What the session's cookie is called. On an encrypted connection the name is one that browsers protect: no other host and
/// no unencrypted page can set it (RFC 6265bis, section 4.1.3).
const fn name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-tender-session" } else { "tender-session" }
}

const fn mark_name(is_secure: bool) -> &'static str {
    if is_secure { "__Secure-tender-browser" } else { "tender-browser" }
}

/// The hash of what the session's cookie holds, if there is one: whether that is a session is for the store to say.
///
/// With two that differ there is none. On an unencrypted connection whatever runs on another port of this host, or on the way to
/// it, can add a cookie of its own, and nobody shall work in an account that is not theirs.
pub fn token_hash(api: &Api, head: &Head) -> Option<CredentialHash> {
    let cookies = head.headers.typed_get::<Cookie>()?;
    let name = name(api.addresses.is_secure(head));
    let mut values = cookies.iter().filter(|(given, _)| *given == name).map(|(_, value)| value);
    let value = values.next()?;
    values.all(|other| other == value).then(|| credential::hash_of(value))
}

/// The browser's identifier, if `name` has logged in from it before.
pub fn known_browser(api: &Api, head: &Head, name: &UserName) -> Option<known_browser::BrowserId> {
    let cookies = head.headers.typed_get::<Cookie>()?;
    known_browser::verify(&api.keys, cookies.get(mark_name(api.addresses.is_secure(head)))?, name)
}

/// Adds the cookies of a session that begins.
pub fn begin(
    response: &mut Response,
    api: &Api,
    head: &Head,
    token: &Credential,
    user: &UserName,
) -> Result<(), ApiError> {
    let is_secure = api.addresses.is_secure(head);
    let lifetime = sessions::LIFETIME.as_secs();
    add(response, &SetCookie { name: name(is_secure), value: token.reveal(), path: "/", lifetime, is_secure })?;
    let mark = known_browser::issue(&api.keys, user).map_err(ApiError::internal)?;
    let name = mark_name(is_secure);
    add(response, &SetCookie { name, value: &mark, path: LOGIN_PATH, lifetime: MARK_SECONDS, is_secure })
}

/// Takes the session's cookie away from the browser.
pub fn end(response: &mut Response, api: &Api, head: &Head) -> Result<(), ApiError> {
    let is_secure = api.addresses.is_secure(head);
    add(response, &SetCookie { name: name(is_secure), value: "", path: "/", lifetime: 0, is_secure })
}

struct SetCookie<'a> {
    name: &'a str,
    value: &'a str,
    path: &'a str,
    lifetime: u64,
    is_secure: bool,
}

impl fmt::Display for SetCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, path, lifetime, is_secure } = self;
        write!(f, "{name}={value}; Path={path}; Max-Age={lifetime}; HttpOnly; SameSite=Strict")?;
        if *is_secure { f.write_str("; Secure") } else { Ok(()) }
    }
}

fn add(response: &mut Response, cookie: &SetCookie<'_>) -> Result<(), ApiError> {
    let mut value = HeaderValue::try_from(cookie.to_string()).map_err(ApiError::internal)?;
    value.set_sensitive(true);
    response.headers_mut().append(SET_COOKIE, value);
    Ok(())
}
