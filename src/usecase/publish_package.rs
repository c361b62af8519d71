//! An upload becomes a package: received while it is hashed, put on disk, looked at, moved into place, and only then given its
//! row.

use std::fmt;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::chunks::{Chunks, WAITING_CHUNKS};
use super::heal_packages::{Replaced, note_replaced, replace_damaged};
use crate::domain::{Artifact, Deed, Event, Flaw, Package, PackageDescription, Scopes, Sha256Digest};
use crate::store::{
    Contents, PackageFolder, PublishedFile, StagedFile, Store, StoreError, WriteTx, artifacts, audit, events, packages,
};

/// A file that is being received. Dropping it before [`Receiving::finish`] leaves nothing behind.
#[derive(Debug)]
pub struct Receiving {
    gathering: Chunks,
    /// `None` says that all have come.
    chunks: mpsc::Sender<Option<Bytes>>,
    writing: JoinHandle<Result<Option<StagedFile>, StoreError>>,
}

impl Receiving {
    /// Begins to write and hash, on a thread that may block.
    pub fn begin(folder: PackageFolder) -> Self {
        let (chunks, mut arriving) = mpsc::channel(WAITING_CHUNKS);
        let writing = tokio::task::spawn_blocking(move || {
            let mut upload = folder.begin_upload()?;
            while let Some(chunk) = arriving.blocking_recv() {
                match chunk {
                    Some(chunk) => upload.write(chunk)?,
                    None => return upload.finish().map(Some),
                }
            }
            Ok(None)
        });
        Self { gathering: Chunks::default(), chunks, writing }
    }

    /// Adds a piece, waiting for the disk if it is behind. `false`: writing failed, and [`Receiving::finish`] says why.
    pub async fn push(&mut self, mut piece: Bytes) -> bool {
        while let Some(chunk) = self.gathering.add(&mut piece) {
            if self.chunks.send(Some(chunk)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// No more pieces come: puts the file on disk.
    pub async fn finish(mut self) -> Result<StagedFile, StoreError> {
        // A failed send means that writing ended early; its own error tells more.
        if let Some(rest) = self.gathering.rest() {
            let _ = self.chunks.send(Some(rest)).await;
        }
        let _ = self.chunks.send(None).await;
        drop(self.chunks);
        self.writing.await.map_err(|_| StoreError::Abandoned)??.ok_or(StoreError::Abandoned)
    }
}

/// A complete upload that may become a package: it is what its uploader expected, and if it is an artifact, it is whole.
#[derive(Debug)]
pub struct Examined {
    staged: StagedFile,
    contents: Contents,
}

/// Why a file cannot become a package, whatever else is said about it. Nothing of it is worth keeping.
#[derive(Debug)]
pub enum Unfit {
    /// It is not what its uploader expected; it has this hash.
    OtherContents(Sha256Digest),
    /// It is an artifact that is cut off, damaged or contradicts itself.
    Flawed(Flaw),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherContents(found) => write!(f, "the file is not the expected one: its SHA-256 is {found}"),
            Self::Flawed(flaw) => write!(f, "{flaw}: upload a whole one"),
        }
    }
}

impl Examined {
    /// Looks at a complete upload, which must have `expected_sha256` if that is given. What is `known` of its contents is not
    /// read again, and what is not is known afterwards.
    pub async fn examine(
        staged: StagedFile,
        expected_sha256: Option<Sha256Digest>,
        known: &mut Option<Result<Contents, Flaw>>,
    ) -> Result<Result<Self, Unfit>, StoreError> {
        // First, as it costs nothing, and a file that is not the right one is no news about an artifact.
        if expected_sha256.is_some_and(|expected| expected != staged.sha256()) {
            return Ok(Err(Unfit::OtherContents(staged.sha256())));
        }
        let contents = match known {
            Some(contents) => contents.clone(),
            None => known.insert(staged.examine().await?).clone(),
        };
        fail_point!("publish.examined");
        Ok(contents.map(|contents| Self { staged, contents }).map_err(Unfit::Flawed))
    }

    /// The scopes that its upload needs.
    pub fn scopes(&self) -> Scopes {
        self.contents.kinds.scopes()
    }

    /// What it says about itself, if it is an artifact.
    pub fn artifact(&self) -> Option<&Artifact> {
        self.contents.artifact.as_ref()
    }
}

/// A file in its place among the packages, and all that becomes its row. Dropped without that, it goes.
#[derive(Debug)]
pub struct Placed {
    file: PublishedFile,
    description: PackageDescription,
    artifact: Option<Artifact>,
    healed: Vec<Replaced>,
}

impl Placed {
    /// Moves a received file into place. Damaged packages of the same bytes get it, too.
    pub async fn place(store: &Store, examined: Examined, description: PackageDescription) -> Result<Self, StoreError> {
        let Examined { staged, contents: Contents { artifact, .. } } = examined;
        let moving = tokio::task::spawn_blocking(move || {
            let published = staged.publish(description.directory())?;
            Ok::<_, StoreError>((published, description))
        });
        let (published, description) = moving.await.map_err(|_| StoreError::Abandoned)??;
        let (file, healed) = replace_damaged(store, published).await?;
        fail_point!("publish.placed");
        Ok(Self { file, description, artifact, healed })
    }

    /// Makes it a package, and tells others.
    pub fn insert(self, tx: &WriteTx<'_>) -> Result<Package, StoreError> {
        let Self { file, description, artifact, healed } = self;
        note_replaced(tx, file.folder(), &healed)?;
        let package = packages::insert(tx, description, file)?;
        if let Some(artifact) = &artifact {
            artifacts::insert(tx, package.id, artifact)?;
        }
        events::tell(tx, Event::package_uploaded(&package))?;
        Ok(package)
    }
}

/// Makes a package of a received file: moves it into place, then writes its row; `also` is done in the same transaction. Damaged
/// packages of the same bytes are whole again with it. Once this returns, all of it survives power loss; if it fails or is
/// given up, nothing of it is there.
pub async fn publish(
    store: &Store,
    examined: Examined,
    description: PackageDescription,
    deed: Deed,
    also: impl FnOnce(&WriteTx<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<Package, StoreError> {
    let placed = Placed::place(store, examined, description).await?;
    let inserting = store.write(move |tx| {
        let package = placed.insert(tx)?;
        fail_point!("publish.row");
        let detail = format!("{} bytes, SHA-256 {}", package.length_bytes, package.sha256);
        audit::append(tx, &deed.done(format!("package/{}", package.id)).with(detail))?;
        also(tx)?;
        Ok::<_, StoreError>(package)
    });
    inserting.await
}
