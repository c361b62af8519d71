use crate::domain::TimeZone;
use proptest::prelude::*;

use super::queue::GRACE;
use super::*;
use crate::domain::{AttemptId, Hours};

const GRACE_SECONDS: i64 = GRACE.as_secs() as i64;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

fn device(number: i64) -> DeviceId {
    DeviceId(number)
}

fn failures(count: u32) -> Failures {
    Failures { count, last: at(0) }
}

/// Devices from 1 on that stand there since 0.
fn tally(standings: &[Standing]) -> Tally {
    let mut tally = Tally::default();
    for (number, standing) in (1..).zip(standings) {
        tally.put(device(number), *standing, at(0));
    }
    tally
}

/// What holds back device 0, of which nothing is known, in a group where nobody waits, at 100.
fn hold(rollout: &Rollout, tally: &Tally, under_way: usize) -> Option<Hold> {
    let candidate = Candidate { device: device(0), is_trying: false, failures: None };
    rollout.hold(candidate, Situation { halted_since: None, tally, queue: &Queue::default(), under_way }, at(100))
}

#[test]
fn pauses_grow() {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    for (count, max_failures, pause) in [
        (0, 3, None),
        (2, 3, None),
        (3, 3, Some(10 * MINUTE)),
        (4, 3, Some(HOUR)),
        (5, 3, Some(DAY)),
        (6, 3, Some(DAY)),
        (u32::MAX, 3, Some(DAY)),
        (1, 1, Some(10 * MINUTE)),
        (2, 1, Some(HOUR)),
        (u32::MAX, u32::MAX, Some(10 * MINUTE)),
        (0, u32::MAX, None),
        // Switched off.
        (0, 0, None),
        (u32::MAX, 0, None),
    ] {
        assert_eq!(failures(count).pause(max_failures), pause.map(at), "{count} of {max_failures}");
    }
    assert_eq!(Failures { count: 3, last: at(i64::MAX) }.pause(3), Some(at(i64::MAX)));
    assert_eq!(Rollout::default().max_failures, 3);
}

#[test]
fn holds_have_an_order() {
    use Standing::{Reached, Trying};
    // 1970 begins on a Thursday; so it is open from 1:00 on.
    let hours = "thu 01:00-02:00".parse::<Hours>().unwrap().local(TimeZone::UTC);
    let (closed, open) = (at(3599), at(3600));
    let mut rollout =
        Rollout { hours: Some(hours), max_failures: 3, halt: None, max_parallel: Some(1), first: Some(2) };
    let tally = tally(&[Trying, Reached]);
    let mut queue = Queue::default();
    queue.step_back(device(0), AttemptId(1));
    queue.join(device(9), false, at(0));
    let mut candidate = Candidate { device: device(0), is_trying: false, failures: Some(failures(5)) };
    let mut situation = Situation { halted_since: Some(at(5)), tally: &tally, queue: &queue, under_way: 1 };

    assert_eq!(rollout.hold(candidate, situation, closed), Some(Hold::Halted { since: at(5) }));
    situation.halted_since = None;
    assert_eq!(rollout.hold(candidate, situation, closed), Some(Hold::OutsideHours { opens: Some(open) }));
    let trying = Candidate { is_trying: true, ..candidate };
    assert_eq!(rollout.hold(trying, situation, closed), Some(Hold::OutsideHours { opens: Some(open) }));
    assert_eq!(rollout.hold(trying, situation, open), None);
    let until = at(24 * 60 * 60);
    assert_eq!(rollout.hold(candidate, situation, open), Some(Hold::Pausing { failures: 5, until }));
    rollout.hours = None;
    assert_eq!(rollout.hold(candidate, situation, at(24 * 60 * 60 - 1)), Some(Hold::Pausing { failures: 5, until }));
    let wave = Hold::FirstWave { first: 2, reached: 1 };
    assert_eq!(rollout.hold(candidate, situation, until), Some(wave), "the pause is over");
    candidate.failures = Some(failures(2));
    assert_eq!(rollout.hold(candidate, situation, open), Some(wave));
    rollout.first = None;
    assert_eq!(rollout.hold(candidate, situation, open), Some(Hold::TooManyAtOnce { limit: 1 }));
    situation.under_way = 0;
    assert_eq!(rollout.hold(candidate, situation, open), Some(Hold::BehindOthers));
    rollout.max_parallel = None;
    assert_eq!(rollout.hold(candidate, situation, open), None, "nobody waits where all may go");
    rollout.first = Some(0);
    assert_eq!(rollout.hold(candidate, situation, open), Some(Hold::BehindOthers));
}

#[test]
fn a_halt_stops_even_those_that_try() {
    let situation =
        Situation { halted_since: Some(at(1)), tally: &Tally::default(), queue: &Queue::default(), under_way: 1 };
    let trying = Candidate { device: device(0), is_trying: true, failures: None };
    assert_eq!(Rollout::default().hold(trying, situation, at(2)), Some(Hold::Halted { since: at(1) }));
}

#[test]
fn halts_come_when_too_many_failed() {
    use Standing::{Between, Failed, Reached, Trying};
    for (percent, devices, standings, applies) in [
        (0, 0, &[][..], false),
        (0, 0, &[Reached], false),
        (0, 0, &[Failed], true),
        (0, 1, &[Failed], true),
        (0, 2, &[Failed], false),
        // More than the share, not as much.
        (50, 1, &[Failed, Reached], false),
        (50, 1, &[Failed, Failed, Reached], true),
        (49, 1, &[Failed, Reached], true),
        (20, 2, &[Failed, Failed, Reached, Reached, Reached], true),
        (20, 3, &[Failed, Failed, Reached, Reached, Reached], false),
        // Of those that tried: who is not there yet says nothing.
        (50, 1, &[Failed, Trying, Trying, Between, Between], true),
        (99, 1, &[Failed, Failed], true),
        (100, 1, &[Failed, Failed], false),
        (255, 1, &[Failed], false),
    ] {
        let rule = HaltRule { percent, devices };
        assert_eq!(rule.applies_to(&tally(standings)), applies, "{rule:?} {standings:?}");
    }
    let mut again = tally(&[Failed]);
    again.put(device(1), Trying, at(0));
    assert!(HaltRule { percent: 50, devices: 1 }.applies_to(&again), "who tries again still is one that failed");
}

#[test]
fn the_first_go_first() {
    use Standing::{Between, Failed, Reached, Trying};
    for (first, standings, reached) in [
        (1, &[][..], None),
        (1, &[Trying], Some(0)),
        (1, &[Between], Some(0)),
        (1, &[Failed], None),
        (1, &[Failed, Trying], Some(0)),
        (1, &[Reached], None),
        (1, &[Reached, Trying, Trying], None),
        (2, &[Trying], None),
        (2, &[Trying, Between], Some(0)),
        (2, &[Reached, Trying], Some(1)),
        (2, &[Reached, Failed], None),
        (2, &[Reached, Reached], None),
        (0, &[Trying, Trying], None),
    ] {
        let rollout = Rollout { first: Some(first), ..Rollout::default() };
        let expected = reached.map(|reached| Hold::FirstWave { first, reached });
        assert_eq!(hold(&rollout, &tally(standings), 0), expected, "{first} {standings:?}");
    }
    // Those that have begun go on: they are the first.
    let rollout = Rollout { first: Some(1), ..Rollout::default() };
    for (standing, may_go_on) in [(Between, true), (Reached, true), (Failed, false)] {
        let mut tally = tally(&[Trying]);
        tally.put(device(0), standing, at(0));
        assert_eq!(hold(&rollout, &tally, 0).is_none(), may_go_on || tally.count(Reached) > 0, "{standing:?}");
    }
}

#[test]
fn no_more_at_once_than_may_be() {
    for (max_parallel, under_way, is_held) in
        [(None, 10_000, false), (Some(2), 1, false), (Some(2), 2, true), (Some(2), 3, true), (Some(0), 0, true)]
    {
        let rollout = Rollout { max_parallel, ..Rollout::default() };
        let expected = max_parallel.filter(|_| is_held).map(|limit| Hold::TooManyAtOnce { limit });
        assert_eq!(hold(&rollout, &Tally::default(), under_way), expected, "{max_parallel:?} {under_way}");
    }
}

#[test]
fn who_got_nowhere_goes_behind_those_that_wait() {
    let (fresh, early, late) = (device(1), device(2), device(3));
    let mut queue = Queue::default();
    queue.step_back(early, AttemptId(5));
    queue.step_back(late, AttemptId(6));
    for device in [fresh, early, late] {
        assert!(!queue.must_let_others_go(device, at(0)), "nobody waits");
    }
    queue.join(early, false, at(0));
    queue.join(late, false, at(0));
    assert!(queue.must_let_others_go(late, at(0)));
    assert!(!queue.must_let_others_go(early, at(0)));
    assert!(!queue.must_let_others_go(fresh, at(0)));
    queue.join(fresh, false, at(0));
    assert!(queue.must_let_others_go(early, at(0)));
    assert!(!queue.must_let_others_go(fresh, at(0)));
    assert!(!queue.must_let_others_go(device(4), at(0)), "nobody is fresher");
    queue.begin(fresh, at(0));
    assert!(!queue.must_let_others_go(early, at(0)));
    assert!(queue.must_let_others_go(late, at(0)));
    queue.forget(early);
    assert!(!queue.must_let_others_go(late, at(0)), "who waited is gone");
    // A late word of an attempt long ago changes nothing.
    queue.join(late, false, at(0));
    queue.step_back(early, AttemptId(7));
    queue.step_back(early, AttemptId(1));
    assert!(queue.must_let_others_go(early, at(0)));
}

#[test]
fn a_place_is_not_kept_for_ever() {
    let (fresh, tried) = (device(1), device(2));
    let mut queue = Queue::default();
    queue.step_back(tried, AttemptId(5));
    queue.join(fresh, false, at(0));
    assert!(queue.must_let_others_go(tried, at(i64::MAX)), "no place has been free so far");
    queue.join(tried, true, at(100));
    queue.join(tried, true, at(200));
    assert!(queue.must_let_others_go(tried, at(100 + GRACE_SECONDS - 1)));
    assert!(!queue.must_let_others_go(tried, at(100 + GRACE_SECONDS)));
    queue.begin(tried, at(100 + GRACE_SECONDS));
    queue.step_back(tried, AttemptId(6));
    assert!(!queue.must_let_others_go(tried, at(100 + GRACE_SECONDS)), "who did not come waits no more");
    // With each beginning the time begins anew.
    queue.join(fresh, false, at(20_000));
    queue.join(tried, true, at(20_000));
    queue.begin(device(3), at(20_001));
    assert!(queue.must_let_others_go(tried, at(20_000 + GRACE_SECONDS)));
    // Who begins in time does not take the others' turn away.
    queue.join(tried, true, at(20_002));
    queue.begin(device(3), at(20_003));
    assert!(queue.must_let_others_go(tried, at(20_004)));
}

#[test]
fn failures_stick_to_a_device_until_it_makes_a_step() {
    use Standing::{Between, Failed, Reached, Trying};
    let one = device(1);
    let mut tally = tally(&[Failed, Failed, Reached]);
    assert_eq!((tally.failed(), tally.begun()), (2, 1));
    tally.put(one, Trying, at(1));
    assert_eq!((tally.failed(), tally.count(Failed), tally.begun()), (2, 1, 2));
    tally.withdraw(one, at(2));
    assert_eq!((tally.of(one), tally.failed(), tally.begun()), (Some(Failed), 2, 1));
    tally.put(one, Between, at(3));
    assert_eq!((tally.failed(), tally.begun()), (1, 2));
    tally.put(one, Trying, at(4));
    assert_eq!(tally.failed(), 1, "it has made a step since");
    tally.withdraw(one, at(5));
    assert_eq!(tally.of(one), None);
    tally.forgive(device(2));
    assert_eq!((tally.of(device(2)), tally.failed()), (None, 0));
    for number in [4, 5] {
        tally.put(device(number), Failed, at(6));
    }
    tally.put(device(4), Trying, at(7));
    let mut one_forgiven = tally.clone();
    one_forgiven.forgive(device(4));
    one_forgiven.forgive(device(3));
    one_forgiven.forgive(device(99));
    assert_eq!((one_forgiven.of(device(4)), one_forgiven.failed()), (Some(Trying), 1));
    assert_eq!(one_forgiven.of(device(3)), Some(Reached));
    tally.forgive_all();
    assert_eq!((tally.of(device(4)), tally.of(device(5)), tally.failed()), (Some(Trying), None, 0));
    assert_eq!(tally.of(device(3)), Some(Reached));
    tally.assert_counts_are_right();
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Put(i64, Standing, i64),
    Withdraw(i64, i64),
    Forget(i64),
    Forgive(i64),
    ForgiveAll,
    ForgetSince(Standing, i64),
}

fn change() -> impl Strategy<Value = Change> {
    use Standing::{Between, Failed, Reached, Trying};
    let standing = || prop::sample::select(vec![Trying, Between, Reached, Failed]);
    prop_oneof![
        8 => (0..5_i64, standing(), 0..9_i64).prop_map(|(device, standing, at)| Change::Put(device, standing, at)),
        2 => (0..5_i64, 0..9_i64).prop_map(|(device, at)| Change::Withdraw(device, at)),
        1 => (0..5_i64).prop_map(Change::Forget),
        1 => (0..5_i64).prop_map(Change::Forgive),
        1 => Just(Change::ForgiveAll),
        1 => (standing(), 0..9_i64).prop_map(|(standing, at)| Change::ForgetSince(standing, at)),
    ]
}

proptest! {
    #[test]
    fn tallies_count_right(changes in prop::collection::vec(change(), 0..60)) {
        let mut tally = Tally::default();
        for change in changes {
            match change {
                Change::Put(number, standing, since) => {
                    tally.put(device(number), standing, at(since));
                    prop_assert_eq!(tally.of(device(number)), Some(standing));
                }
                Change::Withdraw(number, since) => tally.withdraw(device(number), at(since)),
                Change::Forget(number) => {
                    tally.forget(device(number));
                    prop_assert_eq!(tally.of(device(number)), None);
                }
                Change::Forgive(number) => tally.forgive(device(number)),
                Change::ForgiveAll => {
                    tally.forgive_all();
                    prop_assert_eq!(tally.failed(), 0);
                }
                Change::ForgetSince(standing, latest) => tally.forget_since(standing, at(latest)),
            }
            tally.assert_counts_are_right();
        }
    }
}

#[test]
fn only_what_is_long_ago_is_forgotten() {
    use Standing::{Between, Reached};
    let mut tally = Tally::default();
    for (number, standing, since) in [(1, Between, 9), (2, Between, 10), (3, Between, 11), (4, Reached, 0)] {
        tally.put(device(number), standing, at(since));
    }
    tally.forget_since(Between, at(10));
    let left: Vec<_> = (1..=4).filter(|number| tally.of(device(*number)).is_some()).collect();
    assert_eq!(left, [3, 4]);
    tally.assert_counts_are_right();
}
