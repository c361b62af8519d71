//! `/api/tender/v1/groups/{group}/rollout`: how the devices of a group get a new version, and how far they are.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use super::groups::{no_such_group, target};
use crate::domain::rollout::{DEFAULT_MAX_FAILURES, HaltRule, Rollout, Standing};
use crate::domain::{Deed, Event, GroupChange, GroupId, Hours, LocalHours, Policy, Timestamp};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::{StoreError, audit, events, groups, rollouts};

/// The settings on the wire, in requests and replies. What is left out is as it is in a new group.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct RolloutBody {
    hours: Option<HoursBody>,
    max_failures: u32,
    halt: Option<HaltBody>,
    max_parallel: Option<NonZeroU32>,
    first: Option<NonZeroU32>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with windows and zone")]
struct HoursBody {
    windows: String,
    zone: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with percent and devices")]
struct HaltBody {
    percent: u8,
    devices: NonZeroU32,
}

impl Default for RolloutBody {
    fn default() -> Self {
        Self { hours: None, max_failures: DEFAULT_MAX_FAILURES, halt: None, max_parallel: None, first: None }
    }
}

impl RolloutBody {
    fn read(self) -> Result<Rollout, ApiError> {
        let hours = self.hours.map(|HoursBody { windows, zone }| LocalHours::by_name(windows.parse::<Hours>()?, &zone));
        let halt = self.halt.map(|HaltBody { percent, devices }| {
            if percent > 99 {
                return Err(ApiError::BadRequest("halt.percent must be a number from 0 to 99".to_owned()));
            }
            Ok(HaltRule { percent, devices: devices.get() })
        });
        Ok(Rollout {
            hours: hours.transpose()?,
            max_failures: self.max_failures,
            halt: halt.transpose()?,
            max_parallel: self.max_parallel.map(NonZeroU32::get),
            first: self.first.map(NonZeroU32::get),
        })
    }

    fn write(rollout: &Rollout) -> Self {
        let hours = rollout.hours.as_ref();
        Self {
            hours: hours.map(|hours| HoursBody {
                windows: hours.hours().to_string(),
                zone: hours.zone_name().unwrap_or_default().to_owned(),
            }),
            max_failures: rollout.max_failures,
            halt: rollout.halt.and_then(|HaltRule { percent, devices }| {
                Some(HaltBody { percent, devices: NonZeroU32::new(devices)? })
            }),
            max_parallel: rollout.max_parallel.and_then(NonZeroU32::new),
            first: rollout.first.and_then(NonZeroU32::new),
        }
    }
}

/// How the devices of a group get a new version, and how far they are.
#[derive(Serialize)]
pub struct RolloutReply {
    settings: RolloutBody,
    progress: ProgressReply,
}

impl RolloutReply {
    /// Of the group that has this policy and these settings.
    pub fn new(api: &Api, group: GroupId, policy: &Policy, rollout: &Rollout) -> Self {
        Self { settings: RolloutBody::write(rollout), progress: ProgressReply::new(api, group, policy) }
    }

    /// Since when nothing is offered any more, and how many devices had to fail for that; `None`: packages are offered.
    pub fn halt(&self) -> Option<(Timestamp, usize)> {
        let ProgressReply { halted_since, failed, .. } = &self.progress;
        halted_since.as_ref().map(|Moment(since)| (*since, *failed))
    }
}

/// How many devices stand where on the way to the target. Those that have not begun, or reached it by other ways, are in none.
#[derive(Serialize)]
struct ProgressReply {
    /// `null`: the policy names no version.
    target: Option<String>,
    trying: usize,
    between: usize,
    reached: usize,
    failed: usize,
    /// Since when nothing is offered, because too many have failed; `null`: it is.
    halted_since: Option<Moment>,
}

impl ProgressReply {
    fn new(api: &Api, group: GroupId, policy: &Policy) -> Self {
        let target = policy.target().map(str::to_owned);
        // The one that is known is of another target until a device asks.
        let known = api.tracker.group(group, |progress| {
            (Some(&progress.target) == target.as_ref()).then(|| {
                let count = |standing| progress.tally.count(standing);
                Self {
                    target: target.clone(),
                    trying: count(Standing::Trying),
                    between: count(Standing::Between),
                    reached: count(Standing::Reached),
                    failed: progress.tally.failed(),
                    halted_since: progress.halted_since.map(Moment),
                }
            })
        });
        let nobody = |target| Self { target, trying: 0, between: 0, reached: 0, failed: 0, halted_since: None };
        known.flatten().unwrap_or_else(|| nobody(target.clone()))
    }
}

/// `GET /api/tender/v1/groups/{group}/rollout`
///
/// - 200: the settings, and how far the group's devices are
/// - 404: no such group
pub async fn show(api: Arc<Api>, _: Operator, id: GroupId, _: Request) -> Result<Response, ApiError> {
    let found = api.store.read(move |connection| {
        let Some(policy) = groups::policy(connection, id)? else { return Ok(None) };
        Ok::<_, StoreError>(Some((policy, rollouts::find(connection, id)?)))
    });
    let (policy, rollout) = found.await?.ok_or_else(no_such_group)?;
    Ok(reply::ok(&RolloutReply::new(&api, id, &policy, &rollout))?)
}

/// `PUT /api/tender/v1/groups/{group}/rollout`: all settings; what is left out is as in a new group
///
/// - 200: the group has these settings now
/// - 400: the body is not what it should be
/// - 404: no such group
pub async fn set(api: Arc<Api>, deed: Deed, id: GroupId, mut request: Request) -> Result<Response, ApiError> {
    let rollout = request.body.read_json::<RolloutBody>(BODY_LIMIT_BYTES).await?.read()?;
    let written = serde_json::to_string(&RolloutBody::write(&rollout))?;
    let setting = api.store.write(move |tx| {
        if !rollouts::put(tx, id, &rollout)? {
            return Ok(false);
        }
        events::tell(tx, Event::group_changed(id, GroupChange::Rollout))?;
        audit::append(tx, &deed.done(target(id)).with(written))?;
        Ok::<_, StoreError>(true)
    });
    if setting.await? { Ok(reply::done()) } else { Err(no_such_group()) }
}

/// `POST /api/tender/v1/groups/{group}/resume`
///
/// - 200: packages are offered again; devices on which something has failed may try again, too
/// - 404: no such group
/// - 409: nothing has stopped
pub async fn resume(api: Arc<Api>, deed: Deed, id: GroupId, _: Request) -> Result<Response, ApiError> {
    api.store.read(move |connection| groups::policy(connection, id)).await?.ok_or_else(no_such_group)?;
    if api.tracker.resume(id, deed).await? {
        Ok(reply::done())
    } else {
        Err(ApiError::Conflict("nothing has stopped in this group".to_owned()))
    }
}
