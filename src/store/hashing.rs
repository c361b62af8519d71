//! SHA-256 of what an upload brings, made while it is written: either takes its time, and most machines have two cores.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::domain::Sha256Digest;

/// Pieces that may wait to be hashed: what they hold bounds the memory of an upload.
const WAITING_PIECES: usize = 8;

/// A hash in the making, on a thread of its own. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Hashing {
    pieces: SyncSender<Bytes>,
    thread: JoinHandle<Sha256Digest>,
}

impl Hashing {
    /// Of nothing so far.
    pub(super) fn begin() -> io::Result<Self> {
        let (pieces, arriving) = sync_channel::<Bytes>(WAITING_PIECES);
        let thread = thread::Builder::new().name("upload-hash".into()).spawn(move || {
            let mut hash = Sha256::new();
            for piece in arriving {
                hash.update(&piece);
            }
            Sha256Digest(hash.finalize().into())
        })?;
        Ok(Self { pieces, thread })
    }

    /// Adds a piece. Blocks while too many wait.
    pub(super) fn update(&self, piece: Bytes) {
        // It fails only if hashing panicked, which the end tells.
        let _ = self.pieces.send(piece);
    }

    /// The hash of all pieces. Blocks.
    pub(super) fn finish(self) -> io::Result<Sha256Digest> {
        drop(self.pieces);
        self.thread.join().map_err(|_| io::Error::other("hashing an upload ended early"))
    }
}
