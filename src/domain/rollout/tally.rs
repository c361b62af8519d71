//! Where the devices of a group stand on their way to one target.

use std::collections::HashMap;

use crate::domain::{DeviceId, Timestamp};

/// Where a device stands on its way to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was offered a package, and nothing has come of it yet.
    Trying,
    /// It has made a step, and not the last one.
    Between,
    /// It runs the target.
    Reached,
    /// Its last attempt failed.
    Failed,
}

/// Where the devices of a group stand on their way to one target, as far as they have begun.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    places: HashMap<DeviceId, Place>,
    counts: [usize; 4],
    failed: usize,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    standing: Standing,
    since: Timestamp,
    /// A device that tries again after it failed still is one that failed.
    has_failed: bool,
}

impl Tally {
    /// How many devices stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.counts[standing as usize]
    }

    /// How many devices have failed and not made a step since, those included that try again.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// How many devices have begun and not failed, or try again.
    pub fn begun(&self) -> usize {
        self.places.len() - self.count(Standing::Failed)
    }

    /// Where a device stands; `None`: it has not begun.
    pub fn of(&self, device: DeviceId) -> Option<Standing> {
        self.places.get(&device).map(|place| place.standing)
    }

    /// A device stands there from now on.
    pub fn put(&mut self, device: DeviceId, standing: Standing, now: Timestamp) {
        let before = self.take(device);
        let has_failed = match standing {
            Standing::Trying => before.is_some_and(|place| place.has_failed),
            Standing::Between | Standing::Reached => false,
            Standing::Failed => true,
        };
        self.places.insert(device, Place { standing, since: now, has_failed });
        self.counts[standing as usize] += 1;
        self.failed += usize::from(has_failed);
    }

    /// What a device tried came to nothing: it counts as if it had not tried.
    pub fn withdraw(&mut self, device: DeviceId, now: Timestamp) {
        if self.take(device).is_some_and(|place| place.has_failed) {
            self.put(device, Standing::Failed, now);
        }
    }

    /// A device counts as if it had not begun.
    pub fn forget(&mut self, device: DeviceId) {
        self.take(device);
    }

    /// A device counts as if it had not failed; see [`Tally::forgive_all`].
    pub fn forgive(&mut self, device: DeviceId) {
        let Some(place) = self.take(device).filter(|place| place.standing != Standing::Failed) else { return };
        self.put(device, place.standing, place.since);
    }

    /// Devices that have failed count as if they had not begun or, if they try again, as if that was the first time.
    pub fn forgive_all(&mut self) {
        self.places.retain(|_, place| place.standing != Standing::Failed);
        self.places.values_mut().for_each(|place| place.has_failed = false);
        self.counts[Standing::Failed as usize] = 0;
        self.failed = 0;
    }

    /// Forgets the devices that stand there since `latest` or longer.
    pub fn forget_since(&mut self, standing: Standing, latest: Timestamp) {
        let Self { places, counts, failed } = self;
        places.retain(|_, place| {
            let stays = place.standing != standing || place.since > latest;
            if !stays {
                counts[standing as usize] -= 1;
                *failed -= usize::from(place.has_failed);
            }
            stays
        });
    }

    fn take(&mut self, device: DeviceId) -> Option<Place> {
        let place = self.places.remove(&device)?;
        self.counts[place.standing as usize] -= 1;
        self.failed -= usize::from(place.has_failed);
        Some(place)
    }
}

#[cfg(test)]
impl Tally {
    /// That what is counted as things go is what there is.
    pub fn assert_counts_are_right(&self) {
        for standing in [Standing::Trying, Standing::Between, Standing::Reached, Standing::Failed] {
            let there = self.places.values().filter(|place| place.standing == standing).count();
            assert_eq!(self.count(standing), there, "{standing:?}: {self:?}");
        }
        let failed = self.places.values().filter(|place| place.has_failed).count();
        assert_eq!(self.failed(), failed, "{self:?}");
        for place in self.places.values() {
            assert!(place.has_failed || place.standing != Standing::Failed, "{self:?}");
            assert!(!place.has_failed || matches!(place.standing, Standing::Trying | Standing::Failed), "{self:?}");
        }
    }
}
