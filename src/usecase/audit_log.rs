//! What goes into the audit log outside of the change that it is about: attempts that failed, and grants to clients. And how
//! often: nobody shall be able to wash out what others did by doing something small again and again.

use std::net::IpAddr;
use std::time::Duration;

use crate::auth::throttle::{Admission, Patience, Throttle, network};
use crate::domain::{Actor, ActorKind, AuditEntry, AuditRetention, Deed, Outcome, Timestamp};
use crate::store::{Store, StoreError, audit};

/// How many failures of one kind by one actor are noted in [`FAILURE_WINDOW`]: a script that runs into the same refusal again
/// and again must neither fill the log nor wear out flash.
const FAILURES: u32 = 20;
const FAILURE_WINDOW: Duration = Duration::from_secs(10 * 60);
/// The same for what somebody may do to their own sessions and tokens as often as they like.
const SMALL_DEEDS: u32 = 20;
/// How often grants of one client to one address are noted: `rdfm-mgmt` asks for a token with each request.
const GRANT_WINDOW: Duration = Duration::from_secs(60 * 60);
/// How many kinds of repetition are remembered.
const REMEMBERED: usize = 4096;

/// The log, and what was noted of late.
#[derive(Debug)]
pub struct AuditLog {
    failures: Throttle<(Deed, Outcome)>,
    small_deeds: Throttle<Deed>,
    grants: Throttle<(String, Option<IpAddr>)>,
}

impl Default for AuditLog {
    fn default() -> Self {
        Self {
            failures: at_most(FAILURES, FAILURE_WINDOW),
            small_deeds: at_most(SMALL_DEEDS, FAILURE_WINDOW),
            grants: at_most(1, GRANT_WINDOW),
        }
    }
}

fn at_most<K: Eq + std::hash::Hash + Clone>(times: u32, window: Duration) -> Throttle<K> {
    let no_delay = Duration::ZERO;
    let patience =
        Patience { free: times, first_delay: no_delay, longest_delay: no_delay, lock_at: Some(times), lock: window };
    Throttle::new(patience, REMEMBERED)
}

impl AuditLog {
    /// Notes an attempt that failed, unless the same was noted many times of late.
    pub async fn note_failure(&self, store: &Store, entry: AuditEntry) {
        self.note_at_times(store, entry.deed.clone(), entry).await;
    }

    /// The same, but whoever it was, the failures of one address count together.
    pub async fn note_failure_at(&self, store: &Store, entry: AuditEntry) {
        let actor = Actor::new(ActorKind::Anonymous, "");
        self.note_at_times(store, Deed { actor, ..entry.deed.clone() }, entry).await;
    }

    async fn note_at_times(&self, store: &Store, counted: Deed, entry: AuditEntry) {
        let counted = Deed { address: counted.address.map(network), ..counted };
        let admission = self.failures.begin(&(counted, entry.outcome), store.clock().steady());
        if admission == Admission::After(Duration::ZERO) {
            note(store, entry).await;
        }
    }

    /// Whether something small that was done is still worth a line: a login, a logout, a client's own token revoked. `now` is the
    /// steady time.
    pub fn is_worth_noting(&self, deed: &Deed, now: Timestamp) -> bool {
        let counted = Deed { address: deed.address.map(network), ..deed.clone() };
        self.small_deeds.begin(&counted, now) == Admission::After(Duration::ZERO)
    }

    /// Notes that a client got a token, once in a while for each address.
    pub async fn note_grant(&self, store: &Store, client_id: &str, entry: AuditEntry) -> Result<(), StoreError> {
        let key = (client_id.to_owned(), entry.deed.address.map(network));
        match self.grants.begin(&key, store.clock().steady()) {
            Admission::After(_) => store.write(move |tx| audit::append(tx, &entry)).await,
            Admission::Locked(_) => Ok(()),
        }
    }
}

/// Notes something that has its answer either way: a log that cannot be written is only told to the journal.
pub async fn note(store: &Store, entry: AuditEntry) {
    if let Err(error) = store.write(move |tx| audit::append(tx, &entry)).await {
        tracing::error!(%error, "the audit log could not be written");
    }
}

/// Takes away what is older or more than is kept; returns how many entries. Writes nothing if nothing is.
pub async fn prune(store: &Store, retention: AuditRetention) -> Result<usize, StoreError> {
    let now = store.clock().now();
    if !store.read(move |connection| audit::is_over(connection, retention, now)).await? {
        return Ok(0);
    }
    store.write(move |tx| audit::prune(tx, retention)).await
}
