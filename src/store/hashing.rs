//! SHA-256 of what an upload brings, made while it is written: either takes its time, and most machines have two cores.

use std::io;
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::resumable_hash::ResumableHash;

/// Chunks that may wait to be hashed: what they hold bounds the memory of an upload.
const WAITING_CHUNKS: usize = 2;

/// A hash in the making, on a thread of its own. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Hashing {
    orders: mpsc::Sender<Order>,
}

#[derive(Debug)]
enum Order {
    Add(Bytes),
    Tell(oneshot::Sender<ResumableHash>),
}

impl Hashing {
    /// Goes on from here.
    pub(super) fn begin(mut hash: ResumableHash) -> io::Result<Self> {
        let (orders, mut arriving) = mpsc::channel(WAITING_CHUNKS);
        thread::Builder::new().name("upload-hash".into()).spawn(move || {
            while let Some(order) = arriving.blocking_recv() {
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
        let _ = self.orders.blocking_send(Order::Add(chunk));
    }

    /// The hash of all chunks so far. Blocks.
    pub(super) fn so_far(&self) -> io::Result<ResumableHash> {
        let (reply, told) = oneshot::channel();
        // Likewise.
        let _ = self.orders.blocking_send(Order::Tell(reply));
        told.blocking_recv().map_err(|_| io::Error::other("hashing an upload ended early"))
    }
}
