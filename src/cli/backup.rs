//! `tender backup`: everything in one file, also while the server runs.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::counted;
use super::installation::{Place, existing};
use super::passphrase::PassphraseOption;
use crate::clock::Clock;
use crate::domain::ByteSize;
use crate::usecase::back_up::{BackupOrder, BackupReport};

/// Arguments of `tender backup`.
#[derive(Args)]
pub struct BackupArguments {
    /// Where to write the backup; "-" is standard output
    file: PathBuf,
    /// Leave the package files out: they are uploaded again after a restore
    #[arg(long)]
    without_packages: bool,
    /// Encrypt the backup with a passphrase; also so if one is given by the file or the variable
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    passphrase: PassphraseOption,
    #[command(flatten)]
    place: Place,
}

/// Makes a backup. Packages that are damaged are named, and stop nothing.
pub fn run(arguments: BackupArguments) -> anyhow::Result<ExitCode> {
    let BackupArguments { file, without_packages, encrypt, passphrase, place } = arguments;
    let (folder, secret) = existing(place)?;
    let is_stdout = file == Path::new("-");
    if is_stdout && io::stdout().is_terminal() {
        bail!("a backup is nothing for a terminal: send it to a file or another program");
    }
    let passphrase = if encrypt { Some(passphrase.given_or_asked(true)?) } else { passphrase.given()? };
    let order = BackupOrder {
        folder: &folder,
        secret: secret.as_ref(),
        with_packages: !without_packages,
        passphrase: passphrase.as_ref(),
        created: Clock::system().now(),
        program: env!("CARGO_PKG_VERSION"),
        goes_on: &|| true,
    };
    let report =
        if is_stdout { order.write(io::stdout().lock(), folder.root())?.1 } else { order.write_file(&file)? };
    report_on(&report, is_stdout);
    Ok(ExitCode::SUCCESS)
}

fn report_on(BackupReport { packages, damaged, bytes }: &BackupReport, is_stdout: bool) {
    for package in damaged {
        eprintln!("tender: package {} is not in the backup as it was uploaded: {}", package.package, package.detail);
    }
    let packages = counted(*packages, "package");
    match is_stdout {
        true => eprintln!("tender: the backup has {packages}"),
        false => eprintln!("tender: the backup has {packages}, {}", ByteSize::from_bytes(*bytes)),
    }
}
