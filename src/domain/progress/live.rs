//! The attempts that go on, one of a device at most, counted by group.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::domain::attempt::LiveAttempt;
use crate::domain::{DeviceId, GroupId};

/// The attempts of a fleet that go on.
#[derive(Debug, Clone, Default)]
pub struct LiveAttempts {
    /// In boxes: the table of a large fleet grows without moving them.
    of_devices: HashMap<DeviceId, Box<LiveAttempt>>,
    in_groups: HashMap<GroupId, usize>,
}

impl LiveAttempts {
    /// The attempt of a device.
    pub fn get(&self, device: DeviceId) -> Option<&LiveAttempt> {
        self.of_devices.get(&device).map(|live| &**live)
    }

    /// The attempt of a device.
    pub fn get_mut(&mut self, device: DeviceId) -> Option<&mut LiveAttempt> {
        self.of_devices.get_mut(&device).map(|live| &mut **live)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &LiveAttempt> {
        self.of_devices.values().map(|live| &**live)
    }

    /// How many devices of a group have one.
    pub fn count_in(&self, group: GroupId) -> usize {
        self.in_groups.get(&group).copied().unwrap_or(0)
    }

    /// An attempt begins.
    pub fn insert(&mut self, live: LiveAttempt) {
        *self.in_groups.entry(live.attempt.step.group).or_default() += 1;
        if let Some(before) = self.of_devices.insert(live.attempt.device, Box::new(live)) {
            self.leave(before.attempt.step.group);
        }
    }

    /// The attempt of a device is over.
    pub fn remove(&mut self, device: DeviceId) -> Option<LiveAttempt> {
        let live = self.of_devices.remove(&device)?;
        self.leave(live.attempt.step.group);
        Some(*live)
    }

    fn leave(&mut self, group: GroupId) {
        if let Entry::Occupied(mut count) = self.in_groups.entry(group) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}
