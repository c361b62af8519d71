//! The composition root: makes one running server of a configuration, a listener and a clock. `main` and the tests start the
//! same thing.

mod pulse;
mod settings;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use pulse::Pulse;
pub use settings::Settings;

use crate::auth::Credential;
use crate::certificates::{CertificateError, Certificates};
use crate::clock::Clock;
use crate::config::{BackupConfig, Config};
use crate::delivery::{self, DeliveryError};
use crate::domain::AuditRetention;
use crate::http::serve::{Limits, Listeners, serve};
use crate::http::{Addresses, Api, Downloads, EventStreams, Traffic, metrics_route, route};
use crate::identity_provider::{IdentityProvider, IdentityProviderError};
use crate::installation::{Installation, InstallationError};
use crate::store::{InstanceLock, PackageFolder, Store, StoreError, Swept, attempts};
use crate::usecase::audit_log;
use crate::usecase::claim;
use crate::usecase::health::HealthCheck;
use crate::usecase::log_in::LoginError;
use crate::usecase::resume_upload::ResumableUploads;
use crate::usecase::room::Room;
use crate::usecase::schedule_backups::BackupSchedule;
use crate::usecase::scrub::Scrubber;
use crate::usecase::setting::Setting;
use crate::usecase::survey_fleet::FleetSurvey;
use crate::usecase::sweep::{mark_incomplete, sweep};
use crate::usecase::track_progress::Tracker;
use crate::usecase::watch_concerns::ConcernWatch;

/// How often what devices reported is written, if anything is new: what they report may lag so far behind on disk.
const PRESENCE_INTERVAL: Duration = Duration::from_secs(30);

/// How often others are told what became of devices.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// How often there is a look whether something is wrong with the server.
const WATCH_INTERVAL: Duration = Duration::from_secs(30);
/// How often the log says how many requests there were that are no news.
const ROUTINE_INTERVAL: Duration = Duration::from_secs(60);
/// Connections of a listener for metrics alone: those who watch are few.
const METRICS_CONNECTIONS: usize = 16;
/// How often it is tried whether the disk takes writes again, while it takes none.
const WRITE_TRIAL_INTERVAL: Duration = Duration::from_secs(10);
/// How often there is a look for uploads that nobody goes on with.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How often the audit log is looked at for entries that are too old or too many.
const PRUNE_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);

/// How often is asked whether a backup is due.
const BACKUP_INTERVAL: Duration = Duration::from_secs(60);
/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How often what broken-off uploads and deletions left is cleared away, and packages without their file are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another one runs.
    #[error("another tender is running on the data folder {0}: stop it first, or choose another folder")]
    AlreadyRunning(String),
    /// The data cannot be used.
    #[error(transparent)]
    Installation(#[from] InstallationError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The identity provider cannot be asked.
    #[error(transparent)]
    IdentityProvider(#[from] IdentityProviderError),
    /// Events cannot be delivered.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// No claim code could be made.
    #[error(transparent)]
    Claim(#[from] LoginError),
    /// There is no certificate to serve HTTPS with.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Nobody could come.
    #[error("there is no socket to listen on")]
    NoListener,
    /// The listener is not usable.
    #[error("listening: {0}")]
    Listener(#[from] std::io::Error),
}

/// A server that is being served.
pub struct Running {
    /// Where it listens; with several listeners, the first.
    pub address: SocketAddr,
    /// Whether it speaks HTTPS there.
    pub is_secure: bool,
    /// Where it speaks plain HTTP beside HTTPS.
    pub plain_addresses: Vec<SocketAddr>,
    /// Where it serves metrics alone, if it does.
    pub metrics_address: Option<SocketAddr>,
    /// What makes somebody the first administrator, if there is none; to be printed.
    pub claim_code: Option<Credential>,
    settings: Settings,
    pulse: Pulse,
    shutdown: CancellationToken,
    hurry: CancellationToken,
    /// What serves, and what is done beside that: each ends with the shutdown.
    tasks: Vec<JoinHandle<()>>,
    store: Store,
    tracker: Arc<Tracker>,
    _locks: Vec<InstanceLock>,
}

/// The server.
pub struct App;

impl App {
    /// Opens the data, clears away what an earlier run was cut off in, and serves.
    pub async fn start(config: Config, listeners: impl Into<Listeners>, clock: Clock) -> Result<Running, StartError> {
        let mut listeners = listeners.into();
        let (storage, tls) = (config.storage.clone(), config.tls.clone());
        let opening = spawn_blocking(move || {
            let folder = Installation::folder(&storage)?;
            let locks = folder
                .lock_instance()
                .map_err(|error| InstallationError::of_folder(folder.root(), error))?
                .ok_or_else(|| StartError::AlreadyRunning(folder.root().display().to_string()))?;
            let installation = Installation::open(&folder, storage.secret.as_ref(), clock)?;
            let certificates = Certificates::open(&tls, &folder, installation.store.clock().clone())?.map(Arc::new);
            Ok::<_, StartError>((folder, locks, installation, certificates))
        });
        let (folder, locks, installation, certificates) = opening.await.map_err(|_| StoreError::Abandoned)??;
        let mut locks = Vec::from(locks);
        fail_point!("start.opened");
        locks.push(installation.claim_packages().await?);
        fail_point!("start.packages-claimed");
        installation.adopt_secret().await?;
        let Installation { store, packages, .. } = &installation;
        report_sweep(sweep(store, packages).await?);
        if config.authentication_is_off {
            tracing::warn!("AUTHENTICATION IS OFF: everybody who reaches this server may do everything");
        }
        report_hours(&config);
        if installation.store.clock().is_unset() {
            tracing::warn!("this machine's clock is not set; dates go on from the latest one known");
        }

        let Installation { store, keys, packages } = installation;
        let scrub_plan = Setting::new(config.scrub);
        let scrubber = Scrubber::new(store.clone(), packages.clone(), scrub_plan.clone());
        let swept_packages = packages.clone();
        let offer = if config.authentication_is_off { None } else { claim::offer(&store).await? };
        let provider = config.identity_provider.as_ref();
        let provider = provider.map(|provider| IdentityProvider::new(provider, store.clock().clone())).transpose()?;
        let room = Room::new(store.clone(), packages.clone(), config.storage_limits);
        let uploads = ResumableUploads::new(store.clone(), packages.clone(), room.clone(), config.upload_lifetime);
        let couriers = delivery::couriers(&store, &config.webhooks, config.webhook_limits).await?;
        let tracker = Arc::new(Tracker::restore(&store).await?);
        let shutdown = CancellationToken::new();
        let mut event_streams = EventStreams::new(store.clock().now(), shutdown.clone(), config.max_connections);
        if let Some(heartbeat) = config.heartbeat {
            event_streams = event_streams.with_heartbeat(heartbeat);
        }
        let backups = match config.backups {
            Some(BackupConfig { plan, passphrase }) => {
                let (store, secret) = (store.clone(), config.storage.secret.clone());
                Some(Arc::new(BackupSchedule::new(store, folder, plan, secret, passphrase, VERSION).await?))
            }
            None => None,
        };
        let unconfigured = Api::new(store.clone(), packages, keys, tracker.clone());
        let planner = unconfigured.planner.clone();
        let api = Arc::new(Api {
            room,
            uploads: uploads.clone(),
            identity_provider: provider,
            claim: offer.as_ref().map(|(claim, _)| *claim),
            downloads: Downloads::new(config.downloads, store.clock().clone()),
            event_streams,
            health: HealthCheck::new(shutdown.clone()),
            addresses: Addresses { public_url: config.public_url, trusted_proxies: config.trusted_proxies },
            download_urls: config.download_urls,
            survey: FleetSurvey::new(store.clone(), planner, tracker.clone(), config.silent_after),
            backups: backups.clone(),
            authentication_is_off: config.authentication_is_off,
            ..unconfigured
        });
        let (main, plain) = listeners.addresses()?;
        let address = *main.first().ok_or(StartError::NoListener)?;
        let tls = certificates.as_ref().map(|certificates| certificates.server_config()).transpose()?;
        listeners.tls = tls.map(TlsAcceptor::from);
        let metrics_listener = listeners.metrics.take();
        let metrics_address = metrics_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let limits = Limits::new(config.max_connections, config.drain_timeout);
        let hurry = CancellationToken::new();
        let audit_retention = Setting::new(config.audit_retention);
        let retention = audit_retention.clone();
        let (pruned, tried) = (store.clone(), store.clone());
        let (kept, stale, told) = (tracker.clone(), tracker.clone(), tracker.clone());
        let (watch, watched) = (Arc::new(ConcernWatch::default()), api.clone());
        let saving = every(PRESENCE_INTERVAL, shutdown.clone(), move || save_news(kept.clone()));
        let trying = every(WRITE_TRIAL_INTERVAL, shutdown.clone(), move || try_writing_again(tried.clone()));
        let expiring = every(EXPIRE_INTERVAL, shutdown.clone(), move || expire(uploads.clone(), stale.clone()));
        let pruning = every(PRUNE_INTERVAL, shutdown.clone(), move || prune(pruned.clone(), retention.get()));
        let heard = store.clone();
        let telling = every(TELL_INTERVAL, shutdown.clone(), move || tell(heard.clone(), told.clone()));
        let watching = every(WATCH_INTERVAL, shutdown.clone(), move || watch_concerns(watch.clone(), watched.clone()));
        let (metrics, traffic) = (metrics_route(&api), api.traffic.clone());
        let serving = serve(listeners, route(&api), traffic.clone(), limits, shutdown.clone(), hurry.clone());
        let serving = tokio::spawn(serving);
        let pulse = Pulse { store: store.clone(), serving: serving.abort_handle() };
        let is_secure = certificates.is_some();
        let settings = Settings { api, scrub: scrub_plan, audit_retention, certificates: certificates.clone() };
        let mut tasks = vec![
            serving,
            tokio::spawn(saving),
            tokio::spawn(trying),
            tokio::spawn(expiring),
            tokio::spawn(pruning),
            tokio::spawn(telling),
            tokio::spawn(watching),
            tokio::spawn(tell_routine(traffic.clone(), shutdown.clone())),
            tokio::spawn(sweep_packages(store.clone(), swept_packages, shutdown.clone())),
            tokio::spawn(scrub(scrubber, shutdown.clone())),
        ];
        if let Some(listener) = metrics_listener {
            let limits = Limits::new(METRICS_CONNECTIONS, config.drain_timeout);
            tasks.push(tokio::spawn(serve(listener, metrics, traffic, limits, shutdown.clone(), hurry.clone())));
        }
        if let Some(certificates) = certificates {
            let looking = move || look_at_certificates(certificates.clone());
            tasks.push(tokio::spawn(every(config.certificate_look.0, shutdown.clone(), looking)));
        }
        tasks.extend(couriers.into_iter().map(|courier| tokio::spawn(courier.run(shutdown.clone()))));
        if let Some(schedule) = backups {
            tasks.push(tokio::spawn(back_up(schedule, shutdown.clone())));
        }
        let claim_code = offer.map(|(_, code)| code);
        Ok(Running {
            address,
            is_secure,
            plain_addresses: plain,
            metrics_address,
            claim_code,
            settings,
            pulse,
            shutdown,
            hurry,
            tasks,
            store,
            tracker,
            _locks: locks,
        })
    }
}

impl Running {
    /// What is spoken at [`Running::address`], as URLs name it.
    pub const fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// What can be changed while it runs.
    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// What shows that it is alive.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// What makes [`Running::shutdown`] wait for nobody any more, when cancelled.
    pub fn hurry(&self) -> CancellationToken {
        self.hurry.clone()
    }

    /// Lets requests that have begun come to their end, writes what is in memory, and closes the database.
    pub async fn shutdown(self) {
        self.shutdown.cancel();
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a part of the server ended badly");
            }
        }
        save_news(self.tracker).await;
        self.store.close().await;
    }
}

/// Does `work` at once and then once in each `period`, until the server stops.
async fn every<F: Future<Output = ()>>(period: Duration, shutdown: CancellationToken, work: impl Fn() -> F) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        work().await;
    }
}

/// Finds out by itself that there is room again.
async fn try_writing_again(store: Store) {
    store.try_writing_again().await;
}

/// Tells others which devices were heard and what became of them.
async fn tell(store: Store, tracker: Arc<Tracker>) {
    store.tell_of_devices();
    if let Err(error) = tracker.tell().await {
        tracing::warn!(%error, "could not queue events; will try again");
    }
}

/// Logs once a minute, and at the end, how many requests there were that are no news.
async fn tell_routine(traffic: Arc<Traffic>, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(sleep(ROUTINE_INTERVAL)).await.is_some() {
        traffic.tell_routine();
    }
    traffic.tell_routine();
}

/// Tells others what is wrong with the server.
async fn watch_concerns(watch: Arc<ConcernWatch>, api: Arc<Api>) {
    if let Err(error) = watch.look(&api.store, &api.room, api.backups.as_deref(), api.authentication_is_off).await {
        tracing::warn!(%error, "could not tell whether something is wrong; will try again");
    }
}

/// Takes a certificate that has changed, and renews one that ends.
async fn look_at_certificates(certificates: Arc<Certificates>) {
    if let Err(error) = spawn_blocking(move || certificates.look()).await {
        tracing::error!(%error, "looking at the certificate ended badly");
    }
}

/// Gives up uploads and attempts that do not go on.
async fn expire(uploads: ResumableUploads, tracker: Arc<Tracker>) {
    tracker.expire();
    match uploads.expire().await {
        Ok(0) => {}
        Ok(count) => tracing::info!(uploads = count, "gave up uploads that nobody went on with"),
        Err(error) => tracing::warn!(%error, "could not give up old uploads; will try again"),
    }
}

/// Takes old entries out of the audit log and old attempts out of the history.
async fn prune(store: Store, retention: AuditRetention) {
    if let Err(error) = store.write(attempts::prune).await {
        tracing::warn!(%error, "could not take old attempts out of the history; will try again");
    }
    match audit_log::prune(&store, retention).await {
        Ok(0) => {}
        Ok(entries) => tracing::info!(entries, "took the oldest entries out of the audit log"),
        Err(error) => tracing::warn!(%error, "could not take old entries out of the audit log; will try again"),
    }
}

/// Looks after the package files, now and then. What was left over is gone already when the server starts.
async fn sweep_packages(store: Store, packages: PackageFolder, shutdown: CancellationToken) {
    loop {
        if let Some(Err(error)) = shutdown.run_until_cancelled(mark_incomplete(&store, &packages)).await {
            tracing::warn!(%error, "could not look for packages without their file; will try again");
        }
        if shutdown.run_until_cancelled(sleep(SWEEP_INTERVAL)).await.is_none() {
            return;
        }
        match sweep(&store, &packages).await {
            Ok(swept) => report_sweep(swept),
            Err(error) => tracing::warn!(%error, "could not clear away what was left over; will try again"),
        }
    }
}

/// Reads packages again until the server stops.
async fn scrub(scrubber: Scrubber, shutdown: CancellationToken) {
    // Nothing is lost: what was not read to its end is read again.
    shutdown.run_until_cancelled(scrubber.run()).await;
}

/// Makes backups when they are due, until the server stops; one that is being made then is broken off.
async fn back_up(schedule: Arc<BackupSchedule>, shutdown: CancellationToken) {
    let stopping = shutdown.clone();
    let tick = move || {
        let stopping = stopping.clone();
        schedule.clone().tick(move || !stopping.is_cancelled())
    };
    every(BACKUP_INTERVAL, shutdown, tick).await;
}

/// Says which hours count, and whose clocks tell them: the zone may be one that nobody named.
fn report_hours(config: &Config) {
    if let Some(hours) = &config.scrub.hours {
        tracing::info!(%hours, "stored packages are read again in some hours only");
    }
    for (hours, _) in &config.downloads.rates.hours {
        tracing::info!(%hours, "downloads have other rates in some hours");
    }
}

fn report_sweep(Swept { files, bytes }: Swept) {
    if files > 0 {
        tracing::info!(files, bytes, "deleted what broken-off uploads and deletions had left");
    }
}

/// Writes what devices reported and what came of offers, if anything is new.
async fn save_news(tracker: Arc<Tracker>) {
    if let Err(error) = tracker.save_with_presence().await {
        tracing::warn!(%error, "could not write what devices reported and what came of offers; will try again");
    }
}
