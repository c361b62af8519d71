//! What holds for every device and every group, on generated cases, judged by the oracle.

use proptest::bool;
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tender::domain::resolver::{Decision, Obstacle, Outcome, Plan, next_step};
use tender::domain::{MetadataValue, PackageId, keys};

use super::oracle::{Oracle, is_installable};
use super::{Sketch, build_all, decide, device, exactly, follow, package, path};

const VERSIONS: [&str; 5] = ["v0", "v1", "v2", "v3", "v4"];
const KEYS: [&str; 3] = ["board", "loader", "rootfs"];
const VALUES: [&str; 3] = ["a", "b", "c"];

/// A device in a group: its packages in the order assigned, and the version that its policy names.
#[derive(Debug, Clone)]
struct Case {
    device: Sketch,
    packages: Vec<Sketch>,
    target: String,
}

impl Case {
    fn oracle(&self) -> Oracle<'_> {
        Oracle::new(&self.device, &self.packages, &self.target)
    }

    fn decide(&self) -> Decision {
        decide(&self.device, &self.packages, &self.target)
    }

    fn path(&self) -> Option<Vec<i64>> {
        path(&self.device, &self.packages, &self.target)
    }

    fn package(&self, id: i64) -> &Sketch {
        self.packages.iter().find(|package| package.id == id).unwrap()
    }

    fn device_type(&self) -> &str {
        self.device.get(keys::DEVICE_TYPE).and_then(MetadataValue::as_text).unwrap()
    }

    fn plan(&self) -> Plan {
        Plan::compile(self.device_type(), build_all(&self.packages), exactly(&self.target))
    }
}

pub(super) fn version() -> impl Strategy<Value = &'static str> {
    select(&VERSIONS[..])
}

/// Mostly a text that packages know, but also nothing, a list, and a text that no package knows.
fn reported_value() -> impl Strategy<Value = Option<MetadataValue>> {
    prop_oneof![
        6 => select(&VALUES[..]).prop_map(|value| Some(value.into())),
        2 => Just(None),
        1 => Just(Some("elsewhere".into())),
        1 => Just(Some(MetadataValue::List(["a".into()].into()))),
    ]
}

pub(super) fn any_device() -> impl Strategy<Value = Sketch> {
    (version(), vec(reported_value(), KEYS.len())).prop_map(|(version, values)| {
        KEYS.iter().zip(values).fold(device(version), |device, (key, value)| match value {
            Some(value) => device.with_value(key, value),
            None => device,
        })
    })
}

pub(super) fn any_package() -> impl Strategy<Value = Sketch> {
    let values = |share| vec(weighted(share, select(&VALUES[..])), KEYS.len());
    (version(), weighted(0.4, version()), values(0.25), values(0.35), weighted(0.1, Just("camera"))).prop_map(
        |(version, base, required, brought, other_type)| {
            let mut sketch = package(0).version(version);
            if let Some(base) = base {
                sketch = sketch.requires_version(base);
            }
            for (key, (required, brought)) in KEYS.iter().zip(required.into_iter().zip(brought)) {
                sketch = required.into_iter().fold(sketch, |sketch, value| sketch.requires(key, value));
                sketch = brought.into_iter().fold(sketch, |sketch, value| sketch.with(key, value));
            }
            other_type.into_iter().fold(sketch, Sketch::device_type)
        },
    )
}

type Parts = (Sketch, Vec<Sketch>, &'static str);

/// Anything at all.
fn soup() -> impl Strategy<Value = Parts> {
    (any_device(), vec(any_package(), 0..=6), version())
}

/// `v0` to the target one by one, each step tied to the one before it by version or by root file system. Perhaps one
/// needs what the device alone reports, one is missing, one is there twice.
fn chain() -> impl Strategy<Value = Parts> {
    let links = vec(any::<bool>(), 2..VERSIONS.len());
    let perhaps = |share| weighted(share, any::<Index>());
    (any_device(), links, perhaps(0.4), perhaps(0.1), perhaps(0.4), weighted(0.8, Just("a"))).prop_map(
        |(device, links_are_versions, asks_for_board, missing, twice, board)| {
            let target = VERSIONS[links_are_versions.len()];
            let mut packages: Vec<_> = links_are_versions
                .into_iter()
                .zip(VERSIONS.iter().zip(&VERSIONS[1..]))
                .map(|(is_version, (before, after))| {
                    let key = if is_version { keys::SOFTWARE_VERSION } else { "rootfs" };
                    package(0).version(after).requires(key, before).with("rootfs", after)
                })
                .collect();
            if let Some(index) = asks_for_board {
                let position = index.index(packages.len());
                packages[position] = packages[position].clone().requires("board", "a");
            }
            if let Some(index) = missing {
                packages.remove(index.index(packages.len()));
            }
            if let Some(index) = twice {
                packages.push(index.get(&packages).clone());
            }
            let device = device.version("v0").with("rootfs", "v0");
            (board.into_iter().fold(device, |device, board| device.with("board", board)), packages, target)
        },
    )
}

/// Packages of the target for several bases, and whole packages that bring some base.
fn deltas() -> impl Strategy<Value = Parts> {
    let base = || (select(&VERSIONS[..4]), select(&VALUES[..]));
    (any_device(), vec((base(), any::<bool>()), 1..=3), vec(base(), 0..=3)).prop_map(|(device, deltas, bases)| {
        let deltas = deltas.into_iter().map(|((version, rootfs), by_version)| {
            let delta = package(0).version("v4").requires("rootfs", rootfs).with("rootfs", "new");
            if by_version { delta.requires_version(version) } else { delta }
        });
        let bases = bases.into_iter().map(|(version, rootfs)| package(0).version(version).with("rootfs", rootfs));
        (device, deltas.chain(bases).collect(), "v4")
    })
}

/// A target that needs several keys, packages that bring one each, and others that bring something else: several orders,
/// detours and ways to undo.
fn assembly() -> impl Strategy<Value = Parts> {
    let part = || (select(&VALUES[..]), select(&VERSIONS[..4]));
    let needed = vec(weighted(0.75, (part(), bool::weighted(0.9))), KEYS.len());
    let others = vec((select(&KEYS[..]), part()), 0..=2);
    (any_device(), needed, others).prop_map(|(device, needed, others)| {
        let bringing = |key, (value, version)| package(0).version(version).with(key, value);
        let mut last = package(0).version("v4");
        let mut packages = Vec::new();
        for (key, needed) in KEYS.into_iter().zip(needed) {
            if let Some((part, is_there)) = needed {
                last = last.requires(key, part.0);
                packages.extend(is_there.then(|| bringing(key, part)));
            }
        }
        packages.extend(others.into_iter().map(|(key, part)| bringing(key, part)));
        packages.push(last);
        (device, packages, "v4")
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let parts = prop_oneof![2 => soup(), 3 => chain(), 2 => deltas(), 4 => assembly()];
    (parts, vec(any_package(), 0..=2), weighted(0.04, Just("camera"))).prop_flat_map(
        |((mut device, mut packages, target), noise, other_type)| {
            packages.extend(noise);
            for (id, package) in (1..).zip(&mut packages) {
                package.id = id;
            }
            device = other_type.into_iter().fold(device, Sketch::device_type);
            // Shuffled once numbered, so that neither the order of identifiers nor of construction is that of assignment.
            Just(packages).prop_shuffle().prop_map(move |packages| Case {
                device: device.clone(),
                packages,
                target: target.to_owned(),
            })
        },
    )
}

/// A case, and a device of the same type that reports something else under a few keys.
fn case_and_twin() -> impl Strategy<Value = (Case, Sketch)> {
    let other_values = vec(weighted(0.3, reported_value()), KEYS.len() + 1);
    let other_version = weighted(0.2, prop_oneof![version(), Just("elsewhere")]);
    (any_case(), other_values, other_version).prop_map(|(case, other_values, other_version)| {
        let mut twin = case.device.clone();
        for (key, other) in KEYS.iter().chain(&["notes"]).zip(other_values) {
            match other {
                Some(Some(value)) => twin = twin.with_value(key, value),
                Some(None) => drop(twin.fields.remove(*key)),
                None => {}
            }
        }
        (case, other_version.into_iter().fold(twin, Sketch::version))
    })
}

/// A package that no device of the cases can ever install.
fn useless_package() -> impl Strategy<Value = Sketch> {
    (any_package(), any::<bool>()).prop_map(|(package, is_for_others)| {
        if is_for_others { package.device_type("sensor") } else { package.requires("key", "nobody has") }
    })
}

pub(super) fn config() -> ProptestConfig {
    // A failure prints its shrunk case, which belongs in a table then; no file of seeds is kept.
    ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_path_is_found_if_there_is_one_and_has_the_fewest_steps(case in any_case()) {
        match (case.oracle().distance(), case.decide()) {
            (Some(0), Decision::UpToDate) | (None, Decision::NoPath { .. }) => {}
            (Some(steps), Decision::Install { path, .. }) => prop_assert_eq!(path.len(), steps),
            (distance, decision) => prop_assert!(false, "{:?} steps, but {:?}", distance, decision),
        }
    }

    #[test]
    fn what_is_offered_can_be_installed_as_the_device_stands(case in any_case()) {
        if let Decision::Install { package, path } = case.decide() {
            prop_assert_eq!(package, path[0]);
            prop_assert!(is_installable(&case.device, case.package(package.0)));
        }
    }

    #[test]
    fn a_path_can_be_walked_and_ends_at_the_target(case in any_case()) {
        let mut state = case.device.clone();
        for id in case.path().into_iter().flatten() {
            prop_assert_ne!(state.get(keys::SOFTWARE_VERSION), Some(&case.target.as_str().into()), "gone too far");
            prop_assert!(is_installable(&state, case.package(id)), "package {} in {:?}", id, state);
            state.install(case.package(id));
        }
        if case.path().is_some() {
            prop_assert_eq!(state.get(keys::SOFTWARE_VERSION), Some(&case.target.as_str().into()));
        }
    }

    #[test]
    fn following_the_offers_walks_the_path_first_offered(case in any_case()) {
        if let Some(path) = case.path() {
            prop_assert_eq!(follow(&case.device, &case.packages, &case.target), (path, Decision::UpToDate));
        }
    }

    #[test]
    fn of_equal_paths_the_packages_assigned_first_win(case in any_case()) {
        if let Some(path) = case.path() {
            let paths = case.oracle().shortest_paths();
            prop_assert_eq!(Some(&path), paths.first());
        }
    }

    #[test]
    fn packages_that_cannot_be_installed_change_nothing(
        case in any_case(),
        useless in vec((useless_package(), any::<Index>()), 1..=4),
    ) {
        let mut packages = case.packages.clone();
        for (id, (mut package, position)) in (100..).zip(useless) {
            package.id = id;
            packages.insert(position.index(packages.len() + 1), package);
        }
        let more = Case { packages, ..case.clone() };
        match (case.decide(), more.decide()) {
            (Decision::NoPath { .. }, Decision::NoPath { blockers, .. }) => {
                prop_assert_eq!(blockers.len(), more.packages.len());
            }
            (decision, with_more) => prop_assert_eq!(decision, with_more),
        }
    }

    #[test]
    fn the_order_of_assignment_chooses_only_between_equal_paths(
        (case, permuted) in any_case().prop_flat_map(|case| {
            let permuted = Just(case.packages.clone()).prop_shuffle();
            (Just(case), permuted)
        }),
    ) {
        let permuted = Case { packages: permuted, ..case.clone() };
        prop_assert_eq!(case.path().map(|path| path.len()), permuted.path().map(|path| path.len()));
        if case.oracle().shortest_paths().len() == 1 {
            prop_assert_eq!(case.path(), permuted.path());
        }
    }

    #[test]
    fn blockers_say_what_keeps_each_package_from_being_the_first_step(case in any_case()) {
        if let Decision::NoPath { target, blockers } = case.decide() {
            prop_assert_eq!(&target, &case.target);
            prop_assert_eq!(blockers.len(), case.packages.len());
            for (blocker, package) in blockers.iter().zip(&case.packages) {
                prop_assert_eq!(blocker.package, PackageId(package.id));
                prop_assert!(!blocker.obstacles.is_empty());
                let leads_nowhere = blocker.obstacles == [Obstacle::LeadsNowhere];
                prop_assert_eq!(leads_nowhere, is_installable(&case.device, package));
                prop_assert!(leads_nowhere || !blocker.obstacles.contains(&Obstacle::LeadsNowhere));

                // With each named obstacle out of the way, and no other change, the package can be installed.
                let (mut cleared, mut package) = (case.device.clone(), package.clone());
                for obstacle in blocker.obstacles.clone() {
                    match obstacle {
                        Obstacle::OtherDeviceType { package: package_type, reported } => {
                            prop_assert_eq!(case.device.get(keys::DEVICE_TYPE), reported.as_ref());
                            cleared = cleared.device_type(&package_type);
                        }
                        Obstacle::Requirement { key, required, reported } => {
                            prop_assert_eq!(case.device.get(&key), reported.as_ref());
                            prop_assert_ne!(reported.as_ref(), Some(&required));
                            cleared = cleared.with_value(&key, required);
                        }
                        // A package that requires the version that it brings stays impossible otherwise.
                        Obstacle::SameVersion => package = package.version("another"),
                        Obstacle::LeadsNowhere => {}
                    }
                }
                // Changing the device's version for a requirement may have made it the package's own.
                if package.get(keys::SOFTWARE_VERSION) == cleared.get(keys::SOFTWARE_VERSION) {
                    package = package.version("another");
                }
                prop_assert!(is_installable(&cleared, &package), "{:?} hides something", blocker);
            }
        }
    }

    #[test]
    fn a_plan_says_of_a_state_what_it_decides_for_its_device(case in any_case()) {
        let (plan, metadata) = (case.plan(), case.device.metadata());
        let decision = plan.decide(&metadata);
        prop_assert_eq!(&decision, &next_step(&metadata, plan.packages(), &exactly(&case.target)));
        match (plan.outcome(&plan.state_of(&metadata)), decision) {
            (Outcome::UpToDate, Decision::UpToDate) | (Outcome::NoPath, Decision::NoPath { .. }) => {}
            (Outcome::Install(positions), Decision::Install { path, .. }) => {
                let ids: Vec<_> = positions.into_iter().map(|position| plan.packages()[position].id).collect();
                prop_assert_eq!(ids, path);
            }
            (outcome, decision) => prop_assert!(false, "{:?}, but {:?}", outcome, decision),
        }
    }

    #[test]
    fn devices_with_equal_states_can_share_an_outcome((case, twin) in case_and_twin()) {
        let plan = case.plan();
        let twin_case = Case { device: twin, ..case.clone() };
        if plan.state_of(&case.device.metadata()) == plan.state_of(&twin_case.device.metadata()) {
            prop_assert_eq!(case.oracle().distance(), twin_case.oracle().distance());
            prop_assert_eq!(case.path(), twin_case.path());
            for id in case.path().into_iter().flatten().take(1) {
                prop_assert!(is_installable(&twin_case.device, case.package(id)));
            }
        }
    }

    #[test]
    fn what_no_package_asks_for_is_not_in_the_state((case, twin) in case_and_twin()) {
        let is_asked_for = |key: &str| {
            let required = format!("requires:{key}");
            key == keys::SOFTWARE_VERSION || case.packages.iter().any(|package| package.get(&required).is_some())
        };
        let asked = |device: &Sketch| {
            let mut fields = device.fields.clone();
            fields.retain(|key, _| is_asked_for(key));
            fields
        };
        if asked(&case.device) == asked(&twin) {
            let plan = case.plan();
            prop_assert_eq!(plan.state_of(&case.device.metadata()), plan.state_of(&twin.metadata()));
        }
    }
}

/// The properties above say little if hardly a case has a path, a tie or a twin: this counts them.
#[test]
fn the_generated_cases_are_worth_their_time() {
    const CASES: usize = 2_000;
    let mut runner = TestRunner::deterministic();
    let (mut none, mut one, mut several, mut long, mut ties, mut twins) = (0, 0, 0, 0, 0, 0);
    for _ in 0..CASES {
        let (case, twin) = case_and_twin().new_tree(&mut runner).unwrap().current();
        let paths = case.oracle().shortest_paths();
        match case.oracle().distance() {
            None => none += 1,
            Some(0) => {}
            Some(1) => one += 1,
            Some(steps) => {
                several += 1;
                long += usize::from(steps >= 3);
            }
        }
        ties += usize::from(paths.len() > 1);
        let plan = case.plan();
        let is_same = plan.state_of(&case.device.metadata()) == plan.state_of(&twin.metadata());
        twins += usize::from(is_same && case.device != twin);
    }
    let shares = [none, one, several, long, ties, twins].map(|count| 100 * count / CASES);
    println!("percent with no path, one step, two or more, three or more, a tie, a twin of equal state: {shares:?}");
    let wanted = [20, 10, 30, 20, 10, 20];
    assert!(shares.iter().zip(wanted).all(|(share, wanted)| *share >= wanted), "{shares:?}, wanted {wanted:?}");
}
