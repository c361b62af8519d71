//! An upload becomes a package: received while it is hashed, put on disk, moved into place, and only then given its row.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::heal_packages::{note_replaced, replace_damaged};
use crate::domain::{Deed, Package, Sha256Digest, Submission};
use crate::store::{PackageFolder, StagedFile, Store, StoreError, WriteTx, audit, packages};

/// Pieces that may wait for the disk; what they hold bounds the memory of an upload.
const WAITING_PIECES: usize = 8;

enum Piece {
    Bytes(Bytes),
    End,
}

/// A file that is being received. Dropping it before [`Receiving::finish`] leaves nothing behind.
#[derive(Debug)]
pub struct Receiving {
    pieces: mpsc::Sender<Piece>,
    writing: JoinHandle<Result<Option<StagedFile>, StoreError>>,
}

impl Receiving {
    /// Begins to write and hash, on a thread that may block.
    pub fn begin(folder: PackageFolder) -> Self {
        let (pieces, mut arriving) = mpsc::channel(WAITING_PIECES);
        let writing = tokio::task::spawn_blocking(move || {
            let mut upload = folder.begin_upload()?;
            while let Some(piece) = arriving.blocking_recv() {
                match piece {
                    Piece::Bytes(bytes) => upload.write(&bytes)?,
                    Piece::End => return upload.finish().map(Some),
                }
            }
            Ok(None)
        });
        Self { pieces, writing }
    }

    /// Adds a piece, waiting for the disk if it is behind. `false`: writing failed, and [`Receiving::finish`] says why.
    pub async fn push(&self, bytes: Bytes) -> bool {
        self.pieces.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// No more pieces come: puts the file on disk.
    pub async fn finish(self) -> Result<StagedFile, StoreError> {
        // A failed send means that writing ended early; its own error tells more.
        let _ = self.pieces.send(Piece::End).await;
        drop(self.pieces);
        self.writing.await.map_err(|_| StoreError::Abandoned)??.ok_or(StoreError::Abandoned)
    }
}

/// What came of publishing.
#[derive(Debug)]
pub enum Publication {
    /// It is a package now.
    Published(Package),
    /// The file is not what its uploader expected; it has this hash. Nothing of it is kept.
    OtherContents(Sha256Digest),
}

/// Makes a package of a received file: moves it into place, then writes its row; `also` is done in the same transaction. Damaged
/// packages of the same bytes are whole again with it. Once this returns, all of it survives power loss; if it fails or is
/// given up, nothing of it is there.
pub async fn publish(
    store: &Store,
    staged: StagedFile,
    submission: Submission,
    deed: Deed,
    also: impl FnOnce(&WriteTx<'_>) -> Result<(), StoreError> + Send + 'static,
) -> Result<Publication, StoreError> {
    let Submission { description, expected_sha256 } = submission;
    if expected_sha256.is_some_and(|expected| expected != staged.sha256()) {
        return Ok(Publication::OtherContents(staged.sha256()));
    }
    let moving = tokio::task::spawn_blocking(move || {
        let published = staged.publish(description.directory())?;
        Ok::<_, StoreError>((published, description))
    });
    let (published, description) = moving.await.map_err(|_| StoreError::Abandoned)??;
    let (published, healed) = replace_damaged(store, published).await?;
    let inserting = store.write(move |tx| {
        note_replaced(tx, published.folder(), &healed)?;
        let package = packages::insert(tx, description, published)?;
        let detail = format!("{} bytes, SHA-256 {}", package.length_bytes, package.sha256);
        audit::append(tx, &deed.done(format!("package/{}", package.id)).with(detail))?;
        also(tx)?;
        Ok::<_, StoreError>(package)
    });
    Ok(Publication::Published(inserting.await?))
}
