//! `/api/tender/v1/attempts`: what devices were offered, and what came of it.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use super::paging::{number, parameters};
use crate::domain::attempt::Attempt;
use crate::domain::{AttemptId, Deed, DeviceId, GroupId, PackageId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::attempts::Filter;
use crate::store::devices;

/// Attempts, latest first.
#[derive(Serialize)]
struct PageReply<'a> {
    attempts: Vec<AttemptReply<'a>>,
    /// What to give as `before` for the next page; `null` if this is the last.
    next: Option<AttemptId>,
}

/// Lengths in bytes.
#[derive(Serialize)]
struct AttemptReply<'a> {
    id: AttemptId,
    device: DeviceId,
    group: GroupId,
    package: PackageId,
    from: &'a str,
    to: &'a str,
    target: &'a str,
    path: &'a [PackageId],
    stage: &'static str,
    offered_at: Moment,
    offers: u64,
    length: u64,
    fetched: u64,
    sent: u64,
    fetched_at: Option<Moment>,
    ended_at: Option<Moment>,
    outcome: Option<&'static str>,
}

impl<'a> From<&'a Attempt> for AttemptReply<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        let step = &attempt.step;
        Self {
            id: attempt.id,
            device: attempt.device,
            group: step.group,
            package: step.package,
            from: &step.from_version,
            to: &step.to_version,
            target: &step.target,
            path: &step.path,
            stage: attempt.stage().name(),
            offered_at: Moment(attempt.offered_at),
            offers: attempt.offers,
            length: step.length_bytes,
            fetched: attempt.fetched_bytes,
            sent: attempt.sent_bytes,
            fetched_at: attempt.fetched_at.map(Moment),
            ended_at: attempt.end.map(|(at, _)| Moment(at)),
            outcome: attempt.end.map(|(_, outcome)| outcome.name()),
        }
    }
}

/// `GET /api/tender/v1/attempts`, with `device`, `group`, `package`, `outcome`, `limit` (1 to 1000) and `before` (the `next` of the
/// page before)
///
/// - 200: a page of attempts, latest first
/// - 400: a parameter is unknown, or its value is none
pub async fn list(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    page(&api, Filter::default(), &request).await
}

/// `GET /api/tender/v1/devices/{device}/attempts`, with the same parameters
///
/// - 200: a page of the device's attempts, latest first
/// - 400: a parameter is unknown, or its value is none
/// - 404: no such device
pub async fn of_device(api: Arc<Api>, _: Operator, id: DeviceId, request: Request) -> Result<Response, ApiError> {
    require_device(&api, id).await?;
    page(&api, Filter { device: Some(id), ..Filter::default() }, &request).await
}

async fn page(api: &Api, mut filter: Filter, request: &Request) -> Result<Response, ApiError> {
    let is_of_any_device = filter.device.is_none();
    let limit = parameters(request.head.target.query(), |name, value| {
        match name {
            "device" if is_of_any_device => filter.device = Some(number(name, value)?),
            "group" => filter.group = Some(number(name, value)?),
            "package" => filter.package = Some(number(name, value)?),
            "outcome" => filter.outcome = Some(value.parse()?),
            "before" => filter.before = Some(number(name, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let mut attempts = api.tracker.attempts(filter, limit.with_one_more()).await?;
    let next = limit.cut(&mut attempts, |attempt| attempt.id);
    Ok(reply::ok(&PageReply { attempts: attempts.iter().map(AttemptReply::from).collect(), next })?)
}

/// `POST /api/tender/v1/devices/{device}/release`
///
/// - 200: the device does not pause any more, whatever has failed on it
/// - 404: no such device
/// - 409: nothing has failed on it
pub async fn release(api: Arc<Api>, deed: Deed, id: DeviceId, _: Request) -> Result<Response, ApiError> {
    require_device(&api, id).await?;
    if api.tracker.release(id, deed).await? {
        Ok(reply::done())
    } else {
        Err(ApiError::Conflict("nothing has failed on this device, so it does not pause".to_owned()))
    }
}

async fn require_device(api: &Api, id: DeviceId) -> Result<(), ApiError> {
    let presence = api.store.presence().clone();
    let device = api.store.read(move |connection| devices::find(connection, &presence, id)).await?;
    device.map(|_| ()).ok_or(ApiError::NotFound("no such device"))
}
