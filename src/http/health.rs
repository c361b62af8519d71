//! `/health/live` and `/health/ready`: for load balancers, containers and service managers. Anybody may ask, so nothing is said but
//! a word.

use std::sync::Arc;

use warp::http::StatusCode;
use warp::reply::Response;

use super::Api;
use super::error::ApiError;
use super::guard::Anonymous;
use super::reply::{forbid_storing, json};
use super::request::Request;
use crate::usecase::health::Readiness;

/// `GET /health/live`
///
/// - 200: requests are answered; nothing else was looked at
pub async fn live(_: Arc<Api>, _: Anonymous, (): (), _: Request) -> Result<Response, ApiError> {
    Ok(answer(StatusCode::OK, "live"))
}

/// `GET /health/ready`
///
/// - 200: `ready`; or `degraded`, where devices are served and nothing can be changed, as on a full disk
/// - 503: `unavailable`, where the database does not answer or the packages are not there; or `stopping`
pub async fn ready(api: Arc<Api>, _: Anonymous, (): (), _: Request) -> Result<Response, ApiError> {
    let (status, word) = match api.health.readiness(&api.store, &api.packages).await {
        Readiness::Ready => (StatusCode::OK, "ready"),
        Readiness::Degraded => (StatusCode::OK, "degraded"),
        Readiness::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
    };
    Ok(answer(status, word))
}

fn answer(status: StatusCode, word: &str) -> Response {
    let mut response = json(status, format!("{{\"status\": \"{word}\"}}").into_bytes());
    forbid_storing(&mut response);
    response
}
