//! `/metrics`: how the server is and what goes through it, in numbers for Prometheus. The README's table has all of them.
//!
//! Made anew for each reply: what is counted is counted elsewhere, and the rest is looked up. No label has a value that somebody
//! outside could make up.

use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::task::spawn_blocking;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

use super::VERSION;
use crate::domain::fleet::DeviceState;
use crate::domain::{Concern, PackageState};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::{Anonymous, Operator};
use crate::http::request::Request;
use crate::http::traffic::{RouteTraffic, Traffic};
use crate::machine;
use crate::usecase::status::{Status, status};

/// OpenMetrics 1.0, section "Overall structure".
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
///
/// - 200: how the server is and what went through it, as OpenMetrics text
pub async fn show(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    text(&api).await
}

/// `GET /metrics` on the listener that has nothing else
///
/// - 200: the same
pub async fn show_to_everybody(api: Arc<Api>, _: Anonymous, (): (), _: Request) -> Result<Response, ApiError> {
    text(&api).await
}

async fn text(api: &Api) -> Result<Response, ApiError> {
    let mut page = Page(Registry::with_prefix("tender"));
    page.0.register("build", "The program", Info::new([("version", VERSION)]));
    let age = api.traffic.age(api.store.clock().elapsed());
    page.level("uptime", "How long the server has run", Some(Unit::Seconds), age.as_secs());
    put_traffic(&mut page, &api.traffic);
    put_work(&mut page, api).await;
    put_status(&mut page, &status(&api.store, &api.room, api.backups.as_deref(), api.authentication_is_off).await?);
    put_machine(&mut page).await?;

    let devices = &api.survey.all().await?.overview.states;
    let devices = DeviceState::ALL.iter().map(|state| ([("state", state.name())], devices.of(*state)));
    page.levels("devices", "Devices by how they are", devices);

    let mut text = String::new();
    encode(&mut text, &page.0).map_err(ApiError::internal)?;
    let mut response = Response::new(text.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(response)
}

/// What went through the server.
fn put_traffic(page: &mut Page, traffic: &Traffic) {
    let replies = traffic.routes().iter().flat_map(|route| {
        let labels = |(method, status, count)| ([("route", route.path), ("method", method), ("status", status)], count);
        route.replies().map(labels)
    });
    page.counts("http_requests", "Requests that were answered, by route, method and class of status", None, replies);
    page.0.register_collector(Box::new(Times::of(traffic)));

    let checks = traffic.checks.outcomes().map(|(outcome, count)| ([("outcome", outcome)], count));
    page.counts("update_checks", "Update checks of devices, by what came of them", None, checks);
    let downloads = &traffic.downloads;
    let ends = [("begun", &downloads.begun), ("complete", &downloads.complete), ("broken_off", &downloads.broken_off)];
    let ends = ends.into_iter().map(|(stage, count)| ([("stage", stage)], count.get()));
    page.counts("downloads", "Downloads of packages and parts of them, by how far they came", None, ends);
    page.count("download", "What was sent of packages", Some(Unit::Bytes), downloads.bytes.get());
    page.count("uploads", "Packages that were uploaded", None, traffic.uploads.get());
    page.count("upload", "What was received of packages", Some(Unit::Bytes), traffic.upload_bytes.get());
    page.level("connections", "Connections that are open", None, traffic.connections.get());
}

/// What the server has done, and what waits to be done.
async fn put_work(page: &mut Page, api: &Api) {
    let writes = api.store.write_counts();
    page.count("database_writes", "Writes that were asked for", None, writes.writes.get());
    page.count("database_batches", "Transactions that writes shared", None, writes.batches.get());
    page.count("database_commits", "Transactions that were committed, with an fsync each", None, writes.commits.get());
    let waiting = [
        ("writes", api.store.waiting_writes().await as u64),
        ("downloads", api.downloads.waiting() as u64),
        ("signatures", api.signature_turns.waiting()),
    ];
    let waiting = waiting.into_iter().map(|(queue, length)| ([("queue", queue)], length));
    page.levels("queue_length", "What waits for its turn", waiting);
    page.level("event_listeners", "Who listens to events", None, api.store.events().listeners() as u64);
}

/// How the server is.
fn put_status(page: &mut Page, status: &Status) {
    let packages = [
        (PackageState::Whole, status.packages.whole),
        (PackageState::Corrupt, status.packages.corrupt),
        (PackageState::Missing, status.packages.missing),
    ];
    let packages = packages.into_iter().map(|(state, count)| ([("state", state.name())], count));
    page.levels("packages", "Packages by what is known about their files", packages);
    let is_there = |name| u64::from(status.concerns.iter().any(|concern| concern.name() == name));
    let concerns = Concern::NAMES.iter().map(|name| ([("name", *name)], is_there(*name)));
    page.levels("concerns", "What is wrong with the server: 1 if it is", concerns);

    let webhooks = || (1..).zip(&status.webhooks).map(|(number, webhook)| (u32::to_string(&number), webhook));
    let queued = webhooks().map(|(number, hook)| ([("host", hook.host.clone()), ("webhook", number)], hook.queued));
    page.levels("webhook_events_queued", "Events that wait for a webhook", queued);
    let dropped = webhooks().map(|(number, hook)| ([("host", hook.host.clone()), ("webhook", number)], hook.dropped));
    page.levels("webhook_events_dropped", "Events that a webhook has not got and will not get", dropped);

    page.level("package_files", "What all packages take", Some(Unit::Bytes), status.package_bytes);
    let help = "What the database takes, its write-ahead log included";
    page.level("database", help, Some(Unit::Bytes), status.database.total_bytes());
    page.level("database_wal", "What its write-ahead log takes", Some(Unit::Bytes), status.database.wal_bytes);
    if let Some(space) = status.space {
        page.level("storage_free", "Room for packages", Some(Unit::Bytes), space.free_bytes);
        page.level("storage_total", "Size of the packages' file system", Some(Unit::Bytes), space.total_bytes);
    }
    page.level("storage_reserve", "Room that uploads leave free", Some(Unit::Bytes), status.reserve_bytes);
    if let Some(last) = status.backups.and_then(|backups| backups.last) {
        let seconds = u64::try_from(last.unix_seconds).unwrap_or(0);
        let help = "When the last backup was begun that the server completed by itself";
        page.level("last_backup_timestamp", help, Some(Unit::Seconds), seconds);
        page.level("last_backup_size", "How long that is", Some(Unit::Bytes), last.bytes);
    }
    page.level("unfinished_uploads", "Uploads that are no packages yet", None, status.unfinished_uploads as u64);
    page.level("pending_registrations", "Devices that wait to be accepted", None, status.pending_registrations as u64);
}

/// What the server takes of the machine.
async fn put_machine(page: &mut Page) -> Result<(), ApiError> {
    let looking = spawn_blocking(|| (machine::resident_memory_bytes(), machine::written_bytes()));
    let (memory, written) = looking.await.map_err(ApiError::internal)?;
    if let Some(memory) = memory {
        page.level("resident_memory", "Memory of the process", Some(Unit::Bytes), memory);
    }
    if let Some(written) = written {
        page.count("disk_written", "What the process has had written to disks", Some(Unit::Bytes), written);
    }
    Ok(())
}

/// What is told.
struct Page(Registry);

impl Page {
    /// A number that only grows; its name gets `_total`.
    fn count(&mut self, name: &str, help: &str, unit: Option<Unit>, count: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(count);
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, counter),
            None => self.0.register(name, help, counter),
        }
    }

    /// Such numbers, by labels.
    fn counts<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        counts: impl Iterator<Item = ([(&'static str, &'static str); N], u64)>,
    ) {
        let family = Family::<[(&str, &str); N], Counter>::default();
        for (labels, count) in counts {
            family.get_or_create(&labels).inc_by(count);
        }
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, family),
            None => self.0.register(name, help, family),
        }
    }
    /// A number that rises and falls.
    fn level(&mut self, name: &str, help: &str, unit: Option<Unit>, level: u64) {
        let gauge = Gauge::<u64, AtomicU64>::default();
        gauge.set(level);
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, gauge),
            None => self.0.register(name, help, gauge),
        }
    }

    /// Such numbers, by labels.
    fn levels<const N: usize, V: EncodeLabelValue + Clone + Debug + Eq + Hash + Send + Sync + 'static>(
        &mut self,
        name: &str,
        help: &str,
        levels: impl Iterator<Item = ([(&'static str, V); N], u64)>,
    ) {
        let family = Family::<[(&str, V); N], Gauge<u64, AtomicU64>>::default();
        for (labels, level) in levels {
            family.get_or_create(&labels).set(level);
        }
        self.0.register(name, help, family);
    }
}

/// How long replies took: of each route that was asked for, all of them together in seconds, and their classes.
#[derive(Debug)]
struct Times(Vec<RouteTimes>);

#[derive(Debug)]
struct RouteTimes {
    route: &'static str,
    seconds: f64,
    /// Upper bounds in seconds and how many replies are below, but not below the bound before.
    classes: Vec<(f64, u64)>,
}

impl Times {
    fn of(traffic: &Traffic) -> Self {
        let times = |route: &RouteTraffic| {
            let (seconds, classes) = route.times();
            RouteTimes { route: route.path, seconds, classes }
        };
        let asked_for = traffic.routes().iter().filter(|route| route.replies().next().is_some());
        Self(asked_for.map(times).collect())
    }
}

impl Collector for Times {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "How long it took until the reply began, by route";
        let name = "http_request_duration";
        let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for RouteTimes { route, seconds, classes } in &self.0 {
            let count = classes.iter().map(|(_, count)| count).sum();
            let labels = [("route", *route)];
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(*seconds, count, classes, None)?;
        }
        Ok(())
    }
}
