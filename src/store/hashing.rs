//! SHA-256 of what an upload brings, made while it is written: either takes its time, and most machines have two cores.

use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;

use super::resumable_hash::ResumableHash;

/// Chunks that may wait to be hashed: what they hold bounds the memory of an upload.
const WAITING_CHUNKS: usize = 2;

/// A hash in the making, on a thread of its own. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Hashing {
    orders: SyncSender<Order>,
}

enum Order {
    Add(Bytes),
    Tell(SyncSender<ResumableHash>),
}

impl Hashing {
    /// Goes on from here.
    pub(super) fn begin(mut hash: ResumableHash) -> io::Result<Self> {
        let (orders, arriving) = sync_channel(WAITING_CHUNKS);
        thread::Builder::new().name("upload-hash".into()).spawn(move || {
            for order in arriving {
                match order {
                    Order::Add(chunk) => hash.update(&chunk),
                    // Who is gone does not want to know.
                    Order::Tell(reply) => drop(reply.send(hash.clone())),
                }
            }
        })?;
        Ok(Self { orders })
    }

    /// Adds a chunk. Blocks while too many wait.
    pub(super) fn update(&self, chunk: Bytes) {
        // It fails only if hashing panicked, which the end tells.
        let _ = self.orders.send(Order::Add(chunk));
    }

    /// The hash of all chunks so far. Blocks.
    pub(super) fn so_far(&self) -> io::Result<ResumableHash> {
        let (reply, told) = sync_channel(1);
        // Likewise.
        let _ = self.orders.send(Order::Tell(reply));
        told.recv().map_err(|_| io::Error::other("hashing an upload ended early"))
    }
}
