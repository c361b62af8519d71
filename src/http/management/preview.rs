//! `/api/tender/v1/groups/{group}/preview`: what a policy and packages would mean for a group.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use super::decision::ConsideredReply;
use crate::domain::downloads::RateSchedule;
use crate::domain::preview::{Blocked, Devices, Preview, PreviewedPath};
use crate::domain::{DeviceId, GroupId, PackageId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply;
use crate::http::request::Request;
use crate::usecase::explain;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PreviewBody {
    #[serde(default)]
    policy: Option<String>,
    #[serde(default)]
    packages: Option<Vec<PackageId>>,
}

#[derive(Serialize)]
struct PreviewReply {
    /// The version that the policy names; `null`: devices stay as they are.
    target: Option<String>,
    /// How many devices the group has.
    devices: u64,
    paths: Vec<PathReply>,
    up_to_date: DevicesReply,
    without_target: DevicesReply,
    blocked: Vec<BlockedReply>,
    undecided: DevicesReply,
    unreported: DevicesReply,
    /// What all devices fetch on their whole ways.
    bytes: u64,
    /// What they fetch at first.
    first_step_bytes: u64,
    time: TimeReply,
}

#[derive(Serialize)]
struct DevicesReply {
    devices: u64,
    /// A few of them.
    examples: Vec<DeviceId>,
}

#[derive(Serialize)]
struct PathReply {
    packages: Vec<PackageId>,
    #[serde(flatten)]
    devices: DevicesReply,
    bytes: u64,
    first_step_bytes: u64,
}

#[derive(Serialize)]
struct BlockedReply {
    #[serde(flatten)]
    devices: DevicesReply,
    /// What the packages mean for the first of the examples.
    packages: Vec<ConsideredReply>,
}

/// How long the downloads take at the usual rates.
#[derive(Serialize)]
struct TimeReply {
    /// `null`: no rate is configured.
    seconds: Option<u64>,
    /// Whether other rates hold in some hours, so that it may be another time.
    depends_on_hours: bool,
}

impl From<Devices> for DevicesReply {
    fn from(devices: Devices) -> Self {
        Self { devices: devices.count, examples: devices.examples }
    }
}

impl From<PreviewedPath> for PathReply {
    fn from(path: PreviewedPath) -> Self {
        let PreviewedPath { packages, devices, bytes, first_step_bytes } = path;
        Self { packages, devices: devices.into(), bytes, first_step_bytes }
    }
}

impl From<Blocked> for BlockedReply {
    fn from(Blocked { devices, packages }: Blocked) -> Self {
        Self { devices: devices.into(), packages: packages.iter().map(ConsideredReply::from).collect() }
    }
}

impl PreviewReply {
    fn new(preview: Preview, rates: &RateSchedule) -> Self {
        Self {
            bytes: preview.bytes(),
            first_step_bytes: preview.first_step_bytes(),
            time: TimeReply {
                seconds: preview.time(rates.usual).map(|time| time.as_secs()),
                depends_on_hours: !rates.hours.is_empty(),
            },
            target: preview.target,
            devices: preview.devices,
            paths: preview.paths.into_iter().map(PathReply::from).collect(),
            up_to_date: preview.up_to_date.into(),
            without_target: preview.without_target.into(),
            blocked: preview.blocked.into_iter().map(BlockedReply::from).collect(),
            undecided: preview.undecided.into(),
            unreported: preview.unreported.into(),
        }
    }
}

/// `POST /api/tender/v1/groups/{group}/preview`, with `policy` and `packages`; what is left out is as it is now
///
/// - 200: what would become of the devices that are in the group; nothing is changed
/// - 400: the body is not what it should be, or no policy
/// - 404: no such group, or one of the packages does not exist
pub async fn preview(api: Arc<Api>, _: Operator, id: GroupId, mut request: Request) -> Result<Response, ApiError> {
    let PreviewBody { policy, packages } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let policy = policy.map(|policy| policy.parse()).transpose()?;
    let preview = explain::preview(&api.store, id, policy, packages).await?;
    Ok(reply::ok(&PreviewReply::new(preview, &api.downloads.rates()))?)
}
