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
    /// Whether connections are accepted; that is said when the database has answered, to a read and to a write that is given up at
    /// once, and never where it hangs. What it answers is no matter: a new start does not mend a disk that fails.
    pub async fn beat(&self) -> bool {
        let (read, begun) = tokio::join!(self.store.try_reading(), self.store.try_beginning_to_write());
        for error in [read, begun].into_iter().filter_map(Result::err) {
            tracing::debug!(%error, "the database answers with an error");
        }
        !self.serving.is_finished()
    }
}
