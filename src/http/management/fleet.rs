//! `/api/tender/v1/devices` and `/api/tender/v1/overview`: the fleet in pages and in numbers.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::devices::no_such_device;
use super::paging::{number, parameters, wrong};
use crate::domain::fleet::{DeviceState, GroupOverview, Overview, Ranking, StateCounts};
use crate::domain::{Device, DeviceId, GroupId, KeyFingerprint, Metadata, Search, keys};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::fleet::{Filter, Order, OrderKey, Place};
use crate::usecase::survey_fleet::{Listed, Shown, Wanted};

/// The orders by their names; with a `-` before it, the greatest comes first.
const ORDERS: [(&str, Order); 6] = [
    ("id", Order::Id),
    ("name", Order::Name),
    ("mac_address", Order::MacAddress),
    ("type", Order::Type),
    ("version", Order::Version),
    ("last_access", Order::LastAccess),
];

/// Devices, in the order asked for.
#[derive(Serialize)]
struct PageReply<'a> {
    devices: Vec<DeviceReply<'a>>,
    /// What to give as `after` for the next page; `null` if this is the last.
    next: Option<String>,
    /// How many fit, on all pages.
    total: u64,
}

#[derive(Serialize)]
struct DeviceReply<'a> {
    id: DeviceId,
    name: &'a str,
    mac_address: &'a str,
    #[serde(rename = "type")]
    device_type: Option<&'a str>,
    version: Option<&'a str>,
    group: Option<GroupId>,
    state: &'static str,
    /// `null`: not heard since it was accepted.
    last_access: Option<Moment>,
}

#[derive(Serialize)]
struct ShownReply<'a> {
    #[serde(flatten)]
    device: DeviceReply<'a>,
    metadata: &'a Metadata,
    capabilities: &'a BTreeMap<String, bool>,
    key_fingerprint: Option<String>,
    accepted_at: Moment,
    /// How far its clock was ahead when it last authorized; `null`: it has not since the start.
    clock_skew_seconds: Option<i64>,
    /// Fingerprints of other keys with which somebody of this address asks to be let in.
    waiting_keys: Vec<String>,
}

#[derive(Serialize)]
struct OverviewReply<'a> {
    devices: u64,
    states: BTreeMap<&'static str, u64>,
    versions: Vec<VersionReply<'a>>,
    /// How many devices run none of these.
    other_versions: u64,
    types: Vec<TypeReply<'a>>,
    /// How many devices are of none of these.
    other_types: u64,
    /// Those that have devices.
    groups: Vec<GroupReply<'a>>,
}

#[derive(Serialize)]
struct VersionReply<'a> {
    version: Option<&'a str>,
    devices: u64,
}

#[derive(Serialize)]
struct TypeReply<'a> {
    #[serde(rename = "type")]
    device_type: Option<&'a str>,
    devices: u64,
}

#[derive(Serialize)]
struct GroupReply<'a> {
    /// `null`: those in no group.
    group: Option<GroupId>,
    devices: u64,
    states: BTreeMap<&'static str, u64>,
    versions: Vec<VersionReply<'a>>,
    /// How many of its devices run none of these.
    other_versions: u64,
}

impl<'a> DeviceReply<'a> {
    fn new(device: &'a Device, state: DeviceState) -> Self {
        Self {
            id: device.id,
            name: &device.name,
            mac_address: device.mac_address.as_str(),
            device_type: device.metadata.text(keys::DEVICE_TYPE),
            version: device.metadata.text(keys::SOFTWARE_VERSION),
            group: device.group,
            state: state.name(),
            last_access: device.last_access.map(Moment),
        }
    }
}

impl<'a> From<&'a Shown> for ShownReply<'a> {
    fn from(Shown { device, state, waiting }: &'a Shown) -> Self {
        Self {
            device: DeviceReply::new(device, *state),
            metadata: &device.metadata,
            capabilities: &device.capabilities,
            key_fingerprint: device.key_fingerprint.as_ref().map(KeyFingerprint::to_string),
            accepted_at: Moment(device.accepted),
            clock_skew_seconds: device.clock_skew_seconds,
            waiting_keys: waiting.iter().map(KeyFingerprint::to_string).collect(),
        }
    }
}

impl<'a> From<&'a Overview> for OverviewReply<'a> {
    fn from(overview: &'a Overview) -> Self {
        let Overview { states, versions, types, groups } = overview;
        let types_named = types.first.iter();
        let types_named =
            types_named.map(|(text, devices)| TypeReply { device_type: text.as_deref(), devices: *devices });
        Self {
            devices: states.total(),
            states: by_name(states),
            versions: version_replies(versions),
            other_versions: versions.others,
            types: types_named.collect(),
            other_types: types.others,
            groups: groups.iter().map(|(group, overview)| GroupReply::new(*group, overview)).collect(),
        }
    }
}

impl<'a> GroupReply<'a> {
    fn new(group: Option<GroupId>, GroupOverview { states, versions }: &'a GroupOverview) -> Self {
        Self {
            group,
            devices: states.total(),
            states: by_name(states),
            versions: version_replies(versions),
            other_versions: versions.others,
        }
    }
}

fn version_replies(ranking: &Ranking) -> Vec<VersionReply<'_>> {
    let replies =
        ranking.first.iter().map(|(text, devices)| VersionReply { version: text.as_deref(), devices: *devices });
    replies.collect()
}

/// All states, also those that no device is in.
fn by_name(states: &StateCounts) -> BTreeMap<&'static str, u64> {
    DeviceState::ALL.iter().map(|state| (state.name(), states.of(*state))).collect()
}

/// Where a page begins, as clients hand it back: only good for the order that it was made for.
#[derive(Serialize, Deserialize)]
struct Cursor {
    order: String,
    key: CursorKey,
    device: DeviceId,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum CursorKey {
    Number(i64),
    Text(String),
}

impl Cursor {
    fn write(order: &str, Place { key, device }: &Place) -> Result<String, ApiError> {
        let key = match key {
            OrderKey::Number(number) => CursorKey::Number(*number),
            OrderKey::Text(text) => CursorKey::Text(text.clone()),
        };
        let cursor = Self { order: order.to_owned(), key, device: *device };
        Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&cursor)?))
    }

    fn read(text: &str, order: &str) -> Result<Place, ApiError> {
        let cursor = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        let Some(cursor) = cursor.filter(|cursor| cursor.order == order) else {
            return Err(wrong("after", "the next of a page with the same sort"));
        };
        let key = match cursor.key {
            CursorKey::Number(number) => OrderKey::Number(number),
            CursorKey::Text(text) => OrderKey::Text(text),
        };
        Ok(Place { key, device: cursor.device })
    }
}

/// The order of this name, and whether it is descending.
fn read_order(sort: &str) -> Result<(Order, bool), ApiError> {
    let name = sort.strip_prefix('-').unwrap_or(sort);
    let found = ORDERS.iter().find(|(known, _)| *known == name);
    let (_, order) = found.ok_or_else(|| {
        let names: Vec<_> = ORDERS.iter().map(|(name, _)| *name).collect();
        wrong("sort", &format!("one of {}, with a - before it for the other direction", names.join(", ")))
    })?;
    Ok((*order, sort.starts_with('-')))
}

/// `GET /api/tender/v1/devices`, with `search`, `group` (an identifier or `none`), `state`, `type`, `version` (empty: those that
/// report none), `sort`, `limit` (1 to 1000) and `after` (the `next` of the page before)
///
/// - 200: a page of the devices that fit all of this
/// - 400: a parameter is unknown, or its value is none
pub async fn list(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    let (mut filter, mut state, mut after) = (Filter::default(), None, None);
    let mut sort = "id".to_owned();
    let limit = parameters(request.head.target.query(), |name, value| {
        match name {
            "search" => filter.search = Search::parse(value)?,
            "group" if value == "none" => filter.group = Some(None),
            "group" => filter.group = Some(Some(number(name, value)?)),
            "state" => state = Some(value.parse()?),
            "type" => filter.device_type = Some(value.to_owned()),
            "version" => filter.version = Some(value.to_owned()),
            "sort" => sort = value.to_owned(),
            "after" => after = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let (order, is_descending) = read_order(&sort)?;
    let after = after.map(|after| Cursor::read(&after, &sort)).transpose()?;
    let wanted = Wanted { filter, state, order, is_descending, after, limit: limit.with_one_more() };
    let mut page = api.survey.page(wanted).await?;
    let next = limit.cut(&mut page.devices, |listed| Cursor::write(&sort, &listed.place)).transpose()?;
    let devices = page.devices.iter().map(|Listed { device, state, .. }| DeviceReply::new(device, *state)).collect();
    Ok(reply::ok(&PageReply { devices, next, total: page.total })?)
}

/// `GET /api/tender/v1/devices/{device}`
///
/// - 200: the device
/// - 404: no such device
pub async fn show(api: Arc<Api>, _: Operator, id: DeviceId, _: Request) -> Result<Response, ApiError> {
    let shown = api.survey.one(id).await?;
    Ok(reply::ok(&ShownReply::from(&shown.ok_or_else(no_such_device)?))?)
}

/// `GET /api/tender/v1/overview`
///
/// - 200: the fleet in numbers, as it was a moment ago
pub async fn overview(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let surveyed = api.survey.all().await?;
    Ok(reply::ok(&OverviewReply::from(&surveyed.overview))?)
}
