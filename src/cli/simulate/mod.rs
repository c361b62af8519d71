//! `tender simulate`: a fleet of devices that do with a server what real ones do, to try a rollout
//! or to measure a server.
//!
//! Here are the command line and the fleet: it starts the devices, ends them, and prints the
//! summary. What one device does is in `device`; its MAC address and key in `identity`; HTTP in
//! `client` and `download`; what can go wrong in `failure`; counting in `report`; what the devices
//! share in `context`.

mod client;
mod context;
mod device;
mod download;
mod failure;
mod identity;
mod report;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use futures_util::{StreamExt, stream};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use self::client::{Client, Metadata};
use self::context::{FleetContext, Limits};
use self::device::{Conclusion, Device};
use self::identity::{DEVICES_PER_SEED, DeviceKey, MacAddress};
use self::report::{Event, Report};
use super::trust::TrustOption;
use crate::domain::keys;

/// Together they stay below the 1024 file descriptors a process usually has.
const MAX_REQUESTS: usize = 300;
const MAX_DOWNLOADS: usize = 300;
/// The largest fleet of which each device is told about.
const MAX_DEVICES_TOLD: u32 = 20;

/// Run a fleet of simulated devices against a server
///
/// Each device authorizes (somebody has to accept it on the server), checks for updates, downloads
/// what it is offered, verifies its SHA-256 and reports the new version. The devices come from the
/// seed: a second run with the same seed is the same fleet, already accepted, starting again at
/// --version. Ctrl-C ends the run; a summary goes to stdout.
#[derive(clap::Args)]
#[command(disable_version_flag = true)]
pub struct SimulateArguments {
    /// The server's URL
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    server: String,

    #[command(flatten)]
    trust: TrustOption,

    /// How many devices
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(DEVICES_PER_SEED)))]
    devices: u32,

    /// The length of the devices' RSA keys
    ///
    /// Real devices have 4096 bits. Shorter ones are faster to make and to sign with, which is what
    /// limits how fast a large fleet can authorize.
    #[arg(long, value_name = "BITS", default_value = "2048", value_parser = key_bits())]
    key_bits: usize,

    /// How many different keys the fleet shares [default: one for each device]
    ///
    /// Making RSA keys is slow: thousands of devices are ready much sooner with a few.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    distinct_keys: Option<u32>,

    /// The time between two update checks of a device
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_interval)]
    interval: Duration,

    /// The time between two authorization requests of a device that is not accepted yet
    ///
    /// Each request is signed, so thousands of waiting devices want a longer one.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_interval)]
    authorize_interval: Duration,

    /// The software version the devices report at first
    #[arg(long = "version", value_name = "VERSION", default_value = "v0")]
    software_version: String,

    /// The device type the devices report
    #[arg(long = "devtype", value_name = "TYPE", default_value = "simulated")]
    device_type: String,

    /// Further metadata the devices report; can be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_metadata)]
    metadata: Vec<(String, String)>,

    /// A management token (read-only is enough), to learn what an installed package makes of a
    /// device
    ///
    /// An update check does not tell a package's version. With the token, a device that has
    /// downloaded a package reports the package's metadata from then on; without, it stays at its
    /// version and downloads each package once.
    #[arg(long, value_name = "TOKEN", env = "TENDER_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// End when every device is up to date
    ///
    /// A device that is not accepted yet waits on. The exit code is 1 if a device gave up: at once
    /// when an answer was unusable or a SHA-256 differed, after some attempts when the server
    /// could not be reached or failed.
    #[arg(long)]
    once: bool,

    /// The MAC address of the first device; the others follow [default: made from the seed]
    #[arg(long, value_name = "MAC")]
    first_mac: Option<MacAddress>,

    /// Another seed is another fleet, with other MAC addresses and keys
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u16,
}

fn key_bits() -> impl TypedValueParser<Value = usize> {
    PossibleValuesParser::new(["1024", "2048", "3072", "4096"]).try_map(|bits| bits.parse::<usize>())
}

fn parse_interval(text: &str) -> anyhow::Result<Duration> {
    let interval = humantime::parse_duration(text)?;
    ensure!(!interval.is_zero(), "must be longer than nothing");
    Ok(interval)
}

fn parse_metadata(text: &str) -> anyhow::Result<(String, String)> {
    let (key, value) = text.split_once('=').context("must be KEY=VALUE")?;
    match key {
        "" => bail!("the key is missing"),
        keys::SOFTWARE_VERSION => bail!("the version is set with --version"),
        keys::DEVICE_TYPE => bail!("the device type is set with --devtype"),
        keys::MAC_ADDRESS => bail!("the MAC addresses are set with --first-mac"),
        _ => Ok((key.to_owned(), value.to_owned())),
    }
}

/// Runs the fleet until it is done or told to stop (Ctrl-C or SIGTERM), and prints the summary on
/// stdout. Makes its own runtime: not to be called on an asynchronous thread.
///
/// Gives a failing exit code when the fleet was to run once and a device gave up, or was stopped
/// before all had ended.
///
/// # Errors
/// When the arguments cannot be used, or the system refuses what the fleet needs.
pub fn run(arguments: SimulateArguments) -> anyhow::Result<ExitCode> {
    let runtime = Runtime::new().context("cannot start the asynchronous runtime")?;
    let exit_code = runtime.block_on(run_fleet(arguments));
    // A key that is being made cannot be interrupted, and nobody needs it any more.
    runtime.shutdown_background();
    exit_code
}

async fn run_fleet(arguments: SimulateArguments) -> anyhow::Result<ExitCode> {
    let once = arguments.once;
    let fleet = Fleet::new(arguments)?;
    let context = Arc::clone(&fleet.context);
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;

    // Boxed, so that it can be dropped, and the devices with it, before the summary is made.
    let mut running = Box::pin(fleet.run());
    let has_succeeded = tokio::select! {
        all_succeeded = &mut running => all_succeeded?,
        _ = interrupt.recv() => !once,
        _ = terminate.recv() => !once,
        never = context.report.show_progress() => match never {},
    };
    drop(running);

    let summary = context.report.finish();
    write!(std::io::stdout(), "{summary}").context("cannot print the summary")?;
    Ok(if has_succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The devices to be, and what they share.
struct Fleet {
    context: Arc<FleetContext>,
    devices: u32,
    first_mac_address: MacAddress,
    seed: u16,
    distinct_keys: u32,
    key_bits: usize,
    cores: usize,
    metadata: Metadata,
}

impl Fleet {
    fn new(arguments: SimulateArguments) -> anyhow::Result<Self> {
        let devices = arguments.devices;
        let first_mac_address = arguments.first_mac.unwrap_or_else(|| MacAddress::first_of(arguments.seed));
        ensure!(
            first_mac_address.plus(devices - 1).is_some(),
            "there are fewer than {devices} MAC addresses from {first_mac_address} on"
        );
        let mut metadata: Metadata = arguments.metadata.into_iter().map(|(key, value)| (key, value.into())).collect();
        metadata.insert(keys::SOFTWARE_VERSION.to_owned(), arguments.software_version.into());
        metadata.insert(keys::DEVICE_TYPE.to_owned(), arguments.device_type.into());

        let cores = available_parallelism().map_or(1, usize::from);
        let context = FleetContext {
            client: Client::new(
                &arguments.server,
                |is_https| arguments.trust.trust(is_https),
                arguments.token,
                MAX_REQUESTS,
            )?,
            report: Report::new(devices),
            limits: Limits {
                requests: Semaphore::new(MAX_REQUESTS),
                downloads: Semaphore::new(MAX_DOWNLOADS),
                signatures: Semaphore::new(cores),
            },
            interval: arguments.interval,
            authorize_interval: arguments.authorize_interval,
            once: arguments.once,
            tells_each_device: devices <= MAX_DEVICES_TOLD,
        };
        Ok(Fleet {
            context: Arc::new(context),
            devices,
            first_mac_address,
            seed: arguments.seed,
            distinct_keys: arguments.distinct_keys.unwrap_or(devices).min(devices),
            key_bits: arguments.key_bits,
            cores,
            metadata,
        })
    }

    /// Starts each device as soon as its key is there, and waits for all to end. Gives whether
    /// none gave up. Dropping the future ends the devices.
    async fn run(self) -> anyhow::Result<bool> {
        let (seed, bits) = (self.seed, self.key_bits);
        let mut keys = stream::iter(0..self.distinct_keys)
            .map(|index| spawn_blocking(move || (index, DeviceKey::generate(seed, index, bits))))
            .buffer_unordered(self.cores);
        let mut running = JoinSet::new();
        let mut all_succeeded = true;
        loop {
            tokio::select! {
                Some(generated) = keys.next() => {
                    let (key_index, key) = generated.context("making a key panicked")?;
                    self.context.report.count(Event::KeyGenerated);
                    self.start_devices(key_index, &Arc::new(key?), &mut running);
                }
                Some(ended) = running.join_next() => {
                    let conclusion = ended.context("a device panicked")?;
                    all_succeeded &= conclusion == Conclusion::NothingLeftToDo;
                }
                else => return Ok(all_succeeded),
            }
        }
    }

    /// Starts the devices that have key number `key_index`.
    fn start_devices(&self, key_index: u32, key: &Arc<DeviceKey>, running: &mut JoinSet<Conclusion>) {
        let indices = (key_index..self.devices).step_by(self.distinct_keys as usize);
        for index in indices {
            let mac_address =
                self.first_mac_address.plus(index).expect("a fleet is only made if it has an address for each device");
            let device = Device::new(
                Arc::clone(&self.context),
                mac_address,
                Arc::clone(key),
                self.metadata.clone(),
                self.first_poll_delay(index),
            );
            running.spawn(device.run());
        }
    }

    /// Spreads the first polls evenly over one interval, so that the later ones are as well.
    fn first_poll_delay(&self, index: u32) -> Duration {
        if self.context.once {
            return Duration::ZERO;
        }
        self.context.interval.mul_f64(f64::from(index) / f64::from(self.devices))
    }
}
