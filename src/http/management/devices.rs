//! `/api/v1/devices`: the accepted devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use warp::http::StatusCode;
use warp::reply::Response;

use crate::domain::{Device, DeviceId, GroupId, Metadata};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Date};
use crate::http::request::Request;
use crate::store::devices;

/// A device on the wire: exactly these fields.
#[derive(Serialize)]
struct DeviceReply<'a> {
    id: DeviceId,
    name: &'a str,
    mac_address: &'a str,
    capabilities: &'a BTreeMap<String, bool>,
    metadata: &'a Metadata,
    group: Option<GroupId>,
    last_access: Option<Date>,
    public_key: Option<&'a str>,
}

impl<'a> From<&'a Device> for DeviceReply<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            id: device.id,
            name: &device.name,
            mac_address: device.mac_address.as_str(),
            capabilities: &device.capabilities,
            metadata: &device.metadata,
            group: device.group,
            last_access: device.last_access.map(Date),
            public_key: device.public_key.as_deref(),
        }
    }
}

/// 404 for a device that is not there.
pub fn no_such_device() -> ApiError {
    ApiError::NotFound("no such device")
}

/// `GET /api/v1/devices`
///
/// - 200: all devices
pub async fn list(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let presence = api.store.presence().clone();
    let json = api
        .store
        .read(move |connection| {
            // Written row by row: ten thousand devices are never in memory as more than their JSON.
            let mut json = Vec::from(b"[");
            devices::for_each(connection, &presence, |device| {
                if json.len() > 1 {
                    json.push(b',');
                }
                serde_json::to_writer(&mut json, &DeviceReply::from(&device)).map_err(ApiError::from)
            })?;
            json.push(b']');
            Ok::<_, ApiError>(json)
        })
        .await?;
    Ok(reply::json(StatusCode::OK, json))
}

/// `GET /api/v1/devices/{device}`
///
/// - 200: the device
/// - 404: no such device
pub async fn find(api: Arc<Api>, _: Operator, id: DeviceId, _: Request) -> Result<Response, ApiError> {
    let presence = api.store.presence().clone();
    let device = api.store.read(move |connection| devices::find(connection, &presence, id)).await?;
    let device = device.ok_or_else(no_such_device)?;
    Ok(reply::ok(&DeviceReply::from(&device))?)
}
