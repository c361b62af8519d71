//! Where the bytes of a package go that a bundle brings: to disk, or nowhere.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::domain::Sha256Digest;
use crate::store::{PackageFolder, StagedFile, StoreError};
use crate::usecase::chunks::WAITING_CHUNKS;
use crate::usecase::publish_package::Receiving;

/// Takes the bytes of one package.
pub(super) enum Intake {
    /// They become a file.
    File(Box<Receiving>),
    /// They are known: only their hash is made, on a thread that may block.
    Hash { pieces: mpsc::Sender<Bytes>, hashing: JoinHandle<Sha256Digest> },
}

impl Intake {
    pub(super) fn storing(folder: &PackageFolder) -> Self {
        Self::File(Box::new(Receiving::begin(folder.clone())))
    }

    pub(super) fn hashing() -> Self {
        let (pieces, mut arriving) = mpsc::channel::<Bytes>(WAITING_CHUNKS);
        let hashing = tokio::task::spawn_blocking(move || {
            let mut hash = Sha256::new();
            while let Some(piece) = arriving.blocking_recv() {
                hash.update(&piece);
            }
            Sha256Digest(hash.finalize().into())
        });
        Self::Hash { pieces, hashing }
    }

    /// Adds a piece, waiting for the disk if it is behind. `false`: it failed, and [`Intake::finish`] says why.
    pub(super) async fn push(&mut self, piece: Bytes) -> bool {
        match self {
            Self::File(receiving) => receiving.push(piece).await,
            Self::Hash { pieces, .. } => pieces.send(piece).await.is_ok(),
        }
    }

    /// The hash of all pieces, and the file, which is on disk.
    pub(super) async fn finish(self) -> Result<(Sha256Digest, Option<StagedFile>), StoreError> {
        match self {
            Self::File(receiving) => {
                let staged = receiving.finish().await?;
                Ok((staged.sha256(), Some(staged)))
            }
            Self::Hash { pieces, hashing } => {
                drop(pieces);
                Ok((hashing.await.map_err(|_| StoreError::Abandoned)?, None))
            }
        }
    }
}
