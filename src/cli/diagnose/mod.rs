//! `tender diagnose`: a bundle for whoever is to help, without secrets. It changes nothing, and what cannot be found out it says
//! instead of failing: those who need it have something that is broken.

mod bundle;
mod facts;
mod redact;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use self::bundle::Bundle;
use self::redact::Redactor;
use super::installation::Place;
use super::remote::{Remote, Server};
use super::status::Summary;
use crate::certificates;
use crate::clock::Clock;
use crate::config::{StorageConfig, effective_options};
use crate::installation::Installation;
use crate::machine;
use crate::store::{DataFolder, Examination, PackageFolder};
use crate::tls::Trust;
use crate::usecase::check_store::{Depth, check_store};

/// How long the server has for each answer: it may be what is broken.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where a server listens that was told nothing.
const USUAL_SERVER: &str = "127.0.0.1:5000";

/// What is in the bundle, for whoever opens it and whoever sends it.
const CONTENTS: &str = "\
configuration.json  the options that count for this command; secrets are left out, and all of other servers' addresses but the host
status.json         what the server says about itself and its fleet, if it answers
metrics.txt         its metrics, if it answers
database.json       the database: whether it is sound, its schema's version, how many rows its tables have
check.json          which packages lack their file or have one of another length
devices.json        devices: identifier, MAC address, group, device type, version, last contact
attempts.json       the last updates that failed
audit.json          the latest entries of the audit log: names of people and programs, their network addresses, what they did
files.txt           names, lengths and dates of the files in the data folder and the package folder
machine.txt         kernel, processor, memory, disks, clock, limits of processes
";

/// Arguments of `tender diagnose`.
#[derive(Args)]
pub struct DiagnoseArguments {
    /// The bundle to make, such as tender-diagnosis.tar.gz; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    place: Place,
}

/// Makes the bundle, and says what is in it.
pub fn run(arguments: DiagnoseArguments) -> anyhow::Result<ExitCode> {
    let DiagnoseArguments { file, remote, place } = arguments;
    let (storage, options) = place.into_options();
    let config = StorageConfig::new(storage.clone(), &options)?;
    let folder = Installation::folder_as_it_is(&config)?;
    let options = effective_options(storage, &options);
    let redactor = Redactor::new(&folder, options.as_ref().ok(), remote.token.as_deref());
    let mut bundle = Bundle::create(&file, redactor).with_context(|| format!("cannot write {}", file.display()))?;

    let about = format!("tender {}, {}\n\n{CONTENTS}", env!("CARGO_PKG_VERSION"), build());
    bundle.add_text("about.txt", &about)?;
    bundle.add("configuration.json", options.as_ref().map_err(ToString::to_string).cloned())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, metrics) = runtime.block_on(ask(remote, &folder, options.as_ref().unwrap_or(&Value::Null)));
    bundle.add("status.json", status.map_err(|error| format!("{error:#}")))?;
    bundle.add_text("metrics.txt", &metrics.unwrap_or_else(|error| format!("{error:#}\n")))?;
    add_stored(&mut bundle, &folder)?;
    bundle.add_text("files.txt", &facts::files(&[folder.root(), folder.database(), folder.packages()]))?;
    bundle.add_text("machine.txt", &machine_facts(&folder))?;
    bundle.finish().with_context(|| format!("cannot write {}", file.display()))?;

    writeln!(io::stdout(), "{CONTENTS}")?;
    eprintln!(
        "tender: made {}: it holds no secret, no package and not the database; look through it before you give it to others, as names \
         and addresses are in it",
        file.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The target that this program was built for.
fn build() -> String {
    let kind = if cfg!(debug_assertions) { "for development" } else { "as released" };
    format!("built {kind} for {} on {}", std::env::consts::ARCH, std::env::consts::OS)
}

/// What the server says: about itself, with a token, and its metrics.
async fn ask(remote: Remote, folder: &DataFolder, options: &Value) -> (anyhow::Result<Value>, anyhow::Result<String>) {
    let Remote { server, token, trust } = remote;
    let own_authority = if server.is_none() && !trust.is_given() { own_authority(folder) } else { None };
    let url = server.map_or_else(
        || {
            let scheme = if is_secure(options) { "https" } else { "http" };
            format!("{scheme}://{}", reachable(options["listen"].as_str().unwrap_or(USUAL_SERVER)))
        },
        |url| url.to_string(),
    );
    let server = |url: &str| {
        let trust = own_authority.clone().map_or_else(|| trust.trust(url.starts_with("https:")), Ok)?;
        Server::new(url.parse()?, trust, token.clone(), PATIENCE)
    };
    let status = async { Ok(serde_json::to_value(Summary::ask(&server(&url)?).await?)?) };
    let open = options["metrics_listen"].as_str().map(|listen| format!("http://{}", reachable(listen)));
    let metrics = async { server(open.as_deref().unwrap_or(&url))?.get_text("/metrics").await };
    (status.await, metrics.await)
}

/// Whether a server with these options speaks HTTPS.
fn is_secure(options: &Value) -> bool {
    match options["tls"].as_str() {
        Some(mode) => mode != "off",
        None => options["server_cert"].is_string(),
    }
}

/// The authority that the server of this folder made itself, if it did.
fn own_authority(folder: &DataFolder) -> Option<Trust> {
    let authority = certificates::stored(folder).ok().flatten()?;
    Trust::in_authorities(authority.trusted_pem().as_bytes())
}

/// The place on this machine at which a server answers that listens there.
fn reachable(listen: &str) -> String {
    listen.replacen("0.0.0.0:", "127.0.0.1:", 1).replacen("[::]:", "[::1]:", 1)
}

/// What the database says, as far as it can be read.
fn add_stored(bundle: &mut Bundle, folder: &DataFolder) -> anyhow::Result<()> {
    let examination = Examination::open(folder.database()).map(|mut examination| {
        let faults = examination.faults();
        (examination, faults)
    });
    let (examination, faults) = match examination {
        Ok((examination, faults)) => (examination, faults.map_err(|error| error.to_string())),
        Err(error) => return Ok(bundle.add("database.json", Err(error.to_string()))?),
    };
    let size = examination.size();
    let database = json!({
        "faults": faults.as_ref().map_or_else(|error| json!([error]), |faults| json!(faults)),
        "bytes": size.database_bytes,
        "wal_bytes": size.wal_bytes,
        "properties": examination.properties().unwrap_or_else(unreadable),
        "rows": examination.row_counts().unwrap_or_else(unreadable),
    });
    bundle.add("database.json", Ok(database))?;
    let check = check_store(folder.database(), &PackageFolder::at(folder.packages()), Depth::Length);
    bundle.add("check.json", check.map(|report| facts::check(&report)).map_err(|error| error.to_string()))?;
    bundle.add("devices.json", examination.device_facts().map_err(|error| error.to_string()))?;
    bundle.add("attempts.json", facts::attempts(&examination).map_err(|error| error.to_string()))?;
    bundle.add("audit.json", facts::audit(&examination).map_err(|error| error.to_string()))?;
    Ok(())
}

fn unreadable(error: impl std::fmt::Display) -> Value {
    json!({ "error": error.to_string() })
}

/// What the operating system says about the machine, and how much room there is.
fn machine_facts(folder: &DataFolder) -> String {
    let clock = Clock::system();
    let mut text = format!("== clock\n{}\n", humantime::format_rfc3339_millis(clock.wall()));
    if clock.is_unset() {
        text.push_str("it is not set\n");
    }
    for place in [folder.root(), folder.packages()] {
        let space = PackageFolder::at(place).space();
        let space = space.map(|space| format!("{} of {} bytes free", space.free_bytes, space.total_bytes));
        text.push_str(&format!(
            "\n== room in {}\n{}\n",
            place.display(),
            space.unwrap_or_else(|error| error.to_string())
        ));
    }
    text + &machine::report()
}
