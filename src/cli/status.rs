//! `tender status`: how the server and its fleet are, for people and scripts. Asks a running server, or reads the data folder.

use std::cell::Cell;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use humantime::format_duration;
use serde::Serialize;
use serde_json::Value;

use super::installation::{Need, Place, with_installation};
use super::remote::{Remote, Server};
use crate::domain::attempt::AttemptOutcome;
use crate::domain::fleet::{DEFAULT_SILENT_AFTER, DeviceState};
use crate::domain::{ByteSize, StorageLimits};
use crate::http::StatusReply;
use crate::installation::Installation;
use crate::store::StoreError;
use crate::store::attempts::{self, Filter};
use crate::usecase::planner::Planner;
use crate::usecase::room::Room;
use crate::usecase::status::status;
use crate::usecase::survey_fleet::FleetSurvey;
use crate::usecase::track_progress::Tracker;

/// How many of the last failures are shown.
const FAILURES: u32 = 5;
/// Names of lines are no longer.
const COLUMN: usize = 13;

/// Arguments of `tender status`.
#[derive(Args)]
pub struct StatusArguments {
    #[command(flatten)]
    remote: Remote,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// How a server and its fleet are.
#[derive(Serialize)]
pub(super) struct Summary {
    /// What `GET /api/tender/v1/status` says.
    status: Value,
    /// How many devices are how.
    devices: Value,
    /// The last attempts that failed, latest first.
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    device: Value,
    package: Value,
    from: Value,
    to: Value,
    outcome: Value,
    ended_at: Value,
}

/// Prints it. Exit code 1 says that there is something that a person has to know.
pub fn run(arguments: StatusArguments) -> anyhow::Result<ExitCode> {
    let StatusArguments { remote, json, place } = arguments;
    let exit_code = Cell::new(ExitCode::SUCCESS);
    let show = |summary: &Summary| {
        if summary.has_concerns() {
            exit_code.set(ExitCode::FAILURE);
        }
        print(summary, json)
    };
    match remote.server()? {
        Some(server) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            show(&runtime.block_on(Summary::ask(&server))?)?;
        }
        None => {
            with_installation(place, Need::There, async |installation| {
                show(&Summary::read(&installation).await?)?;
                eprintln!(
                    "tender: this is what the data folder says; the rest only a running server knows: ask it with --server"
                );
                Ok(())
            })?;
        }
    }
    Ok(exit_code.get())
}

impl Summary {
    /// What a server says.
    pub(super) async fn ask(server: &Server) -> anyhow::Result<Self> {
        let status = server.get("/api/tender/v1/status", &[]).await?;
        let overview = server.get("/api/tender/v1/overview", &[]).await?;
        let mut failures = Vec::new();
        for outcome in failing_outcomes() {
            let query = [("outcome", outcome.name()), ("limit", &FAILURES.to_string())];
            let page = server.get("/api/tender/v1/attempts", &query).await?;
            failures.extend(page["attempts"].as_array().into_iter().flatten().cloned());
        }
        failures.sort_by_key(|attempt| std::cmp::Reverse(attempt["id"].as_i64()));
        failures.truncate(FAILURES as usize);
        let failures = failures.iter_mut().map(Failure::of).collect();
        Ok(Self { status, devices: overview["states"].clone(), failures })
    }

    /// What a data folder says.
    async fn read(installation: &Installation) -> anyhow::Result<Self> {
        let Installation { store, packages, .. } = installation;
        let room = Room::new(store.clone(), packages.clone(), StorageLimits::default());
        let status = status(store, &room, None, false).await?;
        let tracker = Arc::new(Tracker::restore(store).await?);
        let survey = FleetSurvey::new(store.clone(), Planner::default(), tracker, DEFAULT_SILENT_AFTER);
        let states = &survey.all().await?.overview.states;
        let devices =
            DeviceState::ALL.iter().map(|state| (state.name().to_owned(), states.of(*state).into())).collect();
        let reading = store.read(|connection| {
            let mut failures = Vec::new();
            for outcome in failing_outcomes() {
                let filter = Filter { outcome: Some(outcome), ..Filter::default() };
                failures.extend(attempts::page(connection, &filter, FAILURES)?);
            }
            Ok::<_, StoreError>(failures)
        });
        let mut failures = reading.await?;
        failures.sort_by_key(|attempt| std::cmp::Reverse(attempt.id));
        let failures = failures.iter().take(FAILURES as usize).map(|attempt| Failure {
            device: attempt.device.0.into(),
            package: attempt.step.package.0.into(),
            from: (*attempt.step.from_version).into(),
            to: (*attempt.step.to_version).into(),
            outcome: attempt.end.map(|(_, outcome)| outcome.name()).into(),
            ended_at: attempt.end.map(|(at, _)| at.rfc3339()).into(),
        });
        Ok(Self {
            status: serde_json::to_value(StatusReply::new(&status, store.clock().now(), None))?,
            devices: Value::Object(devices),
            failures: failures.collect(),
        })
    }

    fn has_concerns(&self) -> bool {
        self.status["concerns"].as_array().is_none_or(|concerns| !concerns.is_empty())
    }
}

impl Failure {
    /// One of the attempts that a server shows.
    fn of(attempt: &mut Value) -> Self {
        let [device, package, from, to, ended_at] =
            ["device", "package", "from", "to", "ended_at"].map(|name| attempt[name].take());
        Self { device, package, from, to, outcome: attempt["stage"].take(), ended_at }
    }
}

fn failing_outcomes() -> impl Iterator<Item = AttemptOutcome> {
    AttemptOutcome::ALL.iter().copied().filter(|outcome| outcome.is_failure())
}

fn print(summary: &Summary, json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        return Ok(writeln!(stdout, "{}", serde_json::to_string(summary)?)?);
    }
    let Summary { status, devices, failures } = summary;
    let mut line = |name: &str, text: &str| writeln!(stdout, "{name:COLUMN$}  {text}").context("cannot print");
    let uptime = status["uptime_seconds"].as_u64().map(Duration::from_secs);
    let uptime = uptime.map_or_else(|| "not asked".to_owned(), |uptime| format!("up {}", format_duration(uptime)));
    line("tender", &format!("{}, {uptime}", text_of(&status["version"])))?;
    line("devices", &counts(devices))?;
    line("registrations", &format!("{} waiting", status["pending_registrations"]))?;
    let packages = &status["packages"];
    let [whole, corrupt, missing] = ["whole", "corrupt", "missing"].map(|name| &packages[name]);
    line("packages", &format!("{whole} whole, {corrupt} corrupt, {missing} missing; {}", size(&packages["bytes"])))?;
    line("uploads", &format!("{} unfinished", status["unfinished_uploads"]))?;
    let [free, total, reserve] = ["free", "total", "reserve"].map(|name| size(&status["storage"][name]));
    line("storage", &format!("{free} free of {total}, of which {reserve} are reserved"))?;
    line("database", &size(&status["database"]["bytes"]))?;
    for Failure { device, package, from, to, outcome, ended_at } in failures {
        let [from, to, outcome, at] = [from, to, outcome, ended_at].map(text_of);
        line("failure", &format!("{at}  device {device}, package {package}, {from} → {to}: {outcome}"))?;
    }
    for concern in status["concerns"].as_array().into_iter().flatten() {
        line("concern", &text_of(&concern["sentence"]))?;
    }
    Ok(())
}

/// All devices, and how many are how.
fn counts(states: &Value) -> String {
    let states = states.as_object().into_iter().flatten();
    let states: Vec<_> = states.filter_map(|(state, count)| Some((state, count.as_u64()?))).collect();
    let total: u64 = states.iter().map(|(_, count)| count).sum();
    let parts: Vec<_> = states
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {}", state.replace('_', " ")))
        .collect();
    if parts.is_empty() { total.to_string() } else { format!("{total}: {}", parts.join(", ")) }
}

/// What devices and people chose may be anything, and its line is to stay one.
fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or("unknown").escape_debug().to_string()
}

fn size(value: &Value) -> String {
    value.as_u64().map_or_else(|| "unknown".to_owned(), |bytes| ByteSize::from_bytes(bytes).to_string())
}
