//! `tender ca`: the certificate authority of the server, also while that runs: it takes up what changes within seconds.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use humantime::{format_duration, parse_duration};

use super::deed::deed;
use super::installation::{Need, Place, existing_folder, with_installation};
use crate::certificates::{self, CertificateError};
use crate::domain::Action;
use crate::installation::Installation;
use crate::store::{DataFolder, audit};

/// Arguments of `tender ca`.
#[derive(Args)]
pub struct CaArguments {
    #[command(subcommand)]
    command: CaCommand,
}

#[derive(Subcommand)]
enum CaCommand {
    /// Show what devices are to trust, and the names that the server's certificate is for
    Show(Place),
    /// Print what devices need to trust this server, as PEM: during a rotation the new authority and the old
    Export(ExportArguments),
    /// Put a new authority in the place of the present one
    ///
    /// Devices that know only the old authority are served until the overlap is over, as are those that know only the new one:
    /// export it, and bring it to all devices in this time.
    Rotate(RotateArguments),
}

#[derive(Args)]
struct ExportArguments {
    /// Write to this file instead
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct RotateArguments {
    /// How long the old authority stays trusted; "0s" when its key is in wrong hands
    #[arg(long, value_name = "DURATION", default_value = "90days", value_parser = parse_duration)]
    overlap: Duration,
    #[command(flatten)]
    place: Place,
}

/// Runs `tender ca …`.
pub fn run(arguments: CaArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        CaCommand::Show(place) => show(&existing_folder(place)?)?,
        CaCommand::Export(ExportArguments { output, place }) => export(&existing_folder(place)?, output.as_deref())?,
        CaCommand::Rotate(RotateArguments { overlap, place }) => {
            let folder = existing_folder(place.clone())?;
            return with_installation(place, Need::There, |installation| rotate(installation, folder, overlap));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(folder: &DataFolder) -> anyhow::Result<()> {
    let authority = certificates::stored(folder)?.ok_or(CertificateError::NoAuthority)?;
    let mut stdout = io::stdout().lock();
    for (certificate, trusted_until) in authority.trusted() {
        let role = if trusted_until.is_some() { "before" } else { "authority" };
        writeln!(stdout, "{role:12}{}", certificate.subject)?;
        writeln!(stdout, "{:12}valid until {}", "", certificate.not_after().rfc3339())?;
        if let Some(until) = trusted_until {
            writeln!(stdout, "{:12}trusted until {}", "", until.rfc3339())?;
        }
        writeln!(stdout, "{:12}SHA-256 {}", "", certificate.fingerprint())?;
    }
    writeln!(stdout, "{:12}valid until {}", "server", authority.server_not_after().rfc3339())?;
    for name in authority.names() {
        writeln!(stdout, "{:12}{name}", "")?;
    }
    Ok(())
}

fn export(folder: &DataFolder, output: Option<&Path>) -> anyhow::Result<()> {
    let authority = certificates::stored(folder)?.ok_or(CertificateError::NoAuthority)?;
    let pem = authority.trusted_pem();
    match output {
        Some(path) => fs::write(path, pem).with_context(|| format!("cannot write {}", path.display())),
        None => Ok(io::stdout().lock().write_all(pem.as_bytes())?),
    }
}

async fn rotate(installation: Installation, folder: DataFolder, overlap: Duration) -> anyhow::Result<()> {
    let now = installation.store.clock().now();
    let rotating = installation.store.write(move |tx| {
        let rotated = certificates::rotate(&folder, now, overlap)?;
        if let Ok(subject) = &rotated {
            audit::append(tx, &deed(Action::RotateAuthority).done(format!("authority/{subject}")))?;
        }
        Ok::<_, CertificateError>(rotated)
    });
    match rotating.await? {
        Err(refusal) => bail!("{refusal}"),
        Ok(subject) if overlap.is_zero() => {
            eprintln!(
                "tender: {subject} signs now; devices that do not know it are locked out: see `tender ca export`"
            );
        }
        Ok(subject) => eprintln!(
            "tender: {subject} signs now; devices that know only the one before it are served for {}: see `tender ca export`",
            format_duration(overlap)
        ),
    }
    Ok(())
}
