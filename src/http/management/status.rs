//! `/api/tender/v1/status` and `/metrics`: how the server is, for people and for Prometheus.

use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::VERSION;
use crate::domain::{Concern, PackageState};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::usecase::schedule_backups::BackupStanding;
use crate::usecase::status::{Status, status};

/// OpenMetrics 1.0, section "Overall structure".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Serialize)]
struct StatusReply {
    version: &'static str,
    time: Moment,
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
    Ok(reply::ok(&StatusReply {
        version: VERSION,
        time: Moment(api.store.clock().now()),
        concerns: status.concerns.iter().map(ConcernReply::from).collect(),
        packages: PackagesReply {
            whole: status.packages.whole,
            corrupt: status.packages.corrupt,
            missing: status.packages.missing,
            bytes: status.package_bytes,
        },
        database: DatabaseReply { bytes: status.database_bytes },
        storage: StorageReply {
            free: status.space.map(|space| space.free_bytes),
            total: status.space.map(|space| space.total_bytes),
            reserve: status.reserve_bytes,
        },
        unfinished_uploads: status.unfinished_uploads,
        pending_registrations: status.pending_registrations,
        backups: status.backups.map(BackupsReply::from),
    })?)
}

/// `GET /metrics`
///
/// - 200: the same in numbers, as OpenMetrics text
pub async fn metrics(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let status = status(&api.store, &api.room, api.backups.as_deref(), api.authentication_is_off).await?;
    let mut text = String::new();
    encode(&mut text, &registry(&status)).map_err(ApiError::internal)?;
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(response)
}

/// Made anew for each reply: what is told is looked up, not counted.
fn registry(status: &Status) -> Registry {
    let mut registry = Registry::with_prefix("tender");
    registry.register("build", "The program", Info::new([("version", VERSION)]));

    let packages = Family::<[(&str, &str); 1], Gauge>::default();
    let counts = [
        (PackageState::Whole, status.packages.whole),
        (PackageState::Corrupt, status.packages.corrupt),
        (PackageState::Missing, status.packages.missing),
    ];
    for (state, count) in counts {
        packages.get_or_create(&[("state", state.name())]).set(signed(count));
    }
    registry.register("packages", "Packages by what is known about their files", packages);

    let concerns = Family::<[(&str, &str); 1], Gauge>::default();
    for name in Concern::NAMES {
        let is_there = status.concerns.iter().any(|concern| concern.name() == name);
        concerns.get_or_create(&[("name", name)]).set(i64::from(is_there));
    }
    registry.register("concerns", "What is wrong with the server: 1 if it is", concerns);

    let [queued, dropped] = [(); 2].map(|()| Family::<[(&str, String); 2], Gauge>::default());
    for (webhook, number) in status.webhooks.iter().zip(1..) {
        let labels = [("host", webhook.host.clone()), ("webhook", u32::to_string(&number))];
        queued.get_or_create(&labels).set(signed(webhook.queued));
        dropped.get_or_create(&labels).set(signed(webhook.dropped));
    }
    registry.register("webhook_events_queued", "Events that wait for a webhook", queued);
    registry.register("webhook_events_dropped", "Events that a webhook has not got and will not get", dropped);

    let mut gauge = |name: &str, help: &str, unit: Option<Unit>, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(signed(value));
        match unit {
            Some(unit) => registry.register_with_unit(name, help, unit, gauge),
            None => registry.register(name, help, gauge),
        }
    };
    gauge("package_files", "What all packages take", Some(Unit::Bytes), status.package_bytes);
    gauge("database", "What the database takes", Some(Unit::Bytes), status.database_bytes);
    if let Some(space) = status.space {
        gauge("storage_free", "Room for packages", Some(Unit::Bytes), space.free_bytes);
        gauge("storage_total", "Size of the packages' file system", Some(Unit::Bytes), space.total_bytes);
    }
    gauge("storage_reserve", "Room that uploads leave free", Some(Unit::Bytes), status.reserve_bytes);
    if let Some(last) = status.backups.and_then(|backups| backups.last) {
        let seconds = u64::try_from(last.unix_seconds).unwrap_or(0);
        let help = "When the last backup was begun that the server completed by itself";
        gauge("last_backup_timestamp", help, Some(Unit::Seconds), seconds);
        gauge("last_backup_size", "How long that is", Some(Unit::Bytes), last.bytes);
    }
    gauge("unfinished_uploads", "Uploads that are no packages yet", None, status.unfinished_uploads as u64);
    gauge("pending_registrations", "Devices that wait to be accepted", None, status.pending_registrations as u64);
    registry
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
