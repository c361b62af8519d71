//! `/api/v1/update/check`: a device asks what to install.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use super::{REPORT_LIMIT_BYTES, download};
use crate::domain::{DeviceReport, Metadata, PackageId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::TokenHolder;
use crate::http::reply::{self, Date};
use crate::http::request::Request;
use crate::usecase::check_update::{UpdateCheck, check_update};

#[derive(Serialize)]
struct UpdateReply {
    id: PackageId,
    created: Date,
    sha256: String,
    uri: String,
}

/// `POST /api/v1/update/check`
///
/// - 200: the package to install next, and where to download it
/// - 204: nothing to install
/// - 400: the body is not what it should be, or lacks version, device type or MAC address
/// - 401: no good device token, or the device that it was issued to is not registered any more
/// - 403: the token is another device's
pub async fn check(
    api: Arc<Api>,
    TokenHolder(holder): TokenHolder,
    (): (),
    mut request: Request,
) -> Result<Response, ApiError> {
    let metadata: Metadata = request.body.read_json(REPORT_LIMIT_BYTES).await?;
    let report = DeviceReport::for_update_check(metadata)?;
    if holder.as_ref().is_some_and(|holder| !holder.mac_address.is_same_device(&report.mac_address)) {
        return Err(ApiError::Forbidden("the token was issued to a device with another MAC address".to_owned()));
    }
    let issued = holder.map(|holder| holder.issued);
    let address = api.addresses.client_address(&request.head);
    match check_update(&api.store, &api.planner, &api.tracker, report, issued, address).await? {
        UpdateCheck::Update(offer) => {
            let package = offer.package();
            api.traffic.checks.offered.add_one();
            Ok(reply::ok(&UpdateReply {
                id: package.id,
                created: Date(package.created),
                sha256: package.sha256.to_string(),
                uri: format!("{}{}", api.addresses.base_url(&request.head)?, download::address(&api, package)),
            })?)
        }
        UpdateCheck::NoUpdate(reason) => {
            api.traffic.checks.ended(reason);
            Ok(reply::no_content())
        }
        UpdateCheck::UnknownDevice => Err(ApiError::Unauthorized("the device is not registered: authorize again")),
    }
}
