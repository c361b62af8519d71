//! `tender restore`: an installation is made of a backup, or a backup is only verified.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::counted;
use super::installation::{Place, places};
use super::passphrase::PassphraseOption;
use crate::usecase::restore::{RestoreReport, open_backup, restore, verify};

/// Arguments of `tender restore`.
#[derive(Args)]
pub struct RestoreArguments {
    /// The backup; "-" is standard input
    file: PathBuf,
    /// Only verify the backup: nothing is restored
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    passphrase: PassphraseOption,
    #[command(flatten)]
    place: Place,
}

/// Restores or verifies.
pub fn run(arguments: RestoreArguments) -> anyhow::Result<ExitCode> {
    let RestoreArguments { file, verify: is_trial, passphrase, place } = arguments;
    let (folder, given) = places(place)?;
    let input: Box<dyn Read> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(&file).with_context(|| format!("cannot open {}", file.display()))?)
    };
    let archive = open_backup(input, || passphrase.given_or_asked(false))?;
    if is_trial {
        let report = verify(archive, &env::temp_dir())?;
        eprintln!("tender: the backup is whole{}", summary(&report));
        return Ok(ExitCode::SUCCESS);
    }
    let report = restore(archive, &folder)?;
    eprintln!("tender: restored into {}{}", folder.root().display(), summary(&report));
    if given.is_some_and(|given| folder.read_secret().ok().flatten().as_deref() != Some(given.reveal())) {
        eprintln!("tender: the secret that is given here is another one than in the backup: with it no token is good");
    }
    Ok(ExitCode::SUCCESS)
}

/// What came out, as the end of a sentence, and further lines.
fn summary(RestoreReport { header, whole, missing }: &RestoreReport) -> String {
    let mut text = format!(": as of {}, by tender {}, {}", header.created, header.program, counted(*whole, "package"));
    if !header.has_packages && !missing.is_empty() {
        text += &format!(
            "\ntender: the backup was made without package files: {} packages are missing until they are uploaded again",
            missing.len()
        );
    } else if !missing.is_empty() {
        let ids: Vec<_> = missing.iter().map(ToString::to_string).collect();
        text += &format!(
            "\ntender: the files of these packages were damaged when the backup was made, and are missing until they are \
             uploaded again: {}",
            ids.join(", ")
        );
    }
    text
}
