use proptest::prelude::*;

use super::*;

const WHOLE: u64 = 1000;
const GROUP: GroupId = GroupId(7);
const PACKAGE: PackageId = PackageId(8);
const WANTED: Option<(GroupId, PackageId)> = Some((GROUP, PACKAGE));
const INSTALLATION: i64 = INSTALLATION_TIME.as_secs() as i64;
const PATIENT: i64 = PATIENCE.as_secs() as i64;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

/// Of a package of so many bytes from v1 to v2, offered at 0.
fn attempt(length_bytes: u64) -> Attempt {
    Attempt {
        id: AttemptId(1),
        device: DeviceId(2),
        step: Step {
            group: GROUP,
            package: PACKAGE,
            length_bytes,
            from_version: "v1".into(),
            to_version: "v2".into(),
            target: "v3".into(),
            path: [PACKAGE, PackageId(9)].into(),
        },
        offered_at: at(0),
        offers: 1,
        fetched_bytes: 0,
        sent_bytes: 0,
        fetched_at: None,
        end: None,
    }
}

/// One that begins at 0, and what is then sent: first byte, length, when.
fn live(sent: &[(u64, u64, i64)]) -> LiveAttempt {
    let mut live = LiveAttempt::new(attempt(WHOLE), at(0));
    for (first, length, when) in sent {
        assert_eq!(live.fetch(*first, *length, at(*when), at(*when)), None, "{first}, {length}, {when}");
    }
    live
}

#[test]
fn what_a_device_shows_says_what_came_of_it() {
    use AttemptOutcome::{Expired, Failed, Reverted, Succeeded, Superseded};
    let other_package = Some((GROUP, PackageId(99)));
    let other_group = Some((GroupId(99), PACKAGE));
    let nothing: &[(u64, u64, i64)] = &[];
    let some = &[(0, 999, 10)][..];
    let all = &[(0, WHOLE, 10)][..];
    for (sent, runs, next, when, outcome) in [
        (nothing, "v1", WANTED, 1, None),
        (nothing, "v1", WANTED, PATIENT - 1, None),
        (nothing, "v1", WANTED, PATIENT, Some(Expired)),
        (nothing, "v2", WANTED, 1, Some(Succeeded)),
        (nothing, "v2", None, PATIENT, Some(Succeeded)),
        (nothing, "v9", WANTED, 1, None),
        (nothing, "v9", other_package, 1, None),
        (nothing, "v9", WANTED, PATIENT, Some(Expired)),
        (nothing, "v9", other_group, 1, Some(Superseded)),
        (nothing, "v9", None, 1, Some(Superseded)),
        (nothing, "", None, 1, Some(Superseded)),
        (nothing, "v1", None, 1, Some(Superseded)),
        (nothing, "v1", other_package, 1, Some(Superseded)),
        (nothing, "v1", other_group, 1, Some(Superseded)),
        (nothing, "v1", other_package, PATIENT, Some(Superseded)),
        (some, "v1", WANTED, 10 + INSTALLATION, None),
        (some, "v1", WANTED, 10 + PATIENT - 1, None),
        (some, "v1", WANTED, 10 + PATIENT, Some(Expired)),
        (some, "v2", None, 11, Some(Succeeded)),
        (some, "v9", WANTED, 11, None),
        (all, "v1", WANTED, 10, None),
        (all, "v1", WANTED, 10 + INSTALLATION - 1, None),
        (all, "v1", WANTED, 10 + INSTALLATION, Some(Reverted)),
        (all, "v1", WANTED, 10 + PATIENT, Some(Reverted)),
        // It has fallen back, whatever it is to do now.
        (all, "v1", None, 10 + INSTALLATION, Some(Reverted)),
        (all, "v1", other_package, 10 + INSTALLATION, Some(Reverted)),
        (all, "v1", other_package, 10 + INSTALLATION - 1, Some(Superseded)),
        (all, "v1", None, 10 + INSTALLATION - 1, Some(Superseded)),
        (all, "v2", WANTED, 10 + PATIENT, Some(Succeeded)),
        // The content is another version than the package says, and the device would fetch it for ever.
        (all, "v9", WANTED, 11, Some(Failed)),
        (all, "v9", other_package, 11, Some(Failed)),
        (all, "v9", other_group, 11, Some(Superseded)),
        // It runs what leads nowhere; or the target already, by another way.
        (all, "v9", None, 11, Some(Failed)),
        (all, "v3", None, 11, Some(Superseded)),
        // Whatever the clocks do.
        (all, "v1", WANTED, -5, None),
        (nothing, "v1", WANTED, i64::MIN, None),
        (nothing, "v1", WANTED, i64::MAX, Some(Expired)),
    ] {
        let live = live(sent);
        assert_eq!(live.judge(Sign { runs, next, target: "v3" }, at(when)), outcome, "{sent:?} {runs} {next:?} {when}");
    }
}

#[test]
fn who_runs_something_else_by_itself_has_no_more_time_for_that() {
    let elsewhere = Sign { runs: "v9", next: WANTED, target: "v4" };
    assert_eq!(
        live(&[]).judge(elsewhere, at(1)),
        Some(AttemptOutcome::Superseded),
        "another target is another attempt"
    );
    let diverted = |package, length_bytes| {
        let mut live = live(&[(0, 400, 10)]);
        let step = Step { package, length_bytes, from_version: "v9".into(), ..attempt(WHOLE).step };
        live.divert(step);
        live
    };
    let mut same = diverted(PACKAGE, WHOLE);
    assert_eq!(same.attempt.fetched_bytes, 400);
    assert_eq!(same.fetch(400, 600, at(20), at(20)), None);
    let sign = |runs| Sign { runs, next: WANTED, target: "v3" };
    assert_eq!(same.judge(sign("v9"), at(20 + INSTALLATION)), Some(AttemptOutcome::Reverted));
    assert_eq!(same.judge(sign("v2"), at(20 + INSTALLATION)), Some(AttemptOutcome::Succeeded));

    let mut other = diverted(PackageId(100), 10);
    assert_eq!(other.attempt.fetched_bytes, 0);
    assert_eq!(
        other.fetch(0, 5, at(PATIENT - 1), at(PATIENT - 1)),
        None,
        "what was sent of a longer one is not held against it"
    );
    assert!(!other.is_stuck(at(PATIENT - 1)) && other.is_stuck(at(PATIENT)));
}

#[test]
fn failures_are_what_the_package_did_not_do() {
    let failures: Vec<_> = AttemptOutcome::ALL.iter().filter(|outcome| outcome.is_failure()).collect();
    assert_eq!(failures, [&AttemptOutcome::Reverted, &AttemptOutcome::Failed]);
}

#[test]
fn stages_follow_what_is_seen() {
    let mut live = live(&[]);
    assert_eq!(live.attempt.stage(), AttemptStage::Offered);
    live.offer();
    assert_eq!((live.attempt.offers, live.attempt.stage()), (2, AttemptStage::NotFetched));
    live.fetch(0, 0, at(1), at(1));
    assert_eq!(live.attempt.stage(), AttemptStage::NotFetched, "nothing was sent");
    live.fetch(0, 1, at(2), at(2));
    assert_eq!(live.attempt.stage(), AttemptStage::Fetching);
    live.fetch(1, WHOLE - 1, at(3), at(3));
    assert_eq!((live.attempt.fetched_at, live.attempt.stage()), (Some(at(3)), AttemptStage::Installing));
    live.offer();
    live.fetch(0, 1, at(4), at(4));
    assert_eq!((live.attempt.fetched_at, live.attempt.stage()), (Some(at(3)), AttemptStage::Installing));
    live.attempt.end = Some((at(5), AttemptOutcome::Reverted));
    assert_eq!(live.attempt.stage(), AttemptStage::Ended);
}

#[test]
fn downloads_are_put_together() {
    // What is sent, and then: bytes the device has, bytes sent, whether that is all.
    for (sent, fetched, all_sent, is_all) in [
        (&[(0, 400, 1)][..], 400, 400, false),
        // Broken off and resumed.
        (&[(0, 400, 1), (400, 600, 2)], 1000, 1000, true),
        (&[(0, 400, 1), (399, 601, 2)], 1000, 1001, true),
        (&[(0, 400, 1), (401, 599, 2)], 400, 999, false),
        // Broken off and begun again.
        (&[(0, 400, 1), (0, 300, 2)], 400, 700, false),
        (&[(0, 400, 1), (0, 500, 2)], 500, 900, false),
        (&[(0, 999, 1), (0, 999, 2), (0, 999, 3), (0, 1000, 4)], 1000, 3997, true),
        // Out of order: only what is there from the beginning on counts.
        (&[(500, 500, 1), (0, 500, 2)], 500, 1000, false),
        (&[(500, 500, 1), (0, 500, 2), (500, 500, 3)], 1000, 1500, true),
        (&[(999, 1, 1)], 0, 1, false),
        // Small ranges.
        (&[(0, 1, 1), (1, 1, 2), (2, 1, 3)], 3, 3, false),
        (&[(0, 0, 1), (0, 0, 2)], 0, 0, false),
        // More than there is.
        (&[(0, 5000, 1)], 1000, 5000, true),
        (&[(0, 4999, 1)], 1000, 4999, true),
        (&[(u64::MAX, u64::MAX, 1)][..0], 0, 0, false),
    ] {
        let attempt = live(sent).attempt;
        assert_eq!((attempt.fetched_bytes, attempt.sent_bytes), (fetched, all_sent), "{sent:?}");
        assert_eq!(attempt.fetched_at.is_some(), is_all, "{sent:?}");
        assert_eq!(attempt.fetched_at, sent.last().filter(|_| is_all).map(|(_, _, when)| at(*when)), "{sent:?}");
    }
}

#[test]
fn going_round_and_round_is_a_failure() {
    let failed = Some(AttemptOutcome::Failed);
    // Broken off just before the end, again and again.
    let mut breaking = live(&[(0, 999, 1), (0, 999, 2), (0, 999, 3), (0, 999, 4), (0, 999, 5)]);
    assert_eq!(breaking.fetch(0, 4, at(6), at(6)), None);
    assert_eq!(breaking.fetch(0, 1, at(7), at(7)), failed, "five times the whole");
    // Had it got all of it with that, it would be none.
    let mut lucky = live(&[(0, 999, 1), (0, 999, 2), (0, 999, 3), (0, 999, 4), (0, 999, 5)]);
    assert_eq!(lucky.fetch(0, WHOLE, at(6), at(6)), None);
    // All of it, and all of it once more, in whichever pieces.
    let mut again = live(&[(0, WHOLE, 1), (0, 999, 2)]);
    assert_eq!(again.fetch(999, 1, at(3), at(3)), failed);
    let mut again = live(&[(0, 999, 1), (0, WHOLE, 2), (500, 499, 3), (0, 500, 4)]);
    assert_eq!(again.fetch(3, 1, at(5), at(5)), failed);
    // Nothing of nothing is not once more.
    let mut empty = LiveAttempt::new(attempt(0), at(0));
    assert_eq!(empty.fetch(0, 0, at(1), at(1)), None);
    assert_eq!(empty.attempt.fetched_at, Some(at(1)));
    assert_eq!(empty.fetch(0, 0, at(2), at(2)), None);
}

#[test]
fn who_gets_no_further_is_stuck() {
    for (sent, stuck_from) in [
        (&[][..], PATIENT),
        (&[(0, 400, 100)], PATIENT + 100),
        (&[(0, 400, 100), (400, 1, 200)], PATIENT + 200),
        // The same bytes again, nothing, or bytes from elsewhere.
        (&[(0, 400, 100), (0, 400, 200)], PATIENT + 100),
        (&[(0, 400, 100), (400, 0, 200)], PATIENT + 100),
        (&[(0, 400, 100), (500, 100, 200)], PATIENT + 100),
        (&[(0, WHOLE, 100), (0, 999, 200)], PATIENT + 100),
    ] {
        let live = live(sent);
        assert!(!live.is_stuck(at(stuck_from - 1)), "{sent:?}");
        assert!(live.is_stuck(at(stuck_from)), "{sent:?}");
    }
}

#[test]
fn a_restored_attempt_waits_no_longer_than_others() {
    let sign = Sign { runs: "v1", next: WANTED, target: "v3" };
    // The steady clock is another one after the start.
    let steady = |seconds| at(5_000_000 + seconds);
    let offered = LiveAttempt::restored(attempt(WHOLE), at(1000), steady(0));
    assert_eq!(offered.judge(sign, steady(PATIENT - 1001)), None);
    assert_eq!(offered.judge(sign, steady(PATIENT - 1000)), Some(AttemptOutcome::Expired));
    let mut fetched = attempt(WHOLE);
    (fetched.fetched_bytes, fetched.sent_bytes, fetched.fetched_at) = (WHOLE, 1500, Some(at(600)));
    let mut fetched = LiveAttempt::restored(fetched, at(1000), steady(0));
    assert_eq!(fetched.judge(sign, steady(INSTALLATION - 1)), None, "it may install since the start only");
    assert_eq!(fetched.judge(sign, steady(INSTALLATION)), Some(AttemptOutcome::Reverted));
    assert!(!fetched.is_stuck(steady(PATIENT - 401)));
    assert!(fetched.is_stuck(steady(PATIENT - 400)));
    assert_eq!(fetched.fetch(0, 999, at(1001), steady(1)), None);
    assert_eq!(fetched.fetch(999, 1, at(1002), steady(2)), Some(AttemptOutcome::Failed));
    let dated_ahead = LiveAttempt::restored(attempt(WHOLE), at(-50), steady(0));
    assert_eq!(dated_ahead.judge(sign, steady(PATIENT - 1)), None);
}

proptest! {
    #[test]
    fn no_number_is_too_large(
        length in any::<u64>(),
        sent in prop::collection::vec((any::<u64>(), any::<u64>(), any::<i64>()), 0..6),
        shown in any::<i64>(),
    ) {
        let mut live = LiveAttempt::new(attempt(length), at(0));
        for (first, length, when) in sent {
            live.fetch(first, length, at(when), at(when));
            prop_assert!(live.attempt.fetched_bytes <= live.attempt.step.length_bytes);
            prop_assert!(live.attempt.fetched_bytes <= live.attempt.sent_bytes);
        }
        live.judge(Sign { runs: "v1", next: None, target: "" }, at(shown));
        LiveAttempt::restored(live.attempt, at(shown), at(i64::MIN)).is_stuck(at(i64::MAX));
    }
}
