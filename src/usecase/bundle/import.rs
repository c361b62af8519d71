//! A bundle is taken in: everything of it in one transaction, after all of it was read and found to be what was signed.

use bytes::Bytes;
use futures_util::Stream;
use uuid::Uuid;

use super::intake::Intake;
use super::reader::{BundleError, BundleReader, SourceError};
use crate::domain::bundle::{BundledGroup, Manifest, SignerKey};
use crate::domain::{Deed, Event, GroupChange, GroupId, PackageId, Timestamp, keys};
use crate::store::bundles::{self, Arrival};
use crate::store::{PackageFolder, Store, StoreError, WriteTx, audit, events};
use crate::usecase::publish_package::{Examined, Placed};
use crate::usecase::room::{Promise, Refusal, Room};

/// Why a bundle is not taken in; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is none, or not a whole one.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Nobody trusts whoever signed it.
    #[error(
        "the bundle is signed with the key {0}, which is not trusted here: compare it with what `tender bundle key show` prints \
         where the bundle was made, and then run `tender bundle trust add {0} --name NAME`"
    )]
    UnknownSigner(SignerKey),
    /// There is no room.
    #[error("{0}")]
    Room(Refusal),
    /// A package is signed, and cannot be one.
    #[error("package {place} of the bundle cannot be stored: {reason}")]
    Unfit {
        /// Its place in the manifest, counted from 1.
        place: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Something was changed meanwhile.
    #[error("a package of the bundle was deleted while the bundle was imported: import it again")]
    Meanwhile,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What becomes, or became, of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The bundle.
    pub bundle: Uuid,
    /// When it was made.
    pub created: Timestamp,
    /// Who signed it, by the name that they have here.
    pub signer: String,
    /// Its packages.
    pub packages: Vec<PackageReport>,
    /// Its groups.
    pub groups: Vec<GroupReport>,
}

/// What becomes of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageReport {
    /// The package here; `None`: it is not there yet.
    pub package: Option<PackageId>,
    /// It was not there before.
    pub is_new: bool,
    /// The version that it brings.
    pub version: String,
    /// What it is for.
    pub device_type: String,
    /// How many bytes it has.
    pub length_bytes: u64,
}

/// What becomes of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// The group here; `None`: it is not there yet.
    pub group: Option<GroupId>,
    /// It was not there before.
    pub is_new: bool,
    /// What of it is not, or was not, as in the bundle.
    pub changes: Vec<GroupChange>,
}

impl Report {
    /// Whether everything was there before.
    pub fn changes_nothing(&self) -> bool {
        self.packages.iter().all(|package| !package.is_new)
            && self.groups.iter().all(|group| !group.is_new && group.changes.is_empty())
    }

    /// For the audit log.
    fn summary(&self) -> String {
        let names = |ids: Vec<String>| if ids.is_empty() { "none".to_owned() } else { ids.join(", ") };
        let packages = self.packages.iter().filter(|package| package.is_new);
        let groups = self.groups.iter().filter(|group| group.is_new || !group.changes.is_empty());
        format!(
            "signed by {}; new packages: {}; new or changed groups: {}",
            self.signer,
            names(packages.filter_map(|package| Some(package.package?.to_string())).collect()),
            names(groups.filter_map(|group| Some(group.group?.to_string())).collect()),
        )
    }
}

/// Takes bundles in.
#[derive(Clone)]
pub struct Importer {
    store: Store,
    folder: PackageFolder,
    room: Room,
}

impl Importer {
    /// Into this installation.
    pub fn new(store: Store, folder: PackageFolder, room: Room) -> Self {
        Self { store, folder, room }
    }

    /// What would become of a bundle, of which only the manifest and the signature are read.
    pub async fn plan<S>(&self, source: S) -> Result<Report, ImportError>
    where
        S: Stream<Item = Result<Bytes, SourceError>> + Unpin,
    {
        let (_, manifest, signer) = self.open(source).await?;
        let (report, _) = self.admit(&manifest, signer).await?;
        Ok(report)
    }

    /// Takes a bundle in. What is there already is left as it is; then nothing is written.
    pub async fn import<S>(&self, source: S, deed: Deed) -> Result<Report, ImportError>
    where
        S: Stream<Item = Result<Bytes, SourceError>> + Unpin,
    {
        let (mut reader, manifest, signer) = self.open(source).await?;
        let (report, mut promise) = self.admit(&manifest, signer).await?;
        let mut staged = Vec::with_capacity(manifest.packages.len());
        for (place, (package, known)) in manifest.packages.iter().zip(&report.packages).enumerate() {
            let intake = if known.is_new { Intake::storing(&self.folder) } else { Intake::hashing() };
            let file = reader.read_package(place, package, intake).await?;
            if file.is_some() {
                promise.arrived(package.length_bytes);
                self.room.check().await?.map_err(ImportError::Room)?;
            }
            staged.push(file);
        }
        reader.finish().await?;
        if report.changes_nothing() {
            return Ok(report);
        }

        let mut placed = Vec::with_capacity(staged.len());
        for (place, (file, package)) in staged.into_iter().zip(&manifest.packages).enumerate() {
            let Some(file) = file else {
                placed.push(None);
                continue;
            };
            let examined = Examined::examine(file, Some(package.sha256), &mut None).await?;
            let examined =
                examined.map_err(|unfit| ImportError::Unfit { place: place + 1, reason: unfit.to_string() })?;
            placed.push(Some(Placed::place(&self.store, examined, package.description.clone()).await?));
        }
        let writing = self.store.write(move |tx| {
            let report = apply(tx, &manifest, placed, report)?;
            if !report.changes_nothing() {
                audit::append(tx, &deed.done(format!("bundle/{}", report.bundle)).with(report.summary()))?;
            }
            Ok::<_, ImportError>(report)
        });
        writing.await
    }

    /// Reads a bundle up to its packages, if its signer is trusted; the signer's name comes with it.
    async fn open<S>(&self, source: S) -> Result<(BundleReader<S>, Manifest, String), ImportError>
    where
        S: Stream<Item = Result<Bytes, SourceError>> + Unpin,
    {
        let reader = BundleReader::open(source).await?;
        let signers = self.store.read(bundles::signers).await?;
        let signer = signers.into_iter().find(|signer| signer.key == reader.signer);
        let signer = signer.ok_or(ImportError::UnknownSigner(reader.signer))?;
        let manifest = reader.manifest()?;
        Ok((reader, manifest, signer.name))
    }

    /// Compares a bundle with what is there, and sees that there is room for what is not.
    async fn admit(&self, manifest: &Manifest, signer: String) -> Result<(Report, Promise), ImportError> {
        let (wanted, bundle, created) = (manifest.clone(), manifest.id, manifest.created);
        let compared = self.store.read(move |connection| {
            let mut packages = Vec::with_capacity(wanted.packages.len());
            for package in &wanted.packages {
                let known = bundles::find_package(connection, package)?;
                let text = |key| package.description.metadata().text(key).unwrap_or_default().to_owned();
                packages.push(PackageReport {
                    package: known,
                    is_new: known.is_none(),
                    version: text(keys::SOFTWARE_VERSION),
                    device_type: text(keys::DEVICE_TYPE),
                    length_bytes: package.length_bytes,
                });
            }
            let mut groups = Vec::with_capacity(wanted.groups.len());
            for group in &wanted.groups {
                // Those that are not there yet change the group whatever their identifiers will be.
                let of_group = of_group(group, |place| packages[place].package.unwrap_or(PackageId(0)));
                let known = bundles::find_group(connection, group.identity)?;
                let changes =
                    known.as_ref().map(|known| bundles::differences(known, group, &of_group)).unwrap_or_default();
                groups.push(GroupReport { group: known.map(|known| known.id), is_new: false, changes });
            }
            groups.iter_mut().for_each(|group| group.is_new = group.group.is_none());
            Ok::<_, StoreError>((packages, groups))
        });
        let (packages, groups) = compared.await?;
        let new = || packages.iter().filter(|package| package.is_new);
        for package in new() {
            self.room.check_length(package.length_bytes).map_err(ImportError::Room)?;
        }
        // Of all together: each may be as long as a package may be.
        let missing: u64 = new().map(|package| package.length_bytes).sum();
        let promise = self.room.admit_many(missing).await?.map_err(ImportError::Room)?;
        Ok((Report { bundle, created, signer, packages, groups }, promise))
    }
}

/// The packages of a group, each once.
fn of_group(group: &BundledGroup, id: impl Fn(usize) -> PackageId) -> Vec<PackageId> {
    let mut packages = Vec::with_capacity(group.packages.len());
    for package in group.packages.iter().map(|place| id(*place)) {
        if package == PackageId(0) || !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

/// Writes what is not there.
fn apply(
    tx: &WriteTx<'_>,
    manifest: &Manifest,
    placed: Vec<Option<Placed>>,
    planned: Report,
) -> Result<Report, ImportError> {
    let mut report = planned;
    let mut ids = Vec::with_capacity(manifest.packages.len());
    for ((wanted, placed), told) in manifest.packages.iter().zip(placed).zip(&mut report.packages) {
        // Looked at again: others upload and delete meanwhile, and a bundle may hold the same twice.
        let (id, is_new) = match (bundles::find_package_now(tx, wanted)?, placed) {
            (Some(known), _) => (known, false),
            (None, Some(placed)) => (placed.insert(tx)?.id, true),
            (None, None) => return Err(ImportError::Meanwhile),
        };
        (told.package, told.is_new) = (Some(id), is_new);
        ids.push(id);
    }
    for (wanted, told) in manifest.groups.iter().zip(&mut report.groups) {
        match bundles::put_group(tx, wanted, &of_group(wanted, |place| ids[place]))? {
            Arrival::Created(id) => {
                *told = GroupReport { group: Some(id), is_new: true, changes: Vec::new() };
                events::tell(tx, Event::group_created(id))?;
            }
            Arrival::Changed(id, changes) => {
                for change in &changes {
                    events::tell(tx, Event::group_changed(id, *change))?;
                }
                *told = GroupReport { group: Some(id), is_new: false, changes };
            }
        }
    }
    Ok(report)
}
