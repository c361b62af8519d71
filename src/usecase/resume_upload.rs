//! Uploads that survive bad networks, restarts and power cuts: each has a row that says how much of its file counts. What is
//! acknowledged is on disk, and an upload that nobody goes on with is given up after a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::chunks::{Chunks, WAITING_CHUNKS};
use super::publish_package::{self, Examined, Unfit};
use super::room::{Refusal, Room};
use super::setting::Setting;
use crate::auth::checksum::{Checksum, ChecksumAlgorithm};
use crate::domain::{Actor, Deed, Flaw, Package, PackageDescription, Sha256Digest, Timestamp};
use crate::store::uploads::{self, PendingUpload};
use crate::store::{Contents, PackageFolder, Progress, ResumableFile, Store, StoreError, WriteTx, audit};

/// Uploads at most that are not finished.
const PENDING: usize = 100;
/// How often an upload that goes on is put on disk and noted, so that a power cut costs no more. A time: what it costs to send
/// again depends on the network.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);

/// Why an upload is not begun.
#[derive(Debug)]
pub enum NotBegun {
    /// It is too large, or there is no room.
    Refused(Refusal),
    /// Too many are unfinished.
    TooMany,
}

/// Whoever works on an upload; another who wants to interrupts it. A client whose connection broke comes again long before
/// the old connection is known to be dead.
#[derive(Debug)]
pub struct Turn {
    turns: Arc<Turns>,
    id: Uuid,
    interrupted: CancellationToken,
    /// `None` only while this is dropped.
    slot: Option<OwnedMutexGuard<()>>,
}

impl Turn {
    /// Ends when another one wants to work on the upload.
    pub fn interrupted(&self) -> &CancellationToken {
        &self.interrupted
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.slot.take();
        let mut slots = self.turns.slots();
        if slots.get(&self.id).is_some_and(|slot| Arc::strong_count(&slot.queue) == 1) {
            slots.remove(&self.id);
        }
    }
}

#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<Uuid, Slot>>);

#[derive(Debug, Clone, Default)]
struct Slot {
    queue: Arc<tokio::sync::Mutex<()>>,
    working: CancellationToken,
}

impl Turns {
    fn slots(&self) -> MutexGuard<'_, HashMap<Uuid, Slot>> {
        // What is locked here is a plain map: no panic leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uploads of a server.
#[derive(Clone)]
pub struct ResumableUploads {
    store: Store,
    folder: PackageFolder,
    room: Room,
    lifetime: Setting<Duration>,
    turns: Arc<Turns>,
    /// When something of each last came, by a clock that nobody sets.
    heard_of: Arc<Mutex<HashMap<Uuid, Timestamp>>>,
    /// What was found in complete uploads: their bytes do not change any more.
    known: Arc<Mutex<HashMap<Uuid, Result<Contents, Flaw>>>>,
}

impl ResumableUploads {
    /// Uploads into `folder` that are given up when nothing has come for `lifetime`.
    pub fn new(store: Store, folder: PackageFolder, room: Room, lifetime: Duration) -> Self {
        let (turns, heard_of, known) = (Arc::default(), Arc::default(), Arc::default());
        Self { store, folder, room, lifetime: Setting::new(lifetime), turns, heard_of, known }
    }

    /// From now on uploads live so long, counted from what comes of them next.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.lifetime.set(lifetime);
    }

    /// Begins an upload of this length. `metadata` is what the client says about it, as it wrote it.
    pub async fn begin(
        &self,
        length_bytes: u64,
        metadata: String,
        deed: Deed,
    ) -> Result<Result<PendingUpload, NotBegun>, StoreError> {
        if self.store.read(uploads::list).await?.len() >= PENDING {
            return Ok(Err(NotBegun::TooMany));
        }
        // Held until the row is there, which promises the same.
        let _promise = match self.room.admit(Some(length_bytes)).await? {
            Ok(promise) => promise,
            Err(refusal) => return Ok(Err(NotBegun::Refused(refusal))),
        };
        let (id, folder) = (Uuid::new_v4(), self.folder.clone());
        // Until the row is there.
        let _in_flight = blocking(move || folder.create_resumable(id)).await?;
        let lifetime = self.lifetime.get();
        let inserting = self.store.write(move |tx| {
            let (created, progress) = (tx.now(), Progress::none());
            let actor = deed.actor.clone();
            let expires = created.saturating_add(lifetime);
            let upload = PendingUpload { id, actor, length_bytes, progress, metadata, created, expires };
            uploads::insert(tx, &upload)?;
            fail_point!("upload.row");
            audit::append(tx, &deed.done(target(id)).with(format!("{length_bytes} bytes")))?;
            Ok::<_, StoreError>(upload)
        });
        let inserted = inserting.await;
        match &inserted {
            Ok(_) => self.hear_of(id),
            Err(_) => self.forget(id).await,
        }
        inserted.map(Ok)
    }

    /// Something of this upload has come just now.
    fn hear_of(&self, id: Uuid) {
        self.heard_of().insert(id, self.store.clock().steady());
    }

    /// Whether nobody goes on with an upload whose date has passed. Its date does not decide alone: a clock that is set on
    /// the way to its first time server would end them all.
    fn is_abandoned(&self, id: Uuid) -> bool {
        let now = self.store.clock().steady();
        self.heard_of().get(&id).is_none_or(|heard| heard.until(now) >= self.lifetime.get())
    }

    fn heard_of(&self) -> MutexGuard<'_, HashMap<Uuid, Timestamp>> {
        // What is locked here is a plain map: no panic leaves it half changed.
        self.heard_of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The uploads that `actor` has begun and not finished.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<PendingUpload>, StoreError> {
        let mut all = self.store.read(uploads::list).await?;
        all.retain(|upload| upload.actor == *actor);
        Ok(all)
    }

    /// The upload of this name, for whoever began it: as it is once nobody writes to it any more.
    pub async fn take(&self, id: Uuid, actor: &Actor) -> Result<Option<(Turn, PendingUpload)>, StoreError> {
        // Nobody else's upload is interrupted.
        if !self.store.read(move |connection| uploads::find(connection, id)).await?.is_some_and(|is| is.actor == *actor)
        {
            return Ok(None);
        }
        let turn = self.turn(id).await;
        let now = self.store.clock().now();
        let upload = self.store.read(move |connection| uploads::find(connection, id)).await?;
        let upload = upload.filter(|upload| now < upload.expires || !self.is_abandoned(id));
        Ok(upload.map(|upload| (turn, upload)))
    }

    async fn turn(&self, id: Uuid) -> Turn {
        let queue = {
            let mut slots = self.turns.slots();
            let slot = slots.entry(id).or_default();
            slot.working.cancel();
            slot.queue.clone()
        };
        let slot = Some(queue.lock_owned().await);
        let interrupted = CancellationToken::new();
        self.turns.slots().entry(id).or_default().working = interrupted.clone();
        Turn { turns: self.turns.clone(), id, interrupted, slot }
    }

    /// Opens an upload for more, whose checksum is made by `checksum` if there is one to compare.
    pub async fn open(
        &self,
        upload: &PendingUpload,
        checksum: Option<ChecksumAlgorithm>,
    ) -> Result<Appending, StoreError> {
        let (folder, id, progress) = (self.folder.clone(), upload.id, upload.progress);
        let file = blocking(move || folder.open_resumable(id, progress)).await?;
        Ok(Appending::begin(file, checksum))
    }

    /// Notes how far an upload is: from then on that much is acknowledged. Returns the upload as it is then; `None` if it is
    /// gone.
    pub async fn advance(&self, id: Uuid, progress: Progress) -> Result<Option<PendingUpload>, StoreError> {
        let lifetime = self.lifetime.get();
        let advancing = self.store.write(move |tx| {
            let advanced = uploads::advance(tx, id, progress, tx.now().saturating_add(lifetime));
            fail_point!("upload.advanced");
            advanced
        });
        let advanced = advancing.await?;
        if advanced.is_some() {
            self.hear_of(id);
        }
        Ok(advanced)
    }

    /// Whether what was taken in still has room.
    pub async fn check_room(&self) -> Result<Result<(), Refusal>, StoreError> {
        self.room.check().await
    }

    /// Looks at a complete upload, which must have `expected_sha256` if that is given. Whoever looks before publishing pays for
    /// both: what is in it is read once.
    pub async fn examine(
        &self,
        upload: &PendingUpload,
        expected_sha256: Option<Sha256Digest>,
    ) -> Result<Result<Examined, Unfit>, StoreError> {
        let (folder, id, progress) = (self.folder.clone(), upload.id, upload.progress);
        let staged = blocking(move || folder.stage_resumable(id, progress)).await?;
        let mut known = self.known().get(&id).cloned();
        let examined = Examined::examine(staged, expected_sha256, &mut known).await?;
        self.known().extend(known.map(|known| (id, known)));
        Ok(examined)
    }

    /// Makes a package of a complete upload, which is gone then.
    pub async fn finish(
        &self,
        turn: Turn,
        examined: Examined,
        description: PackageDescription,
        deed: Deed,
    ) -> Result<Package, StoreError> {
        let id = turn.id;
        let remove_row = move |tx: &WriteTx<'_>| {
            uploads::remove(tx, id)?;
            fail_point!("upload.finished");
            Ok(())
        };
        let package = publish_package::publish(&self.store, examined, description, deed, remove_row).await?;
        self.forget(id).await;
        Ok(package)
    }

    /// Drops an upload that cannot become a package, so that it holds no room.
    pub async fn reject(&self, turn: Turn) -> Result<(), StoreError> {
        let id = turn.id;
        self.store.write(move |tx| uploads::remove(tx, id)).await?;
        self.forget(id).await;
        Ok(())
    }

    /// Gives an upload up.
    pub async fn discard(&self, turn: Turn, deed: Deed) -> Result<(), StoreError> {
        let id = turn.id;
        let removing = self.store.write(move |tx| {
            uploads::remove(tx, id)?;
            fail_point!("upload.discarded");
            audit::append(tx, &deed.done(target(id)))
        });
        removing.await?;
        self.forget(id).await;
        Ok(())
    }

    /// Gives up uploads that nobody goes on with; returns how many. Writes nothing if there is none.
    pub async fn expire(&self) -> Result<usize, StoreError> {
        let now = self.store.clock().now();
        let mut expired = self.store.read(move |connection| uploads::expired(connection, now)).await?;
        expired.retain(|id| self.is_abandoned(*id));
        for id in &expired {
            let id = *id;
            let _turn = self.turn(id).await;
            self.store.write(move |tx| uploads::remove(tx, id)).await?;
            self.forget(id).await;
        }
        Ok(expired.len())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Uuid, Result<Contents, Flaw>>> {
        // Likewise a plain map.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row is gone, and now what belongs to it. A file that cannot be deleted now is swept later.
    async fn forget(&self, id: Uuid) {
        self.known().remove(&id);
        self.heard_of().remove(&id);
        let folder = self.folder.clone();
        fail_point!("upload.forgotten");
        if let Err(error) = blocking(move || folder.remove_resumable(id)).await {
            tracing::warn!(upload = %id, %error, "the file of an upload stays until it is swept");
        }
        fail_point!("upload.file-deleted");
    }
}

/// What the audit log calls an upload.
fn target(id: Uuid) -> String {
    format!("upload/{id}")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Abandoned)?
}

enum Order {
    Write(Bytes),
    Sync(oneshot::Sender<(Progress, Option<Checksum>)>),
}

/// An upload to which more is written, on a thread that may block.
#[derive(Debug)]
pub struct Appending {
    gathering: Chunks,
    orders: mpsc::Sender<Order>,
    working: JoinHandle<Result<(), StoreError>>,
}

impl Appending {
    fn begin(mut file: ResumableFile, checksum: Option<ChecksumAlgorithm>) -> Self {
        let (orders, mut arriving) = mpsc::channel(WAITING_CHUNKS);
        let working = tokio::task::spawn_blocking(move || {
            let mut checksum = checksum.map(ChecksumAlgorithm::begin);
            while let Some(order) = arriving.blocking_recv() {
                match order {
                    Order::Write(chunk) => {
                        if let Some(checksum) = &mut checksum {
                            checksum.update(&chunk);
                        }
                        file.write(chunk)?;
                    }
                    Order::Sync(reply) => {
                        let sum = checksum.as_ref().map(|checksum| checksum.clone().finish());
                        // Whoever asked may be gone; what is on disk is on disk.
                        let _ = reply.send((file.sync()?, sum));
                    }
                }
            }
            Ok(())
        });
        Self { gathering: Chunks::default(), orders, working }
    }

    /// Adds a piece, waiting for the disk if it is behind. `false`: writing failed, and [`Appending::failure`] says why.
    pub async fn push(&mut self, mut piece: Bytes) -> bool {
        while let Some(chunk) = self.gathering.add(&mut piece) {
            if self.orders.send(Order::Write(chunk)).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Puts what was added on disk. Returns how far the upload is, and the checksum of all that was added. `None`: writing
    /// failed.
    pub async fn sync(&mut self) -> Option<(Progress, Option<Checksum>)> {
        if let Some(rest) = self.gathering.rest() {
            self.orders.send(Order::Write(rest)).await.ok()?;
        }
        let (reply, synced) = oneshot::channel();
        self.orders.send(Order::Sync(reply)).await.ok()?;
        synced.await.ok()
    }

    /// Why writing failed.
    pub async fn failure(self) -> StoreError {
        drop(self.orders);
        match self.working.await {
            Ok(Err(error)) => error,
            _ => StoreError::Abandoned,
        }
    }
}
