//! What tender keeps: the database, the package folder, and what devices reported since the last write.
//!
//! The only room that knows SQL, and the only one that touches the package folder. One file for each kind of thing:
//! free functions, of which those that only look take `&Connection` and those that change take [`WriteTx`], so that the
//! type proves who is inside the one write transaction. No HTTP and no decisions about who may do what.

pub mod access_tokens;
mod activity;
pub mod artifacts;
pub mod attempts;
pub mod audit;
pub mod backup;
mod blobs;
pub mod bundles;
pub mod clients;
mod convert;
pub mod devices;
pub mod events;
mod examination;
pub mod facts;
pub mod fleet;
mod folder;
pub mod groups;
mod growing_file;
mod hashing;
mod inspection;
pub mod integrity;
pub mod packages;
mod presence;
mod readers;
pub mod reference;
pub mod registrations;
mod restoring;
mod resumable;
mod resumable_hash;
pub mod rollouts;
mod schema;
pub mod sessions;
pub mod snapshots;
mod space;
pub mod take_over;
pub mod uploads;
pub mod users;
pub mod webhooks;
mod writer;

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rustix::io::Errno;

pub use activity::InFlight;
pub use blobs::{
    Claim, Contents, FolderFiles, Leftovers, OWNER, PackageFile, PackageFolder, PublishedFile, StagedFile, Swept,
    Upload, package_name,
};
pub use events::{Events, Listener, Message, Since, Subscription};
pub use examination::Examination;
pub use folder::{DataFolder, InstanceLock};
pub(crate) use folder::{directory_of, sync_directory};
pub use inspection::{Inspection, Look, Opening, Sighting, Step, Verdict};
pub use presence::{Assignment, DeviceNews, Presence, Utterance};
pub use restoring::{RestoreRefused, Restoring};
pub use resumable::{Progress, ResumableFile};
pub use schema::latest_version;
pub use snapshots::{Difference, Rollback, Snapshot, SnapshotRefused};
pub use space::{DatabaseSize, Space};
pub use writer::{Change, Generations, WriteCounts, WriteTx};

use crate::clock::Clock;
use crate::domain::Timestamp;
use readers::Readers;
use writer::Writer;

/// Something went wrong in the store that is nobody's request's fault.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite said so.
    #[error("database: {0}")]
    Database(Arc<rusqlite::Error>),
    /// No connection in time.
    #[error("database connections: {0}")]
    Connections(Arc<r2d2::Error>),
    /// A file operation failed.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        error: Arc<io::Error>,
    },
    /// The package folder is an empty one: the file system with the packages was unmounted.
    #[error("the package folder {0} is not there: is its file system mounted?")]
    PackagesAway(PathBuf),
    /// The database is not one that this program can work with.
    #[error("{0}")]
    Unusable(Arc<str>),
    /// Another write failed so badly that the transaction which they shared was undone.
    #[error("the transaction was undone because another write in it failed")]
    RolledBack,
    /// The work was given up: the store is shutting down, or the code doing it panicked.
    #[error("the store did not finish the work")]
    Abandoned,
}

impl StoreError {
    fn file(path: impl Into<PathBuf>, error: io::Error) -> Self {
        Self::File { path: path.into(), error: Arc::new(error) }
    }

    /// Whether there is no room left: what somebody must mend on the machine, and may do by deleting packages.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::File { error, .. } => {
                matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    /// Whether the file system takes no writes at all: what becomes of flash at its end.
    pub fn is_read_only(&self) -> bool {
        match self {
            // What is looked at stays readable, so an error of the disk is one of writing.
            Self::Database(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::ReadOnly | rusqlite::ErrorCode::SystemIoFailure)
            ),
            Self::File { error, .. } => error.kind() == io::ErrorKind::ReadOnlyFilesystem,
            _ => false,
        }
    }

    /// Whether the disk itself has failed.
    pub fn is_disk_failure(&self) -> bool {
        matches!(self, Self::File { error, .. } if Errno::from_io_error(error) == Some(Errno::IO))
    }

    /// Whether this process has as many files open as it may: connections are among them, and some will end.
    pub fn is_out_of_descriptors(&self) -> bool {
        let Self::File { error, .. } = self else { return false };
        matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
    }

    /// Whether the files are there and may not be used by whoever runs this, or something else is in their place.
    pub fn is_forbidden(&self) -> bool {
        match self {
            Self::Database(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen),
            Self::File { error, .. } => matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
            ),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<r2d2::Error> for StoreError {
    fn from(error: r2d2::Error) -> Self {
        Self::Connections(Arc::new(error))
    }
}

/// How a write ends that is only begun.
enum Rehearsal {
    Over,
    Failed(StoreError),
}

impl From<StoreError> for Rehearsal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

/// The open database. Clones are the same one.
#[derive(Clone)]
pub struct Store {
    readers: Readers,
    writer: Writer,
    presence: Arc<Presence>,
    generations: Arc<Generations>,
    events: Arc<Events>,
    clock: Clock,
}

impl Store {
    /// Opens the database at `path`, making or migrating it as needed, and starts its writer.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        let connection = schema::open_latest(path)?;
        if let Some(latest) = schema::latest_timestamp(&connection)? {
            clock.start_not_before(latest);
        }
        let readers = Readers::open(path)?;
        let generations = Arc::new(Generations::default());
        let events = Arc::new(Events::new(webhooks::latest_event_id(&connection)?, clock.now()));
        let writer = Writer::start(connection, clock.clone(), generations.clone(), events.clone())?;
        Ok(Self {
            readers,
            writer,
            presence: Arc::new(Presence::new(clock.clone(), generations.clone())),
            generations,
            events,
            clock,
        })
    }

    /// Runs `query` on a read-only connection, off the event loop, on one snapshot if it asks several times.
    pub async fn read<T, E>(&self, query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.readers.read(query).await
    }

    /// Runs `operation` in a write transaction. When this returns `Ok`, what it did is on disk; when `operation` returned
    /// an error, nothing of it is.
    pub async fn write<T, E>(
        &self,
        operation: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.writer.write(operation).await
    }

    /// What devices reported since the start, written or not.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// Numbers that grow whenever what they count changed on disk.
    pub fn generations(&self) -> &Generations {
        &self.generations
    }

    /// What happens, told to whoever wants to know.
    pub fn events(&self) -> &Arc<Events> {
        &self.events
    }

    /// The clock that stored dates are read from.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Tells those who listen which devices were heard since this was called last.
    pub fn tell_of_devices(&self) {
        if let Some(news) = self.presence.take_news(self.events.has_listeners()) {
            self.events.publish_devices(news);
        }
    }

    /// Writes what devices reported, if anything is new. On failure it is kept for the next time.
    pub async fn save_presence(&self) -> Result<(), StoreError> {
        self.save_presence_along(None::<fn(&WriteTx<'_>) -> Result<(), StoreError>>).await
    }

    /// Writes what devices reported, if anything is new, and what `more` writes, if there is any, in one transaction: each costs an
    /// fsync. On failure what devices reported is kept for the next time.
    pub async fn save_presence_along(
        &self,
        more: Option<impl FnOnce(&WriteTx<'_>) -> Result<(), StoreError> + Send + 'static>,
    ) -> Result<(), StoreError> {
        let unsaved = self.presence.take_unsaved().map(Arc::new);
        if unsaved.is_none() && more.is_none() {
            return Ok(());
        }
        let writing = unsaved.clone();
        let result = self.write(move |tx| {
            if let Some(unsaved) = writing {
                presence::save(tx, &unsaved)?;
            }
            more.map_or(Ok(()), |more| more(tx))
        });
        let result = result.await;
        if let (Err(_), Some(unsaved)) = (&result, unsaved) {
            self.presence.put_back(&unsaved);
        }
        result
    }

    /// When writes began to fail; `None` while they succeed.
    pub fn writes_fail_since(&self) -> Option<Timestamp> {
        self.writer.health().failing_since()
    }

    /// What was written since the start.
    pub fn write_counts(&self) -> &WriteCounts {
        self.writer.health().counts()
    }

    /// How many writes wait for the writer.
    pub async fn waiting_writes(&self) -> usize {
        self.writer.waiting().await
    }

    /// Where writes fail, tries whether they still do. Writes nothing otherwise.
    pub async fn try_writing_again(&self) {
        if self.writes_fail_since().is_some() {
            // What becomes of it is noted as of any other write.
            let _ = self.write(|tx| facts::put(tx, facts::WRITE_TRIAL, &tx.now().unix_seconds().to_be_bytes())).await;
        }
    }

    /// Looks something up, which shows that reads are answered.
    pub async fn try_reading(&self) -> Result<(), StoreError> {
        self.read(|connection| facts::find(connection, facts::INSTALLATION)).await?;
        Ok(())
    }

    /// Begins a write transaction and gives it up, which shows that writes are answered. Nothing is written, so this says
    /// nothing about the disk.
    pub async fn try_beginning_to_write(&self) -> Result<(), StoreError> {
        match self.write(|_| Err::<Infallible, _>(Rehearsal::Over)).await {
            Ok(never) => match never {},
            Err(Rehearsal::Over) => Ok(()),
            Err(Rehearsal::Failed(error)) => Err(error),
        }
    }

    /// Finishes the writes that were begun and closes the database. Later writes are refused.
    pub async fn close(&self) {
        self.writer.close().await;
    }
}
