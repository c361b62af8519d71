//! `tender why`: why a device is offered what it is offered, or nothing. Asks a running server, which knows most, or reads the
//! data folder.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::header::AUTHORIZATION;
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::installation::{Need, Place, with_installation};
use super::trust::TrustOption;
use crate::domain::MacAddress;
use crate::http::DecisionReply;
use crate::installation::Installation;
use crate::tls::{Trust, client_config};
use crate::usecase::explain::{Question, explain_update};
use crate::usecase::track_progress::Tracker;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Names and outcomes of links are no longer.
const COLUMN: usize = 8;

/// Arguments of `tender why`.
#[derive(Args)]
pub struct WhyArguments {
    /// The device's MAC address, in any spelling
    #[arg(value_name = "MAC", value_parser = MacAddress::parse)]
    mac_address: MacAddress,
    /// Ask the server that runs there, with the token in TENDER_TOKEN (rdfm_admin_ro is enough), instead of reading the data
    /// folder
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    /// A management token for --server
    #[arg(long, value_name = "TOKEN", env = "TENDER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    trust: TrustOption,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Prints the explanation. Whatever that is, the exit code is 0 if there is one.
pub fn run(arguments: WhyArguments) -> anyhow::Result<ExitCode> {
    let WhyArguments { mac_address, server, token, trust, json, place } = arguments;
    if let Some(server) = server {
        let trust = trust.trust(server.scheme() == "https")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        print(&runtime.block_on(ask(&server, trust, token, &mac_address))?, json)?;
        return Ok(ExitCode::SUCCESS);
    }
    with_installation(place, Need::There, async |installation| {
        print(&read(&installation, mac_address).await?, json)?;
        eprintln!(
            "tender: this is what the data folder says; what devices reported and did in the last 30 seconds only a running \
             server knows: ask it with --server"
        );
        Ok(())
    })
}

async fn ask(server: &Url, trust: Trust, token: Option<String>, mac_address: &MacAddress) -> anyhow::Result<Value> {
    let client =
        reqwest::Client::builder().tls_backend_preconfigured(client_config(trust)?).timeout(TIMEOUT).build()?;
    let mut url = Url::parse(&format!("{}/api/tender/v1/decision", server.as_str().trim_end_matches('/')))?;
    url.query_pairs_mut().append_pair("mac", mac_address.as_str());
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let response = request.send().await.with_context(|| format!("cannot ask {server}"))?;
    let status = response.status();
    let answer: Value = response.json().await.with_context(|| format!("{server} is no tender server, it seems"))?;
    if status != StatusCode::OK {
        let sentence = answer["error"].as_str().unwrap_or("no reason given");
        bail!("{server} answered {status}: {sentence}");
    }
    Ok(answer)
}

async fn read(installation: &Installation, mac_address: MacAddress) -> anyhow::Result<Value> {
    let store = &installation.store;
    let tracker = Arc::new(Tracker::restore(store).await?);
    let explanation = explain_update(store, &tracker, Question::Address(mac_address)).await?;
    let explanation = explanation.ok_or_else(|| anyhow!("the device is not there"))?;
    Ok(serde_json::to_value(DecisionReply::from(&explanation))?)
}

/// One line for each link that was reached, with lines for the packages below theirs.
fn print(decision: &Value, json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        writeln!(stdout, "{decision}")?;
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for step in decision["steps"].as_array().into_iter().flatten().filter(|step| !step["sentence"].is_null()) {
        let mark = if step["outcome"] == "stops_here" { "stop" } else { "ok" };
        writeln!(stdout, "{mark:4}  {:COLUMN$}  {}", text(&step["name"]), text(&step["sentence"]))?;
        for package in step["data"]["packages"].as_array().into_iter().flatten() {
            writeln!(stdout, "{:4}  {:COLUMN$}  - {}", "", "", text(&package["sentence"]))?;
        }
    }
    Ok(())
}
