//! `tender check`: whether the database is sound and each package has its file, also while the server runs.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::counted;
use super::installation::{Place, existing_folder};
use crate::domain::PackageId;
use crate::store::PackageFolder;
use crate::usecase::check_store::{Depth, Finding, Report, check_store};

/// Arguments of `tender check`.
#[derive(Args)]
pub struct CheckArguments {
    /// Read all package files and compare their SHA-256, not only their length
    #[arg(long)]
    deep: bool,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What `--json` prints.
#[derive(Serialize)]
struct ReportReply<'a> {
    ok: bool,
    packages: u64,
    bytes: u64,
    findings: Vec<FindingReply<'a>>,
}

#[derive(Serialize)]
struct FindingReply<'a> {
    kind: &'static str,
    package: Option<PackageId>,
    path: String,
    detail: &'a str,
}

impl<'a> From<&'a Finding> for FindingReply<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            kind: finding.kind.name(),
            package: finding.package,
            path: finding.path.display().to_string(),
            detail: &finding.detail,
        }
    }
}

/// Checks, and prints what was found. Exit code 1 says that something is wrong.
pub fn run(arguments: CheckArguments) -> anyhow::Result<ExitCode> {
    let folder = existing_folder(arguments.place)?;
    let depth = if arguments.deep { Depth::Hash } else { Depth::Length };
    let report = check_store(folder.database(), &PackageFolder::at(folder.packages()), depth)?;
    match arguments.json {
        true => print_json(&report)?,
        false => print_lines(&report)?,
    }
    Ok(if report.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_json(report: &Report) -> anyhow::Result<()> {
    let reply = ReportReply {
        ok: report.is_ok(),
        packages: report.packages,
        bytes: report.bytes,
        findings: report.findings.iter().map(FindingReply::from).collect(),
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&reply)?)?;
    Ok(())
}

fn print_lines(report: &Report) -> anyhow::Result<()> {
    let mut stdout = BufWriter::new(io::stdout());
    for Finding { kind, package, path, detail } in &report.findings {
        let package = package.map_or_else(String::new, |package| format!("package {package}: "));
        // A file may be called anything, and its line is to stay one.
        let path = path.display().to_string();
        writeln!(stdout, "{}: {package}{}: {detail}", kind.name(), path.escape_debug())?;
    }
    stdout.flush()?;
    let faults = report.findings.iter().filter(|finding| finding.kind.is_fault()).count();
    let Report { packages, bytes, .. } = report;
    let verdict = match faults {
        0 => "nothing is wrong".to_owned(),
        1 => "one thing is wrong".to_owned(),
        _ => format!("{faults} things are wrong"),
    };
    eprintln!("tender: {}, {bytes} bytes: {verdict}", counted(*packages, "package"));
    Ok(())
}
