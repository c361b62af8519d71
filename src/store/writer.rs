//! The one writer: a thread that groups waiting writes into one transaction, so that many of them share one fsync.
//!
//! Each write runs in its own savepoint: one that fails takes nothing of the others with it. All are answered after the
//! commit, so an answer means that the write is on disk.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::StoreError;
use crate::clock::Clock;
use crate::domain::Timestamp;

/// Writes that share a transaction at most.
const BATCH: usize = 256;
/// Writes that wait at most; whoever comes then waits for a place.
const QUEUE: usize = 1024;

/// What kind of thing a write changed, for those who keep something derived from it in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Which devices there are, and which group each is in.
    Assignments,
    /// Groups' policies and packages.
    Plans,
    /// Which registrations wait.
    Registrations,
}

/// A counter for each [`Change`]: what was derived before a counter grew may be out of date.
#[derive(Debug, Default)]
pub struct Generations {
    assignments: AtomicU64,
    plans: AtomicU64,
    registrations: AtomicU64,
}

impl Generations {
    /// The count now. Read it before reading the data that it is to stand for.
    pub fn current(&self, change: Change) -> u64 {
        self.counter(change).load(Ordering::Acquire)
    }

    fn advance(&self, change: Change) {
        self.counter(change).fetch_add(1, Ordering::Release);
    }

    fn counter(&self, change: Change) -> &AtomicU64 {
        match change {
            Change::Assignments => &self.assignments,
            Change::Plans => &self.plans,
            Change::Registrations => &self.registrations,
        }
    }
}

/// Work that waits for the commit.
type AfterCommit = Box<dyn FnOnce()>;

/// Proof of being inside the write transaction.
pub struct WriteTx<'a> {
    connection: &'a Connection,
    now: Timestamp,
    generations: &'a Arc<Generations>,
    after_commit: RefCell<Vec<AfterCommit>>,
}

impl<'a> WriteTx<'a> {
    fn new(connection: &'a Connection, now: Timestamp, generations: &'a Arc<Generations>) -> Self {
        Self { connection, now, generations, after_commit: RefCell::default() }
    }

    /// The connection that the transaction runs on.
    pub(super) fn connection(&self) -> &Connection {
        self.connection
    }

    /// The one date of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Has `work` done once the commit has succeeded, whether or not somebody still waits for the answer; without a
    /// commit it is dropped. It runs on the writer's thread, so it must be short.
    pub(super) fn after_commit(&self, work: impl FnOnce() + 'static) {
        self.after_commit.borrow_mut().push(Box::new(work));
    }

    /// Says that this transaction changes something which others derive from.
    pub(super) fn changes(&self, change: Change) {
        let generations = self.generations.clone();
        self.after_commit(move || generations.advance(change));
    }
}

/// A write that waits: runs inside the transaction, or is told why there is none.
type Job = Box<dyn FnOnce(Result<&WriteTx<'_>, StoreError>) -> Completion + Send>;

/// What became of a job inside the transaction, and how to answer once it is known whether the commit succeeded.
struct Completion {
    keep: bool,
    answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

/// The way to the writer's thread. Clones lead to the same one.
#[derive(Clone)]
pub(super) struct Writer {
    jobs: Arc<Mutex<Option<mpsc::Sender<Job>>>>,
    finished: Arc<Mutex<Option<oneshot::Receiver<()>>>>,
}

impl Writer {
    /// Starts the thread, which owns `connection` from now on.
    pub(super) fn start(
        connection: Connection,
        clock: Clock,
        generations: Arc<Generations>,
    ) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (finish, finished) = oneshot::channel();
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                run(&connection, receiver, &clock, &generations);
                // Readers are still open, so closing does not do it: whoever copies the database now has all of it.
                if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
                    tracing::warn!(%error, "the journal was not written back into the database; the next start will");
                }
                if let Err((_, error)) = connection.close() {
                    tracing::error!(%error, "closing the database failed");
                }
                // Nobody may be waiting for the end.
                let _ = finish.send(());
            })
            .map_err(|error| StoreError::file("store-writer thread", error))?;
        Ok(Self { jobs: Arc::new(Mutex::new(Some(sender))), finished: Arc::new(Mutex::new(Some(finished))) })
    }

    /// See [`super::Store::write`].
    pub(super) async fn write<T, E>(
        &self,
        operation: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answered) = oneshot::channel::<Result<T, E>>();
        let job: Job = Box::new(move |tx| {
            let result = match tx {
                Ok(tx) => operation(tx),
                Err(error) => Err(error.into()),
            };
            Completion {
                keep: result.is_ok(),
                answer: Box::new(move |commit| {
                    // Whoever asked may be gone; the write stands all the same.
                    let _ = reply.send(match commit {
                        Ok(()) => result,
                        Err(error) => result.and_then(|_| Err(error.into())),
                    });
                }),
            }
        });
        let sender = self.jobs.lock().await.clone().ok_or(StoreError::Abandoned)?;
        sender.send(job).await.map_err(|_| StoreError::Abandoned)?;
        drop(sender);
        answered.await.unwrap_or_else(|_| Err(StoreError::Abandoned.into()))
    }

    /// Takes no more jobs, finishes those that wait, and closes the connection.
    pub(super) async fn close(&self) {
        self.jobs.lock().await.take();
        if let Some(finished) = self.finished.lock().await.take() {
            // An error means that the thread is gone already.
            let _ = finished.await;
        }
    }
}

fn run(connection: &Connection, mut jobs: mpsc::Receiver<Job>, clock: &Clock, generations: &Arc<Generations>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(job) = jobs.try_recv() else { break };
            batch.push(job);
        }
        run_batch(connection, batch, clock.now(), generations);
    }
}

fn run_batch(connection: &Connection, batch: Vec<Job>, now: Timestamp, generations: &Arc<Generations>) {
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        let error = StoreError::from(error);
        for job in batch {
            let refuse = || (job(Err(error.clone())).answer)(Err(error.clone()));
            log_panic(catch_unwind(AssertUnwindSafe(refuse)));
        }
        return;
    }
    let tx = WriteTx::new(connection, now, generations);
    let completions: Vec<_> = batch.into_iter().filter_map(|job| run_job(&tx, job)).collect();
    let commit = connection.execute_batch("COMMIT").map_err(StoreError::from);
    match &commit {
        Ok(()) => tx.after_commit.take().into_iter().for_each(|work| work()),
        Err(error) => {
            tracing::error!(%error, writes = completions.len(), "a commit failed; its writes are refused");
            // After some errors SQLite has rolled back by itself, and says so to this.
            let _ = connection.execute_batch("ROLLBACK");
            // What waited for the commit is undone before anybody hears of the failure.
            drop(tx.after_commit.take());
        }
    }
    for completion in completions {
        (completion.answer)(commit.clone());
    }
}

/// Runs one job in its savepoint. A job that panics is undone and, having dropped its reply, answered as abandoned.
fn run_job(tx: &WriteTx<'_>, job: Job) -> Option<Completion> {
    let connection = tx.connection;
    if let Err(error) = connection.execute_batch("SAVEPOINT job") {
        return Some(job(Err(error.into())));
    }
    let waiting_before = tx.after_commit.borrow().len();
    let completion = log_panic(catch_unwind(AssertUnwindSafe(|| job(Ok(tx)))));
    let end = match &completion {
        Some(Completion { keep: true, .. }) => "RELEASE job",
        _ => {
            tx.after_commit.borrow_mut().truncate(waiting_before);
            "ROLLBACK TO job; RELEASE job"
        }
    };
    if let Err(error) = connection.execute_batch(end) {
        // The transaction is gone (disk full, say); the commit will fail too and answer everybody.
        tracing::error!(%error, "ending a savepoint failed");
    }
    completion
}

fn log_panic<T>(result: thread::Result<T>) -> Option<T> {
    result.inspect_err(|_| tracing::error!("a write panicked and was undone")).ok()
}
