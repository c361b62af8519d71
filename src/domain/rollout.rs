//! Rollouts: how a new version goes out to the devices of a group, and what holds one of them back for a while.
//!
//! Nothing here holds a healthy device back for ever, unless a person said that somebody must look first ([`HaltRule`]).

mod queue;
mod tally;

use std::time::Duration;

use super::{DeviceId, LocalHours, Timestamp};
pub use queue::Queue;
pub use tally::{Standing, Tally};

/// How many failures of one package hold a device back, if nobody says otherwise.
pub const DEFAULT_MAX_FAILURES: u32 = 3;
/// How long a device is held back after as many failures as it may have, after one more, and after each further one.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(10 * 60), Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60)];

/// How a group's devices get a new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// When packages are offered; `None`: always.
    pub hours: Option<LocalHours>,
    /// After so many failures of one package a device pauses; 0: never.
    pub max_failures: u32,
    /// When offers stop until a person has looked; `None`: never.
    pub halt: Option<HaltRule>,
    /// How many devices may be between offer and outcome at once; `None`: all.
    pub max_parallel: Option<u32>,
    /// How many devices must have reached the target before the rest begins; `None`: none.
    pub first: Option<u32>,
}

impl Default for Rollout {
    fn default() -> Self {
        Self { hours: None, max_failures: DEFAULT_MAX_FAILURES, halt: None, max_parallel: None, first: None }
    }
}

/// When too many devices have failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HaltRule {
    /// More than this share of those that tried, in percent.
    pub percent: u8,
    /// And at least so many.
    pub devices: u32,
}

impl HaltRule {
    /// Whether offers are to stop.
    pub fn applies_to(self, tally: &Tally) -> bool {
        let (failed, tried) = (tally.failed(), tally.failed() + tally.count(Standing::Reached));
        failed >= self.devices.max(1) as usize && failed * 100 > usize::from(self.percent) * tried
    }
}

/// How often a package has failed on a device in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failures {
    /// So often.
    pub count: u32,
    /// The last time.
    pub last: Timestamp,
}

impl Failures {
    /// Until when the device pauses, if it may fail so often.
    pub fn pause(self, max_failures: u32) -> Option<Timestamp> {
        let beyond = self.count.checked_sub(max_failures).filter(|_| max_failures > 0)?;
        let pause = PAUSES[(beyond as usize).min(PAUSES.len() - 1)];
        Some(self.last.saturating_add(pause))
    }
}

/// Why a device is not offered its next package now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Too many devices have failed: a person must look.
    Halted {
        /// Since when.
        since: Timestamp,
    },
    /// It is none of the group's hours.
    OutsideHours {
        /// When the next one begins; `None`: never.
        opens: Option<Timestamp>,
    },
    /// The package has failed on this device too often.
    Pausing {
        /// How often.
        failures: u32,
        /// How long the device pauses.
        until: Timestamp,
    },
    /// The first devices go first.
    FirstWave {
        /// How many must reach the target.
        first: u32,
        /// How many have.
        reached: usize,
    },
    /// So many are being updated that no more may be.
    TooManyAtOnce {
        /// How many may be.
        limit: u32,
    },
    /// The device tried and got nowhere, and others wait that go first.
    BehindOthers,
}

/// A device that could be offered a package.
#[derive(Debug, Clone, Copy)]
pub struct Candidate {
    /// The device.
    pub device: DeviceId,
    /// Whether it was offered this package before, and nothing has come of it yet.
    pub is_trying: bool,
    /// How often this package has failed on it on the way to this target.
    pub failures: Option<Failures>,
}

/// How a group is doing.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Since when offers have stopped, because too many devices failed.
    pub halted_since: Option<Timestamp>,
    /// Where its devices stand on the way to this target.
    pub tally: &'a Tally,
    /// Who waits.
    pub queue: &'a Queue,
    /// How many of its devices are between offer and outcome, on the way to whichever target.
    pub under_way: usize,
}

impl Rollout {
    /// What holds a device back; `None`: it is to be offered its package now.
    pub fn hold(&self, candidate: Candidate, situation: Situation<'_>, now: Timestamp) -> Option<Hold> {
        let Situation { halted_since, tally, queue, under_way } = situation;
        if let Some(since) = halted_since {
            return Some(Hold::Halted { since });
        }
        if let Some(hours) = self.hours.as_ref().filter(|hours| !hours.contains(now)) {
            return Some(Hold::OutsideHours { opens: hours.next_change(now) });
        }
        if candidate.is_trying {
            return None;
        }
        if let Some(failures) = candidate.failures
            && let Some(until) = failures.pause(self.max_failures).filter(|until| now < *until)
        {
            return Some(Hold::Pausing { failures: failures.count, until });
        }
        let reached = tally.count(Standing::Reached);
        let has_begun = matches!(tally.of(candidate.device), Some(Standing::Between | Standing::Reached));
        if let Some(first) = self.first
            && !has_begun
            && reached < first as usize
            && tally.begun() >= first as usize
        {
            return Some(Hold::FirstWave { first, reached });
        }
        if let Some(limit) = self.max_parallel
            && under_way >= limit as usize
        {
            return Some(Hold::TooManyAtOnce { limit });
        }
        let is_limited = self.first.is_some() || self.max_parallel.is_some();
        (is_limited && queue.must_let_others_go(candidate.device, now)).then_some(Hold::BehindOthers)
    }
}

#[cfg(test)]
mod tests;
