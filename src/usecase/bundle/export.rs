//! A bundle is made, also while the server runs: what it holds was the same moment's.

use std::collections::BTreeSet;
use std::io::{self, Write};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::auth::bundle_signature::BundleSigner;
use crate::domain::bundle::{
    BundledGroup, BundledPackage, END, MANIFEST, MANIFEST_LIMIT_BYTES, Manifest, SIGNATURE, SIGNATURE_BYTES,
    entry_header, package_entry, padding_bytes,
};
use crate::domain::{Deed, GroupId, Package, PackageId, Sha256Digest};
use crate::store::{Opening, PackageFolder, Store, StoreError, audit, bundles, groups, packages};

/// How much of a file is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Why no bundle was made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such group.
    #[error("there is no group {0}")]
    NoSuchGroup(GroupId),
    /// A package is not what was uploaded.
    #[error("package {0} cannot be exported, {1}: restore its file, or take it from the group")]
    Damaged(PackageId, String),
    /// Too much is in it.
    #[error("the bundle would hold too much: export fewer groups")]
    TooLarge,
    /// It cannot be written.
    #[error("writing the bundle: {0}")]
    Writing(#[from] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A bundle that was made.
#[derive(Debug)]
pub struct Exported {
    /// What is in it.
    pub manifest: Manifest,
    /// How many bytes it has.
    pub length_bytes: u64,
}

/// Writes a bundle of these groups with their packages, and notes it in the audit log.
pub async fn export(
    store: &Store,
    folder: &PackageFolder,
    signer: BundleSigner,
    wanted: &BTreeSet<GroupId>,
    deed: Deed,
    mut target: impl Write + Send + 'static,
) -> Result<Exported, ExportError> {
    let (manifest, packages) = gather(store, wanted.clone()).await?;
    let folder = folder.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let length_bytes = write(&mut target, &folder, &signer, &manifest, &packages)?;
        Ok::<_, ExportError>(Exported { manifest, length_bytes })
    });
    let exported = writing.await.map_err(|_| StoreError::Abandoned)??;
    let groups: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    let detail = format!("groups {}, {} packages", groups.join(", "), exported.manifest.packages.len());
    let entry = deed.done(format!("bundle/{}", exported.manifest.id)).with(detail);
    store.write(move |tx| audit::append(tx, &entry)).await?;
    Ok(exported)
}

/// What a bundle of these groups holds.
async fn gather(store: &Store, wanted: BTreeSet<GroupId>) -> Result<(Manifest, Vec<Package>), ExportError> {
    let named = wanted.clone();
    // Only groups that were never in a bundle get something written.
    let identities = store.write(move |tx| {
        for id in &named {
            if !groups::is_there(tx, *id)? {
                return Err(ExportError::NoSuchGroup(*id));
            }
        }
        named.into_iter().map(|id| Ok((id, bundles::identity(tx, id)?))).collect::<Result<Vec<_>, ExportError>>()
    });
    let identities = identities.await?;
    let created = store.clock().now();
    store
        .read(move |connection| {
            let mut manifest = Manifest { id: Uuid::new_v4(), created, packages: Vec::new(), groups: Vec::new() };
            let mut found: Vec<Package> = Vec::new();
            for (id, identity) in identities {
                let group = groups::find(connection, id)?.ok_or(ExportError::NoSuchGroup(id))?;
                let mut places = Vec::new();
                for checked in packages::list_of_group(connection, id)? {
                    let package = checked.package;
                    if let Some(damage) = checked.damage {
                        return Err(ExportError::Damaged(package.id, damage.detail));
                    }
                    let place = found.iter().position(|other| other.id == package.id).unwrap_or(found.len());
                    places.push(place);
                    if place == found.len() {
                        manifest.packages.push(BundledPackage {
                            sha256: package.sha256,
                            length_bytes: package.length_bytes,
                            description: package.description.clone(),
                        });
                        found.push(package);
                    }
                }
                let (metadata, policy) = (group.metadata, group.policy);
                manifest.groups.push(BundledGroup { identity, metadata, policy, packages: places });
            }
            Ok((manifest, found))
        })
        .await
}

/// Writes all of it; how many bytes that are. Blocks.
fn write(
    target: &mut impl Write,
    folder: &PackageFolder,
    signer: &BundleSigner,
    manifest: &Manifest,
    packages: &[Package],
) -> Result<u64, ExportError> {
    let json = manifest.to_json().map_err(io::Error::from)?;
    if json.len() as u64 > MANIFEST_LIMIT_BYTES {
        return Err(ExportError::TooLarge);
    }
    let mut tape = Tape { target, length_bytes: 0 };
    tape.entry(MANIFEST, &json)?;
    let mut signed = Vec::with_capacity(SIGNATURE_BYTES);
    signed.extend_from_slice(&signer.public().0);
    signed.extend_from_slice(&signer.sign(&json));
    tape.entry(SIGNATURE, &signed)?;
    for (place, package) in packages.iter().enumerate() {
        tape.write(&entry_header(&package_entry(place, package.sha256), package.length_bytes))?;
        copy(&mut tape, folder, package)?;
        tape.pad(package.length_bytes)?;
    }
    tape.write(&END)?;
    tape.target.flush()?;
    Ok(tape.length_bytes)
}

/// Copies a package's file, which must be what was uploaded.
fn copy(tape: &mut Tape<'_, impl Write>, folder: &PackageFolder, package: &Package) -> Result<(), ExportError> {
    let damaged = |reason: String| ExportError::Damaged(package.id, reason);
    let file = match folder.open_package(package)? {
        Opening::Ready(file) => file,
        Opening::Judged(verdict) => {
            let reason = verdict.damage.map_or_else(|| "its file is not there".to_owned(), |damage| damage.to_string());
            return Err(damaged(reason));
        }
    };
    let (mut hash, mut piece, mut offset) = (Sha256::new(), vec![0; PIECE_BYTES], 0);
    while offset < package.length_bytes {
        let length = PIECE_BYTES.min(usize::try_from(package.length_bytes - offset).unwrap_or(PIECE_BYTES));
        let piece = &mut piece[..length];
        file.read_at(piece, offset).map_err(|error| damaged(format!("its file cannot be read: {error}")))?;
        hash.update(&*piece);
        tape.write(piece)?;
        offset += length as u64;
    }
    let found = Sha256Digest(hash.finalize().into());
    if found != package.sha256 {
        return Err(damaged(format!("its file has the SHA-256 {found}")));
    }
    Ok(())
}

/// The bundle as it is written.
struct Tape<'a, W> {
    target: &'a mut W,
    length_bytes: u64,
}

impl<W: Write> Tape<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length_bytes += bytes.len() as u64;
        self.target.write_all(bytes)
    }

    fn pad(&mut self, length_bytes: u64) -> io::Result<()> {
        self.write(&END[..padding_bytes(length_bytes)])
    }

    fn entry(&mut self, name: &str, contents: &[u8]) -> io::Result<()> {
        let length_bytes = contents.len() as u64;
        self.write(&entry_header(name, length_bytes))?;
        self.write(contents)?;
        self.pad(length_bytes)
    }
}
