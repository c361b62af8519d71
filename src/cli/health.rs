//! `tender health`: whether the server on this machine is ready, for containers that have no shell and no other client.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::{ArgMatches, Args};
use humantime::format_duration;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;

use crate::config::{AddressOptions, FileOption, host_and_port};
use crate::outbound::cause;
use crate::tls::{Trust, client_config};

/// Arguments of `tender health`.
#[derive(Args)]
pub struct HealthArguments {
    /// Ask the server at this address, such as https://127.0.0.1:5000, instead of the one that the other options lead to
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// How long the answer may take
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    address: AddressOptions,
    #[command(flatten)]
    file: FileOption,
}

/// What `/health/ready` answers.
#[derive(Deserialize)]
struct Answer {
    status: String,
}

/// Prints the server's own word: `ready` or `degraded`. Exit code 1 says that it is not ready, or does not answer. `matches` tell
/// flags from variables.
pub fn run(arguments: HealthArguments, matches: Option<&ArgMatches>) -> anyhow::Result<ExitCode> {
    let HealthArguments { url, timeout, mut address, file } = arguments;
    if let Some(matches) = matches {
        address = address.prefer_flags(matches);
    }
    let (places, is_here) = match url {
        Some(url) => (vec![url.clone()], is_loopback(&url)),
        None => (own_addresses(&address, &file)?, true),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, Answer { status: word }) = runtime.block_on(ask(&places, is_here, timeout))?;
    if status != StatusCode::OK {
        bail!("the server is not ready: {word}");
    }
    writeln!(io::stdout(), "{word}")?;
    Ok(ExitCode::SUCCESS)
}

/// Where the server of these options listens, as seen from this machine. Whether it speaks HTTPS there is found out: what it does not
/// speak it does not answer.
fn own_addresses(address: &AddressOptions, file: &FileOption) -> anyhow::Result<Vec<Url>> {
    let (host, port) = address.with_file(file)?;
    if port == 0 {
        bail!("the server listens on a port that is free: give its address with --url");
    }
    let host = match host.as_str() {
        "0.0.0.0" => "127.0.0.1",
        "::" => "::1",
        host => host,
    };
    let place = host_and_port(host, port);
    let urls = ["http", "https"].map(|scheme| Url::parse(&format!("{scheme}://{place}")));
    urls.into_iter().collect::<Result<_, _>>().map_err(|error| anyhow!("{place} is no address of a server: {error}"))
}

/// What the server says that can be reached in one of these ways; else, what is wrong with the first of them. `is_here`: it runs on
/// this machine, so its certificate is believed, as it may have made that itself and nobody is in between.
async fn ask(places: &[Url], is_here: bool, timeout: Duration) -> anyhow::Result<(StatusCode, Answer)> {
    let mut failure = None;
    for place in places {
        let trust = match place.scheme() {
            "https" if is_here => Trust::Anybody,
            "https" => Trust::OperatingSystem,
            _ => Trust::Nobody,
        };
        let client = Client::builder().tls_backend_preconfigured(client_config(trust)?);
        let client = client.redirect(Policy::none()).no_proxy().timeout(timeout).build()?;
        let mut url = place.clone();
        url.set_path("/health/ready");
        let error = match client.get(url).send().await {
            Ok(response) => {
                let status = response.status();
                match response.json().await {
                    Ok(answer) => return Ok((status, answer)),
                    Err(_) => anyhow!("what answers at {place} is no tender server: {status}"),
                }
            }
            Err(error) if error.is_timeout() => bail!("{place} has not answered within {}", format_duration(timeout)),
            Err(error) if error.is_connect() && place.scheme() == "http" => {
                bail!("no server answers at {place}: {}", cause(&error))
            }
            Err(error) => anyhow!("{place} does not answer: {}", cause(&error)),
        };
        failure.get_or_insert(error);
    }
    Err(failure.unwrap_or_else(|| anyhow!("there is no server to ask")))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
