//! `/api/tender/v1/registrations`: who asked to be let in, page by page; people let them in or reject them, many at once.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use super::paging::{number, parameters};
use crate::domain::{Deed, DeviceId, KeyFingerprint, MacAddress, MacKey, Metadata, Search};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::registrations::{self, AddressHolder, Filter, Listed};
use crate::usecase::register_device::{self, JudgementError};

/// Registrations, in the order in which they first came.
#[derive(Serialize)]
struct PageReply<'a> {
    registrations: Vec<RegistrationReply<'a>>,
    /// What to give as `after` for the next page; `null` if this is the last.
    next: Option<i64>,
    /// How many fit, on all pages.
    total: usize,
}

#[derive(Serialize)]
struct RegistrationReply<'a> {
    mac_address: &'a str,
    public_key: &'a str,
    key_fingerprint: String,
    metadata: &'a Metadata,
    last_appeared: Moment,
    state: &'static str,
    /// The device that is known by this address, whose key would be changed; `null`: there is none.
    device: Option<HolderReply<'a>>,
}

#[derive(Serialize)]
struct HolderReply<'a> {
    id: DeviceId,
    name: &'a str,
    key_fingerprint: Option<String>,
}

impl<'a> From<&'a Listed> for RegistrationReply<'a> {
    fn from(Listed { registration, fingerprint, device, .. }: &'a Listed) -> Self {
        Self {
            mac_address: registration.mac_address.as_str(),
            public_key: &registration.public_key,
            key_fingerprint: fingerprint.to_string(),
            metadata: &registration.metadata,
            last_appeared: Moment(registration.last_appeared),
            state: registration.state.name(),
            device: device.as_ref().map(|AddressHolder { id, name, key_fingerprint }| HolderReply {
                id: *id,
                name,
                key_fingerprint: key_fingerprint.as_ref().map(KeyFingerprint::to_string),
            }),
        }
    }
}

/// Which registrations are judged.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct JudgementBody {
    registrations: Vec<NamedRegistration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with mac_address and key_fingerprint")]
struct NamedRegistration {
    mac_address: String,
    key_fingerprint: String,
}

impl JudgementBody {
    async fn read(request: &mut Request) -> Result<Vec<(MacKey, KeyFingerprint)>, ApiError> {
        let Self { registrations } = request.body.read_json(BODY_LIMIT_BYTES).await?;
        let named = registrations.iter().map(|NamedRegistration { mac_address, key_fingerprint }| {
            Ok((MacAddress::parse(mac_address)?.key(), key_fingerprint.parse()?))
        });
        named.collect()
    }
}

/// The devices that were let in, in the order of the request.
#[derive(Serialize)]
struct AcceptedReply {
    devices: Vec<DeviceId>,
}

impl From<JudgementError> for ApiError {
    fn from(error: JudgementError) -> Self {
        match error {
            JudgementError::NoSuchRegistration => {
                Self::NotFound("one of the registrations does not exist: nothing was changed")
            }
            JudgementError::Store(error) => error.into(),
        }
    }
}

/// `GET /api/tender/v1/registrations`, with `state` (`pending` or `rejected`; none: both), `search`, `limit` (1 to 1000) and
/// `after` (the `next` of the page before)
///
/// - 200: a page of the registrations that fit all of this
/// - 400: a parameter is unknown, or its value is none
pub async fn list(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    let (mut filter, mut after) = (Filter::default(), 0);
    let limit = parameters(request.head.target.query(), |name, value| {
        match name {
            "state" => filter.state = Some(value.parse()?),
            "search" => filter.search = Search::parse(value)?,
            "after" => after = number(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let presence = api.store.presence().clone();
    let reading = api
        .store
        .read(move |connection| registrations::page(connection, &presence, &filter, after, limit.with_one_more()));
    let (mut found, total) = reading.await?;
    let next = limit.cut(&mut found, |listed| listed.place);
    Ok(reply::ok(&PageReply { registrations: found.iter().map(RegistrationReply::from).collect(), next, total })?)
}

/// `POST /api/tender/v1/registrations/accept`
///
/// - 200: the devices are let in, each with the key that is named, also those that had been rejected
/// - 400: the body is not what it should be, or names an address twice
/// - 404: one of the registrations does not exist; nothing was changed
pub async fn accept(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let registrations = JudgementBody::read(&mut request).await?;
    let addresses: HashSet<_> = registrations.iter().map(|(mac_key, _)| mac_key).collect();
    if addresses.len() < registrations.len() {
        return Err(ApiError::BadRequest("a MAC address is named twice, and a device has one key".to_owned()));
    }
    let devices = register_device::accept(&api.store, registrations, deed).await?;
    Ok(reply::ok(&AcceptedReply { devices })?)
}

/// `POST /api/tender/v1/registrations/reject`
///
/// - 200: they are rejected: they do not wait any more, and are not heard when they ask again
/// - 400: the body is not what it should be
/// - 404: one of the registrations does not exist; nothing was changed
pub async fn reject(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let registrations = JudgementBody::read(&mut request).await?;
    register_device::reject(&api.store, registrations, deed).await?;
    Ok(reply::done())
}
