//! `/api/tender/v1/devices/…`: devices are named, moved between groups, and removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use super::devices::no_such_device;
use super::groups::no_such_group;
use crate::domain::{Deed, DeviceId, DeviceName, GroupId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::reply;
use crate::http::request::Request;
use crate::store::groups::MembershipError;
use crate::usecase::manage_devices;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct NameBody {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct AssignmentBody {
    devices: BTreeSet<DeviceId>,
    /// Must be there: whoever forgets it does not want devices to lose their groups.
    #[serde(deserialize_with = "Option::deserialize")]
    group: Option<GroupId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct RemovalBody {
    devices: BTreeSet<DeviceId>,
}

/// 404 for a device of several that is not there.
fn one_is_missing() -> ApiError {
    ApiError::NotFound("one of the devices does not exist: nothing was changed")
}

/// `PUT /api/tender/v1/devices/{device}/name`
///
/// - 200: the device has this name now
/// - 400: the body is not what it should be, or no name
/// - 404: no such device
pub async fn rename(api: Arc<Api>, deed: Deed, id: DeviceId, mut request: Request) -> Result<Response, ApiError> {
    let NameBody { name } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let is_renamed = manage_devices::rename(&api.store, id, DeviceName::parse(&name)?, deed).await?;
    if is_renamed { Ok(reply::done()) } else { Err(no_such_device()) }
}

/// `POST /api/tender/v1/devices/assign`
///
/// - 200: the devices are in this group now, or in none, from whatever group each was in
/// - 400: the body is not what it should be
/// - 404: no such group, or one of the devices does not exist; nothing was changed
pub async fn assign(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let AssignmentBody { devices, group } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    manage_devices::assign(&api.store, devices, group, deed).await.map_err(|error| match error {
        MembershipError::NoSuchGroup => no_such_group(),
        MembershipError::NoSuchDevice(_) => one_is_missing(),
        MembershipError::Store(error) => error.into(),
        impossible => ApiError::internal(impossible),
    })?;
    Ok(reply::done())
}

/// `POST /api/tender/v1/devices/remove`
///
/// - 200: the devices are gone, their keys and tokens good for nothing; they may ask to be let in again
/// - 400: the body is not what it should be
/// - 404: one of the devices does not exist; nothing was changed
pub async fn remove(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let RemovalBody { devices } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let are_removed = manage_devices::remove(&api.store, &api.tracker, devices, deed).await?;
    if are_removed { Ok(reply::done()) } else { Err(one_is_missing()) }
}
