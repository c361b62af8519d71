//! Whose turn it is, where not all devices of a group may go at once: whoever tried and got nowhere goes behind those that
//! wait, or a device that never installs anything would take the only place again and again.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use crate::domain::{AttemptId, DeviceId, Timestamp};

/// How long a place is kept free for those that wait longer than whoever asks for it: they may have gone. Devices that poll
/// this often are sure to have their turn.
pub const GRACE: Duration = Duration::from_secs(2 * 60 * 60);

/// The last attempt of a device that got nowhere. Who has none goes first.
type Turn = Option<AttemptId>;

/// The devices of a group that wait for a place.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    turns: HashMap<DeviceId, AttemptId>,
    waiting: BTreeSet<(Turn, DeviceId)>,
    /// Since when a place is kept free for those that wait.
    kept_since: Option<Timestamp>,
}

impl Queue {
    /// A device was told to wait, though there is a place if `is_place_free`.
    pub fn join(&mut self, device: DeviceId, is_place_free: bool, now: Timestamp) {
        self.waiting.insert((self.turn(device), device));
        if is_place_free {
            self.kept_since.get_or_insert(now);
        }
    }

    /// A device takes a place.
    pub fn begin(&mut self, device: DeviceId, now: Timestamp) {
        if self.is_grace_over(now) {
            self.waiting.clear();
        } else {
            self.waiting.remove(&(self.turn(device), device));
        }
        self.kept_since = None;
    }

    /// An attempt of a device got nowhere: those that wait go first.
    pub fn step_back(&mut self, device: DeviceId, attempt: AttemptId) {
        let turn = self.turn(device).map_or(attempt, |before| before.max(attempt));
        self.forget(device);
        self.turns.insert(device, turn);
    }

    /// A device counts as if it had not tried.
    pub fn forget(&mut self, device: DeviceId) {
        self.waiting.remove(&(self.turn(device), device));
        self.turns.remove(&device);
    }

    /// Whether a device has to let others go first.
    pub fn must_let_others_go(&self, device: DeviceId, now: Timestamp) -> bool {
        let turn = self.turn(device);
        self.waiting.first().is_some_and(|(first, _)| *first < turn) && !self.is_grace_over(now)
    }

    fn turn(&self, device: DeviceId) -> Turn {
        self.turns.get(&device).copied()
    }

    fn is_grace_over(&self, now: Timestamp) -> bool {
        self.kept_since.is_some_and(|since| since.until(now) >= GRACE)
    }
}
