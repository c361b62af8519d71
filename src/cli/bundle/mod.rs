//! `tender bundle`: packages and groups are carried to another installation in one signed file.

mod exporting;
mod importing;
mod keys;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::installation::{Need, Place, with_installation};
use super::remote::Remote;
use crate::domain::GroupId;
use crate::domain::bundle::{SignerKey, SignerName};

/// Arguments of `tender bundle`.
#[derive(Args)]
pub struct BundleArguments {
    #[command(subcommand)]
    command: BundleCommand,
}

#[derive(Subcommand)]
enum BundleCommand {
    /// Write groups, their policies and their packages into a signed file, also while the server runs
    Export(ExportArguments),
    /// Take in what is in such a file: with --server while the server runs there, else while none does
    Import(ImportArguments),
    /// Make or show the key that bundles are signed with here
    #[command(subcommand)]
    Key(KeyCommand),
    /// Say whose bundles are taken here
    #[command(subcommand)]
    Trust(TrustCommand),
}

#[derive(Args)]
struct ExportArguments {
    /// A group, by its identifier; may be given several times
    #[arg(long = "group", value_name = "GROUP", required = true)]
    groups: Vec<GroupId>,
    /// Where to write the bundle; what is there is replaced
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct ImportArguments {
    /// The bundle
    file: PathBuf,
    /// Read all of it and say what would be changed, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    place: Place,
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Make the key, and print what others know it by
    Generate(Place),
    /// Print what others know the key by
    Show(Place),
}

#[derive(Subcommand)]
enum TrustCommand {
    /// Take bundles that are signed with this key
    Add(AddArguments),
    /// List whose bundles are taken
    List(Place),
    /// Do not take somebody's bundles any more
    Remove(RemoveArguments),
}

#[derive(Args)]
struct AddArguments {
    /// The key, as `tender bundle key show` prints it where the bundles are made
    key: SignerKey,
    /// Whose key it is
    #[arg(long)]
    name: SignerName,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct RemoveArguments {
    /// The name or the key
    signer: String,
    #[command(flatten)]
    place: Place,
}

/// Runs `tender bundle …`.
pub fn run(arguments: BundleArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        BundleCommand::Export(arguments) => exporting::run(arguments),
        BundleCommand::Import(arguments) => importing::run(arguments),
        BundleCommand::Key(KeyCommand::Generate(place)) => keys::generate(place),
        BundleCommand::Key(KeyCommand::Show(place)) => keys::show(place),
        BundleCommand::Trust(TrustCommand::Add(AddArguments { key, name, place })) => {
            with_installation(place, Need::Made, |installation| keys::trust(installation, key, name))
        }
        BundleCommand::Trust(TrustCommand::List(place)) => with_installation(place, Need::There, keys::list),
        BundleCommand::Trust(TrustCommand::Remove(RemoveArguments { signer, place })) => {
            with_installation(place, Need::There, |installation| keys::distrust(installation, signer))
        }
    }
}
