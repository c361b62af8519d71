//! `tender serve`: runs the server until it is told to stop.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::Context;
use clap::ArgMatches;
use humantime::format_duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, FileOption, ServeOptions, StorageOptions, WebhookOptions};
use crate::logging::Logging;
use crate::usecase::claim::CODE_LIFETIME;

/// A gateway has few cores, and each worker costs memory.
const MAX_WORKERS: usize = 4;
/// How often the log says which lines it held back.
const SUPPRESSED_INTERVAL: Duration = Duration::from_secs(60);

/// Arguments of `tender serve`.
#[derive(clap::Args)]
pub struct ServeArguments {
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    serve: ServeOptions,
    #[command(flatten)]
    webhook: WebhookOptions,
    #[command(flatten)]
    file: FileOption,
}

/// Serves until SIGTERM or SIGINT. `matches` tell flags from variables.
pub fn run(arguments: Box<ServeArguments>, matches: Option<&ArgMatches>) -> anyhow::Result<ExitCode> {
    let ServeArguments { storage, serve: options, webhook, file } = *arguments;
    let options = match matches {
        Some(matches) => options.prefer_flags(matches),
        None => options,
    };
    let config = Config::new(storage, options, webhook, &file)?;
    let clock = Clock::system();
    let logging = Logging::start(config.log_format, config.log.clone(), clock.clone())?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(1, usize::from).min(MAX_WORKERS))
        .enable_all()
        .build()?
        .block_on(serve(config, clock, logging))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(config: Config, clock: Clock, logging: Logging) -> anyhow::Result<()> {
    // Before anything is begun, so that a stop at any moment is an orderly one.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(tell_what_was_suppressed(logging));
    let listener = TcpListener::bind((config.host.as_str(), config.port))
        .await
        .with_context(|| format!("cannot listen on {}:{}", config.host, config.port))?;
    let data_folder = config.storage.data_folder.clone();
    let public_url = config.public_url.clone();
    let running = App::start(config, listener, clock).await?;
    tracing::info!(address = %running.address, data = %data_folder.display(), "serving");
    if let Some(address) = running.metrics_address {
        tracing::info!(%address, "serving metrics to everybody who asks there");
    }
    if let Some(code) = &running.claim_code {
        let base = public_url.unwrap_or_else(|| format!("http://{}", reachable(running.address)));
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
    let mut told_to_stop = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    told_to_stop().await;
    tracing::info!("stopping: letting what has begun come to its end; a second signal does not wait for it");
    let hurry = running.hurry();
    let mut shutdown = std::pin::pin!(running.shutdown());
    tokio::select! {
        () = shutdown.as_mut() => {}
        () = told_to_stop() => {
            hurry.cancel();
            shutdown.await;
        }
    }
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
