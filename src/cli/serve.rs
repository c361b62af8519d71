//! `tender serve`: runs the server until it is told to stop.

use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use humantime::format_duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::app::{App, Running};
use crate::clock::Clock;
use crate::config::{
    AddressOptions, BackupOptions, Config, ConfigError, FileOption, ServeOptions, StorageOptions, TlsConfig,
    TlsOptions, WebhookOptions, host_and_port,
};
use crate::http::serve::Listeners;
use crate::logging::Logging;
use crate::machine::allow_open_files;
use crate::service::{GivenSockets, Reloader, ServiceManager, Word, keep_watched};
use crate::usecase::claim::CODE_LIFETIME;

/// A gateway has few cores, and each worker costs memory.
const MAX_WORKERS: usize = 4;
/// Files that are open beside connections: the database's, packages, and what else there is.
const OTHER_FILES: u64 = 256;
/// How often the log says which lines it held back.
const SUPPRESSED_INTERVAL: Duration = Duration::from_secs(60);
/// How long a start may take before the service manager is left to its own patience: a migration of a large database on a slow card.
const LONGEST_START: Duration = Duration::from_secs(60 * 60);
/// What an end takes beside the drain: the last write to a slow card.
const LAST_WRITE: Duration = Duration::from_secs(60);

/// Arguments of `tender serve`.
#[derive(Clone, clap::Args)]
pub struct ServeArguments {
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    address: AddressOptions,
    #[command(flatten)]
    serve: ServeOptions,
    #[command(flatten)]
    tls: TlsOptions,
    #[command(flatten)]
    backup: BackupOptions,
    #[command(flatten)]
    webhook: WebhookOptions,
    #[command(flatten)]
    file: FileOption,
}

impl ServeArguments {
    /// What they come to, with the files that they name as these are now.
    fn config(&self) -> Result<Config, ConfigError> {
        let Self { storage, address, serve, tls, backup, webhook, file } = self.clone();
        Config::new(storage, &address, serve, tls, backup, webhook, &file)
    }
}

/// Serves until SIGTERM or SIGINT. `matches` tell flags from variables.
pub fn run(mut arguments: Box<ServeArguments>, matches: Option<&ArgMatches>) -> anyhow::Result<ExitCode> {
    if let Some(matches) = matches {
        arguments.address = arguments.address.prefer_flags(matches);
    }
    let config = arguments.config()?;
    // Before there are threads.
    let sockets = GivenSockets::take()?;
    let clock = Clock::system();
    let logging = Logging::start(config.log_format, config.log.clone(), clock.clone())?;
    let manager = ServiceManager::of_this_process();
    let serving = async {
        let served = serve(&manager, arguments, config, sockets, clock, logging).await;
        if let Err(error) = &served {
            manager.tell([Word::Status(format!("failed: {error:#}"))]).await;
        }
        served
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(1, usize::from).min(MAX_WORKERS))
        .enable_all()
        .build()?
        .block_on(serving)?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    manager: &ServiceManager,
    arguments: Box<ServeArguments>,
    config: Config,
    sockets: GivenSockets,
    clock: Clock,
    logging: Logging,
) -> anyhow::Result<()> {
    // Before anything is begun, so that a stop at any moment is an orderly one.
    let mut signals = Signals::catch()?;
    tokio::spawn(tell_what_was_suppressed(logging.clone()));
    manager.tell([Word::Status("starting: opening the database".to_owned())]).await;
    allow_connections(config.max_connections);
    let listeners = listen(&config, sockets).await?;
    warn_of_plain_http(&config, &listeners);
    let started = config.clone();
    let running = manager.wait_for(LONGEST_START, App::start(config, listeners, clock)).await?;
    let status = format!("serving on {}", running.address);
    let scheme = running.scheme();
    tracing::info!(address = %running.address, scheme, data = %started.storage.data_folder.display(), "serving");
    for address in &running.plain_addresses {
        tracing::info!(%address, "serving plain HTTP, too");
    }
    if let Some(address) = running.metrics_address {
        tracing::info!(%address, "serving metrics to everybody who asks there");
    }
    manager.tell([Word::Ready, Word::Status(status.clone())]).await;
    announce_claim(&running, started.public_url.as_deref());

    let longest_end = started.drain_timeout + LAST_WRITE;
    let mut reloader = Reloader::new(move || arguments.config(), started, running.settings(), logging);
    let pulse = running.pulse();
    let watched = async {
        if let Some(patience) = manager.watchdog() {
            keep_watched(manager, &pulse, patience).await;
        }
        std::future::pending::<()>().await;
    };
    let told_to_stop = async {
        while signals.next().await == Wish::Reload {
            manager.tell([Word::Reloading]).await;
            let status = match reloader.reload().await {
                Ok(()) => status.clone(),
                Err(error) => format!("{status}; the configuration could not be read again: {error}"),
            };
            manager.tell([Word::Ready, Word::Status(status)]).await;
        }
    };
    tokio::select! {
        () = watched => {}
        () = told_to_stop => {}
    }
    tracing::info!("stopping: letting what has begun come to its end; a second signal does not wait for it");
    let status = "stopping: letting what has begun come to its end".to_owned();
    manager.tell([Word::Stopping, Word::Status(status)]).await;
    manager.wait_for(longest_end, stop(running, &mut signals)).await;
    tracing::info!("stopped");
    Ok(())
}

/// Has the log say how often lines were held back, for as long as the program runs.
async fn tell_what_was_suppressed(logging: Logging) {
    loop {
        sleep(SUPPRESSED_INTERVAL).await;
        logging.write_suppressed();
    }
}

/// The listeners that the service manager hands over, or our own.
async fn listen(config: &Config, mut sockets: GivenSockets) -> anyhow::Result<Listeners> {
    let is_secure = config.tls != TlsConfig::Off;
    // Before the first one is taken, which may be any.
    let plain = if is_secure { sockets.named("http") } else { None };
    let main = match sockets.named_or_first(if is_secure { "https" } else { "http" }) {
        Some(listener) => TcpListener::from_std(listener)?,
        None => bind("--listen", &config.host, config.port).await?,
    };
    let mut listeners = Listeners::from(main);
    match (plain, &config.plain_address) {
        (Some(listener), _) => listeners.plain.push(TcpListener::from_std(listener)?),
        (None, Some((host, port))) => listeners.plain.push(bind("--plain-listen", host, *port).await?),
        (None, None) => {}
    }
    if let Some((host, port)) = &config.metrics_listen {
        listeners.metrics = Some(bind("--metrics-listen", host, *port).await?);
    }
    if sockets.left() > 0 {
        tracing::warn!(sockets = sockets.left(), "the service manager hands over more sockets than are needed");
    }
    Ok(listeners)
}

/// A listener of our own; `option` says where.
async fn bind(option: &str, host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let place = host_and_port(host, port);
    TcpListener::bind((host, port)).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("cannot listen on {place}: another program does, so stop that, or choose another port ({option})")
        }
        io::ErrorKind::PermissionDenied => anyhow!(
            "cannot listen on {place}: ports below 1024 need a privilege (CAP_NET_BIND_SERVICE), or a socket of the service \
             manager; or choose another port ({option})"
        ),
        io::ErrorKind::AddrNotAvailable => anyhow!(
            "cannot listen on {place}: this machine has no such address, so choose another one ({option}; 0.0.0.0 is all \
             that it has)"
        ),
        _ => anyhow!("cannot listen on {place}: {error}"),
    })
}

/// Makes room for so many connections and those that wait for a place, or says that there is none.
fn allow_connections(connections: usize) {
    let needed = (connections as u64).saturating_mul(2).saturating_add(OTHER_FILES);
    if let Some(allowed) = allow_open_files().filter(|allowed| *allowed < needed) {
        tracing::warn!(
            "this process may have no more than {allowed} files open, and max_connections = {connections} may need {needed}: raise \
             the limit (LimitNOFILE= of systemd, ulimit -Hn), or lower max_connections"
        );
    }
}

/// Says once that others on the network can read along, unless a proxy takes care of that.
fn warn_of_plain_http(config: &Config, listeners: &Listeners) {
    let is_open = |listener: &TcpListener| listener.local_addr().is_ok_and(|address| !address.ip().is_loopback());
    if config.tls == TlsConfig::Off && config.trusted_proxies.is_empty() && listeners.main.iter().any(is_open) {
        tracing::warn!(
            "this server speaks plain HTTP on the network: passwords and tokens can be read on the way; --tls auto switches \
             HTTPS on"
        );
    }
}

/// Tells who starts the server how to become the first administrator, if there is none.
fn announce_claim(running: &Running, public_url: Option<&str>) {
    let Some(code) = &running.claim_code else { return };
    let own = || format!("{}://{}", running.scheme(), reachable(running.address));
    let base = public_url.map_or_else(own, str::to_owned);
    // The code stands in the fragment, which browsers keep to themselves; and not in the log, which may be sent elsewhere.
    let announced = writeln!(
        std::io::stderr(),
        "tender: nobody administers this server yet. To become the first administrator, open within {}:\n\
         tender: {base}/#claim={}",
        format_duration(CODE_LIFETIME),
        code.reveal()
    );
    if let Err(error) = announced {
        tracing::warn!(%error, "the claim code could not be printed; use `tender user add`");
    }
}

/// Stops in order, and without waiting for anybody once a signal says that there is no time.
async fn stop(running: Running, signals: &mut Signals) {
    let hurry = running.hurry();
    let mut shutdown = std::pin::pin!(running.shutdown());
    loop {
        tokio::select! {
            () = shutdown.as_mut() => return,
            wish = signals.next() => if wish == Wish::Stop {
                hurry.cancel();
            }
        }
    }
}

/// What a signal wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stop,
    Reload,
}

/// The signals that are not left to the operating system.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether somebody runs the server in a terminal: SIGHUP may mean that it was closed.
    is_in_terminal: bool,
}

impl Signals {
    fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("signals cannot be caught");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
            is_in_terminal: io::stdin().is_terminal(),
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => {
                // A terminal that is closed is none any more.
                if self.is_in_terminal && !io::stdin().is_terminal() { Wish::Stop } else { Wish::Reload }
            }
        }
    }
}

/// An address at which others reach a server that listens on `address`: for one that listens everywhere, that of the first
/// interface which leads out of this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let mut interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.retain(|interface| !interface.is_loopback() && !interface.is_link_local());
    interfaces.sort_by_key(|interface| (interface.ip().is_ipv6(), interface.index));
    let first = interfaces.iter().map(if_addrs::Interface::ip).find(|ip| address.is_ipv6() || ip.is_ipv4());
    SocketAddr::new(first.unwrap_or(Ipv4Addr::LOCALHOST.into()), address.port())
}
