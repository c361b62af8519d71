//! `/api/tender/v1/audit`: who did what.

use std::sync::Arc;
use std::time::SystemTime;

use humantime::parse_rfc3339;
use serde::Serialize;
use warp::reply::Response;

use super::paging::{number, parameters, wrong};
use crate::domain::{AuditEntry, AuditRecord, Timestamp};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::audit::{self, Filter};

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
    let mut filter = Filter::default();
    let limit = parameters(request.head.target.query(), |name, value| {
        let moment = || moment(value).ok_or_else(|| wrong(name, "like 2027-01-15T08:00:00Z"));
        match name {
            "actor" => filter.actor = Some(value.to_owned()),
            "action" => filter.action = Some(value.parse()?),
            "target" => filter.target = Some(value.to_owned()),
            "outcome" => filter.outcome = Some(value.parse()?),
            "since" => filter.since = Some(moment()?),
            "until" => filter.until = Some(moment()?),
            "before" => filter.before = Some(number(name, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let page = api.store.read(move |connection| audit::page(connection, &filter, limit.with_one_more()));
    let mut records = page.await?;
    let next = limit.cut(&mut records, |record| record.id);
    Ok(reply::ok(&PageReply { entries: records.iter().map(EntryReply::from).collect(), next })?)
}

fn moment(text: &str) -> Option<Timestamp> {
    let since = parse_rfc3339(text).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok().map(Timestamp::from_unix_seconds)
}
