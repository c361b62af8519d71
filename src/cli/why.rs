//! `tender why`: why a device is offered what it is offered, or nothing. Asks a running server, which knows most, or reads the
//! data folder.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::installation::{Need, Place, with_installation};
use super::remote::ServerOptions;
use crate::domain::MacAddress;
use crate::http::DecisionReply;
use crate::installation::Installation;
use crate::usecase::explain::{Question, explain_update};
use crate::usecase::track_progress::Tracker;

/// Names and outcomes of links are no longer.
const COLUMN: usize = 8;

/// Arguments of `tender why`.
#[derive(Args)]
pub struct WhyArguments {
    /// The device's MAC address, in any spelling
    #[arg(value_name = "MAC", value_parser = MacAddress::parse)]
    mac_address: MacAddress,
    #[command(flatten)]
    server: ServerOptions,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Prints the explanation. Whatever that is, the exit code is 0 if there is one.
pub fn run(arguments: WhyArguments) -> anyhow::Result<ExitCode> {
    let WhyArguments { mac_address, server, json, place } = arguments;
    if let Some(remote) = server.remote()? {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let query = [("mac", mac_address.as_str())];
        print(&runtime.block_on(remote.get("/api/tender/v1/decision", &query))?, json)?;
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
