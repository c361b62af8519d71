//! `tender rollback`: the database from before the last upgrade is put back, for the older program.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use humantime::format_rfc3339_seconds;

use super::installation::{Place, existing};
use crate::store::{PackageFolder, Rollback};
use crate::usecase::roll_back::{Preview, preview};

/// Arguments of `tender rollback`.
#[derive(Args)]
pub struct RollbackArguments {
    /// Do not ask whether what is lost may be lost
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

/// Says what is lost, asks, and rolls back.
pub fn run(arguments: RollbackArguments) -> anyhow::Result<ExitCode> {
    let RollbackArguments { yes, place } = arguments;
    let (folder, _) = existing(place)?;
    let rollback = Rollback::begin(&folder)?;
    let taken = format_rfc3339_seconds(rollback.snapshot.taken()?);
    eprintln!(
        "tender: the database goes back to how it was before the upgrade at {taken}, version {} of its schema.",
        rollback.snapshot.schema
    );
    eprintln!("tender: everything that was done since is lost.");
    say(&preview(&rollback, &PackageFolder::at(folder.packages()))?);
    if !yes && !is_confirmed()? {
        bail!("nothing was changed");
    }
    let replaced = rollback.commit()?;
    eprintln!(
        "tender: done. Start the tender from before the upgrade now. What was replaced is kept as {}",
        replaced.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn say(Preview { differences, missing }: &Preview) {
    for difference in differences {
        let (lost, revived, kind) = (difference.lost, difference.revived, difference.kind);
        if lost > 0 {
            let files = if kind == "packages" { ", and their files are deleted at the next start" } else { "" };
            eprintln!("tender: {kind} that are lost: {lost}{files}");
        }
        if revived > 0 {
            eprintln!("tender: {kind} that were deleted since and come back: {revived}");
        }
    }
    if !missing.is_empty() {
        let ids: Vec<_> = missing.iter().map(ToString::to_string).collect();
        eprintln!("tender: packages whose files are gone, missing until they are uploaded again: {}", ids.join(", "));
    }
}

fn is_confirmed() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("no terminal to ask on: give --yes if all of this may be lost");
    }
    eprint!("Go on? [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
