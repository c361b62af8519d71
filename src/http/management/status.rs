//! `/api/tender/v1/status`: how the server is, for people.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use warp::reply::Response;

use super::VERSION;
use crate::domain::{Concern, Timestamp};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::usecase::schedule_backups::BackupStanding;
use crate::usecase::status::{Status, status};

/// How the server is, on the wire.
#[derive(Serialize)]
pub struct StatusReply {
    version: &'static str,
    time: Moment,
    /// `null` where no server was asked.
    uptime_seconds: Option<u64>,
    concerns: Vec<ConcernReply>,
    packages: PackagesReply,
    database: DatabaseReply,
    storage: StorageReply,
    unfinished_uploads: usize,
    pending_registrations: usize,
    /// `null` where the server makes no backups by itself.
    backups: Option<BackupsReply>,
}

/// The last backup that was completed; `null` where there was none.
#[derive(Serialize)]
struct BackupsReply {
    last: Option<Moment>,
    bytes: Option<u64>,
    /// Packages that are not in it as they were uploaded.
    damaged: Option<u64>,
    failing_since: Option<Moment>,
}

impl From<BackupStanding> for BackupsReply {
    fn from(BackupStanding { last, failing_since, .. }: BackupStanding) -> Self {
        Self {
            last: last.map(|last| Moment(last.time())),
            bytes: last.map(|last| last.bytes),
            damaged: last.map(|last| last.damaged),
            failing_since: failing_since.map(Moment),
        }
    }
}

#[derive(Serialize)]
struct ConcernReply {
    name: &'static str,
    /// When it began; `null` if that is not known.
    since: Option<Moment>,
    sentence: String,
}

#[derive(Serialize)]
struct PackagesReply {
    whole: u64,
    corrupt: u64,
    missing: u64,
    bytes: u64,
}

#[derive(Serialize)]
struct DatabaseReply {
    bytes: u64,
}

/// In bytes; `null` where the file system is not there.
#[derive(Serialize)]
struct StorageReply {
    free: Option<u64>,
    total: Option<u64>,
    reserve: u64,
}

impl StatusReply {
    /// How it is at `now`, if it has run for `uptime`.
    pub fn new(status: &Status, now: Timestamp, uptime: Option<Duration>) -> Self {
        Self {
            version: VERSION,
            time: Moment(now),
            uptime_seconds: uptime.map(|uptime| uptime.as_secs()),
            concerns: status.concerns.iter().map(ConcernReply::from).collect(),
            packages: PackagesReply {
                whole: status.packages.whole,
                corrupt: status.packages.corrupt,
                missing: status.packages.missing,
                bytes: status.package_bytes,
            },
            database: DatabaseReply { bytes: status.database.total_bytes() },
            storage: StorageReply {
                free: status.space.map(|space| space.free_bytes),
                total: status.space.map(|space| space.total_bytes),
                reserve: status.reserve_bytes,
            },
            unfinished_uploads: status.unfinished_uploads,
            pending_registrations: status.pending_registrations,
            backups: status.backups.map(BackupsReply::from),
        }
    }
}

impl From<&Concern> for ConcernReply {
    fn from(concern: &Concern) -> Self {
        let since = match concern {
            Concern::WritesFail { since } | Concern::WebhookFails { since } | Concern::BackupsFail { since } => {
                Some(Moment(*since))
            }
            _ => None,
        };
        Self { name: concern.name(), since, sentence: concern.to_string() }
    }
}

/// `GET /api/tender/v1/status`
///
/// - 200: how the server is, and in `concerns` what a person has to know: nothing is wrong if that is empty
pub async fn show(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let status = status(&api.store, &api.room, api.backups.as_deref(), api.authentication_is_off).await?;
    let clock = api.store.clock();
    Ok(reply::ok(&StatusReply::new(&status, clock.now(), Some(api.traffic.age(clock.elapsed()))))?)
}
