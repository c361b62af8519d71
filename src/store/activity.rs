//! What goes on in a package folder: which files are being written, how much moves, and which files gave trouble.

use std::collections::HashSet;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

/// What goes on in a package folder. Clones of the folder share it.
#[derive(Debug, Default)]
pub(super) struct Activity {
    in_flight: Mutex<HashSet<Uuid>>,
    moved_pieces: AtomicU64,
    suspects: Mutex<HashSet<Uuid>>,
}

impl Activity {
    /// Files that have no row yet and may get one: nobody but whoever writes them may touch them.
    pub(super) fn in_flight(&self) -> HashSet<Uuid> {
        lock(&self.in_flight).clone()
    }

    /// A download or an upload has moved a piece.
    pub(super) fn count_piece(&self) {
        self.moved_pieces.fetch_add(1, Ordering::Relaxed);
    }

    /// Pieces that downloads and uploads have moved so far.
    pub(super) fn moved_pieces(&self) -> u64 {
        self.moved_pieces.load(Ordering::Relaxed)
    }

    /// The file of this package could not be read during a download.
    pub(super) fn suspect(&self, uuid: Uuid) {
        lock(&self.suspects).insert(uuid);
    }

    /// Packages whose file could not be read during a download, each told once.
    pub(super) fn take_suspects(&self) -> HashSet<Uuid> {
        mem::take(&mut *lock(&self.suspects))
    }
}

/// Keeps a file that has no row yet from being swept, as long as it lives.
#[derive(Debug)]
pub struct InFlight {
    activity: Arc<Activity>,
    uuid: Uuid,
}

impl InFlight {
    /// From now on.
    pub(super) fn begin(activity: &Arc<Activity>, uuid: Uuid) -> Self {
        lock(&activity.in_flight).insert(uuid);
        Self { activity: activity.clone(), uuid }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.activity.in_flight).remove(&self.uuid);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is a set of names: no panic leaves it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
