//! What shows that a server is alive.

use tokio::task::AbortHandle;

use crate::store::Store;

/// The pulse of a running server. Clones are the same one.
#[derive(Clone)]
pub struct Pulse {
    pub(super) store: Store,
    /// The accept loop.
    pub(super) serving: AbortHandle,
}

impl Pulse {
    /// Comes back when the database has answered, reads and writes, whatever it answers: a disk that fails is not mended by a new
    /// start. Nothing is written. Whether connections are accepted; where the database hangs, it never comes back.
    pub async fn beat(&self) -> bool {
        let (read, begun) = tokio::join!(self.store.try_reading(), self.store.try_beginning_to_write());
        for error in [read, begun].into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "the database answers with an error");
        }
        !self.serving.is_finished()
    }
}
