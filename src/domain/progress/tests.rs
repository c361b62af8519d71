mod fleet;

use proptest::prelude::*;

use super::*;
use crate::domain::attempt::{AttemptStage, INSTALLATION_TIME};
use crate::domain::rollout::HaltRule;

const WHOLE: u64 = 1000;
const GROUP: GroupId = GroupId(1);
const OTHER_GROUP: GroupId = GroupId(2);
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const INSTALLATION: i64 = INSTALLATION_TIME.as_secs() as i64;
const PATIENT: i64 = PATIENCE.as_secs() as i64;
/// What dates show when the steady clock shows 0.
const START: i64 = 1_800_000_000;

fn moment(seconds: i64) -> Moment {
    Moment {
        now: Timestamp::from_unix_seconds(START.saturating_add(seconds)),
        steady: Timestamp::from_unix_seconds(seconds),
    }
}

fn date(seconds: i64) -> Timestamp {
    moment(seconds).now
}

fn device(number: i64) -> DeviceId {
    DeviceId(number)
}

/// The package from a version to another one; versions are `v0` to `v9`.
fn package(from: &str, to: &str) -> PackageId {
    PackageId(format!("{}{}", &from[1..], &to[1..]).parse().unwrap())
}

/// Devices that ask when they are told to, in groups whose policies are as they are set; a package leads from each version
/// to each other one.
struct World {
    progress: Progress,
    time: i64,
    rollout: Rollout,
    target: &'static str,
    group: GroupId,
    /// A version that lies between all others.
    by_way_of: Option<&'static str>,
}

impl World {
    fn new(rollout: Rollout) -> Self {
        let progress = Progress::new(AttemptId(0));
        Self { progress, time: 0, rollout, target: "v2", group: GROUP, by_way_of: None }
    }

    fn check(&mut self, number: i64, runs: &str) -> Option<Hold> {
        if runs == self.target {
            self.progress.see(device(number), runs, None, moment(self.time));
            return None;
        }
        let to = self.by_way_of.filter(|between| *between != runs).unwrap_or(self.target);
        let package = package(runs, to);
        let proposal = Proposal { group: self.group, package, target: self.target, rollout: &self.rollout };
        let step = || Step {
            group: self.group,
            package,
            length_bytes: WHOLE,
            from_version: runs.into(),
            to_version: to.into(),
            target: self.target.into(),
            path: if to == self.target { [package].into() } else { [package, PackageId(99)].into() },
        };
        self.progress.check(device(number), runs, Some(&proposal), moment(self.time), step)
    }

    fn is_offered(&mut self, number: i64, runs: &str) {
        assert_eq!(self.check(number, runs), None, "device {number} at {}", self.time);
        assert!(self.progress.live(device(number)).is_some());
    }

    fn fetch(&mut self, number: i64, first: u64, length: u64) {
        if let Some(live) = self.progress.live(device(number)) {
            self.progress.fetch(device(number), live.step.package, first, length, moment(self.time));
        }
    }

    /// A device is offered a package from v1, fetches all of it, and falls back.
    fn fail(&mut self, number: i64) {
        self.is_offered(number, "v1");
        self.fetch(number, 0, WHOLE);
        self.time += INSTALLATION;
        self.progress.see(device(number), "v1", None, moment(self.time));
    }

    fn succeed(&mut self, number: i64) {
        self.is_offered(number, "v1");
        self.fetch(number, 0, WHOLE);
        assert_eq!(self.check(number, "v2"), None);
    }

    fn standing(&self, number: i64) -> Option<Standing> {
        self.progress.group(GROUP).and_then(|group| group.tally.of(device(number)))
    }

    fn ends(&mut self) -> Vec<AttemptOutcome> {
        let ended = |news| if let News::Ended(attempt) = news { attempt.end } else { None };
        self.progress.take_news().into_iter().filter_map(ended).map(|(_, outcome)| outcome).collect()
    }
}

#[test]
fn a_device_is_offered_a_package_and_installs_it() {
    let mut world = World::new(Rollout::default());
    world.is_offered(1, "v1");
    world.time = 5;
    world.is_offered(1, "v1");
    world.fetch(1, 0, 400);
    let live = world.progress.live(device(1)).unwrap();
    assert_eq!((live.id, live.offers, live.stage()), (AttemptId(1), 2, AttemptStage::Fetching));
    world.time = 9;
    world.fetch(1, 400, 600);
    world.time = 60;
    assert_eq!(world.check(1, "v2"), None);
    assert_eq!(world.standing(1), Some(Standing::Reached));
    assert_eq!(world.progress.all_live().count(), 0);
    let news = world.progress.take_news();
    let [News::Begun(begun), News::Fetched(fetched), News::Ended(ended)] = &news[..] else {
        unreachable!("{news:?}");
    };
    assert_eq!((begun.offered_at, begun.offers, begun.fetched_at), (date(0), 1, None));
    assert_eq!((fetched.fetched_at, fetched.fetched_bytes), (Some(date(9)), WHOLE));
    assert_eq!(ended.end, Some((date(60), AttemptOutcome::Succeeded)));
    assert_eq!(world.progress.take_news(), []);
}

#[test]
fn nothing_is_kept_of_a_device_that_needs_nothing() {
    let mut world = World::new(Rollout::default());
    world.check(1, "v2");
    assert!(world.progress.group(GROUP).is_none());
    assert_eq!(world.progress.take_news(), []);
}

#[test]
fn steps_lead_to_the_target() {
    let mut world = World::new(Rollout { first: Some(1), max_parallel: Some(1), ..Rollout::default() });
    world.by_way_of = Some("v5");
    world.is_offered(1, "v1");
    assert_eq!(world.standing(1), Some(Standing::Trying));
    // The next one begins with the check that ends the one before.
    world.is_offered(1, "v5");
    assert_eq!(world.ends(), [AttemptOutcome::Succeeded]);
    world.progress.forget_device(device(1));
    world.is_offered(2, "v1");
    world.progress.see(device(2), "v5", None, moment(0));
    assert_eq!(world.standing(2), Some(Standing::Between));
    assert_eq!(world.check(3, "v1"), Some(Hold::FirstWave { first: 1, reached: 0 }));
    world.is_offered(2, "v5");
    world.check(2, "v2");
    assert_eq!(world.standing(2), Some(Standing::Reached));
    world.is_offered(3, "v1");
}

#[test]
fn who_vanishes_between_steps_is_not_waited_for() {
    let mut world = World::new(Rollout { first: Some(1), ..Rollout::default() });
    world.by_way_of = Some("v5");
    world.is_offered(1, "v1");
    world.progress.see(device(1), "v5", None, moment(0));
    world.progress.expire(moment(PATIENT - 1));
    assert_eq!(world.standing(1), Some(Standing::Between));
    world.progress.expire(moment(PATIENT));
    assert_eq!(world.standing(1), None);
    world.time = PATIENT;
    world.is_offered(2, "v1");
    // The same for one that vanishes while it tries.
    world.progress.expire(moment(2 * PATIENT - 1));
    assert_eq!(world.standing(2), Some(Standing::Trying));
    world.progress.expire(moment(2 * PATIENT));
    assert_eq!((world.standing(2), world.ends()), (None, vec![AttemptOutcome::Succeeded, AttemptOutcome::Expired]));
}

#[test]
fn failing_devices_pause_longer_and_longer() {
    let mut world = World::new(Rollout::default());
    for failures in [1, 2] {
        world.fail(1);
        let failed = world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2");
        assert_eq!(failed, Some(Failures { count: failures, last: date(world.time) }));
    }
    for (failures, pause) in [(3, 10 * MINUTE), (4, HOUR), (5, DAY), (6, DAY)] {
        world.fail(1);
        let hold = Some(Hold::Pausing { failures, until: date(world.time + pause) });
        assert_eq!(world.check(1, "v1"), hold);
        world.time += pause - 1;
        assert_eq!(world.check(1, "v1"), hold);
        // Another version needs another package.
        let proposal = Proposal { group: GROUP, package: package("v3", "v2"), target: "v2", rollout: &world.rollout };
        assert_eq!(world.progress.hold(device(1), &proposal, date(world.time)), None);
        world.time += 1;
    }
    world.fail(1);
    assert!(world.progress.release(device(1)));
    assert!(!world.progress.release(device(1)), "it does not pause any more");
    world.succeed(1);
    assert!(!world.progress.release(device(1)), "it did not fail");
}

#[test]
fn success_wipes_failures_out() {
    let mut world = World::new(Rollout::default());
    world.fail(1);
    world.fail(1);
    world.succeed(1);
    world.time += PATIENT;
    world.progress.expire(moment(world.time));
    world.fail(1);
    let failures = world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2").unwrap();
    assert_eq!(failures.count, 1);
}

#[test]
fn without_a_limit_nobody_pauses() {
    let mut world = World::new(Rollout { max_failures: 0, ..Rollout::default() });
    (0..20).for_each(|_| world.fail(1));
    world.is_offered(1, "v1");
}

#[test]
fn a_new_target_lets_go_of_who_failed() {
    let mut world = World::new(Rollout::default());
    (0..3).for_each(|_| world.fail(1));
    assert!(matches!(world.check(1, "v1"), Some(Hold::Pausing { .. })));
    world.by_way_of = Some("v2");
    world.target = "v3";
    world.is_offered(1, "v1");
    // And with the old one again, all begins anew. What is under way with the same package still is on the way to v3.
    world.by_way_of = None;
    world.target = "v2";
    world.fail(1);
    world.fail(1);
    assert_eq!(world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2").unwrap().count, 1);
    // A target that was set for a while, and nothing came of it, changes nothing.
    assert_eq!(world.progress.failures(GROUP, device(1), package("v1", "v2"), "v3"), None);
    assert_eq!(world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2").unwrap().count, 1);
}

#[test]
fn late_ends_on_an_old_way_count_nowhere() {
    let mut world = World::new(Rollout { max_parallel: Some(2), ..Rollout::default() });
    world.is_offered(1, "v1");
    world.is_offered(2, "v1");
    world.fetch(1, 0, WHOLE);
    world.target = "v3";
    // They still are under way, though to elsewhere.
    assert_eq!(world.check(3, "v1"), Some(Hold::TooManyAtOnce { limit: 2 }));
    world.is_offered(2, "v1");
    assert_eq!(world.ends(), [AttemptOutcome::Superseded]);
    assert_eq!(world.standing(1), None);
    world.progress.expire(moment(0));
    world.target = "v2";
    world.is_offered(2, "v1");
    world.time = INSTALLATION;
    assert_eq!(world.check(1, "v1"), None, "its place is its own again");
    assert_eq!(world.ends(), [AttemptOutcome::Superseded, AttemptOutcome::Reverted]);
    assert_eq!(world.standing(1), Some(Standing::Trying));
    assert_eq!(world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2"), None);
    assert_eq!(world.progress.group(GROUP).unwrap().tally.failed(), 0);
    assert_eq!(world.check(3, "v1"), Some(Hold::TooManyAtOnce { limit: 2 }));
}

#[test]
fn the_same_package_to_another_target_goes_on() {
    let mut world = World::new(Rollout { first: Some(1), max_parallel: Some(1), ..Rollout::default() });
    world.is_offered(1, "v1");
    world.fetch(1, 0, 400);
    world.by_way_of = Some("v2");
    world.target = "v3";
    world.is_offered(1, "v1");
    assert_eq!(world.progress.live(device(1)).unwrap().fetched_bytes, 400);
    assert_eq!(world.check(2, "v1"), Some(Hold::TooManyAtOnce { limit: 1 }));
    world.is_offered(1, "v2");
    assert_eq!(world.ends(), [AttemptOutcome::Succeeded]);
}

#[test]
fn groups_halt_until_a_person_has_looked() {
    let halt = Some(HaltRule { percent: 50, devices: 2 });
    let mut world = World::new(Rollout { halt, max_failures: 0, ..Rollout::default() });
    world.succeed(1);
    world.fail(2);
    world.is_offered(3, "v1");
    world.is_offered(2, "v1");
    assert_eq!(world.progress.group(GROUP).unwrap().tally.failed(), 1, "it tries again, but has failed");
    world.fetch(3, 0, WHOLE);
    world.fetch(3, 0, WHOLE);
    world.time += 7;
    let since = date(world.time);
    assert_eq!(world.check(4, "v1"), Some(Hold::Halted { since }));
    let halted = News::Halted { group: GROUP, target: "v2".to_owned(), failed: 2, tried: 3, at: since };
    assert_eq!(world.progress.take_news().pop(), Some(halted));
    world.time += DAY;
    assert_eq!(world.check(2, "v1"), Some(Hold::Halted { since }));
    assert!(!world.progress.take_news().iter().any(|news| matches!(news, News::Halted { .. })), "told once");
    assert!(world.progress.resume(GROUP));
    assert!(!world.progress.resume(GROUP) && !world.progress.resume(OTHER_GROUP));
    world.is_offered(4, "v1");
    assert_eq!(world.progress.failures(GROUP, device(3), package("v1", "v2"), "v2"), None);
    world.fail(3);
    world.is_offered(5, "v1");
    world.fail(2);
    assert!(matches!(world.check(5, "v1"), Some(Hold::Halted { .. })), "two of three again");
    world.target = "v3";
    world.is_offered(5, "v1");
}

#[test]
fn a_resume_forgives_all_failures_of_its_group() {
    let mut world = World::new(Rollout { max_failures: 1, ..Rollout::default() });
    world.fail(1);
    world.group = OTHER_GROUP;
    world.fail(2);
    world.progress.resume(GROUP);
    assert!(matches!(world.check(2, "v1"), Some(Hold::Pausing { failures: 1, .. })));
    world.group = GROUP;
    world.is_offered(1, "v1");
}

#[test]
fn who_falls_back_soon_has_not_succeeded() {
    let mut world = World::new(Rollout::default());
    for round in 1..=3 {
        world.succeed(1);
        world.time += HOUR;
        let hold = world.check(1, "v1");
        assert_eq!(matches!(hold, Some(Hold::Pausing { failures: 3, .. })), round == 3, "{hold:?}");
        assert_eq!(world.ends(), [AttemptOutcome::Succeeded, AttemptOutcome::Reverted]);
    }
    assert_eq!(world.standing(1), Some(Standing::Failed));
    // All of the way, and back to the start.
    let mut world = World::new(Rollout::default());
    world.by_way_of = Some("v5");
    world.is_offered(1, "v1");
    world.is_offered(1, "v5");
    world.check(1, "v2");
    world.is_offered(1, "v1");
    assert_eq!(world.ends()[2..], [AttemptOutcome::Reverted, AttemptOutcome::Reverted]);
}

#[test]
fn who_is_sent_back_has_not_fallen_back() {
    use AttemptOutcome::Succeeded;
    // A person sets it up anew, long after.
    let mut world = World::new(Rollout::default());
    world.succeed(1);
    world.time += PATIENT;
    world.is_offered(1, "v1");
    assert_eq!(world.ends(), [Succeeded]);
    // A target before, and this one again.
    let mut world = World::new(Rollout::default());
    world.succeed(1);
    world.target = "v1";
    world.is_offered(1, "v2");
    world.check(1, "v1");
    world.target = "v2";
    world.is_offered(1, "v1");
    assert_eq!(world.ends(), [Succeeded, Succeeded]);
    // Another group with another target, and this one again.
    let mut world = World::new(Rollout::default());
    world.succeed(1);
    (world.group, world.target) = (OTHER_GROUP, "v1");
    world.is_offered(1, "v2");
    world.check(1, "v1");
    (world.group, world.target) = (GROUP, "v2");
    world.is_offered(1, "v1");
    assert_eq!(world.ends(), [Succeeded, Succeeded]);
    // The same package on the way to another target.
    let mut world = World::new(Rollout::default());
    world.succeed(1);
    (world.by_way_of, world.target) = (Some("v2"), "v3");
    world.is_offered(1, "v1");
    assert_eq!(world.ends(), [Succeeded]);
}

#[test]
fn who_never_fetches_does_not_keep_others_waiting() {
    for rollout in
        [Rollout { max_parallel: Some(1), ..Rollout::default() }, Rollout { first: Some(1), ..Rollout::default() }]
    {
        let mut world = World::new(rollout);
        world.is_offered(1, "v1");
        assert!(world.check(2, "v1").is_some());
        world.time = PATIENT;
        // The one that never fetches asks first.
        assert_eq!(world.check(1, "v1"), Some(Hold::BehindOthers));
        assert_eq!(world.ends(), [AttemptOutcome::Expired]);
        world.succeed(2);
        world.is_offered(1, "v1");
    }
}

#[test]
fn who_does_not_come_is_waited_for_two_hours() {
    let mut world = World::new(Rollout { max_parallel: Some(1), max_failures: 0, ..Rollout::default() });
    world.is_offered(1, "v1");
    assert!(world.check(2, "v1").is_some());
    world.time = PATIENT;
    for time in [PATIENT, PATIENT + HOUR, PATIENT + 2 * HOUR - 1] {
        world.time = time;
        assert_eq!(world.check(1, "v1"), Some(Hold::BehindOthers));
    }
    world.time += 1;
    world.fail(1);
    world.is_offered(1, "v1");
}

#[test]
fn downloads_that_are_nobodys_change_nothing() {
    let mut world = World::new(Rollout::default());
    let fetch = |world: &mut World, package| world.progress.fetch(device(1), package, 0, WHOLE, moment(0));
    fetch(&mut world, package("v1", "v2"));
    world.is_offered(1, "v1");
    fetch(&mut world, package("v1", "v3"));
    assert_eq!(world.progress.live(device(1)).unwrap().sent_bytes, 0);
    fetch(&mut world, package("v1", "v2"));
    fetch(&mut world, package("v1", "v2"));
    assert_eq!(world.ends(), [AttemptOutcome::Failed]);
    fetch(&mut world, package("v1", "v2"));
    assert_eq!(world.ends(), []);
    assert_eq!(world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2").unwrap().count, 1);
    world.is_offered(1, "v1");
    assert_eq!(world.progress.live(device(1)).unwrap().sent_bytes, 0, "it counts from the new offer on");
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut world = World::new(Rollout { max_parallel: Some(1), ..Rollout::default() });
    world.fail(1);
    world.is_offered(1, "v1");
    world.progress.forget_device(device(1));
    assert_eq!(world.progress.take_news(), [], "nobody is told of what became of it");
    assert_eq!(world.standing(1), None);
    assert_eq!(world.progress.failures(GROUP, device(1), package("v1", "v2"), "v2"), None);
    world.fail(2);
    world.progress.take_news();
    world.is_offered(2, "v1");
    // Its group goes while it is under way.
    world.progress.forget_group(GROUP);
    assert!(world.progress.group(GROUP).is_none());
    assert_eq!(world.progress.failures(GROUP, device(2), package("v1", "v2"), "v2"), None);
    world.progress.see(device(2), "v1", None, moment(world.time));
    assert_eq!(world.ends(), [AttemptOutcome::Superseded]);
    assert!(world.progress.group(GROUP).is_none());
    world.is_offered(3, "v1");
}

#[test]
fn after_a_restart_all_is_as_it_was() {
    let mut world = World::new(Rollout { max_failures: 1, max_parallel: Some(3), ..Rollout::default() });
    world.fail(1);
    world.is_offered(2, "v1");
    world.fetch(2, 0, WHOLE);
    let old = world.progress.live(device(2)).unwrap().clone();
    let ended = |news| if let News::Ended(attempt) = news { Some(attempt) } else { None };
    let failed = world.progress.take_news().into_iter().find_map(ended).unwrap();

    let restart = || {
        let mut progress = Progress::new(AttemptId(2));
        progress.restore(failed.clone(), moment(world.time));
        progress.restore(old.clone(), moment(world.time));
        progress
    };
    let proposal = Proposal { group: GROUP, package: package("v1", "v2"), target: "v2", rollout: &world.rollout };
    let mut progress = restart();
    let until = date(INSTALLATION + 10 * MINUTE);
    let hold = progress.hold(device(1), &proposal, date(INSTALLATION));
    assert_eq!(hold, Some(Hold::Pausing { failures: 1, until }));
    assert_eq!(progress.live(device(2)), Some(&old));
    assert_eq!(progress.group(GROUP).unwrap().tally.of(device(2)), Some(Standing::Trying));
    assert_eq!(progress.take_news(), []);
    // Halts: of this way, of another one, of an earlier one to the same target.
    progress.restore_halt(GROUP, "v3", date(500));
    progress.restore_halt(GROUP, "v2", date(-1));
    assert_eq!(progress.group(GROUP).unwrap().halted_since, None);
    assert_eq!(progress.group(GROUP).unwrap().tally.failed(), 1);
    progress.restore_halt(GROUP, "v2", date(500));
    assert_eq!(progress.group(GROUP).unwrap().halted_since, Some(date(500)));
    progress.restore_halt(OTHER_GROUP, "v2", date(500));
    assert_eq!(progress.group(OTHER_GROUP).unwrap().halted_since, Some(date(500)));
    // An attempt that nobody ended, and one after it.
    let mut progress = restart();
    progress.restore(Attempt { id: AttemptId(3), ..old.clone() }, moment(world.time));
    let news = progress.take_news();
    let [News::Ended(Attempt { id: AttemptId(2), end: Some((_, AttemptOutcome::Superseded)), .. })] = &news[..] else {
        unreachable!("{news:?}");
    };
    assert_eq!(progress.all_live().count(), 1);
}

proptest! {
    #[test]
    fn who_runs_something_else_each_time_costs_an_attempt_a_day_and_starves_nobody(
        polls in prop::collection::vec((1..=90_i64, 3..10_u8, 0..=4_u64), 1..400),
    ) {
        let mut world = World::new(Rollout { max_parallel: Some(1), ..Rollout::default() });
        let (mut sent, mut has_waited_since) = (0, None);
        for (minutes, version, tenths) in polls {
            world.time += minutes * MINUTE;
            let version = format!("v{version}");
            let is_offered = world.check(1, &version).is_none();
            prop_assert_eq!(world.progress.rehearse(
                device(1),
                &version,
                &Proposal { group: GROUP, package: package(&version, "v2"), target: "v2", rollout: &world.rollout },
                moment(world.time),
            ).is_none(), is_offered);
            if is_offered {
                world.progress.fetch(device(1), package(&version, "v2"), 0, tenths * WHOLE / 10, moment(world.time));
                sent += tenths * WHOLE / 10;
            }
            // Whoever waits has its turn, and once it had, it has reached the target.
            if world.standing(2).is_none() {
                let since = *has_waited_since.get_or_insert(world.time);
                prop_assert!(world.time - since <= PATIENT + 2 * HOUR + 90 * MINUTE);
                if world.check(2, "v1").is_none() {
                    world.fetch(2, 0, WHOLE);
                    prop_assert_eq!(world.check(2, "v2"), None);
                }
            }
        }
        let begun = world.progress.take_news().iter().filter(|news| matches!(news, News::Begun(_))).count() as u64;
        let days = u64::try_from(world.time / PATIENT).unwrap();
        // One each day, one for all that is fetched five times, and the other device's.
        let expected = 1 + days + sent / (5 * WHOLE) + 1;
        prop_assert!(begun <= expected, "{} attempts, {} expected", begun, expected);
    }

    #[test]
    fn no_moment_is_too_far(
        times in prop::collection::vec((any::<i64>(), 0..4_i64, 0..7_u8, any::<u64>()), 0..40),
    ) {
        let halt = Some(HaltRule { percent: 255, devices: u32::MAX });
        let mut world = World::new(Rollout { halt, max_parallel: Some(2), first: Some(2), ..Rollout::default() });
        for (time, number, what, bytes) in times {
            world.time = time;
            match what {
                0 | 1 => { world.check(number, "v1"); }
                2 => { world.check(number, "v2"); }
                3 | 4 => world.fetch(number, bytes, !bytes),
                5 => world.progress.expire(moment(time)),
                _ => {
                    let live: Vec<_> = world.progress.all_live().cloned().collect();
                    live.into_iter().for_each(|attempt| world.progress.restore(attempt, moment(time)));
                }
            }
        }
    }
}
