//! `/api/tender/v1/audit`: who did what.

use std::sync::Arc;
use std::time::SystemTime;

use humantime::parse_rfc3339;
use serde::Serialize;
use warp::reply::Response;

use crate::domain::{AuditEntry, AuditRecord, Timestamp};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::audit::{self, Filter};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// Entries, latest first.
#[derive(Serialize)]
struct PageReply<'a> {
    entries: Vec<EntryReply<'a>>,
    /// What to give as `before` for the next page; `null` if this is the last.
    next: Option<i64>,
}

#[derive(Serialize)]
struct EntryReply<'a> {
    id: i64,
    at: Moment,
    actor: ActorReply<'a>,
    address: Option<String>,
    action: &'static str,
    target: &'a str,
    outcome: &'static str,
    detail: &'a str,
}

#[derive(Serialize)]
struct ActorReply<'a> {
    kind: &'static str,
    name: &'a str,
}

impl<'a> From<&'a AuditRecord> for EntryReply<'a> {
    fn from(record: &'a AuditRecord) -> Self {
        let AuditEntry { deed, target, outcome, detail } = &record.entry;
        Self {
            id: record.id,
            at: Moment(record.at),
            actor: ActorReply { kind: deed.actor.kind.name(), name: &deed.actor.name },
            address: deed.address.map(|address| address.to_string()),
            action: deed.action.name(),
            target,
            outcome: outcome.name(),
            detail,
        }
    }
}

/// `GET /api/tender/v1/audit`, with `actor`, `action`, `target`, `outcome`, `since`, `until` (RFC 3339), `limit` (1 to 1000) and
/// `before` (the `next` of the page before)
///
/// - 200: a page of entries, latest first
/// - 400: a parameter is unknown, or its value is none
pub async fn list(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    let (filter, limit) = query(request.head.target.query())?;
    // One more than asked for tells whether there is a next page.
    let mut records = api.store.read(move |connection| audit::page(connection, &filter, limit + 1)).await?;
    let has_next = records.len() > limit as usize;
    records.truncate(limit as usize);
    let next = records.last().filter(|_| has_next).map(|record| record.id);
    Ok(reply::ok(&PageReply { entries: records.iter().map(EntryReply::from).collect(), next })?)
}

fn query(text: &str) -> Result<(Filter, u32), ApiError> {
    let mut filter = Filter::default();
    let mut limit = DEFAULT_LIMIT;
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let wrong = |needed: &str| ApiError::BadRequest(format!("the parameter {name} must be {needed}"));
        match name.as_ref() {
            "actor" => filter.actor = Some(value.into_owned()),
            "action" => filter.action = Some(value.parse()?),
            "target" => filter.target = Some(value.into_owned()),
            "outcome" => filter.outcome = Some(value.parse()?),
            "since" => filter.since = Some(moment(&value).ok_or_else(|| wrong("like 2027-01-15T08:00:00Z"))?),
            "until" => filter.until = Some(moment(&value).ok_or_else(|| wrong("like 2027-01-15T08:00:00Z"))?),
            "before" => filter.before = Some(value.parse().map_err(|_| wrong("a number"))?),
            "limit" => {
                let given = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                limit = given.ok_or_else(|| wrong(&format!("a number from 1 to {MAX_LIMIT}")))?;
            }
            unknown => return Err(ApiError::BadRequest(format!("there is no parameter \"{unknown}\" here"))),
        }
    }
    Ok((filter, limit))
}

fn moment(text: &str) -> Option<Timestamp> {
    let since = parse_rfc3339(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Timestamp::from_unix_seconds)
}
