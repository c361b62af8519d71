//! Replies: JSON, dates as the API writes them.

use std::fmt;
use std::time::SystemTime;

use serde::{Serialize, Serializer};
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, PRAGMA};
use warp::reply::Response;

use crate::domain::Timestamp;

/// A 200 with `value` as JSON.
pub fn ok(value: &impl Serialize) -> Result<Response, serde_json::Error> {
    Ok(json(StatusCode::OK, serde_json::to_vec(value)?))
}

/// A 200 that has nothing more to say: `{}`.
pub fn done() -> Response {
    json(StatusCode::OK, b"{}".to_vec())
}

/// A 204 without a body.
pub fn no_content() -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// A reply whose body is this JSON text.
pub fn json(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Tells everybody on the way, old caches included, to keep nothing of this reply.
pub fn forbid_storing(response: &mut Response) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

/// A date on the wire: `Thu, 17 Aug 2023 10:41:08 GMT` (RFC 9110, section 5.6.7).
pub struct Date(pub Timestamp);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        httpdate::HttpDate::from(SystemTime::from(self.0)).fmt(f)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A moment in replies of our own: `2027-01-15T08:00:00Z` (RFC 3339).
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.rfc3339())
    }
}
