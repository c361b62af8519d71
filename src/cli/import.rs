//! `tender import`: an empty installation takes over the data of a reference server.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::deed::deed;
use super::installation::Place;
use crate::app::StartError;
use crate::clock::Clock;
use crate::config::StorageConfig;
use crate::domain::Action;
use crate::installation::Installation;
use crate::store::{Examination, take_over};
use crate::usecase::move_in::{Finding, Reference, Report, Survey, refuse_occupied};

/// Arguments of `tender import`.
#[derive(Args)]
pub struct ImportArguments {
    /// The reference server's SQLite database; it is only read
    #[arg(long = "from-reference", value_name = "DB")]
    database: PathBuf,
    /// The folder of the reference server's package files; they are copied
    #[arg(long, value_name = "DIR")]
    packages: PathBuf,
    /// Only say what would be taken over; reads all package files, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on without packages whose file is missing or another one than the database says, and without devices whose address
    /// cannot be one
    #[arg(long)]
    skip_damaged: bool,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Serialize)]
struct ReportReply<'a> {
    /// Whether it was done, or would be.
    ok: bool,
    dry_run: bool,
    revision: Option<&'a str>,
    devices: usize,
    devices_without_key: usize,
    groups: usize,
    packages: usize,
    bytes: u64,
    registrations: usize,
    findings: Vec<FindingReply<'a>>,
}

#[derive(Serialize)]
struct FindingReply<'a> {
    severity: &'static str,
    subject: &'a str,
    sentence: &'a str,
}

/// Takes everything over, and prints what is not as it was. Exit code 1 says that nothing was, or would be, taken over.
pub fn run(arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    let ImportArguments { database, packages, dry_run, skip_damaged, json, place } = arguments;
    let config = place.storage_config()?;
    let survey = Survey::of(&Reference { database, packages }, Clock::system().now())?;
    let is_refused = survey.report().refusal(skip_damaged).is_some();
    let report = match (dry_run, is_refused) {
        (true, _) => {
            refuse_used(&config)?;
            survey.verify()?
        }
        // What is known already would not become better.
        (false, true) => survey.report().clone(),
        (false, false) => take_over(survey, &config, skip_damaged)?,
    };
    let refusal = report.refusal(skip_damaged);
    match json {
        true => print_json(&report, dry_run, refusal.is_none())?,
        false => print_lines(&report)?,
    }
    if let Some(refusal) = refusal {
        eprintln!("tender: {refusal}");
        return Ok(ExitCode::FAILURE);
    }
    if dry_run {
        eprintln!("tender: this is what would be taken over; nothing was changed");
    } else {
        eprintln!(
            "tender: all of it is taken over; give the server the reference's RDFM_JWT_SECRET, so that its devices' tokens \
             go on to be good, and its address"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// For a dry run: says what the real one would say about where it leads.
fn refuse_used(config: &StorageConfig) -> anyhow::Result<()> {
    if let Ok(folder) = Installation::existing_folder(config) {
        let examination = Examination::open(folder.database())?;
        examination.refuse_foreign()?;
        refuse_occupied(&examination.read(take_over::occupants)?)?;
    }
    Ok(())
}

fn take_over(survey: Survey, config: &StorageConfig, skip_damaged: bool) -> anyhow::Result<Report> {
    let folder = Installation::folder(config)?;
    let Some(_locks) = folder.lock_instance()? else {
        bail!(StartError::AlreadyRunning(folder.root().display().to_string()));
    };
    let installation = Installation::open(&folder, config.secret.as_ref(), Clock::system())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let Installation { store, packages, .. } = &installation;
        let result = async {
            let _claim = installation.claim_packages().await?;
            Ok(survey.take_over(store, packages, skip_damaged, deed(Action::MoveIn)).await?)
        };
        let result = result.await;
        store.close().await;
        result
    })
}

fn print_json(report: &Report, dry_run: bool, ok: bool) -> anyhow::Result<()> {
    let findings = report.findings.iter().map(|Finding { severity, subject, sentence }| FindingReply {
        severity: severity.name(),
        subject,
        sentence,
    });
    let reply = ReportReply {
        ok,
        dry_run,
        revision: report.revision.as_deref(),
        devices: report.devices,
        devices_without_key: report.devices_without_key,
        groups: report.groups,
        packages: report.packages,
        bytes: report.bytes,
        registrations: report.registrations,
        findings: findings.collect(),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&reply)?)?;
    Ok(())
}

fn print_lines(report: &Report) -> anyhow::Result<()> {
    let mut stdout = BufWriter::new(io::stdout());
    for Finding { severity, subject, sentence } in &report.findings {
        // Names may be anything, and each line is to stay one.
        writeln!(stdout, "{}: {} {}", severity.name(), subject.escape_debug(), sentence.escape_debug())?;
    }
    writeln!(stdout, "{}", report.summary())?;
    stdout.flush()?;
    Ok(())
}
