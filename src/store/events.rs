//! Where events are told: to those who listen, at once, and into the queues of the webhooks that want them.
//!
//! What is done in a write transaction is told with [`tell`], exactly if the transaction commits. What happens in memory is
//! told with [`Events::publish`], and its queueing is left to a write that is made anyway.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, broadcast};

use super::webhooks::WebhookId;
use super::writer::WriteTx;
use super::{StoreError, webhooks};
use crate::domain::{Event, EventFilter, EventRecord, EventType, Timestamp};

/// How far a listener may lag behind. One who lags further misses events and is told so: it is to be let go.
const LAG: usize = 1024;
/// More events than happen in a second. Identifiers begin with the date of the start, so that they grow across restarts though
/// nothing is written for it, and stay below what JavaScript takes for a whole number.
const IDS_OF_SECOND: i64 = 1_000_000;

/// A webhook whose events are queued.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Whose queue it is.
    pub webhook: WebhookId,
    /// Which events it wants.
    pub wants: EventFilter,
    /// How many may wait; of more the oldest are dropped.
    pub most_queued: u32,
    /// Told when events were queued.
    pub arrival: Arc<Notify>,
}

/// The one source of all events of this process.
#[derive(Debug)]
pub struct Events {
    next_id: AtomicI64,
    listeners: broadcast::Sender<Arc<EventRecord>>,
    subscriptions: OnceLock<Vec<Subscription>>,
}

impl Events {
    /// With nobody to tell. Identifiers follow `latest`, the highest that is known.
    pub(super) fn new(latest: i64, now: Timestamp) -> Self {
        let next = now.unix_seconds().saturating_mul(IDS_OF_SECOND).max(latest.saturating_add(1));
        Self { next_id: AtomicI64::new(next), listeners: broadcast::Sender::new(LAG), subscriptions: OnceLock::new() }
    }

    /// From now on events are queued for these. To be called once, before anything happens.
    pub fn subscribe(&self, subscriptions: Vec<Subscription>) {
        if self.subscriptions.set(subscriptions).is_err() {
            tracing::error!("webhooks were configured twice; the first configuration counts");
        }
    }

    /// All events from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<EventRecord>> {
        self.listeners.subscribe()
    }

    /// Tells those who listen of what happened in memory. It is returned if webhooks want it: then whoever calls this has it
    /// queued with its next write ([`webhooks::queue`]).
    pub fn publish(&self, at: Timestamp, event: Event) -> Option<Arc<EventRecord>> {
        let record = self.record(at, event);
        self.send(&record);
        self.is_wanted(record.event.kind()).then_some(record)
    }

    /// The webhooks whose events are queued.
    pub(super) fn subscriptions(&self) -> &[Subscription] {
        self.subscriptions.get().map_or(&[], Vec::as_slice)
    }

    fn is_wanted(&self, kind: EventType) -> bool {
        self.subscriptions().iter().any(|subscription| subscription.wants.takes(kind))
    }

    fn record(&self, at: Timestamp, event: Event) -> Arc<EventRecord> {
        Arc::new(EventRecord { id: self.next_id.fetch_add(1, Ordering::Relaxed), at, event })
    }

    fn send(&self, record: &Arc<EventRecord>) {
        // An error means that nobody listens.
        let _ = self.listeners.send(record.clone());
    }
}

/// Tells of what this transaction does, exactly if it commits.
pub fn tell(tx: &WriteTx<'_>, event: Event) -> Result<(), StoreError> {
    let events = tx.events().clone();
    let record = events.record(tx.now(), event);
    webhooks::queue(tx, std::slice::from_ref(&record))?;
    tx.after_commit(move || events.send(&record));
    Ok(())
}

/// The same of several.
pub fn tell_all(tx: &WriteTx<'_>, events: impl IntoIterator<Item = Event>) -> Result<(), StoreError> {
    events.into_iter().try_for_each(|event| tell(tx, event))
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;
    use crate::domain::GroupId;

    fn happen(events: &Events, count: usize) {
        for _ in 0..count {
            let wanted = events.publish(Timestamp::from_unix_seconds(0), Event::group_resumed(GroupId(1)));
            assert_eq!(wanted, None, "there are no webhooks");
        }
    }

    #[test]
    fn listeners_hear_everything_in_order_and_the_slow_are_told_that_they_are() {
        let events = Events::new(0, Timestamp::from_unix_seconds(1_800_000_000));
        happen(&events, 1);
        let (mut quick, mut slow) = (events.listen(), events.listen());
        happen(&events, 2);
        assert_eq!(quick.try_recv().unwrap().id, 1_800_000_000_000_001);
        assert_eq!(quick.try_recv().unwrap().id, 1_800_000_000_000_002);
        assert_eq!(quick.try_recv(), Err(TryRecvError::Empty));
        happen(&events, LAG);
        assert!(matches!(slow.try_recv(), Err(TryRecvError::Lagged(_))));
    }

    #[test]
    fn identifiers_go_on_where_they_were() {
        let events = Events::new(5_000_000, Timestamp::from_unix_seconds(3));
        let mut listener = events.listen();
        happen(&events, 1);
        assert_eq!(listener.try_recv().unwrap().id, 5_000_001);
    }
}
