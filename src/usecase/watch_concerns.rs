//! What is wrong with the server, watched: others are told when it begins and when it is over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::room::Room;
use super::schedule_backups::BackupSchedule;
use super::status::status;
use crate::domain::{Concern, Event, EventRecord};
use crate::store::{Store, StoreError, webhooks};

/// How many events are kept for webhooks while nothing can be written: then the oldest go.
const MOST_UNQUEUED: usize = 256;

/// What is known to be wrong, by name. At the start nothing is: whoever listens is told of all anew.
#[derive(Debug, Default)]
pub struct ConcernWatch(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    names: Vec<&'static str>,
    /// Told, and not queued for webhooks: the disk may be what is wrong.
    unqueued: Vec<Arc<EventRecord>>,
}

impl ConcernWatch {
    /// Looks, and tells what is new. Writes nothing unless webhooks want it.
    pub async fn look(
        &self,
        store: &Store,
        room: &Room,
        backups: Option<&BackupSchedule>,
        authentication_is_off: bool,
    ) -> Result<(), StoreError> {
        let concerns = status(store, room, backups, authentication_is_off).await?.concerns;
        let now = store.clock().now();
        let unqueued = {
            let mut known = self.lock();
            for event in known.update(&concerns) {
                known.unqueued.extend(store.events().publish(now, event));
            }
            let surplus = known.unqueued.len().saturating_sub(MOST_UNQUEUED);
            known.unqueued.drain(..surplus);
            if store.writes_fail_since().is_some() {
                return Ok(());
            }
            std::mem::take(&mut known.unqueued)
        };
        if unqueued.is_empty() {
            return Ok(());
        }
        let queueing = unqueued.clone();
        let queued = store.write(move |tx| webhooks::queue(tx, &queueing)).await;
        if queued.is_err() {
            self.lock().unqueued.splice(..0, unqueued);
        }
        queued
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Takes note of what is wrong now, and says what is new about it.
    fn update(&mut self, concerns: &[Concern]) -> Vec<Event> {
        let names: Vec<_> = concerns.iter().map(|concern| concern.name()).collect();
        let raised = concerns.iter().filter(|concern| !self.names.contains(&concern.name()));
        let cleared = self.names.iter().filter(|name| !names.contains(name));
        let events =
            raised.map(Event::concern_raised).chain(cleared.map(|name| Event::concern_cleared(name))).collect();
        self.names = names;
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventType::{ConcernCleared, ConcernRaised};

    #[test]
    fn what_comes_and_goes_is_told_once() {
        let mut known = Known::default();
        let mut kinds = |concerns: &[Concern]| known.update(concerns).iter().map(Event::kind).collect::<Vec<_>>();
        let both = [Concern::PackagesAway, Concern::ClockUnset];
        assert_eq!(kinds(&both), [ConcernRaised, ConcernRaised]);
        assert_eq!(kinds(&both), []);
        assert_eq!(kinds(&[Concern::ClockUnset, Concern::AuthenticationOff]), [ConcernRaised, ConcernCleared]);
        assert_eq!(kinds(&[]), [ConcernCleared, ConcernCleared]);
    }
}
