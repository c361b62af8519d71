//! The connections that only read, and the turns that are waited for. Queries run off the event loop, each on one snapshot.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{StoreError, schema};

/// Queries that run at once. Whoever comes then waits for a turn without holding a thread.
const CONNECTIONS: u32 = 4;
/// How long opening a connection may take.
const WAIT: Duration = Duration::from_secs(10);

/// A query that waits: runs on a snapshot, or is told why there is none. One type for all of them: what runs them is not made
/// anew in the program for each query.
type Job = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;

/// Connections to one database. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Readers {
    connections: r2d2::Pool<SqliteConnectionManager>,
    turns: Arc<Semaphore>,
}

impl Readers {
    /// Of the database at `path`, which is there.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let manager =
            SqliteConnectionManager::file(path).with_flags(schema::reader_flags()).with_init(schema::prepare_reader);
        let connections = r2d2::Pool::builder()
            .max_size(CONNECTIONS)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(WAIT)
            .build(manager)?;
        Ok(Self { connections, turns: Arc::new(Semaphore::new(CONNECTIONS as usize)) })
    }

    /// See [`super::Store::read`].
    pub(super) async fn read<T, E>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| StoreError::Abandoned)?;
        let (reply, answered) = oneshot::channel();
        self.begin(
            turn,
            Box::new(move |snapshot| {
                // Whoever asked may be gone.
                let _ = reply.send(snapshot.map_err(E::from).and_then(query));
            }),
        );
        answered.await.unwrap_or_else(|_| Err(StoreError::Abandoned.into()))
    }

    /// Has the job done.
    fn begin(&self, turn: OwnedSemaphorePermit, job: Job) {
        let connections = self.connections.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            match connections.get() {
                Ok(mut connection) => match connection.transaction() {
                    Ok(snapshot) => job(Ok(&snapshot)),
                    Err(error) => job(Err(error.into())),
                },
                Err(error) => job(Err(error.into())),
            }
        });
    }
}
