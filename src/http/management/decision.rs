//! `/api/tender/v1/…/decision`: why a device is offered what it is offered, or nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use super::devices::no_such_device;
use super::groups::no_such_group;
use crate::domain::attempt::Attempt;
use crate::domain::explanation::{Considered, Explanation, Finding, Part, PathStep, Waiting};
use crate::domain::resolver::Obstacle;
use crate::domain::rollout::Hold;
use crate::domain::{DeviceId, GroupId, MacAddress, Metadata, PackageId, PackageState, Timestamp};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::usecase::explain::{Question, explain_update};

/// The whole chain, link by link.
#[derive(Serialize)]
pub struct DecisionReply {
    /// What an update check would be answered now; `null`: that there is nothing.
    offer: Option<StepReply>,
    /// Why, in one sentence.
    sentence: String,
    /// The links, in order.
    steps: Vec<LinkReply>,
}

#[derive(Serialize)]
struct LinkReply {
    name: &'static str,
    /// `ok`, `stops_here` or `not_reached`.
    outcome: &'static str,
    /// `null`: not reached.
    sentence: Option<String>,
    /// What was found, by the name of the link; `null`: not reached.
    data: Value,
}

#[derive(Serialize)]
struct StepReply {
    package: PackageId,
    version: String,
    bytes: u64,
}

/// A package, and what it means for a device.
#[derive(Serialize)]
pub struct ConsideredReply {
    package: PackageId,
    version: String,
    state: &'static str,
    /// Which step of the path it is, from 1 on; `null`: none.
    step: Option<usize>,
    /// What is in its way.
    obstacles: Vec<Value>,
    sentence: String,
}

impl From<&PathStep> for StepReply {
    fn from(step: &PathStep) -> Self {
        Self { package: step.package, version: step.version.clone(), bytes: step.length_bytes }
    }
}

impl From<&Considered> for ConsideredReply {
    fn from(considered: &Considered) -> Self {
        let obstacles = match &considered.part {
            Part::Blocked(obstacles) => obstacles.iter().map(obstacle).collect(),
            Part::Step(_) | Part::NotNeeded => Vec::new(),
        };
        let step = match considered.part {
            Part::Step(number) => Some(number),
            Part::NotNeeded | Part::Blocked(_) => None,
        };
        Self {
            package: considered.package,
            version: considered.version.clone(),
            state: considered.damage.as_ref().map_or(PackageState::Whole, |damage| damage.state).name(),
            step,
            obstacles,
            sentence: considered.to_string(),
        }
    }
}

impl From<&Explanation> for DecisionReply {
    fn from(explanation: &Explanation) -> Self {
        let links = explanation.links().map(|(link, state, finding)| LinkReply {
            name: link.name(),
            outcome: state.name(),
            sentence: finding.map(ToString::to_string),
            data: finding.map_or(Value::Null, data),
        });
        Self {
            offer: explanation.offer().map(StepReply::from),
            sentence: explanation.conclusion().to_string(),
            steps: links.collect(),
        }
    }
}

/// What was found, without words.
fn data(finding: &Finding) -> Value {
    let steps = |steps: &[PathStep]| steps.iter().map(StepReply::from).collect::<Vec<_>>();
    let considered = |packages: &[Considered]| packages.iter().map(ConsideredReply::from).collect::<Vec<_>>();
    match finding {
        Finding::Unknown { mac_address } => json!({ "mac_address": mac_address.as_str(), "device": null }),
        Finding::Known { mac_address, device } => json!({ "mac_address": mac_address.as_str(), "device": device }),
        Finding::Hypothetical => json!({}),
        Finding::Waits { waiting } | Finding::Accepted { waiting } => {
            let waiting = waiting.iter().map(|Waiting { fingerprint, last_appeared, state }| {
                let last_appeared = Moment(*last_appeared);
                json!({ "fingerprint": fingerprint.to_string(), "last_appeared": last_appeared, "state": state.name() })
            });
            json!({ "waiting": waiting.collect::<Vec<_>>() })
        }
        Finding::ReportLacks { key, last_access } => json!({ "missing": key, "last_access": moment(*last_access) }),
        Finding::Reports { version, device_type, last_access } => {
            json!({ "version": version, "device_type": device_type, "last_access": moment(*last_access) })
        }
        Finding::NoGroup => json!({ "group": null }),
        Finding::InGroup { group } => json!({ "group": group }),
        Finding::NoTarget { .. } => json!({ "target": null }),
        Finding::UpToDate { target, .. } => json!({ "target": target, "runs": target }),
        Finding::Target { target, runs, .. } => json!({ "target": target, "runs": runs }),
        Finding::NothingToOffer { packages, .. } | Finding::Packages { packages, .. } => {
            json!({ "packages": considered(packages) })
        }
        Finding::NoPath { .. } => json!({ "path": null, "search_too_large": false }),
        Finding::SearchTooLarge { .. } => json!({ "path": null, "search_too_large": true }),
        Finding::Path { steps: path, .. } => {
            json!({ "path": steps(path), "bytes": path.iter().map(|step| step.length_bytes).sum::<u64>() })
        }
        Finding::Held { hold: held, hours, .. } => json!({ "hold": hold(held, hours.as_deref()) }),
        Finding::NotHeld { .. } => json!({ "hold": null }),
        Finding::Offered { step, attempt } => {
            json!({ "package": StepReply::from(step), "attempt": attempt.as_ref().map(so_far) })
        }
    }
}

fn obstacle(obstacle: &Obstacle) -> Value {
    match obstacle {
        Obstacle::OtherDeviceType { package, reported } => {
            json!({ "kind": "other_device_type", "required": package, "reported": reported })
        }
        Obstacle::SameVersion => json!({ "kind": "same_version" }),
        Obstacle::Requirement { key, required, reported } => {
            json!({ "kind": "requirement", "key": key, "required": required, "reported": reported })
        }
        Obstacle::LeadsNowhere => json!({ "kind": "leads_nowhere" }),
    }
}

fn hold(hold: &Hold, hours: Option<&str>) -> Value {
    match hold {
        Hold::Halted { since } => json!({ "kind": "halted", "since": Moment(*since) }),
        Hold::OutsideHours { opens } => json!({ "kind": "outside_hours", "hours": hours, "opens": moment(*opens) }),
        Hold::Pausing { failures, until } => {
            json!({ "kind": "pausing", "failures": failures, "until": Moment(*until) })
        }
        Hold::FirstWave { first, reached } => json!({ "kind": "first_wave", "first": first, "reached": reached }),
        Hold::BehindOthers => json!({ "kind": "behind_others" }),
        Hold::TooManyAtOnce { limit } => json!({ "kind": "too_many_at_once", "limit": limit }),
    }
}

fn so_far(attempt: &Attempt) -> Value {
    json!({
        "id": attempt.id,
        "stage": attempt.stage().name(),
        "offered_at": Moment(attempt.offered_at),
        "offers": attempt.offers,
        "fetched_bytes": attempt.fetched_bytes,
    })
}

fn moment(at: Option<Timestamp>) -> Option<Moment> {
    at.map(Moment)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct HypotheticalBody {
    metadata: Metadata,
    #[serde(default)]
    group: Option<GroupId>,
}

/// `GET /api/tender/v1/devices/{device}/decision`
///
/// - 200: what the device would be offered if it asked now with what it last reported, and why
/// - 404: no such device
pub async fn of_device(api: Arc<Api>, _: Operator, id: DeviceId, _: Request) -> Result<Response, ApiError> {
    answer(&api, Question::Device(id), no_such_device()).await
}

/// `GET /api/tender/v1/decision?mac=…`, with a MAC address in any spelling
///
/// - 200: the same for whoever has this address, also if nobody has
/// - 400: there is no such parameter, or its value is no MAC address
pub async fn of_address(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    let mut mac_address = None;
    for (name, value) in form_urlencoded::parse(request.head.target.query().as_bytes()) {
        match name.as_ref() {
            "mac" => mac_address = Some(MacAddress::parse(&value)?),
            unknown => return Err(ApiError::BadRequest(format!("there is no parameter \"{unknown}\" here"))),
        }
    }
    let needed = || ApiError::BadRequest("the parameter mac is needed: the MAC address of a device".to_owned());
    let question = Question::Address(mac_address.ok_or_else(needed)?);
    answer(&api, question, no_such_device()).await
}

/// `POST /api/tender/v1/decision`
///
/// - 200: the same for a device that would report this `metadata` and be in this `group`; nothing is changed
/// - 400: the body is not what it should be
/// - 404: no such group
pub async fn of_hypothetical_device(
    api: Arc<Api>,
    _: Operator,
    (): (),
    mut request: Request,
) -> Result<Response, ApiError> {
    let HypotheticalBody { metadata, group } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    answer(&api, Question::Hypothetical(metadata, group), no_such_group()).await
}

async fn answer(api: &Api, question: Question, missing: ApiError) -> Result<Response, ApiError> {
    let explanation = explain_update(&api.store, &api.tracker, question).await?.ok_or(missing)?;
    Ok(reply::ok(&DecisionReply::from(&explanation))?)
}
