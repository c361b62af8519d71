//! The one writer: a thread that groups waiting writes into one transaction, so that many of them share one fsync.
//!
//! Each write runs in its own savepoint: one that fails takes nothing of the others with it. All are answered after the
//! commit, so an answer means that the write is on disk.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::{Connection, ffi};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use super::events::Events;
use crate::clock::Clock;
use crate::count::Count;
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
}

/// A counter for each [`Change`]: what was derived before a counter grew may be out of date.
#[derive(Debug, Default)]
pub struct Generations {
    assignments: AtomicU64,
    plans: AtomicU64,
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
        }
    }
}

/// Whether what is written reaches the disk, and how much that is.
#[derive(Debug, Default)]
pub(super) struct WriteHealth {
    failing_since: Mutex<Option<Timestamp>>,
    counts: WriteCounts,
}

/// What was written since the start.
#[derive(Debug, Default)]
pub struct WriteCounts {
    /// Writes that were asked for.
    pub writes: Count,
    /// Transactions that they shared.
    pub batches: Count,
    /// Those that were committed: each is an fsync.
    pub commits: Count,
}

impl WriteHealth {
    /// When the last success was followed by a failure; `None` while writes succeed.
    pub(super) fn failing_since(&self) -> Option<Timestamp> {
        *self.lock()
    }

    fn note(&self, has_succeeded: bool, now: Timestamp) {
        let mut failing_since = self.lock();
        match (*failing_since, has_succeeded) {
            (None, false) => *failing_since = Some(now),
            (Some(_), true) => {
                tracing::info!("the disk takes writes again");
                *failing_since = None;
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.failing_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written since the start.
    pub(super) fn counts(&self) -> &WriteCounts {
        &self.counts
    }
}

/// Whom the writer tells of what was written.
struct Followers {
    generations: Arc<Generations>,
    events: Arc<Events>,
}

/// Work that waits for the commit.
type AfterCommit = Box<dyn FnOnce()>;

/// Proof of being inside the write transaction.
pub struct WriteTx<'a> {
    connection: &'a Connection,
    now: Timestamp,
    followers: &'a Followers,
    after_commit: RefCell<Vec<AfterCommit>>,
}

impl<'a> WriteTx<'a> {
    fn new(connection: &'a Connection, now: Timestamp, followers: &'a Followers) -> Self {
        Self { connection, now, followers, after_commit: RefCell::default() }
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

    /// Where this transaction's events are told.
    pub(super) fn events(&self) -> &Arc<Events> {
        &self.followers.events
    }

    /// Says that this transaction changes something which others derive from.
    pub(super) fn changes(&self, change: Change) {
        let generations = self.followers.generations.clone();
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
    jobs: Arc<tokio::sync::Mutex<Option<mpsc::Sender<Job>>>>,
    finished: Arc<tokio::sync::Mutex<Option<oneshot::Receiver<()>>>>,
    health: Arc<WriteHealth>,
}

impl Writer {
    /// Starts the thread, which owns `connection` from now on.
    pub(super) fn start(
        connection: Connection,
        clock: Clock,
        generations: Arc<Generations>,
        events: Arc<Events>,
    ) -> Result<Self, StoreError> {
        let followers = Followers { generations, events };
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (finish, finished) = oneshot::channel();
        let health = Arc::new(WriteHealth::default());
        let noted = health.clone();
        thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || {
                let in_doubt = run(&connection, receiver, &clock, &followers, &noted);
                // Readers are still open, so closing does not do it: whoever copies the database now has all of it.
                if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
                    tracing::warn!(%error, "the journal was not written back into the database; the next start will");
                }
                // The next start sees what has become of it.
                std::mem::forget(in_doubt);
                if let Err((_, error)) = connection.close() {
                    tracing::error!(%error, "closing the database failed");
                }
                // Nobody may be waiting for the end.
                let _ = finish.send(());
            })
            .map_err(|error| StoreError::file("store-writer thread", error))?;
        let (jobs, finished) = (tokio::sync::Mutex::new(Some(sender)), tokio::sync::Mutex::new(Some(finished)));
        Ok(Self { jobs: Arc::new(jobs), finished: Arc::new(finished), health })
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

    /// Whether what is written reaches the disk.
    pub(super) fn health(&self) -> &WriteHealth {
        &self.health
    }

    /// How many writes wait.
    pub(super) async fn waiting(&self) -> usize {
        self.jobs.lock().await.as_ref().map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
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

/// What waited for commits of which nobody knows whether they are on disk: a restart might find them, so their files stay. The
/// next commit takes their place in the journal, and then they have not happened.
#[derive(Default)]
struct InDoubt(Vec<AfterCommit>);

fn run(
    connection: &Connection,
    mut jobs: mpsc::Receiver<Job>,
    clock: &Clock,
    followers: &Followers,
    health: &WriteHealth,
) -> InDoubt {
    let mut in_doubt = InDoubt::default();
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH {
            let Ok(job) = jobs.try_recv() else { break };
            batch.push(job);
        }
        run_batch(connection, batch, clock.now(), followers, health, &mut in_doubt);
    }
    in_doubt
}

/// Whether a commit that failed with this may be on disk all the same: all of it was written, and putting it on disk failed.
fn leaves_doubt(error: &StoreError) -> bool {
    let StoreError::Database(error) = error else { return false };
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC].contains(&code)
}

fn run_batch(
    connection: &Connection,
    batch: Vec<Job>,
    now: Timestamp,
    followers: &Followers,
    health: &WriteHealth,
    in_doubt: &mut InDoubt,
) {
    health.counts.batches.add_one();
    health.counts.writes.add(batch.len() as u64);
    if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
        health.note(false, now);
        let error = StoreError::from(error);
        for job in batch {
            let refuse = || (job(Err(error.clone())).answer)(Err(error.clone()));
            log_panic(catch_unwind(AssertUnwindSafe(refuse)));
        }
        return;
    }
    fail_point!("write.begun");
    let (tx, changes_before) = (WriteTx::new(connection, now, followers), connection.total_changes());
    let completions: Vec<_> = batch.into_iter().filter_map(|job| run_job(&tx, job)).collect();
    fail_point!("write.applied");
    let commit = if connection.is_autocommit() {
        Err(StoreError::RolledBack)
    } else {
        connection.execute_batch("COMMIT").map_err(StoreError::from)
    };
    // A transaction in which nothing was kept says nothing about the disk.
    if commit.is_err() || completions.iter().any(|completion| completion.keep) {
        health.note(commit.is_ok(), now);
    }
    let after_commit = tx.after_commit.take();
    if let Err(error) = &commit {
        tracing::error!(%error, writes = completions.len(), "a commit failed; its writes are refused");
        // After some errors SQLite has rolled back by itself, and says so to this.
        let _ = connection.execute_batch("ROLLBACK");
        if leaves_doubt(error) {
            in_doubt.0.extend(after_commit);
        } else {
            // What waited for the commit is undone before anybody hears of the failure.
            drop(after_commit);
        }
    } else {
        // A commit of nothing writes nothing.
        if connection.total_changes() > changes_before {
            in_doubt.0.clear();
        }
        health.counts.commits.add_one();
        fail_point!("write.committed");
        for work in after_commit {
            log_panic(catch_unwind(AssertUnwindSafe(work)));
        }
    }
    fail_point!("write.followed");
    for completion in completions {
        (completion.answer)(commit.clone());
    }
}

/// Runs one job in its savepoint. A job that panics is undone and, having dropped its reply, answered as abandoned.
fn run_job(tx: &WriteTx<'_>, job: Job) -> Option<Completion> {
    let connection = tx.connection;
    // On a full disk or an I/O error SQLite rolls the whole transaction back. A savepoint would begin another one, and its
    // release would commit what is then refused.
    let ready = if connection.is_autocommit() {
        Err(StoreError::RolledBack)
    } else {
        connection.execute_batch("SAVEPOINT job").map_err(StoreError::from)
    };
    if let Err(error) = ready {
        return log_panic(catch_unwind(AssertUnwindSafe(|| job(Err(error)))));
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
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch(end)
    {
        tracing::error!(%error, "ending a savepoint failed");
    }
    completion
}

fn log_panic<T>(result: thread::Result<T>) -> Option<T> {
    result.inspect_err(|_| tracing::error!("a write panicked and was undone")).ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// A job that runs one statement, and the way to its answer.
    fn job(sql: &'static str) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        let (reply, answered) = oneshot::channel();
        let job: Job = Box::new(move |tx| {
            let result = tx.and_then(|tx| Ok(tx.connection().execute_batch(sql)?));
            let answer = move |commit: Result<(), StoreError>| reply.send(result.and(commit)).unwrap();
            Completion { keep: true, answer: Box::new(answer) }
        });
        (job, answered)
    }

    #[test]
    fn a_full_disk_in_the_middle_of_a_batch_leaves_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("a.sqlite")).unwrap();
        connection.execute_batch("CREATE TABLE notes (text TEXT) STRICT; PRAGMA max_page_count = 20").unwrap();
        let statements = [
            "INSERT INTO notes VALUES ('before')",
            "INSERT INTO notes VALUES (hex(zeroblob(1000000)))",
            "INSERT INTO notes VALUES ('after')",
        ];
        let (jobs, answers): (Vec<_>, Vec<_>) = statements.into_iter().map(job).unzip();
        let (clock, _) = Clock::manual(SystemTime::UNIX_EPOCH);
        let health = WriteHealth::default();
        let events = Arc::new(Events::new(0, clock.now()));
        let followers = Followers { generations: Arc::default(), events };
        run_batch(&connection, jobs, clock.now(), &followers, &health, &mut InDoubt::default());
        assert!(health.failing_since().is_some());

        for (statement, mut answer) in statements.into_iter().zip(answers) {
            assert!(answer.try_recv().unwrap().is_err(), "{statement}");
        }
        let rows = || connection.query_row("SELECT count(*) FROM notes", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(rows(), 0);

        let (next, mut answer) = job("INSERT INTO notes VALUES ('next')");
        run_batch(&connection, vec![next], clock.now(), &followers, &health, &mut InDoubt::default());
        assert_eq!(health.failing_since(), None);
        answer.try_recv().unwrap().unwrap();
        assert_eq!(rows(), 1);
    }
}
