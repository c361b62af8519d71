//! Situations that people know, one by one.

use std::time::{Duration, Instant};

use tender::domain::resolver::{Blocker, Decision, Obstacle, Outcome, Plan, next_step};
use tender::domain::{MetadataValue, PackageId, Policy, keys};

use super::{Sketch, build_all, decide, device, exactly, follow, package, path};

/// What keeps each package from being the first step, in the order assigned.
fn obstacles(device: &Sketch, packages: &[Sketch], target: &str) -> Vec<Vec<Obstacle>> {
    let Decision::NoPath { target: unreached, blockers } = decide(device, packages, target) else {
        panic!("there is an answer other than NoPath: {:?}", decide(device, packages, target));
    };
    assert_eq!(unreached, target);
    let expected_packages: Vec<_> = packages.iter().map(|package| PackageId(package.id)).collect();
    assert_eq!(blockers.iter().map(|blocker| blocker.package).collect::<Vec<_>>(), expected_packages);
    blockers.into_iter().map(|Blocker { obstacles, .. }| obstacles).collect()
}

fn requirement(key: &str, required: &str, reported: Option<&str>) -> Obstacle {
    Obstacle::Requirement { key: key.to_owned(), required: required.into(), reported: reported.map(Into::into) }
}

fn list<const N: usize>(texts: [&str; N]) -> MetadataValue {
    MetadataValue::List(texts.map(Box::from).into())
}

/// Asserts that the device is led through exactly `steps` and is up to date then.
fn assert_follows(device: &Sketch, packages: &[Sketch], target: &str, steps: &[i64]) {
    assert_eq!(path(device, packages, target).unwrap_or_default(), steps);
    assert_eq!(follow(device, packages, target), (steps.to_vec(), Decision::UpToDate));
}

// The four scenarios of the manual.

#[test]
fn simple_assignment() {
    let packages = [package(1).version("v1"), package(2).version("v2")];
    assert_follows(&device("v1"), &packages, "v2", &[2]);
    assert_follows(&device("something else"), &packages, "v2", &[2]);
}

#[test]
fn downgrade() {
    let packages = [package(1).version("v1"), package(2).version("v2")];
    assert_follows(&device("v2"), &packages, "v1", &[1]);
}

#[test]
fn sequential_updates() {
    let packages = [
        package(4).version("v4").requires_version("v3"),
        package(2).version("v2").requires_version("v1"),
        package(5).version("v5").requires_version("v4"),
        package(3).version("v3").requires_version("v2"),
    ];
    assert_follows(&device("v1"), &packages, "v5", &[2, 3, 4, 5]);
    assert_follows(&device("v3"), &packages, "v5", &[4, 5]);
    assert_follows(&device("v1"), &packages, "v3", &[2, 3]);
    assert_eq!(path(&device("v5"), &packages, "v3"), None, "there is no way back");
}

#[test]
fn a_shortcut_is_taken() {
    let packages = [
        package(2).version("v2").requires_version("v1"),
        package(3).version("v3").requires_version("v2"),
        package(4).version("v4").requires_version("v3"),
        package(9).version("v4").requires_version("v2"),
    ];
    assert_follows(&device("v1"), &packages, "v4", &[2, 9]);
}

#[test]
fn delta_updates_by_version() {
    let packages = [
        package(1).version("v5").requires_version("v1"),
        package(2).version("v5").requires_version("v2"),
        package(3).version("v5").requires_version("v3"),
    ];
    for (version, step) in [("v1", 1), ("v2", 2), ("v3", 3)] {
        assert_follows(&device(version), &packages, "v5", &[step]);
    }
    assert_eq!(path(&device("v4"), &packages, "v5"), None);
}

#[test]
fn delta_updates_by_rootfs() {
    let packages = [
        package(1).version("v2").requires("rootfs", "a").with("rootfs", "c"),
        package(2).version("v2").requires("rootfs", "b").with("rootfs", "c"),
        package(3).version("v3").requires("rootfs", "c").with("rootfs", "d"),
    ];
    assert_follows(&device("v1").with("rootfs", "a"), &packages, "v2", &[1]);
    assert_follows(&device("v1").with("rootfs", "b"), &packages, "v2", &[2]);
    assert_follows(&device("v1").with("rootfs", "b"), &packages, "v3", &[2, 3]);
    assert_eq!(path(&device("v1"), &packages, "v3"), None, "what it stands on is unknown");
}

// What a path rests on.

#[test]
fn a_delta_for_the_wrong_base_is_not_offered() {
    // Package 1 brought v1 to other devices, with rootfs `a`; this device runs a v1 with rootfs `b`.
    let packages = [
        package(1).version("v1").with("rootfs", "a"),
        package(2).version("v2").requires_version("v1").requires("rootfs", "a").with("rootfs", "c"),
    ];
    let this = device("v1").with("rootfs", "b");
    assert_eq!(
        obstacles(&this, &packages, "v2"),
        [vec![Obstacle::SameVersion], vec![requirement("rootfs", "a", Some("b"))]]
    );

    let with_the_right_one = [&packages[..], &[package(3).version("v2").requires("rootfs", "b")]].concat();
    assert_follows(&this, &with_the_right_one, "v2", &[3]);
    assert_follows(&device("v0").with("rootfs", "b"), &packages, "v2", &[1, 2]);
}

#[test]
fn what_only_the_device_reports_holds_for_later_steps() {
    let packages = [
        package(2).version("v2").requires_version("v1"),
        package(3).version("v3").requires_version("v2"),
        package(4).version("v4").requires_version("v3").requires("board", "revision 2"),
    ];
    assert_follows(&device("v1").with("board", "revision 2"), &packages, "v4", &[2, 3, 4]);
    for other in [device("v1"), device("v1").with("board", "revision 1")] {
        assert_eq!(obstacles(&other, &packages, "v4")[0], [Obstacle::LeadsNowhere]);
    }
}

#[test]
fn what_an_earlier_package_brought_holds_until_another_replaces_it() {
    let loader = package(1).version("v1").with("loader", "new");
    let plain = package(2).version("v2").requires_version("v1");
    let undoing = package(2).version("v2").requires_version("v1").with("loader", "old");
    let last = package(3).version("v3").requires_version("v2").requires("loader", "new");
    assert_follows(&device("v0"), &[loader.clone(), plain, last.clone()], "v3", &[1, 2, 3]);
    assert_eq!(path(&device("v0").with("loader", "new"), &[loader, undoing, last], "v3"), None);
}

#[test]
fn a_version_may_be_passed_twice() {
    // The device runs v1 and needs what the package of v1 brings: out to v2, back to v1, on to v3.
    let packages = [
        package(1).version("v1").requires_version("v2").with("loader", "new"),
        package(2).version("v2").requires_version("v1"),
        package(3).version("v3").requires_version("v1").requires("loader", "new"),
    ];
    assert_follows(&device("v1"), &packages, "v3", &[2, 1, 3]);
}

#[test]
fn requirements_and_storage_keys_are_not_reported_after_installing() {
    let packages = [
        package(1).version("v1").requires("board", "x").with("rdfm.storage.bucket", "b"),
        package(2).version("v2").requires("rdfm.storage.bucket", "b"),
        package(3).version("v2").requires("requires:board", "x"),
    ];
    let this = device("v0").with("board", "x");
    assert_eq!(path(&this, &packages, "v1"), Some(vec![1]));
    assert_eq!(path(&this, &packages, "v2"), None, "package 1 brought neither key");
    // A device may well report such a key itself.
    assert_follows(&this.clone().with("rdfm.storage.bucket", "b"), &packages, "v2", &[2]);
    assert_follows(&this.with("requires:board", "x"), &packages, "v2", &[3]);
}

#[test]
fn a_list_meets_no_requirement() {
    let packages = [package(1).version("v2").requires("rootfs", "a")];
    let this = device("v1").with_list("rootfs", ["a"]);
    let reported = Some(list(["a"]));
    let expected = Obstacle::Requirement { key: "rootfs".to_owned(), required: "a".into(), reported };
    assert_eq!(obstacles(&this, &packages, "v2"), [[expected]]);

    // Until a package lays a text over it.
    let packages = [&packages[..], &[package(2).version("v1.1").with("rootfs", "a")]].concat();
    assert_follows(&this, &packages, "v2", &[2, 1]);
    // And the other way round: a list over the text.
    let packages = [
        package(1).version("v2").with_list("rootfs", ["a"]),
        package(2).version("v3").requires_version("v2").requires("rootfs", "a"),
    ];
    assert_eq!(path(&device("v1").with("rootfs", "a"), &packages, "v3"), None);
}

#[test]
fn a_required_list_is_met_by_nothing() {
    let packages = [package(1).version("v2").with_list("requires:rootfs", ["a"])];
    for this in [device("v1"), device("v1").with("rootfs", "a"), device("v1").with_list("rootfs", ["a"])] {
        let reported = this.get("rootfs").cloned();
        let expected = Obstacle::Requirement { key: "rootfs".to_owned(), required: list(["a"]), reported };
        assert_eq!(obstacles(&this, &packages, "v2"), [[expected]]);
    }
}

#[test]
fn an_empty_value_is_not_a_missing_one() {
    let packages = [package(1).version("v2").requires("site", "")];
    assert_eq!(path(&device("v1").with("site", ""), &packages, "v2"), Some(vec![1]));
    assert_eq!(obstacles(&device("v1"), &packages, "v2"), [[requirement("site", "", None)]]);
}

// Nothing to do, or nothing that can be done.

#[test]
fn no_update_offers_nothing() {
    let packages = build_all(&[package(1).version("v2")]);
    assert_eq!(next_step(&device("v1").metadata(), &packages, &Policy::NoUpdate), Decision::NoTarget);
}

#[test]
fn a_device_with_the_target_is_up_to_date() {
    let packages = [package(1).version("v1"), package(2).version("v2").with("rootfs", "a")];
    assert_eq!(decide(&device("v2"), &packages, "v2"), Decision::UpToDate);
    assert_eq!(decide(&device("v2").with("rootfs", "b"), &packages, "v2"), Decision::UpToDate);
    assert_eq!(decide(&device("v2"), &[], "v2"), Decision::UpToDate, "also without its package");
    assert_eq!(decide(&device("v2").device_type("camera"), &packages, "v2"), Decision::UpToDate);
}

#[test]
fn no_packages_lead_nowhere() {
    assert_eq!(decide(&device("v1"), &[], "v2"), Decision::NoPath { target: "v2".to_owned(), blockers: vec![] });
}

#[test]
fn another_device_type_is_not_served() {
    let packages = [package(1).version("v2").device_type("camera"), package(2).version("v2")];
    assert_follows(&device("v1"), &packages, "v2", &[2]);
    assert_follows(&device("v1").device_type("camera"), &packages, "v2", &[1]);
    let expected = [[Obstacle::OtherDeviceType { package: "camera".to_owned(), reported: Some("gateway".into()) }]];
    assert_eq!(obstacles(&device("v1"), &packages[..1], "v2"), expected);

    let in_between = [
        package(1).version("v2").requires_version("v1").device_type("camera"),
        package(2).version("v3").requires_version("v2"),
    ];
    assert_eq!(path(&device("v1"), &in_between, "v3"), None, "nor in the middle of a path");
}

#[test]
fn a_device_type_that_is_no_text_is_no_type() {
    let this = device("v1").with_list(keys::DEVICE_TYPE, ["gateway"]);
    let reported = Some(list(["gateway"]));
    let expected = [[Obstacle::OtherDeviceType { package: "gateway".to_owned(), reported }]];
    assert_eq!(obstacles(&this, &[package(1).version("v2")], "v2"), expected);
}

#[test]
fn a_plan_gives_devices_of_another_type_no_step() {
    let (simple, simple_target) = (vec![package(1).version("v2")], "v2");
    let (endless, endless_target) = (toggles(16, true), "done");
    for (packages, target) in [(simple, simple_target), (endless, endless_target)] {
        let plan = Plan::compile("gateway", build_all(&packages), exactly(target));
        let Decision::NoPath { blockers, .. } = plan.decide(&device("v1").device_type("camera").metadata()) else {
            panic!("a camera was judged as a gateway");
        };
        for Blocker { obstacles, .. } in blockers {
            assert!(matches!(obstacles[0], Obstacle::OtherDeviceType { .. }), "{obstacles:?}");
        }
    }
}

#[test]
fn packages_are_blocked_for_every_reason_that_holds() {
    let packages = [
        package(7).version("v1").device_type("camera").requires("rootfs", "a").requires("board", "2"),
        package(3).version("v2").requires_version("v0"),
        package(5).version("v4"),
        package(4).version("v1"),
        package(6).version("v3").requires("site", "x").requires("rootfs", "b"),
    ];
    let this = device("v1").with("rootfs", "b").with("board", "1");
    assert_eq!(
        obstacles(&this, &packages, "v3"),
        [
            vec![
                Obstacle::OtherDeviceType { package: "camera".to_owned(), reported: Some("gateway".into()) },
                Obstacle::SameVersion,
                requirement("board", "2", Some("1")),
                requirement("rootfs", "a", Some("b")),
            ],
            vec![requirement(keys::SOFTWARE_VERSION, "v0", Some("v1"))],
            vec![Obstacle::LeadsNowhere],
            vec![Obstacle::SameVersion],
            vec![requirement("site", "x", None)],
        ]
    );
}

// Ties, cycles and size.

#[test]
fn of_equal_paths_the_packages_assigned_first_win() {
    let (first, second) = (package(9).version("v2"), package(1).version("v2"));
    assert_eq!(path(&device("v1"), &[first.clone(), second.clone()], "v2"), Some(vec![9]));
    assert_eq!(path(&device("v1"), &[second, first], "v2"), Some(vec![1]));

    // The first step decides, then the next.
    let packages = [
        package(8).version("v3").requires_version("b"),
        package(7).version("b"),
        package(6).version("v3").requires_version("a"),
        package(5).version("a"),
        package(4).version("v3").requires_version("b"),
    ];
    assert_follows(&device("v1"), &packages, "v3", &[7, 8]);
    let reversed: Vec<_> = packages.into_iter().rev().collect();
    assert_follows(&device("v1"), &reversed, "v3", &[5, 6]);
}

#[test]
fn cycles_end() {
    let packages = [
        package(1).version("v2").requires_version("v1"),
        package(2).version("v3").requires_version("v2"),
        package(3).version("v1").requires_version("v3"),
        package(4).version("v4").requires("key", "nobody has"),
    ];
    assert_eq!(obstacles(&device("v1"), &packages, "v4")[0], [Obstacle::LeadsNowhere]);
    assert_follows(&device("v2"), &packages, "v1", &[2, 3]);
    let both_ways = [package(1).version("v1"), package(2).version("v2")];
    assert_eq!(obstacles(&device("v1"), &both_ways, "v3"), [[Obstacle::SameVersion], [Obstacle::LeadsNowhere]]);
}

#[test]
fn a_package_that_requires_itself_is_never_reached() {
    let packages = [
        package(1).version("v2").requires_version("v2"),
        package(2).version("v2").requires("rootfs", "b").with("rootfs", "b"),
    ];
    let expected = [[requirement(keys::SOFTWARE_VERSION, "v2", Some("v1"))], [requirement("rootfs", "b", Some("a"))]];
    assert_eq!(obstacles(&device("v1").with("rootfs", "a"), &packages, "v2"), expected);
}

/// A package for each of `count` keys that sets it, from any state, and one that needs all of them for version `done`;
/// 2 to the `count` states. With `impossible`, it also needs what no package brings.
fn toggles(count: usize, impossible: bool) -> Vec<Sketch> {
    let mut last = package(0).version("done");
    let mut packages = Vec::new();
    for number in 1..=count {
        let key = format!("part{number}");
        last = last.requires(&key, "on");
        packages.push(package(i64::try_from(number).unwrap()).version(&key).with(&key, "on"));
    }
    packages.push(if impossible { last.requires("key", "nobody has") } else { last });
    packages
}

#[test]
fn a_search_without_end_is_given_up_soon() {
    let start = Instant::now();
    for impossible in [true, false] {
        let decision = decide(&device("v1"), &toggles(24, impossible), "done");
        assert_eq!(decision, Decision::SearchTooLarge { target: "done".to_owned() });
    }
    // Generous: a debug build on a busy machine needs a fraction of it, and a search of 2^24 states minutes.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_large_search_with_an_answer_gets_it() {
    let steps: Vec<i64> = (1..=8).chain([0]).collect();
    assert_follows(&device("v1"), &toggles(8, false), "done", &steps);
    assert_eq!(obstacles(&device("v1"), &toggles(8, true), "done")[0], [Obstacle::LeadsNowhere]);
}

#[test]
fn a_short_path_is_found_among_endless_states() {
    let packages = [toggles(24, true), vec![package(99).version("done").requires("part7", "on")]].concat();
    assert_follows(&device("v1"), &packages, "done", &[7, 99]);
}

#[test]
fn devices_that_no_package_tells_apart_share_a_state() {
    let packages = [package(1).version("v2").requires("rootfs", "a").with("notes", "x")];
    let plan = Plan::compile("gateway", build_all(&packages), exactly("v3"));
    let state = |sketch: Sketch| plan.state_of(&sketch.metadata());
    let base = || device("v1").with("rootfs", "b");
    assert_eq!(state(base()), state(base().with(keys::MAC_ADDRESS, "00:00:00:00:00:02").with("notes", "y")));
    assert_eq!(state(base()), state(device("v0").with_list("rootfs", ["a"])), "nobody asks for either value");
    for other in [device("v2").with("rootfs", "b"), device("v3").with("rootfs", "b"), device("v1").with("rootfs", "a")]
    {
        assert_ne!(state(base()), state(other));
    }
    assert_eq!(plan.outcome(&state(base())), Outcome::NoPath);
}
