//! Attempts: a device was offered a package, and something came of it. Devices do not say what; it is inferred from what they
//! do anyway: what they fetch, and what they report to run when they ask again.
//!
//! Moments here are steady ones, of a clock that nobody sets, but for the dates that are only shown.

use std::sync::Arc;
use std::time::Duration;

use super::named::named;
use super::{AttemptId, DeviceId, GroupId, PackageId, Timestamp};

/// How long after a package was fetched in full a device may still be busy installing it. What comes back later and runs what
/// it ran before has fallen back.
pub const INSTALLATION_TIME: Duration = Duration::from_secs(2 * 60);
/// How long an attempt may go on without the device having more of the package than before. To fetch the same bytes over and
/// over is not to go on.
pub const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often its bytes may be sent before the device has all of a package: more, and it is going round in circles. Downloads
/// that break off and are not resumed take some of them again.
const MOST_FETCHES: u64 = 5;

named! {
    /// What came of an attempt.
    AttemptOutcome, "outcome":
    /// The device runs what the package brings.
    Succeeded = "succeeded",
    /// The device fetched all of it, came back, and runs what it ran before; or it ran what the package brings, and fell back
    /// soon after.
    Reverted = "reverted",
    /// The device fetches it again and again; or it fetched all of it, and runs neither what it ran before nor what the package
    /// should bring.
    Failed = "failed",
    /// It was not to be any more: the device is to install something else, or nothing.
    Superseded = "superseded",
    /// The device was not heard of, or did not go on fetching.
    Expired = "expired",
}

impl AttemptOutcome {
    /// Whether the package did not do on the device what it should.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Reverted | Self::Failed)
    }
}

named! {
    /// How far an attempt is.
    AttemptStage, "stage":
    /// The package was offered.
    Offered = "offered",
    /// The package was offered again and again, and the device does not fetch it.
    NotFetched = "not_fetched",
    /// The device fetches it.
    Fetching = "fetching",
    /// The device has all of it, and installs it as far as anybody knows.
    Installing = "installing",
    /// It is over.
    Ended = "ended",
}

/// What a device is to install, and why. Most of a fleet goes the same way, so that its texts can be shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The group that wants it.
    pub group: GroupId,
    /// The package.
    pub package: PackageId,
    /// How many bytes it has.
    pub length_bytes: u64,
    /// The version that the device runs.
    pub from_version: Arc<str>,
    /// The version that the package brings.
    pub to_version: Arc<str>,
    /// The version that the group's policy names.
    pub target: Arc<str>,
    /// All packages up to the target, this one first.
    pub path: Arc<[PackageId]>,
}

/// One device, one package, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Identifier; grows with time.
    pub id: AttemptId,
    /// The device.
    pub device: DeviceId,
    /// What it is to install.
    pub step: Step,
    /// When the package was first offered.
    pub offered_at: Timestamp,
    /// How often it was offered.
    pub offers: u64,
    /// How many bytes the device has of it, from its beginning on.
    pub fetched_bytes: u64,
    /// How many bytes were sent in all, those sent again included.
    pub sent_bytes: u64,
    /// When the device had all of it.
    pub fetched_at: Option<Timestamp>,
    /// When it was over, and what came of it.
    pub end: Option<(Timestamp, AttemptOutcome)>,
}

impl Attempt {
    /// How far it is.
    pub fn stage(&self) -> AttemptStage {
        match self {
            Self { end: Some(_), .. } => AttemptStage::Ended,
            Self { fetched_at: Some(_), .. } => AttemptStage::Installing,
            Self { sent_bytes: 1.., .. } => AttemptStage::Fetching,
            Self { offers: 2.., .. } => AttemptStage::NotFetched,
            _ => AttemptStage::Offered,
        }
    }
}

/// An attempt that goes on, with the steady moments that decide about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveAttempt {
    /// The attempt.
    pub attempt: Attempt,
    /// When it began, or the device last had more of the package than before.
    moved: Timestamp,
    /// When the device had all of it, and how many bytes had been sent by then.
    fetched: Option<(Timestamp, u64)>,
    /// When it began.
    began: Timestamp,
    /// The device ran something else by itself meanwhile.
    has_strayed: bool,
    /// The length of the longest package that it was about.
    longest_bytes: u64,
}

/// What a device that asks for updates shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign<'a> {
    /// The version that it reports to run.
    pub runs: &'a str,
    /// The package that it would get now, apart from all that holds it back for a while.
    pub next: Option<(GroupId, PackageId)>,
    /// The version that this leads to; empty if it would get nothing.
    pub target: &'a str,
}

impl LiveAttempt {
    /// One that begins; `steady` is now.
    pub fn new(attempt: Attempt, steady: Timestamp) -> Self {
        let longest_bytes = attempt.step.length_bytes;
        Self { attempt, moved: steady, fetched: None, began: steady, has_strayed: false, longest_bytes }
    }

    /// One that was begun before the start; `now` and `steady` are the same moment. What was fetched since it was written down
    /// is not known, but the time that it has taken counts: a gateway may be switched off every night.
    pub fn restored(attempt: Attempt, now: Timestamp, steady: Timestamp) -> Self {
        let before = |date: Timestamp| steady.saturating_sub(date.until(now));
        let (began, moved) = (before(attempt.offered_at), before(attempt.fetched_at.unwrap_or(attempt.offered_at)));
        let fetched = attempt.fetched_at.map(|_| (steady, attempt.sent_bytes));
        Self { moved, fetched, ..Self::new(attempt, began) }
    }

    /// What has come of it, if the device shows this now; `None`: it goes on.
    pub fn judge(&self, sign: Sign<'_>, steady: Timestamp) -> Option<AttemptOutcome> {
        let step = &self.attempt.step;
        if *sign.runs == *step.to_version {
            return Some(AttemptOutcome::Succeeded);
        }
        if *sign.runs != *step.from_version {
            let goes_on = sign.next.is_some_and(|(group, _)| group == step.group);
            let is_stranded = sign.next.is_none() && *sign.runs != *step.target;
            return match self.fetched {
                // What says another version than its content does would be fetched for ever; and so would what leads where nothing
                // leads on, by a device that comes back from there.
                Some(_) if goes_on || is_stranded => Some(AttemptOutcome::Failed),
                // What says another version each time would have an attempt each time.
                None if goes_on && *sign.target == *step.target => {
                    self.is_stuck(steady).then_some(AttemptOutcome::Expired)
                }
                _ => Some(AttemptOutcome::Superseded),
            };
        }
        if self.fetched.is_some_and(|(fetched, _)| fetched.until(steady) >= INSTALLATION_TIME) {
            return Some(AttemptOutcome::Reverted);
        }
        if sign.next != Some((step.group, step.package)) {
            return Some(AttemptOutcome::Superseded);
        }
        self.is_stuck(steady).then_some(AttemptOutcome::Expired)
    }

    /// Whether it has not gone on for so long that nobody waits for it.
    pub fn is_stuck(&self, steady: Timestamp) -> bool {
        // With other packages there are always more bytes that are new.
        let since = if self.has_strayed { self.began } else { self.moved };
        since.until(steady) >= PATIENCE
    }

    /// The device runs something else by itself, and from there this is the step to the same target.
    pub fn divert(&mut self, step: Step) {
        if step.package != self.attempt.step.package {
            self.attempt.fetched_bytes = 0;
        }
        self.longest_bytes = self.longest_bytes.max(step.length_bytes);
        self.has_strayed = true;
        self.attempt.step = step;
    }

    /// The package was offered once more.
    pub fn offer(&mut self) {
        self.attempt.offers += 1;
    }

    /// These bytes were sent to the device. What has come of it, if that ends it.
    pub fn fetch(&mut self, first: u64, length: u64, now: Timestamp, steady: Timestamp) -> Option<AttemptOutcome> {
        let attempt = &mut self.attempt;
        let whole = attempt.step.length_bytes;
        attempt.sent_bytes = attempt.sent_bytes.saturating_add(length);
        let end = first.saturating_add(length).min(whole);
        if first <= attempt.fetched_bytes && end > attempt.fetched_bytes {
            attempt.fetched_bytes = end;
            self.moved = steady;
        }
        let is_round_and_round = match self.fetched {
            // All of it once more, though it had all of it.
            Some((_, sent_before)) => attempt.sent_bytes - sent_before >= whole.max(1),
            None if attempt.fetched_bytes >= whole => {
                attempt.fetched_at = Some(now);
                self.fetched = Some((steady, attempt.sent_bytes));
                false
            }
            None => attempt.sent_bytes >= self.longest_bytes.saturating_mul(MOST_FETCHES),
        };
        is_round_and_round.then_some(AttemptOutcome::Failed)
    }
}

#[cfg(test)]
mod tests;
