//! Fleets of simulated devices, in groups whose policies and rollouts change, and what must be true whatever they do.

mod random;

use std::collections::{BTreeMap, HashSet};

use crate::domain::TimeZone;

use self::random::Random;
use super::*;
use crate::domain::Hours;

/// What no package brings, and a device may report nevertheless.
const ALIEN: i64 = 9;
/// From where no package leads on.
const NOWHERE: i64 = 8;
const DEVICES: i64 = 7;
const GROUPS: [GroupId; 2] = [GROUP, OTHER_GROUP];
/// How often `expire` is called.
const TICK: i64 = 5 * MINUTE;
/// The longest time between two polls of a device that is there.
const POLL: i64 = HOUR;
/// How long offers are made each day, where there are hours: each device that is there polls meanwhile.
const WINDOW_HOURS: i64 = 3;
const MOST_STEPS: i64 = 3;
/// How often a device may fail and still be healthy in the end.
const MOST_FLUKES: i64 = 3;

/// What is sent in one attempt at most: less than five times the whole and a last request, before the device has all of it;
/// and less than the whole and a last request after that.
const MOST_SENT: u64 = (5 + 1 + 1 + 1) * WHOLE;

/// How long an attempt is under way at most. A device that is there polls each hour and then fetches a tenth or more (50 hours
/// for all five times); from the last new byte on, patience runs.
const LONGEST_ATTEMPT: i64 = 50 * POLL + PATIENT + TICK;

/// When a healthy device has reached the target, after nothing is changed any more. It makes its steps, and may fail some times
/// at each. Before each attempt every other device may have its turn once as it goes first, and once more as places are not
/// kept for those that are late. For each of these turns: the attempt itself, the time that a place is kept for nobody, the
/// longest pause (for its own turns), the night until offers are made again, and the poll.
const LONGEST_WAIT: i64 = MOST_STEPS
    * (MOST_FLUKES + 1)
    * 2
    * DEVICES
    * (LONGEST_ATTEMPT + 2 * HOUR + DAY + (24 - WINDOW_HOURS) * HOUR + POLL);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// Fetches and installs.
    Healthy,
    /// Fetches some at each poll, and resumes there.
    Slow,
    /// Breaks off and begins from 0 so often, before it gets all of it.
    StartsAgain(i64),
    /// Fetches all of it and falls back so often, before it installs it.
    Reverts(i64),
    NeverFetches,
    NeverGetsAll,
    /// Fetches all of it at each offer.
    Loops,
    RevertsAlways,
    /// Runs what it installed, polls, and falls back.
    FallsBack,
    /// Runs something else than the package says after each installation.
    Mislabelled,
    /// Runs what leads nowhere after each installation, polls, and falls back.
    Strands,
    /// Is healthy, and off for days.
    Vanishes,
    /// Is healthy, and sometimes runs something else by itself.
    Wanders,
}

impl Behaviour {
    const ALL: [Self; 13] = [
        Self::Healthy,
        Self::Slow,
        Self::StartsAgain(2),
        Self::Reverts(MOST_FLUKES),
        Self::NeverFetches,
        Self::NeverGetsAll,
        Self::Loops,
        Self::RevertsAlways,
        Self::FallsBack,
        Self::Mislabelled,
        Self::Strands,
        Self::Vanishes,
        Self::Wanders,
    ];

    fn is_healthy(self) -> bool {
        matches!(self, Self::Healthy | Self::Slow | Self::StartsAgain(_) | Self::Reverts(_))
    }

    fn fails_for_ever(self) -> bool {
        use Behaviour::{FallsBack, Loops, Mislabelled, NeverFetches, NeverGetsAll, RevertsAlways, Strands};
        matches!(self, NeverFetches | NeverGetsAll | Loops | RevertsAlways | FallsBack | Mislabelled | Strands)
    }
}

#[derive(Debug)]
struct Device {
    id: DeviceId,
    group: GroupId,
    runs: i64,
    behaviour: Behaviour,
    next_poll: i64,
    /// What it fetches, and what it has of it.
    fetching: Option<(PackageId, u64)>,
    /// How often the present package went wrong.
    flukes: i64,
    /// Where it falls back to at the next poll.
    falls_back_to: Option<i64>,
    /// When so much was sent to it.
    sent: Vec<(i64, u64)>,
}

#[derive(Debug)]
struct Group {
    target: i64,
    rollout: Rollout,
}

struct Fleet {
    random: Random,
    time: i64,
    progress: Progress,
    groups: BTreeMap<GroupId, Group>,
    devices: Vec<Device>,
    /// One version after the other, or straight to the target.
    is_stepwise: bool,
    /// What a database would keep.
    attempts: BTreeMap<AttemptId, Attempt>,
    forgiven: HashSet<AttemptId>,
    halts: BTreeMap<GroupId, (String, Timestamp)>,
}

fn version(number: i64) -> String {
    format!("v{number}")
}

impl Fleet {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let is_stepwise = random.one_in(2);
        let devices = (1..=DEVICES).map(|number| Device {
            id: DeviceId(number),
            group: random.of(&GROUPS),
            runs: 0,
            behaviour: random.of(&Behaviour::ALL),
            next_poll: random.below(POLL),
            fetching: None,
            flukes: 0,
            falls_back_to: None,
            sent: Vec::new(),
        });
        let devices = devices.collect();
        let groups = GROUPS.map(|group| (group, Group { target: MOST_STEPS, rollout: rollout(&mut random) })).into();
        Self {
            random,
            time: 0,
            progress: Progress::new(AttemptId(0)),
            groups,
            devices,
            is_stepwise,
            attempts: BTreeMap::new(),
            forgiven: HashSet::new(),
            halts: BTreeMap::new(),
        }
    }

    /// The version to install next, and how many steps it is to the target.
    fn next(&self, runs: i64, target: i64) -> Option<(i64, usize)> {
        let steps = if self.is_stepwise && runs < target { target - runs } else { 1 };
        (runs != target && runs != NOWHERE)
            .then(|| (if steps > 1 { runs + 1 } else { target }, usize::try_from(steps).unwrap()))
    }

    fn poll(&mut self, index: usize) {
        let now = moment(self.time);
        let device = &mut self.devices[index];
        let (id, runs) = (device.id, device.runs);
        let group_id = device.group;
        let Group { target, .. } = self.groups[&group_id];
        let Some((to, steps)) = self.next(runs, target) else {
            self.progress.see(id, &version(runs), None, now);
            self.take_news();
            return self.after_poll(index, runs);
        };
        let group = &self.groups[&group_id];
        let (from_version, to_version, target) = (version(runs), version(to), version(target));
        let package = package(&from_version, &to_version);
        let proposal = Proposal { group: group_id, package, target: &target, rollout: &group.rollout };
        let begun_before = self.begun(group_id, &target);
        let under_way =
            self.progress.all_live().filter(|attempt| attempt.step.group == group_id && attempt.device != id);
        let under_way_before = under_way.count();
        let last_before = self.progress.last_id;
        let step = || Step {
            group: group_id,
            package,
            length_bytes: WHOLE,
            from_version: from_version.as_str().into(),
            to_version: to_version.as_str().into(),
            target: target.as_str().into(),
            path: std::iter::once(package).chain(std::iter::repeat_n(PackageId(0), steps - 1)).collect(),
        };
        let hold = self.progress.check(id, &from_version, Some(&proposal), now, step);
        let Rollout { max_parallel, first, max_failures, .. } = group.rollout;
        if self.progress.last_id > last_before {
            if let Some(limit) = max_parallel {
                assert!(under_way_before < limit as usize, "more at once than may be");
            }
            let tally = &self.progress.group(group_id).unwrap().tally;
            if let Some(first) =
                first.map(|first| first as usize).filter(|first| tally.count(Standing::Reached) < *first)
            {
                assert!(tally.begun() <= first.max(begun_before), "more than the first");
            }
        }
        self.take_news();
        match hold {
            Some(Hold::Pausing { failures, .. }) => {
                let is_one = |attempt: &&Attempt| {
                    let step = &attempt.step;
                    (attempt.device, step.package, &*step.target) == (id, package, &*target)
                        && attempt.end.is_some_and(|(_, outcome)| outcome.is_failure())
                };
                let failed = self.attempts.values().filter(is_one).count();
                assert!(
                    (max_failures..=u32::try_from(failed).unwrap()).contains(&failures),
                    "it failed {failed} times"
                );
            }
            Some(_) => {}
            None => self.follow_offer(index, package, to),
        }
        self.after_poll(index, runs);
    }

    fn begun(&self, group: GroupId, target: &str) -> usize {
        let group = self.progress.group(group).filter(|group| group.target == target);
        group.map_or(0, |group| group.tally.begun())
    }

    /// What a device does with an offer.
    fn follow_offer(&mut self, index: usize, package: PackageId, to: i64) {
        let device = &mut self.devices[index];
        let got = match device.fetching {
            Some((fetching, got)) if fetching == package => got,
            _ => {
                device.flukes = 0;
                0
            }
        };
        device.fetching = Some((package, got));
        let part = u64::try_from(self.random.between(100, 900)).unwrap();
        match device.behaviour {
            Behaviour::NeverFetches => {}
            Behaviour::Slow => {
                let length = part.min(WHOLE - got);
                self.send(index, package, got, length);
                self.devices[index].fetching = Some((package, got + length));
                if got + length == WHOLE {
                    self.install(index, to);
                }
            }
            Behaviour::StartsAgain(times) if device.flukes < times => {
                device.flukes += 1;
                self.send(index, package, 0, part);
            }
            Behaviour::NeverGetsAll => self.send(index, package, 0, part),
            Behaviour::Loops | Behaviour::RevertsAlways => self.send(index, package, 0, WHOLE),
            Behaviour::Reverts(times) if device.flukes < times => {
                device.flukes += 1;
                self.send(index, package, 0, WHOLE);
            }
            Behaviour::FallsBack | Behaviour::Strands => {
                if device.falls_back_to.is_none() {
                    let before = device.runs;
                    let to = if device.behaviour == Behaviour::Strands { NOWHERE } else { to };
                    self.send(index, package, 0, WHOLE);
                    self.install(index, to);
                    self.devices[index].falls_back_to = Some(before);
                }
            }
            Behaviour::Mislabelled => {
                self.send(index, package, 0, WHOLE);
                let other = if self.devices[index].runs == ALIEN { 0 } else { ALIEN };
                self.install(index, other);
            }
            _ => {
                self.send(index, package, 0, WHOLE);
                self.install(index, to);
            }
        }
    }

    fn send(&mut self, index: usize, package: PackageId, first: u64, length: u64) {
        let device = &mut self.devices[index];
        device.sent.push((self.time, length));
        self.progress.fetch(device.id, package, first, length, moment(self.time));
        self.take_news();
    }

    fn install(&mut self, index: usize, to: i64) {
        let device = &mut self.devices[index];
        (device.runs, device.fetching) = (to, None);
    }

    /// What a device does until it polls again, which has just said that it runs `shown`.
    fn after_poll(&mut self, index: usize, shown: i64) {
        let device = &mut self.devices[index];
        if let Some(before) = device.falls_back_to
            && shown != before
        {
            // It has shown what it installed, once.
            (device.runs, device.falls_back_to) = (before, None);
        }
        // One that reverts restarts before it asks again.
        let soonest = if matches!(device.behaviour, Behaviour::RevertsAlways | Behaviour::Reverts(_)) {
            INSTALLATION
        } else {
            30
        };
        let mut pause = self.random.between(soonest, POLL);
        if device.behaviour == Behaviour::Vanishes && self.random.one_in(6) {
            pause = self.random.between(HOUR, 4 * DAY);
        }
        if device.behaviour == Behaviour::Wanders && self.random.one_in(10) {
            (device.runs, device.fetching) = (self.random.of(&[0, 1, 2, ALIEN]), None);
        }
        device.next_poll = self.time + pause;
    }

    /// A person does something.
    fn disturb(&mut self) {
        let group = self.random.of(&GROUPS);
        let index = usize::try_from(self.random.below(DEVICES)).unwrap();
        match self.random.below(8) {
            0 | 1 => self.groups.get_mut(&group).unwrap().target = self.random.between(1, MOST_STEPS),
            2 => self.groups.get_mut(&group).unwrap().rollout = rollout(&mut self.random),
            3 => self.devices[index].group = group,
            4 => self.release(index),
            5 => self.resume(group),
            _ => {}
        }
    }

    fn release(&mut self, index: usize) {
        let id = self.devices[index].id;
        self.progress.release(id);
        self.forgive(|attempt| attempt.device == id);
    }

    fn resume(&mut self, group: GroupId) {
        self.progress.resume(group);
        self.halts.remove(&group);
        self.forgive(|attempt| attempt.step.group == group);
    }

    fn forgive(&mut self, is_meant: impl Fn(&Attempt) -> bool) {
        let is_failure = |attempt: &Attempt| attempt.end.is_some_and(|(_, outcome)| outcome.is_failure());
        let failed = self.attempts.values().filter(|attempt| is_failure(attempt) && is_meant(attempt));
        self.forgiven.extend(failed.map(|attempt| attempt.id));
    }

    fn take_news(&mut self) {
        for news in self.progress.take_news() {
            match news {
                News::Begun(attempt) | News::Fetched(attempt) | News::Ended(attempt) => {
                    assert!(attempt.sent_bytes <= MOST_SENT, "{attempt:?}");
                    self.attempts.insert(attempt.id, attempt);
                }
                // For others alone: nothing of it is kept.
                News::HeldBack { .. } => {}
                News::Halted { group, target, at, .. } => {
                    self.halts.insert(group, (target, at));
                }
            }
        }
    }

    /// Goes on until then, with `expire` each five minutes.
    fn run_until(&mut self, end: i64) {
        while self.time < end {
            for index in 0..self.devices.len() {
                if self.devices[index].next_poll <= self.time {
                    self.poll(index);
                }
            }
            if self.time % TICK == 0 {
                self.progress.expire(moment(self.time));
                self.take_news();
                self.assert_counts_are_right();
            }
            let next_poll = self.devices.iter().map(|device| device.next_poll).min().unwrap();
            let next_tick = (self.time / TICK + 1) * TICK;
            self.time = next_poll.clamp(self.time + 1, next_tick);
        }
    }

    fn assert_counts_are_right(&self) {
        for id in GROUPS {
            let live: Vec<_> = self.progress.all_live().filter(|attempt| attempt.step.group == id).collect();
            assert_eq!(self.progress.live.count_in(id), live.len());
            let Some(group) = self.progress.group(id) else { continue };
            group.tally.assert_counts_are_right();
            let on_the_way = |attempt: &&&Attempt| attempt.id >= group.began.0;
            for attempt in live.iter().filter(on_the_way) {
                assert_eq!(group.tally.of(attempt.device), Some(Standing::Trying));
            }
            assert_eq!(group.tally.count(Standing::Trying), live.iter().filter(on_the_way).count());
        }
    }

    /// A server that starts now and has read what was written; what a person has forgiven is read as `forgiven` says.
    fn restart(&self, forgiven: impl Fn(Attempt) -> Option<Attempt>) -> Progress {
        let moment = moment(self.time);
        let mut restored = Progress::new(AttemptId(self.progress.last_id));
        for attempt in self.attempts.values().cloned() {
            let is_forgiven = self.forgiven.contains(&attempt.id);
            if let Some(attempt) = if is_forgiven { forgiven(attempt) } else { Some(attempt) } {
                restored.restore(attempt, moment);
            }
        }
        for (group, (target, since)) in &self.halts {
            restored.restore_halt(*group, target, *since);
        }
        assert_eq!(restored.take_news(), []);
        // What was fetched lately is not written, so what goes on might end a little early; here it goes on.
        restored.expire(Moment { steady: Timestamp::from_unix_seconds(i64::MIN), ..moment });
        restored
    }

    /// What holds each device back, where somebody waits as nobody does: that is not written, they ask again.
    fn holds(&self, progress: &mut Progress) -> Vec<(DeviceId, Option<Hold>)> {
        progress.groups.values_mut().for_each(|group| group.queue = Queue::default());
        let mut holds = Vec::new();
        for device in &self.devices {
            let group = &self.groups[&device.group];
            let Some((to, _)) = self.next(device.runs, group.target) else { continue };
            let (package, target) = (package(&version(device.runs), &version(to)), version(group.target));
            let proposal = Proposal { group: device.group, package, target: &target, rollout: &group.rollout };
            holds.push((device.id, progress.hold(device.id, &proposal, date(self.time))));
        }
        holds
    }

    fn assert_restart_changes_nothing(&mut self, do_targets_stay: bool) {
        self.progress.expire(moment(self.time));
        self.take_news();
        let mut progress = std::mem::take(&mut self.progress);
        let before = self.holds(&mut progress);
        self.progress = progress;
        let as_superseded = |attempt: Attempt| {
            let end = attempt.end.map(|(at, _)| (at, AttemptOutcome::Superseded));
            Some(Attempt { end, ..attempt })
        };
        assert_eq!(self.holds(&mut self.restart(as_superseded)), before);
        if do_targets_stay {
            // If they are not read at all, devices stand where they stood before they failed, and a way to a target that was
            // set earlier goes on. But they pause for what they failed, and nothing else.
            let pauses = |holds: &[(_, Option<Hold>)]| {
                let is_for_failures = |hold: &Hold| matches!(hold, Hold::Pausing { .. } | Hold::Halted { .. });
                holds.iter().map(|(id, hold)| (*id, hold.filter(is_for_failures))).collect::<Vec<_>>()
            };
            assert_eq!(pauses(&self.holds(&mut self.restart(|_| None))), pauses(&before));
        }
    }

    /// Nobody changes anything any more, and nothing halts.
    fn calm_down(&mut self) {
        for group in GROUPS {
            self.groups.get_mut(&group).unwrap().rollout.halt = None;
            self.resume(group);
        }
        self.devices.iter_mut().for_each(|device| device.sent.clear());
    }

    fn have_healthy_reached(&self) -> bool {
        let healthy = |device: &&Device| device.behaviour.is_healthy();
        self.devices.iter().filter(healthy).all(|device| device.runs == self.groups[&device.group].target)
    }

    /// The most that was sent to a device in a day.
    fn most_in_a_day(device: &Device) -> u64 {
        let sent_from = |start: i64| {
            let day = device.sent.iter().filter(|(when, _)| (start..start + DAY).contains(when));
            day.map(|(_, length)| length).sum()
        };
        device.sent.iter().map(|(start, _)| sent_from(*start)).max().unwrap_or(0)
    }
}

fn rollout(random: &mut Random) -> Rollout {
    let number = |random: &mut Random, last| u32::try_from(random.between(1, last)).unwrap();
    let hours = random.one_in(3).then(|| {
        let opens = random.below(24 - WINDOW_HOURS);
        let hours = format!("{opens:02}:00-{:02}:00", opens + WINDOW_HOURS);
        hours.parse::<Hours>().unwrap().local(TimeZone::UTC)
    });
    Rollout {
        hours,
        max_failures: u32::try_from(random.below(5)).unwrap(),
        halt: random.one_in(3).then(|| HaltRule { percent: random.of(&[0, 20, 50]), devices: number(random, 3) }),
        max_parallel: random.one_in(2).then(|| number(random, 3)),
        first: random.one_in(2).then(|| number(random, 3)),
    }
}

/// Says which fleet it was that something went wrong in.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("with seed {}", self.0);
        }
    }
}

fn with_fleets(mut check: impl FnMut(Fleet)) {
    for seed in 0..60 {
        let _seed = Seed(seed);
        check(Fleet::new(seed));
    }
}

#[test]
fn every_healthy_device_reaches_its_target() {
    let mut longest = 0;
    with_fleets(|mut fleet| {
        for _ in 0..fleet.random.below(40) {
            let later = fleet.time + fleet.random.between(MINUTE, DAY);
            fleet.run_until(later);
            fleet.disturb();
        }
        fleet.calm_down();
        let calm = fleet.time;
        while !fleet.have_healthy_reached() {
            assert!(fleet.time - calm < LONGEST_WAIT, "{:#?} {:#?}", fleet.devices, fleet.groups);
            fleet.run_until(fleet.time + HOUR);
        }
        longest = longest.max(fleet.time - calm);
    });
    println!("at most {} of {} days", longest / DAY, LONGEST_WAIT / DAY);
}

#[test]
fn who_fails_for_ever_is_sent_little() {
    let mut most = 0;
    with_fleets(|mut fleet| {
        fleet.calm_down();
        fleet.run_until(6 * DAY);
        for device in fleet.devices.iter().filter(|device| device.behaviour.fails_for_ever()) {
            let max_failures = u64::from(fleet.groups[&device.group].rollout.max_failures);
            let sent = Fleet::most_in_a_day(device);
            if max_failures == 0 {
                // Only its own pace bounds it: so many for each attempt.
                let attempts = fleet.attempts.values().filter(|attempt| attempt.device == device.id).count() as u64;
                assert!(sent <= attempts * MOST_SENT, "{device:?}");
            } else {
                // As many attempts as may fail, one after ten minutes, and one after an hour; then it pauses for a day.
                // One that reports two versions in turn is offered two packages.
                let packages = if device.behaviour == Behaviour::Mislabelled { 2 } else { 1 };
                let bound = packages * (max_failures + 2) * MOST_SENT;
                assert!(sent <= bound, "{sent}: {device:?}");
                most = most.max(sent);
            }
        }
    });
    println!("at most {most} bytes a day of a package of {WHOLE}");
}

#[test]
fn a_restart_changes_nothing() {
    with_fleets(|mut fleet| {
        let do_targets_stay = fleet.random.one_in(2);
        for _ in 0..30 {
            let later = fleet.time + fleet.random.between(MINUTE, DAY);
            fleet.run_until(later);
            let targets: Vec<_> = fleet.groups.values().map(|group| group.target).collect();
            fleet.disturb();
            if do_targets_stay {
                fleet.groups.values_mut().zip(targets).for_each(|(group, target)| group.target = target);
            }
            fleet.assert_restart_changes_nothing(do_targets_stay);
        }
    });
}
