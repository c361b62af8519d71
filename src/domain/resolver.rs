//! The resolver: which package a device gets next, on the shortest path to the version that its group's policy names.
//!
//! A state is the device's metadata as it would be after some steps: each installed package's own keys laid over it. A
//! package is a step from a state if it is for the device's type, brings another version, and finds each of its
//! `requires:` met by the state. The search is breadth first, so the path has the fewest steps; between paths of equal
//! length the packages assigned first win.
//!
//! A [`Plan`] is made once for a group and device type. It keeps of a state only what a package can ask about, as small
//! numbers, so that devices which no package tells apart share a [`State`] and whoever holds the plan may remember
//! the [`Outcome`] of one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{Metadata, MetadataValue, Package, PackageId, Policy, keys};

/// The states that one search visits at most; a policy that needs more is answered with [`Outcome::SearchTooLarge`].
pub const MAX_STATES: usize = 20_000;

/// What a device should do, with the reasons.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The device runs the version that the policy names.
    UpToDate,
    /// The policy names no version.
    NoTarget,
    /// The device should install `package`, the first of `path`; the last of `path` brings the target.
    Install {
        /// What to install now.
        package: PackageId,
        /// Every step up to the target.
        path: Vec<PackageId>,
    },
    /// No sequence of packages leads to the target.
    NoPath {
        /// The version that cannot be reached.
        target: String,
        /// For each package, in the order assigned, why it is not the first step.
        blockers: Vec<Blocker>,
    },
    /// More than [`MAX_STATES`] states were looked at without an answer.
    SearchTooLarge {
        /// The version that was searched for.
        target: String,
    },
}

/// Why a package is not a device's first step.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocker {
    /// The package.
    pub package: PackageId,
    /// What stands in the way; never empty.
    pub obstacles: Vec<Obstacle>,
}

/// One thing that stands between a device and a package.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// The package is for another type of device.
    OtherDeviceType {
        /// The type that the package is for.
        package: String,
        /// What the device reports.
        reported: Option<MetadataValue>,
    },
    /// The package brings the version that the device runs.
    SameVersion,
    /// A `requires:` of the package does not hold.
    Requirement {
        /// The key asked about, without `requires:`.
        key: String,
        /// The value asked for; no device meets a list.
        required: MetadataValue,
        /// What the device reports under this key.
        reported: Option<MetadataValue>,
    },
    /// The device could install the package, but no path goes on from it to the target.
    LeadsNowhere,
}

/// What [`Plan::outcome`] finds; a [`Decision`] without what differs between devices of one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// See [`Decision::UpToDate`].
    UpToDate,
    /// See [`Decision::NoTarget`].
    NoTarget,
    /// Positions in [`Plan::packages`] of each step; at least one.
    Install(Vec<usize>),
    /// See [`Decision::NoPath`].
    NoPath,
    /// See [`Decision::SearchTooLarge`].
    SearchTooLarge,
}

/// Decides for one device: [`Plan::compile`] and [`Plan::decide`] in one.
pub fn next_step(device: &Metadata, packages: &[Package], policy: &Policy) -> Decision {
    let device_type = device.text(keys::DEVICE_TYPE).unwrap_or_default();
    Plan::compile(device_type, packages.to_vec(), policy.clone()).decide(device)
}

/// What the packages of a plan can ask about a device, in numbers. Devices with equal states get equal outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State(Box<[ValueNumber]>);

/// A value of one key, numbered in the order met; [`OTHER`] is every value that no package asks for.
type ValueNumber = u32;
const OTHER: ValueNumber = 0;

/// The slot of the software version in every state.
const VERSION_SLOT: usize = 0;

/// A group's packages and policy, prepared for the devices of one type.
#[derive(Debug)]
pub struct Plan {
    device_type: String,
    packages: Arc<[Package]>,
    policy: Policy,
    /// The keys that tell states apart: the software version, then those that some package requires.
    slots: Vec<Slot>,
    /// The packages for this device type, in the order assigned.
    steps: Vec<Step>,
    /// The target version as a value of [`VERSION_SLOT`].
    target: Option<ValueNumber>,
}

#[derive(Debug)]
struct Slot {
    key: String,
    numbers: HashMap<String, ValueNumber>,
}

#[derive(Debug)]
struct Step {
    /// Position in [`Plan::packages`].
    package: usize,
    requires: Vec<(usize, ValueNumber)>,
    brings: Vec<(usize, ValueNumber)>,
    version: ValueNumber,
}

impl Slot {
    fn new(key: &str) -> Self {
        Self { key: key.to_owned(), numbers: HashMap::new() }
    }

    fn intern(&mut self, value: &str) -> ValueNumber {
        let next = u32::try_from(self.numbers.len() + 1).expect("a group has far fewer than 2^32 requirements");
        *self.numbers.entry(value.to_owned()).or_insert(next)
    }

    fn number(&self, value: Option<&str>) -> ValueNumber {
        value.and_then(|value| self.numbers.get(value)).copied().unwrap_or(OTHER)
    }
}

impl Step {
    fn is_possible_from(&self, state: &State) -> bool {
        self.version != state.0[VERSION_SLOT] && self.requires.iter().all(|&(slot, value)| state.0[slot] == value)
    }

    fn applied_to(&self, state: &State) -> State {
        let mut next = state.clone();
        for &(slot, value) in &self.brings {
            next.0[slot] = value;
        }
        next
    }
}

/// The requirements of a package: key (without the prefix) and value.
fn requirements(package: &Package) -> impl Iterator<Item = (&str, &MetadataValue)> {
    package.metadata().iter().filter_map(|(key, value)| Some((key.strip_prefix(keys::REQUIRES_PREFIX)?, value)))
}

/// The requirements of a package as texts; `None` if one of them is a list, which nothing meets.
fn meetable_requirements(package: &Package) -> Option<Vec<(&str, &str)>> {
    requirements(package).map(|(key, required)| Some((key, required.as_text()?))).collect()
}

/// What a device reports after installing a package: the package's own keys, without what only the server reads.
fn brought_keys(package: &Package) -> impl Iterator<Item = (&str, &MetadataValue)> {
    package
        .metadata()
        .iter()
        .filter(|(key, _)| !key.starts_with(keys::REQUIRES_PREFIX) && !key.starts_with(keys::STORAGE_PREFIX))
}

impl Plan {
    /// Prepares `packages`, in the order assigned, for devices of `device_type`.
    pub fn compile(device_type: &str, packages: impl Into<Arc<[Package]>>, policy: Policy) -> Self {
        let packages = packages.into();
        let fitting: Vec<_> = (0..packages.len())
            .filter(|&position| packages[position].metadata().text(keys::DEVICE_TYPE) == Some(device_type))
            .filter_map(|position| Some((position, meetable_requirements(&packages[position])?)))
            .collect();

        let mut slots = vec![Slot::new(keys::SOFTWARE_VERSION)];
        let target = policy.target().map(|version| slots[VERSION_SLOT].intern(version));
        for (position, requires) in &fitting {
            for &(key, value) in requires {
                let slot = slots.iter().position(|slot| slot.key == key).unwrap_or_else(|| {
                    slots.push(Slot::new(key));
                    slots.len() - 1
                });
                slots[slot].intern(value);
            }
            if let Some(version) = packages[*position].metadata().text(keys::SOFTWARE_VERSION) {
                slots[VERSION_SLOT].intern(version);
            }
        }

        let slot_of = |key: &str| slots.iter().position(|slot| slot.key == key);
        let steps = fitting
            .iter()
            .map(|(position, requires)| {
                let package = &packages[*position];
                Step {
                    package: *position,
                    requires: requires
                        .iter()
                        .filter_map(|&(key, value)| slot_of(key).map(|slot| (slot, slots[slot].number(Some(value)))))
                        .collect(),
                    brings: brought_keys(package)
                        .filter_map(|(key, value)| slot_of(key).map(|slot| (slot, slots[slot].number(value.as_text()))))
                        .collect(),
                    version: slots[VERSION_SLOT].number(package.metadata().text(keys::SOFTWARE_VERSION)),
                }
            })
            .collect();
        Self { device_type: device_type.to_owned(), packages, policy, slots, steps, target }
    }

    /// The group's packages, in the order assigned.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// What this plan can tell of a device of its type.
    pub fn state_of(&self, device: &Metadata) -> State {
        State(self.slots.iter().map(|slot| slot.number(device.text(&slot.key))).collect())
    }

    /// The shortest way from `state` to the target.
    pub fn outcome(&self, state: &State) -> Outcome {
        let Some(target) = self.target else { return Outcome::NoTarget };
        if state.0[VERSION_SLOT] == target {
            return Outcome::UpToDate;
        }

        // `reached` is the queue and the way back in one: who led here, by which step.
        let mut reached: Vec<(State, Option<(usize, usize)>)> = vec![(state.clone(), None)];
        let mut seen = HashSet::from([state.clone()]);
        let mut current = 0;
        while current < reached.len() {
            for (step_position, step) in self.steps.iter().enumerate() {
                if !step.is_possible_from(&reached[current].0) {
                    continue;
                }
                let next = step.applied_to(&reached[current].0);
                if !seen.insert(next.clone()) {
                    continue;
                }
                if step.version == target {
                    return Outcome::Install(self.way_back(&reached, current, step_position));
                }
                if reached.len() >= MAX_STATES {
                    return Outcome::SearchTooLarge;
                }
                reached.push((next, Some((current, step_position))));
            }
            current += 1;
        }
        Outcome::NoPath
    }

    fn way_back(&self, reached: &[(State, Option<(usize, usize)>)], from: usize, last_step: usize) -> Vec<usize> {
        let mut path = vec![self.steps[last_step].package];
        let mut position = from;
        while let Some((previous, step)) = reached[position].1 {
            path.push(self.steps[step].package);
            position = previous;
        }
        path.reverse();
        path
    }

    /// Decides for one device, with the reasons that a person can be told.
    pub fn decide(&self, device: &Metadata) -> Decision {
        let target = self.policy.target().unwrap_or_default().to_owned();
        // A device of another type than the plan's has no step here, and gets the type as the obstacle.
        let is_of_this_type = device.text(keys::DEVICE_TYPE) == Some(&*self.device_type);
        let outcome = match self.outcome(&self.state_of(device)) {
            Outcome::Install(_) | Outcome::SearchTooLarge if !is_of_this_type => Outcome::NoPath,
            outcome => outcome,
        };
        match outcome {
            Outcome::UpToDate => Decision::UpToDate,
            Outcome::NoTarget => Decision::NoTarget,
            Outcome::SearchTooLarge => Decision::SearchTooLarge { target },
            Outcome::NoPath => {
                let blockers = self.packages.iter().map(|package| blocker(device, package)).collect();
                Decision::NoPath { target, blockers }
            }
            Outcome::Install(path) => {
                let path: Vec<_> = path.into_iter().map(|position| self.packages[position].id).collect();
                Decision::Install { package: path[0], path }
            }
        }
    }
}

/// What keeps `package` from being the first step of a device that has no path.
fn blocker(device: &Metadata, package: &Package) -> Blocker {
    let mut obstacles = obstacles(device, package);
    if obstacles.is_empty() {
        obstacles.push(Obstacle::LeadsNowhere);
    }
    Blocker { package: package.id, obstacles }
}

/// What keeps a device from installing a package as it stands; empty if nothing does.
pub fn obstacles(device: &Metadata, package: &Package) -> Vec<Obstacle> {
    let metadata = package.metadata();
    let mut obstacles = Vec::new();
    let package_type = metadata.text(keys::DEVICE_TYPE).unwrap_or_default();
    if device.text(keys::DEVICE_TYPE) != Some(package_type) {
        obstacles.push(Obstacle::OtherDeviceType {
            package: package_type.to_owned(),
            reported: device.get(keys::DEVICE_TYPE).cloned(),
        });
    }
    if metadata.text(keys::SOFTWARE_VERSION) == device.text(keys::SOFTWARE_VERSION) {
        obstacles.push(Obstacle::SameVersion);
    }
    let is_met = |key, required: &MetadataValue| required.as_text().is_some() && device.get(key) == Some(required);
    obstacles.extend(requirements(package).filter(|&(key, required)| !is_met(key, required)).map(|(key, required)| {
        Obstacle::Requirement { key: key.to_owned(), required: required.clone(), reported: device.get(key).cloned() }
    }));
    obstacles
}
