//! How far all devices are with what they were offered: the attempts that go on, the failures that hold devices back, and
//! where each group stands on the way to its target.
//!
//! What is to be kept, and what others are to be told, collects in [`News`] until somebody takes it.

mod live;

use std::collections::{HashMap, HashSet};

use self::live::LiveAttempts;
use super::attempt::{Attempt, AttemptOutcome, LiveAttempt, PATIENCE, Sign, Step};
use super::rollout::{Candidate, Failures, Hold, Queue, Rollout, Situation, Standing, Tally};
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
    /// An attempt is over. Told once more if it succeeded, and the device fell back after all.
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

impl News {
    /// The device that it is about; `None`: a whole group.
    pub fn device(&self) -> Option<DeviceId> {
        match self {
            Self::Begun(attempt) | Self::Fetched(attempt) | Self::Ended(attempt) => Some(attempt.device),
            Self::HeldBack { device, .. } => Some(*device),
            Self::Halted { .. } => None,
        }
    }
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

impl<'a> Sign<'a> {
    /// Of a device that is to do what `proposal` says, if anything.
    fn new(runs: &'a str, proposal: Option<&Proposal<'a>>) -> Self {
        let next = proposal.map(|proposal| (proposal.group, proposal.package));
        Self { runs, next, target: proposal.map_or("", |proposal| proposal.target) }
    }
}

/// How far all devices are.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    live: LiveAttempts,
    /// What has succeeded lately on the way of one group, in order: a device may fall back later.
    installed: HashMap<DeviceId, Vec<Installed>>,
    groups: HashMap<GroupId, GroupProgress>,
    last_id: i64,
    news: Vec<News>,
}

/// An attempt that succeeded, and the failures before it.
#[derive(Debug, Clone)]
struct Installed {
    attempt: Attempt,
    failed_before: Option<Failures>,
}

/// Where a group stands on the way to its target.
#[derive(Debug, Clone)]
pub struct GroupProgress {
    /// The version that it is about.
    pub target: String,
    /// Where its devices stand.
    pub tally: Tally,
    /// Since when nothing is offered there, because too many failed.
    pub halted_since: Option<Timestamp>,
    failures: HashMap<(DeviceId, PackageId), Failures>,
    /// Those of whose pause others were told.
    told: HashSet<(DeviceId, PackageId)>,
    queue: Queue,
    /// The first attempt on this way, and when it was made: what comes late of earlier ones is about another way.
    began: (AttemptId, Timestamp),
}

impl GroupProgress {
    fn new(target: &str, began: (AttemptId, Timestamp)) -> Self {
        let (tally, queue) = (Tally::default(), Queue::default());
        let (failures, told) = (HashMap::new(), HashSet::new());
        Self { target: target.to_owned(), tally, halted_since: None, failures, told, queue, began }
    }
}

impl Progress {
    /// With nothing under way; the next attempt's identifier follows `last`.
    pub fn new(last: AttemptId) -> Self {
        Self { last_id: last.0, ..Self::default() }
    }

    /// Takes up an attempt that was begun before the start. To be called in the order of the attempts, those included that a
    /// person has forgiven: as superseded.
    pub fn restore(&mut self, attempt: Attempt, moment: Moment) {
        // Had it not been over, the device had not begun another one.
        self.end(attempt.device, AttemptOutcome::Superseded, moment.now);
        let group = self.group_on_the_way(&attempt);
        match attempt.end {
            None => {
                group.tally.put(attempt.device, Standing::Trying, attempt.offered_at);
                self.live.insert(LiveAttempt::restored(attempt, moment.now, moment.steady));
            }
            Some((at, outcome)) => {
                self.settle(&attempt, at, outcome);
                // Before the start.
                if outcome.is_failure()
                    && let Some(group) = self.groups.get_mut(&attempt.step.group)
                {
                    group.told.insert((attempt.device, attempt.step.package));
                }
            }
        }
    }

    /// A group was halted before the start, on the way to this target. To be called when all attempts are restored; what was
    /// halted before they began is over.
    pub fn restore_halt(&mut self, group: GroupId, target: &str, since: Timestamp) {
        let new = || GroupProgress::new(target, (AttemptId(0), since));
        let group = self.groups.entry(group).or_insert_with(new);
        if group.target == target && group.began.1 <= since {
            group.halted_since = Some(since);
        }
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
            self.queue_up(device, proposal, hold, moment.now);
            if let Hold::Pausing { failures, until } = hold {
                self.tell_of_pause(device, proposal, failures, until, moment.now);
            }
            return Some(hold);
        }
        match self.live.get_mut(device) {
            Some(live) => {
                if *live.attempt.step.from_version != *runs {
                    live.divert(step());
                }
                live.offer();
            }
            None => self.begin(device, step(), moment),
        }
        None
    }

    /// A device shows what it runs. What became of its last attempt is noted.
    pub fn see(&mut self, device: DeviceId, runs: &str, proposal: Option<&Proposal<'_>>, moment: Moment) {
        let sign = Sign::new(runs, proposal);
        if let Some(live) = self.live.get(device)
            && let Some(outcome) = live.judge(sign, moment.steady)
        {
            self.end(device, outcome, moment.now);
        }
        if let Some(proposal) = proposal
            && self.has_fallen_back(device, runs, proposal, moment.now)
        {
            // What it began from there does not go on from here.
            self.end(device, AttemptOutcome::Superseded, moment.now);
            for Installed { mut attempt, failed_before } in self.installed.remove(&device).unwrap_or_default() {
                if let Some(group) = self.groups.get_mut(&attempt.step.group) {
                    group.failures.extend(failed_before.map(|failures| ((device, attempt.step.package), failures)));
                }
                attempt.end = Some((moment.now, AttemptOutcome::Reverted));
                self.settle(&attempt, moment.now, AttemptOutcome::Reverted);
                self.news.push(News::Ended(attempt));
            }
        }
    }

    /// Whether a device is to install once more what it has installed lately. By then it has run what it brings, but not for
    /// long.
    fn has_fallen_back(&self, device: DeviceId, runs: &str, proposal: &Proposal<'_>, now: Timestamp) -> bool {
        let is_undone = |Installed { attempt: Attempt { step, end, .. }, .. }: &Installed| {
            let is_wanted_again =
                (step.group, step.package, &*step.target) == (proposal.group, proposal.package, proposal.target);
            is_wanted_again && *step.from_version == *runs && end.is_some_and(|(at, _)| at.until(now) < PATIENCE)
        };
        self.installed.get(&device).is_some_and(|installed| installed.iter().any(is_undone))
    }

    /// What holds a device back from what is proposed.
    pub fn hold(&self, device: DeviceId, proposal: &Proposal<'_>, now: Timestamp) -> Option<Hold> {
        let Proposal { group, package, target, rollout } = proposal;
        let failures = self.failures(*group, device, *package, target);
        // One that runs something else by itself keeps its place, unless this package failed on it.
        let is_trying = self.live(device).map(|attempt| &attempt.step).is_some_and(|step| {
            step.group == *group && (step.package == *package || *step.target == **target && failures.is_none())
        });
        let under_way = self.live.count_in(*group);
        let nobody = (Tally::default(), Queue::default());
        let group = self.group(*group).filter(|group| group.target == *target);
        let situation = Situation {
            halted_since: group.and_then(|group| group.halted_since),
            tally: group.map_or(&nobody.0, |group| &group.tally),
            queue: group.map_or(&nobody.1, |group| &group.queue),
            under_way,
        };
        rollout.hold(Candidate { device, is_trying, failures }, situation, now)
    }

    /// Lets those that go next know of a device that only waits for a place.
    fn queue_up(&mut self, device: DeviceId, proposal: &Proposal<'_>, hold: Hold, now: Timestamp) {
        let is_place_free = match hold {
            Hold::FirstWave { .. } | Hold::TooManyAtOnce { .. } => false,
            Hold::BehindOthers => true,
            Hold::Halted { .. } | Hold::OutsideHours { .. } | Hold::Pausing { .. } => return,
        };
        let group = self.groups.get_mut(&proposal.group).filter(|group| group.target == proposal.target);
        if let Some(group) = group {
            group.queue.join(device, is_place_free, now);
        }
    }

    /// What [`Progress::check`] would say, without anything becoming of it.
    pub fn rehearse(&self, device: DeviceId, runs: &str, proposal: &Proposal<'_>, moment: Moment) -> Option<Hold> {
        let sign = Sign::new(runs, Some(proposal));
        let is_over = self.live.get(device).is_some_and(|live| live.judge(sign, moment.steady).is_some());
        let is_known = !is_over
            && !self.has_fallen_back(device, runs, proposal, moment.now)
            && self.group_to_be_halted(proposal).is_none();
        if is_known {
            return self.hold(device, proposal, moment.now);
        }
        // Seldom: something has come of the last offer, and the device has not asked since.
        let mut copy = self.clone();
        copy.see(device, runs, Some(proposal), moment);
        copy.halt_if_too_many_failed(proposal, moment.now);
        copy.hold(device, proposal, moment.now)
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
        let Some(known) = self.groups.get_mut(&group) else { return };
        if known.told.insert((device, package)) {
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
        let group = self.group_on_the_way(&attempt);
        group.queue.begin(device, moment.now);
        group.tally.put(device, Standing::Trying, moment.now);
        self.news.push(News::Begun(attempt.clone()));
        self.live.insert(LiveAttempt::new(attempt, moment.steady));
    }

    /// Bytes of a package were sent to a device.
    pub fn fetch(&mut self, device: DeviceId, package: PackageId, first: u64, length: u64, moment: Moment) {
        let Some(live) = self.live.get_mut(device).filter(|live| live.attempt.step.package == package) else { return };
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
        let Some(LiveAttempt { mut attempt, .. }) = self.live.remove(device) else { return };
        attempt.end = Some((now, outcome));
        self.settle(&attempt, now, outcome);
        self.news.push(News::Ended(attempt));
    }

    /// What the end of an attempt means for its device and group. A group that is on another way by now has nothing to learn
    /// from it.
    fn settle(&mut self, attempt: &Attempt, at: Timestamp, outcome: AttemptOutcome) {
        let Attempt { id, device, step, .. } = attempt;
        let Some(group) = self.groups.get_mut(&step.group).filter(|group| group.began.0 <= *id) else { return };
        match outcome {
            AttemptOutcome::Succeeded if step.path.len() <= 1 => group.tally.put(*device, Standing::Reached, at),
            AttemptOutcome::Succeeded => group.tally.put(*device, Standing::Between, at),
            AttemptOutcome::Reverted | AttemptOutcome::Failed => group.tally.put(*device, Standing::Failed, at),
            AttemptOutcome::Superseded | AttemptOutcome::Expired => group.tally.withdraw(*device, at),
        }
        match outcome {
            AttemptOutcome::Succeeded => group.queue.forget(*device),
            _ => group.queue.step_back(*device, *id),
        }
        let package = (*device, step.package);
        if outcome == AttemptOutcome::Succeeded {
            let failed_before = group.failures.remove(&package);
            self.installed.entry(*device).or_default().push(Installed { attempt: attempt.clone(), failed_before });
        } else if outcome.is_failure() {
            let failures = group.failures.entry(package).or_insert(Failures { count: 0, last: at });
            *failures = Failures { count: failures.count.saturating_add(1), last: at };
            group.told.remove(&package);
        }
    }

    fn halt_if_too_many_failed(&mut self, proposal: &Proposal<'_>, at: Timestamp) {
        if self.group_to_be_halted(proposal).is_none() {
            return;
        }
        let Some(group) = self.groups.get_mut(&proposal.group) else { return };
        group.halted_since = Some(at);
        let failed = group.tally.failed();
        let tried = failed + group.tally.count(Standing::Reached);
        self.news.push(News::Halted { group: proposal.group, target: group.target.clone(), failed, tried, at });
    }

    /// The group of a proposal, if too many of its devices have failed and it is not halted yet.
    fn group_to_be_halted(&self, proposal: &Proposal<'_>) -> Option<&GroupProgress> {
        let rule = proposal.rollout.halt?;
        let on_the_way = |group: &&GroupProgress| group.halted_since.is_none() && group.target == proposal.target;
        self.group(proposal.group).filter(on_the_way).filter(|group| rule.applies_to(&group.tally))
    }

    /// A person has looked: offers go on in a group, and its failures do not count any more. `false` if nothing had stopped.
    pub fn resume(&mut self, group: GroupId) -> bool {
        for known in self.installed.values_mut().flatten().filter(|known| known.attempt.step.group == group) {
            known.failed_before = None;
        }
        let Some(group) = self.groups.get_mut(&group) else { return false };
        group.failures.clear();
        group.tally.forgive_all();
        group.halted_since.take().is_some()
    }

    /// A person has looked: a device does not pause any more, and counts as if it had not failed. `false` if it did not fail.
    pub fn release(&mut self, device: DeviceId) -> bool {
        for known in self.installed.get_mut(&device).into_iter().flatten() {
            known.failed_before = None;
        }
        let mut has_failed = false;
        for group in self.groups.values_mut() {
            let before = group.failures.len();
            group.failures.retain(|(failed, _), _| *failed != device);
            has_failed |= group.failures.len() < before;
            group.tally.forgive(device);
            group.queue.forget(device);
        }
        has_failed
    }

    /// A device is gone, and its attempt with it: nobody is told any more of what became of it.
    pub fn forget_device(&mut self, device: DeviceId) {
        self.news.retain(|news| news.device() != Some(device));
        self.live.remove(device);
        self.installed.remove(&device);
        self.release(device);
        for group in self.groups.values_mut() {
            group.tally.forget(device);
            group.told.retain(|(told, _)| *told != device);
        }
    }

    /// A group is gone.
    pub fn forget_group(&mut self, group: GroupId) {
        self.groups.remove(&group);
        self.installed.retain(|_, installed| installed.iter().all(|known| known.attempt.step.group != group));
    }

    /// Ends what does not go on, so that nobody waits for devices that do not come back, and forgets what is long ago.
    pub fn expire(&mut self, moment: Moment) {
        let stuck = self.live.iter().filter(|live| live.is_stuck(moment.steady)).map(|live| live.attempt.device);
        for device in stuck.collect::<Vec<_>>() {
            self.end(device, AttemptOutcome::Expired, moment.now);
        }
        let latest = moment.now.saturating_sub(PATIENCE);
        for group in self.groups.values_mut() {
            group.tally.forget_since(Standing::Between, latest);
        }
        self.installed.retain(|_, installed| {
            installed.retain(|known| known.attempt.end.is_some_and(|(at, _)| at > latest));
            !installed.is_empty()
        });
    }

    /// The attempt of a device that goes on.
    pub fn live(&self, device: DeviceId) -> Option<&Attempt> {
        self.live.get(device).map(|live| &live.attempt)
    }

    /// All attempts that go on, in no order.
    pub fn all_live(&self) -> impl Iterator<Item = &Attempt> {
        self.live.iter().map(|live| &live.attempt)
    }

    /// How often a package has failed on a device in a row, on the way of a group to this target.
    pub fn failures(&self, group: GroupId, device: DeviceId, package: PackageId, target: &str) -> Option<Failures> {
        let group = self.group(group).filter(|group| group.target == target)?;
        group.failures.get(&(device, package)).copied()
    }

    /// Whether any of these packages has failed on a device, on the way of a group to this target, and nobody has said that it
    /// does not count.
    pub fn any_failed(
        &self,
        group: GroupId,
        target: &str,
        device: DeviceId,
        packages: impl IntoIterator<Item = PackageId>,
    ) -> bool {
        let on_the_way = |group: &&GroupProgress| group.target == target && !group.failures.is_empty();
        let Some(group) = self.group(group).filter(on_the_way) else { return false };
        packages.into_iter().any(|package| group.failures.contains_key(&(device, package)))
    }

    /// Whether any package has failed on a device, and nobody has said that it does not count.
    pub fn has_failed(&self, device: DeviceId) -> bool {
        self.groups.values().flat_map(|group| group.failures.keys()).any(|(failed, _)| *failed == device)
    }

    /// Where a group stands, if any of its devices has begun.
    pub fn group(&self, group: GroupId) -> Option<&GroupProgress> {
        self.groups.get(&group)
    }

    /// The news since this was last asked.
    pub fn take_news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The group of an attempt, on the way to its target: with another one than before it begins anew.
    fn group_on_the_way(&mut self, attempt: &Attempt) -> &mut GroupProgress {
        let Attempt { id, device, step, offered_at, .. } = attempt;
        let is_elsewhere = |known: &Installed| known.attempt.step.group != step.group;
        if self.installed.get(device).is_some_and(|installed| installed.iter().any(is_elsewhere)) {
            self.installed.remove(device);
        }
        let is_known = self.group(step.group).is_some_and(|group| *group.target == *step.target);
        if !is_known {
            self.forget_group(step.group);
        }
        let new = || GroupProgress::new(&step.target, (*id, *offered_at));
        self.groups.entry(step.group).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests;
