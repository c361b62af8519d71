//! `tender bundle import`: by a server that runs, or into the data folder of one that does not. Either way the whole bundle is
//! read here first, so that what is wrong with it is known before anything is sent or stored.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::poll_fn;
use serde_json::Value;
use tokio::sync::mpsc;

use super::ImportArguments;
use crate::cli::deed::deed;
use crate::cli::installation::Place;
use crate::cli::remote::{Remote, Server};
use crate::clock::Clock;
use crate::domain::{Action, ByteSize, StorageLimits};
use crate::http::BundleReply;
use crate::installation::Installation;
use crate::store::InstanceLock;
use crate::usecase::bundle::{BundleReader, Importer, SourceError};
use crate::usecase::room::Room;

/// How much of the file is read at once, and how many pieces wait.
const PIECE_BYTES: usize = 256 * 1024;
const WAITING_PIECES: usize = 2;

/// Takes the bundle in, and prints what that changed, or would change.
pub(super) fn run(arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    let ImportArguments { file, dry_run, json, remote, place } = arguments;
    // Threads that may block read the file and hash, while this one does the rest.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        let bundle = Bundle::open(file)?;
        let destination = Destination::open(remote, place).await?;
        let result = bundle.import(&destination, dry_run).await;
        destination.close().await;
        result
    })?;
    print(&report, json)?;
    if report["changes_nothing"] == true {
        eprintln!("tender: everything in the bundle is there already");
    } else if dry_run {
        eprintln!("tender: this is what would be changed; nothing was");
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a bundle goes.
enum Destination {
    /// A server that runs takes it in.
    Server(Server),
    /// No server runs: this program does.
    DataFolder { installation: Box<Installation>, importer: Importer, _locks: Vec<InstanceLock> },
}

impl Destination {
    async fn open(remote: Remote, place: Place) -> anyhow::Result<Self> {
        if let Some(server) = remote.server()? {
            return Ok(Self::Server(server));
        }
        let config = place.storage_config()?;
        let folder = Installation::existing_folder(&config)?;
        let Some(locks) = folder.lock_instance()? else {
            bail!(
                "a server works with the data folder {}: give its address with --server, and a token in TENDER_TOKEN",
                folder.root().display()
            );
        };
        let installation = Installation::open_existing(&config, Clock::system())?;
        let mut locks = Vec::from(locks);
        locks.push(installation.claim_packages().await?);
        let (store, packages) = (installation.store.clone(), installation.packages.clone());
        let room = Room::new(store.clone(), packages.clone(), StorageLimits::default());
        let importer = Importer::new(store, packages, room);
        Ok(Self::DataFolder { installation: Box::new(installation), importer, _locks: locks })
    }

    async fn close(&self) {
        if let Self::DataFolder { installation, .. } = self {
            installation.store.close().await;
        }
    }
}

/// The file of a bundle.
struct Bundle {
    path: PathBuf,
}

impl Bundle {
    fn open(path: PathBuf) -> anyhow::Result<Self> {
        open(&path)?;
        Ok(Self { path })
    }

    /// What its import changed, or would change.
    async fn import(&self, destination: &Destination, dry_run: bool) -> anyhow::Result<Value> {
        let reader = BundleReader::open(self.pieces()?).await?;
        let plan = match destination {
            Destination::Server(server) => {
                server.post("/api/tender/v1/bundles/plan", self.beginning(reader.position())?).await?
            }
            Destination::DataFolder { importer, .. } => {
                serde_json::to_value(BundleReply::from(&importer.plan(self.pieces()?).await?))?
            }
        };
        // Its signer is trusted there.
        let manifest = reader.manifest()?;
        reader.verify(&manifest).await?;
        if dry_run {
            return Ok(plan);
        }
        match destination {
            Destination::Server(server) => server.post_pieces("/api/tender/v1/bundles", self.pieces()?).await,
            Destination::DataFolder { importer, .. } => {
                let report = importer.import(self.pieces()?, deed(Action::ImportBundle)).await?;
                Ok(serde_json::to_value(BundleReply::from(&report))?)
            }
        }
    }

    /// The first bytes.
    fn beginning(&self, length: u64) -> anyhow::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        open(&self.path)?.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// All of it, piece by piece.
    fn pieces(&self) -> anyhow::Result<impl Stream<Item = Result<Bytes, SourceError>> + Unpin + Send + use<>> {
        let mut file = open(&self.path)?;
        let (sender, mut pieces) = mpsc::channel(WAITING_PIECES);
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || {
            loop {
                let mut piece = Vec::with_capacity(PIECE_BYTES);
                let read = (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
                let (piece, is_last) = match read {
                    Ok(0) => return,
                    Ok(_) => (Ok(Bytes::from(piece)), false),
                    Err(error) => (Err(SourceError(format!("cannot read {}: {error}", path.display()))), true),
                };
                // Whoever does not want more is gone.
                if sender.blocking_send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(poll_fn(move |context| pieces.poll_recv(context)))
    }
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", path.display()))
}

/// One line for each package and group.
fn print(report: &Value, json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    if json {
        writeln!(stdout, "{report}")?;
        return Ok(());
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().escape_debug().to_string();
    let id = |value: &Value| value.as_i64().map_or_else(|| "-".to_owned(), |id| id.to_string());
    let (bundle, created) = (text(&report["bundle"]), text(&report["created"]));
    writeln!(stdout, "bundle {bundle} of {created}, signed by \"{}\"", text(&report["signer"]))?;
    for package in report["packages"].as_array().into_iter().flatten() {
        let what = if package["is_new"] == true { "new" } else { "there" };
        let (version, device_type) = (text(&package["version"]), text(&package["device_type"]));
        let size = ByteSize::from_bytes(package["length_bytes"].as_u64().unwrap_or_default());
        writeln!(stdout, "{what:8} package {} {version} for {device_type}, {size}", id(&package["package"]))?;
    }
    for group in report["groups"].as_array().into_iter().flatten() {
        let changes: Vec<_> = group["changes"].as_array().into_iter().flatten().map(text).collect();
        let what = match (group["is_new"] == true, changes.is_empty()) {
            (true, _) => "new",
            (false, true) => "there",
            (false, false) => "changed",
        };
        let of = if changes.is_empty() { String::new() } else { format!(": {}", changes.join(", ")) };
        writeln!(stdout, "{what:8} group {}{of}", id(&group["group"]))?;
    }
    Ok(())
}
