//! Where events are told: to those who listen, at once, and into the queues of the webhooks that want them.
//!
//! What is done in a write transaction is told with [`tell`], exactly if the transaction commits. What happens in memory is
//! told with [`Events::publish`], and its queueing is left to a write that is made anyway.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, broadcast};

use super::presence::DeviceNews;
use super::webhooks::WebhookId;
use super::writer::WriteTx;
use super::{StoreError, webhooks};
use crate::domain::{Event, EventFilter, EventRecord, EventType, Timestamp};

/// How far a listener may lag behind. One who lags further misses events and is told so: it is to be let go.
const LAG: usize = 1024;
/// How many of the latest events are kept for those who come again, and how many bytes they may have as JSON.
const MOST_KEPT: usize = 1024;
const MOST_KEPT_BYTES: usize = 256 * 1024;
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
    /// Locked while an event is told: so what is kept and what is heard fit together without a gap.
    kept: Mutex<Kept>,
    listeners: broadcast::Sender<Message>,
    subscriptions: OnceLock<Vec<Subscription>>,
}

/// What listeners hear.
#[derive(Debug, Clone)]
pub enum Message {
    /// Something happened.
    Event(Arc<EventRecord>),
    /// Devices were heard.
    Devices(Arc<DeviceNews>),
}

/// From where on somebody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// After the event with this identifier.
    Event(i64),
    /// From so many of the latest events on.
    Latest(usize),
}

/// Somebody who listens.
#[derive(Debug)]
pub struct Listener {
    /// What happened before, as far as it is wanted and known.
    pub before: Vec<Arc<EventRecord>>,
    /// Whether nothing is missing between the event that was named and `before`.
    pub is_resumed: bool,
    /// The identifier to name when coming again, if nothing happens until then.
    pub position: i64,
    /// What happens from now on.
    pub messages: broadcast::Receiver<Message>,
}

/// The latest events.
#[derive(Debug)]
struct Kept {
    /// The identifier of the event before the first of them.
    before: i64,
    /// With their lengths as JSON.
    events: VecDeque<(Arc<EventRecord>, usize)>,
    bytes: usize,
}

impl Kept {
    fn push(&mut self, record: &Arc<EventRecord>, length_bytes: usize) {
        self.events.push_back((record.clone(), length_bytes));
        self.bytes += length_bytes;
        while self.events.len() > MOST_KEPT || self.bytes > MOST_KEPT_BYTES {
            let Some((oldest, length_bytes)) = self.events.pop_front() else { return };
            self.before = oldest.id;
            self.bytes -= length_bytes;
        }
    }

    /// How many of them are older than what follows this event, if it is known.
    fn place_after(&self, id: i64) -> Option<usize> {
        if id == self.before {
            return Some(0);
        }
        self.events.iter().position(|(record, _)| record.id == id).map(|position| position + 1)
    }

    fn from(&self, place: usize) -> Vec<Arc<EventRecord>> {
        self.events.iter().skip(place).map(|(record, _)| record.clone()).collect()
    }
}

impl Events {
    /// With nobody to tell. Identifiers follow `latest`, the highest that is known.
    pub(super) fn new(latest: i64, now: Timestamp) -> Self {
        let next = now.unix_seconds().saturating_mul(IDS_OF_SECOND).max(latest.saturating_add(1));
        let kept = Kept { before: next - 1, events: VecDeque::new(), bytes: 0 };
        Self {
            next_id: AtomicI64::new(next),
            kept: Mutex::new(kept),
            listeners: broadcast::Sender::new(LAG),
            subscriptions: OnceLock::new(),
        }
    }

    /// From now on events are queued for these. To be called once, before anything happens.
    pub fn subscribe(&self, subscriptions: Vec<Subscription>) {
        if self.subscriptions.set(subscriptions).is_err() {
            tracing::error!("webhooks were configured twice; the first configuration counts");
        }
    }

    /// What happens from now on, and what happened `since`.
    pub fn listen(&self, since: Since) -> Listener {
        let kept = self.kept();
        let (place, is_resumed) = match since {
            Since::Event(id) => kept.place_after(id).map_or((kept.events.len(), false), |place| (place, true)),
            Since::Latest(count) => (kept.events.len().saturating_sub(count), false),
        };
        let position = kept.events.back().map_or(kept.before, |(latest, _)| latest.id);
        Listener { before: kept.from(place), is_resumed, position, messages: self.listeners.subscribe() }
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.listeners.receiver_count()
    }

    /// Whether anybody listens.
    pub fn has_listeners(&self) -> bool {
        self.listeners.receiver_count() > 0
    }

    /// Tells those who listen of devices that were heard.
    pub fn publish_devices(&self, news: DeviceNews) {
        // An error means that nobody listens any more.
        let _ = self.listeners.send(Message::Devices(Arc::new(news)));
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
        // Before others are kept waiting.
        let length_bytes = serde_json::to_string(record).map_or(0, |json| json.len());
        let mut kept = self.kept();
        kept.push(record, length_bytes);
        // An error means that nobody listens.
        let _ = self.listeners.send(Message::Event(record.clone()));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // At worst an event is kept whose bytes are not counted.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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
    use crate::domain::{DeviceId, GroupId};

    fn happen(events: &Events, count: usize) {
        for _ in 0..count {
            let wanted = events.publish(Timestamp::from_unix_seconds(0), Event::group_resumed(GroupId(1)));
            assert_eq!(wanted, None, "there are no webhooks");
        }
    }

    fn hear(messages: &mut broadcast::Receiver<Message>) -> Result<i64, TryRecvError> {
        match messages.try_recv()? {
            Message::Event(record) => Ok(record.id),
            Message::Devices(news) => panic!("{news:?}"),
        }
    }

    fn ids(records: &[Arc<EventRecord>]) -> Vec<i64> {
        records.iter().map(|record| record.id % IDS_OF_SECOND).collect()
    }

    fn events() -> Events {
        Events::new(0, Timestamp::from_unix_seconds(1_800_000_000))
    }

    const FIRST: i64 = 1_800_000_000_000_000;

    #[test]
    fn listeners_hear_everything_in_order_and_the_slow_are_told_that_they_are() {
        let events = events();
        happen(&events, 1);
        let [mut quick, mut slow] = [(); 2].map(|()| events.listen(Since::Latest(0)).messages);
        happen(&events, 2);
        assert_eq!(hear(&mut quick), Ok(FIRST + 1));
        assert_eq!(hear(&mut quick), Ok(FIRST + 2));
        assert_eq!(hear(&mut quick), Err(TryRecvError::Empty));
        happen(&events, LAG);
        assert!(matches!(hear(&mut slow), Err(TryRecvError::Lagged(_))));
    }

    #[test]
    fn identifiers_go_on_where_they_were() {
        let events = Events::new(5_000_000, Timestamp::from_unix_seconds(3));
        let mut messages = events.listen(Since::Latest(0)).messages;
        happen(&events, 1);
        assert_eq!(hear(&mut messages), Ok(5_000_001));
    }

    #[test]
    fn who_comes_again_misses_nothing_or_is_told_so() {
        let events = events();
        let nothing_yet = events.listen(Since::Latest(10));
        assert_eq!((ids(&nothing_yet.before), nothing_yet.is_resumed), (vec![], false));
        happen(&events, 3);
        let after = |id| {
            let Listener { before, is_resumed, .. } = events.listen(Since::Event(id));
            (ids(&before), is_resumed)
        };
        assert_eq!(after(nothing_yet.position), (vec![0, 1, 2], true));
        assert_eq!(after(FIRST), (vec![1, 2], true));
        assert_eq!(after(FIRST + 2), (vec![], true));
        assert_eq!(after(FIRST + 3), (vec![], false), "of nobody");
        assert_eq!(ids(&events.listen(Since::Latest(2)).before), [1, 2]);
        assert_eq!(events.listen(Since::Latest(0)).position, FIRST + 2);
    }

    #[test]
    fn what_is_kept_is_bounded_by_count_and_bytes() {
        let many = events();
        happen(&many, MOST_KEPT + 5);
        assert_eq!(many.listen(Since::Latest(usize::MAX)).before.len(), MOST_KEPT);
        assert!(many.listen(Since::Event(FIRST + 4)).is_resumed, "the last one that is gone");
        assert!(!many.listen(Since::Event(FIRST + 3)).is_resumed);

        let long = events();
        let length_bytes = 1000 + happen_at_length(&long);
        let expected = MOST_KEPT_BYTES / length_bytes;
        for _ in 0..2 * expected {
            happen_at_length(&long);
        }
        let kept = long.listen(Since::Latest(usize::MAX)).before;
        let total: usize = kept.iter().map(|record| serde_json::to_string(record).unwrap().len()).sum();
        assert!(kept.len() >= expected && total <= MOST_KEPT_BYTES, "{} events, {total} bytes", kept.len());
    }

    fn happen_at_length(events: &Events) -> usize {
        let devices: Vec<_> = (0..200).map(DeviceId).collect();
        events.publish(Timestamp::from_unix_seconds(0), Event::devices_removed(&devices).remove(0));
        let latest = events.listen(Since::Latest(1)).before.remove(0);
        serde_json::to_string(&latest).unwrap().len()
    }
}
