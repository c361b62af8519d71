//! How far all devices are with what they were offered: the attempts that go on, the failures that hold devices back, and
//! where each group stands on the way to its target.
//!
//! What is to be kept, and what others are to be told, collects in [`News`] until somebody takes it.

use std::collections::HashMap;

use super::attempt::{Attempt, AttemptOutcome, LiveAttempt, PATIENCE, Sign, Step};
use super::rollout::{Candidate, Failures, Hold, Rollout, Standing, Tally};
use super::{AttemptId, DeviceId, GroupId, PackageId, Timestamp};

/// The date, and the moment on a clock that nobody sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// For what is stored and shown.
    pub now: Timestamp,
    /// For how long something has taken.
    pub steady: Timestamp,
}

/// What has become of things since somebody last asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// An attempt has begun.
    Begun(Attempt),
    /// A device has all of a package.
    Fetched(Attempt),
    /// An attempt is over.
    Ended(Attempt),
    /// A package failed on a device so often that the device pauses.
    HeldBack {
        /// The device.
        device: DeviceId,
        /// The group that wants it.
        group: GroupId,
        /// The package.
        package: PackageId,
        /// The version that the device is to reach.
        target: String,
        /// How often it failed.
        failures: u32,
        /// How long the device pauses.
        until: Timestamp,
        /// When that was seen.
        at: Timestamp,
    },
    /// Too many devices of a group have failed: nothing more is offered there.
    Halted {
        /// The group.
        group: GroupId,
        /// The version that its devices were to reach.
        target: String,
        /// How many devices failed.
        failed: usize,
        /// How many tried.
        tried: usize,
        /// When.
        at: Timestamp,
    },
}

/// What a device is to do, as far as packages and policy say.
#[derive(Debug)]
pub struct Proposal<'a> {
    /// The group that wants it.
    pub group: GroupId,
    /// The package.
    pub package: PackageId,
    /// The version that the group's policy names.
    pub target: &'a str,
    /// How the group's devices get it.
    pub rollout: &'a Rollout,
}

/// How far all devices are.
#[derive(Debug, Default)]
pub struct Progress {
    live: HashMap<DeviceId, LiveAttempt>,
    failures: HashMap<(DeviceId, PackageId), FailuresOnTheWay>,
    groups: HashMap<GroupId, GroupProgress>,
    last_id: i64,
    news: Vec<News>,
}

/// Failures of a package, which count as long as the target is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FailuresOnTheWay {
    target: String,
    failures: Failures,
    /// Whether others were told of the pause that they mean.
    is_told: bool,
}

/// Where a group stands on the way to its target.
#[derive(Debug, Clone, Default)]
pub struct GroupProgress {
    /// The version that it is about.
    pub target: String,
    /// Where its devices stand.
    pub tally: Tally,
    /// Since when nothing is offered there, because too many failed.
    pub halted_since: Option<Timestamp>,
}

impl Progress {
    /// With nothing under way; the next attempt's identifier follows `last`.
    pub fn new(last: AttemptId) -> Self {
        Self { last_id: last.0, ..Self::default() }
    }

    /// Takes up an attempt that was begun before the start. To be called in the order of the attempts.
    pub fn restore(&mut self, attempt: Attempt, moment: Moment) {
        let group = self.group_on_the_way(attempt.step.group, &attempt.step.target);
        match attempt.end {
            None => {
                group.tally.put(attempt.device, Standing::Trying, moment.now);
                self.live.insert(attempt.device, LiveAttempt::new(attempt, moment.steady));
            }
            Some((at, outcome)) => {
                self.settle(&attempt, at, outcome);
                // Before the start.
                if let Some(known) = self.failures.get_mut(&(attempt.device, attempt.step.package)) {
                    known.is_told = true;
                }
            }
        }
    }

    /// A group was halted before the start, on the way to this target.
    pub fn restore_halt(&mut self, group: GroupId, target: &str, since: Timestamp) {
        self.group_on_the_way(group, target).halted_since = Some(since);
    }

    /// A device shows what it runs, and is to do what `proposal` says, if anything. What became of its last attempt is noted,
    /// and the next one begins unless something holds it back; `step` is asked for if one begins.
    pub fn check(
        &mut self,
        device: DeviceId,
        runs: &str,
        proposal: Option<&Proposal<'_>>,
        moment: Moment,
        step: impl FnOnce() -> Step,
    ) -> Option<Hold> {
        self.see(device, runs, proposal, moment);
        let proposal = proposal?;
        self.halt_if_too_many_failed(proposal, moment.now);
        if let Some(hold) = self.hold(device, proposal, moment.now) {
            if let Hold::Pausing { failures, until } = hold {
                self.tell_of_pause(device, proposal, failures, until, moment.now);
            }
            return Some(hold);
        }
        match self.live.get_mut(&device) {
            Some(live) => live.offer(),
            None => self.begin(device, step(), moment),
        }
        None
    }

    /// A device shows what it runs. What became of its last attempt is noted.
    pub fn see(&mut self, device: DeviceId, runs: &str, proposal: Option<&Proposal<'_>>, moment: Moment) {
        let next = proposal.map(|proposal| (proposal.group, proposal.package));
        if let Some(live) = self.live.get(&device)
            && let Some(outcome) = live.judge(Sign { runs, next }, moment.steady)
        {
            self.end(device, outcome, moment.now);
        }
    }

    /// What holds a device back from what is proposed.
    pub fn hold(&self, device: DeviceId, proposal: &Proposal<'_>, now: Timestamp) -> Option<Hold> {
        let Proposal { group, package, target, rollout } = proposal;
        let failures = self.failures(device, *package, target);
        let nobody = GroupProgress::default();
        let group = self.group(*group).filter(|group| group.target == *target).unwrap_or(&nobody);
        rollout.hold(Candidate { device, failures }, &group.tally, group.halted_since, now)
    }

    fn tell_of_pause(
        &mut self,
        device: DeviceId,
        proposal: &Proposal<'_>,
        failures: u32,
        until: Timestamp,
        at: Timestamp,
    ) {
        let Proposal { group, package, .. } = *proposal;
        let known = self.failures.get_mut(&(device, package)).filter(|known| !known.is_told);
        if let Some(known) = known {
            known.is_told = true;
            let target = known.target.clone();
            self.news.push(News::HeldBack { device, group, package, target, failures, until, at });
        }
    }

    fn begin(&mut self, device: DeviceId, step: Step, moment: Moment) {
        self.last_id += 1;
        let attempt = Attempt {
            id: AttemptId(self.last_id),
            device,
            step,
            offered_at: moment.now,
            offers: 1,
            fetched_bytes: 0,
            sent_bytes: 0,
            fetched_at: None,
            end: None,
        };
        let group = self.group_on_the_way(attempt.step.group, &attempt.step.target);
        group.tally.put(device, Standing::Trying, moment.now);
        self.news.push(News::Begun(attempt.clone()));
        self.live.insert(device, LiveAttempt::new(attempt, moment.steady));
    }

    /// Bytes of a package were sent to a device.
    pub fn fetch(&mut self, device: DeviceId, package: PackageId, first: u64, length: u64, moment: Moment) {
        let Some(live) = self.live.get_mut(&device).filter(|live| live.attempt.step.package == package) else { return };
        let had_all = live.attempt.fetched_at.is_some();
        let outcome = live.fetch(first, length, moment.now, moment.steady);
        if !had_all && live.attempt.fetched_at.is_some() {
            self.news.push(News::Fetched(live.attempt.clone()));
        }
        if let Some(outcome) = outcome {
            self.end(device, outcome, moment.now);
        }
    }

    fn end(&mut self, device: DeviceId, outcome: AttemptOutcome, now: Timestamp) {
        let Some(LiveAttempt { mut attempt, .. }) = self.live.remove(&device) else { return };
        attempt.end = Some((now, outcome));
        self.settle(&attempt, now, outcome);
        self.news.push(News::Ended(attempt));
    }

    /// What the end of an attempt means for its device and group.
    fn settle(&mut self, attempt: &Attempt, at: Timestamp, outcome: AttemptOutcome) {
        let Attempt { device, step, .. } = attempt;
        // A group that is on the way to another target by now has nothing to learn from it.
        if let Some(group) = self.groups.get_mut(&step.group).filter(|group| group.target == step.target) {
            match outcome {
                AttemptOutcome::Succeeded if step.path.len() <= 1 => group.tally.put(*device, Standing::Reached, at),
                AttemptOutcome::Succeeded => group.tally.put(*device, Standing::Between, at),
                AttemptOutcome::Reverted | AttemptOutcome::Failed => group.tally.put(*device, Standing::Failed, at),
                AttemptOutcome::Superseded | AttemptOutcome::Expired => group.tally.forget(*device),
            }
        }
        let key = (*device, step.package);
        if outcome == AttemptOutcome::Succeeded {
            self.failures.remove(&key);
        } else if outcome.is_failure() {
            let count = self.failures(*device, step.package, &step.target).map_or(0, |failures| failures.count) + 1;
            let failures = Failures { count, last: at };
            self.failures.insert(key, FailuresOnTheWay { target: step.target.clone(), failures, is_told: false });
        }
    }

    fn halt_if_too_many_failed(&mut self, proposal: &Proposal<'_>, at: Timestamp) {
        let Some(rule) = proposal.rollout.halt else { return };
        let on_the_way = |group: &&mut GroupProgress| group.halted_since.is_none() && group.target == proposal.target;
        let Some(group) = self.groups.get_mut(&proposal.group).filter(on_the_way) else { return };
        if rule.applies_to(&group.tally) {
            group.halted_since = Some(at);
            let failed = group.tally.count(Standing::Failed);
            let tried = failed + group.tally.count(Standing::Reached);
            self.news.push(News::Halted { group: proposal.group, target: group.target.clone(), failed, tried, at });
        }
    }

    /// A person has looked: offers go on in a group, and devices that failed count as if they had not begun. `false` if
    /// nothing had stopped.
    pub fn resume(&mut self, group: GroupId) -> bool {
        let Some(group) = self.groups.get_mut(&group) else { return false };
        for device in group.tally.forget_all(Standing::Failed) {
            self.failures.retain(|(failed, _), known| *failed != device || known.target != group.target);
        }
        group.halted_since.take().is_some()
    }

    /// A person has looked: a device does not pause any more, and counts as if it had not begun. `false` if it did not fail.
    pub fn release(&mut self, device: DeviceId) -> bool {
        let before = self.failures.len();
        self.failures.retain(|(failed, _), _| *failed != device);
        for group in self.groups.values_mut().filter(|group| group.tally.of(device) == Some(Standing::Failed)) {
            group.tally.forget(device);
        }
        self.failures.len() < before
    }

    /// A device is gone.
    pub fn forget_device(&mut self, device: DeviceId) {
        self.live.remove(&device);
        self.release(device);
        for group in self.groups.values_mut() {
            group.tally.forget(device);
        }
    }

    /// A group is gone.
    pub fn forget_group(&mut self, group: GroupId) {
        self.groups.remove(&group);
    }

    /// Ends what does not go on, so that nobody waits for devices that do not come back.
    pub fn expire(&mut self, moment: Moment) {
        let stuck = self.live.values().filter(|live| live.is_stuck(moment.steady)).map(|live| live.attempt.device);
        for device in stuck.collect::<Vec<_>>() {
            self.end(device, AttemptOutcome::Expired, moment.now);
        }
        let longest = i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX);
        let latest = Timestamp::from_unix_seconds(moment.now.unix_seconds().saturating_sub(longest));
        for group in self.groups.values_mut() {
            group.tally.forget_since(Standing::Between, latest);
        }
    }

    /// The attempt of a device that goes on.
    pub fn live(&self, device: DeviceId) -> Option<&Attempt> {
        self.live.get(&device).map(|live| &live.attempt)
    }

    /// All attempts that go on, in no order.
    pub fn all_live(&self) -> impl Iterator<Item = &Attempt> {
        self.live.values().map(|live| &live.attempt)
    }

    /// How often a package has failed on a device in a row, on the way to this target.
    pub fn failures(&self, device: DeviceId, package: PackageId, target: &str) -> Option<Failures> {
        let known = self.failures.get(&(device, package)).filter(|known| known.target == target);
        known.map(|known| known.failures)
    }

    /// Where a group stands, if any of its devices has begun.
    pub fn group(&self, group: GroupId) -> Option<&GroupProgress> {
        self.groups.get(&group)
    }

    /// The news since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// A group on the way to this target: with another one it begins anew.
    fn group_on_the_way(&mut self, group: GroupId, target: &str) -> &mut GroupProgress {
        let progress = self.groups.entry(group).or_default();
        if progress.target != target {
            *progress = GroupProgress { target: target.to_owned(), ..GroupProgress::default() };
        }
        progress
    }
}

#[cfg(test)]
mod tests;
