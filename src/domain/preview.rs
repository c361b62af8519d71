//! What a policy and packages would mean for the devices of a group, before anybody sets them.
//!
//! Devices are shown one by one and none is kept: those that no package tells apart (of one [`State`]) are counted
//! together, and decided about once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use super::downloads::Rates;
use super::explanation::{Considered, Part, consider};
use super::resolver::{Decision, Obstacle, Plan, State};
use super::{
    ByteSize, CheckedPackage, DeviceId, DeviceReport, Metadata, MetadataValue, Package, PackageId, Policy, keys,
};

/// How many devices are named as examples.
const EXAMPLES: usize = 5;

/// Counts the devices of a group for a policy and packages.
#[derive(Debug)]
pub struct Census {
    packages: Vec<CheckedPackage>,
    policy: Policy,
    /// Those that can be offered.
    offerable: Vec<Package>,
    /// One for each device type that a package is for, and one for all others.
    plans: HashMap<String, Counted>,
    others: Counted,
    unreported: Devices,
}

/// The devices of one type.
#[derive(Debug)]
struct Counted {
    plan: Plan,
    /// With what one of them reports: the reasons name that.
    states: HashMap<State, (Devices, Metadata)>,
}

/// Some devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// How many.
    pub count: u64,
    /// A few of them.
    pub examples: Vec<DeviceId>,
}

/// What would become of the devices of a group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preview {
    /// The version that they are to reach; `None`: they stay as they are.
    pub target: Option<String>,
    /// All of them.
    pub devices: u64,
    /// Those that would be led to the target, those of most devices first.
    pub paths: Vec<PreviewedPath>,
    /// Those that run the target.
    pub up_to_date: Devices,
    /// Those that stay as they are, because there is no target.
    pub without_target: Devices,
    /// Those that cannot reach the target, those of most devices first.
    pub blocked: Vec<Blocked>,
    /// Those for which there are too many combinations of packages to find out.
    pub undecided: Devices,
    /// Those that do not report what an update check needs.
    pub unreported: Devices,
}

/// Devices that go one way.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewedPath {
    /// The packages, in order.
    pub packages: Vec<PackageId>,
    /// Who goes this way.
    pub devices: Devices,
    /// What all of them fetch on the whole way.
    pub bytes: u64,
    /// What all of them fetch at first.
    pub first_step_bytes: u64,
}

/// Devices that are kept from the target by the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Blocked {
    /// Who is.
    pub devices: Devices,
    /// What the packages mean for the first of the examples.
    pub packages: Vec<Considered>,
}

impl Devices {
    fn add(&mut self, device: DeviceId) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(device);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.examples.extend(&other.examples);
        self.examples.sort_unstable();
        self.examples.truncate(EXAMPLES);
    }
}

impl Counted {
    fn new(device_type: &str, packages: &[Package], policy: &Policy) -> Self {
        Self { plan: Plan::compile(device_type, packages.to_vec(), policy.clone()), states: HashMap::new() }
    }
}

impl Census {
    /// For these packages, in the order assigned, and this policy.
    pub fn new(packages: Vec<CheckedPackage>, policy: Policy) -> Self {
        let offerable = CheckedPackage::offerable(&packages);
        let types = offerable.iter().filter_map(|package| package.metadata().text(keys::DEVICE_TYPE));
        let plans = types.map(|name| (name.to_owned(), Counted::new(name, &offerable, &policy))).collect();
        // No package is for a type without a name.
        let others = Counted::new("", &offerable, &policy);
        Self { packages, policy, offerable, plans, others, unreported: Devices::default() }
    }

    /// Counts a device that reports `metadata`. To be called in the order of identifiers.
    pub fn count(&mut self, device: DeviceId, metadata: &Metadata) {
        if DeviceReport::missing_for_update_check(metadata).is_some() {
            return self.unreported.add(device);
        }
        let device_type = metadata.text(keys::DEVICE_TYPE).unwrap_or_default();
        let counted = self.plans.get_mut(device_type).unwrap_or(&mut self.others);
        let state = counted.plan.state_of(metadata);
        let (devices, _) = counted.states.entry(state).or_insert_with(|| (Devices::default(), metadata.clone()));
        devices.add(device);
    }

    /// What would become of the devices that were counted.
    pub fn finish(self) -> Preview {
        let target = self.policy.target().map(str::to_owned);
        let unreported = self.unreported;
        let mut preview = Preview { target, devices: unreported.count, unreported, ..Preview::default() };
        let mut paths: HashMap<Vec<PackageId>, Devices> = HashMap::new();
        let mut blocked: HashMap<Vec<(PackageId, Vec<Condition>)>, Blocked> = HashMap::new();
        for Counted { plan, states } in self.plans.into_values().chain([self.others]) {
            for (devices, metadata) in states.into_values() {
                preview.devices += devices.count;
                match plan.decide(&metadata) {
                    Decision::UpToDate => preview.up_to_date.merge(&devices),
                    Decision::NoTarget => preview.without_target.merge(&devices),
                    Decision::SearchTooLarge { .. } => preview.undecided.merge(&devices),
                    Decision::Install { path, .. } => paths.entry(path).or_default().merge(&devices),
                    decision @ Decision::NoPath { .. } => {
                        let packages = consider(&metadata, &self.packages, &decision);
                        let conditions = packages.iter().map(|package| (package.package, conditions(package)));
                        match blocked.entry(conditions.collect()) {
                            Entry::Vacant(entry) => {
                                entry.insert(Blocked { devices, packages });
                            }
                            Entry::Occupied(entry) => {
                                let known = entry.into_mut();
                                if devices.examples < known.devices.examples {
                                    known.packages = packages;
                                }
                                known.devices.merge(&devices);
                            }
                        }
                    }
                }
            }
        }
        let length = |id: &PackageId| {
            self.offerable.iter().find(|package| package.id == *id).map_or(0, |package| package.length_bytes)
        };
        preview.paths = paths
            .into_iter()
            .map(|(packages, devices)| PreviewedPath {
                bytes: packages.iter().map(length).sum::<u64>().saturating_mul(devices.count),
                first_step_bytes: packages.first().map_or(0, length).saturating_mul(devices.count),
                packages,
                devices,
            })
            .collect();
        preview.blocked = blocked.into_values().collect();
        preview.paths.sort_by(|a, b| most_first(&a.devices, &b.devices));
        preview.blocked.sort_by(|a, b| most_first(&a.devices, &b.devices));
        preview
    }
}

/// What keeps a device from a package, but for what that device reports: the same for many, and for all of one [`State`].
#[derive(Debug, PartialEq, Eq, Hash)]
enum Condition {
    IsDamaged,
    IsForAnotherType,
    RequiresList,
    BringsSameVersion,
    Requires(String),
    LeadsNowhere,
}

/// Of what is in the way, that which nothing could change about the device comes alone: about the rest, devices of one
/// state may differ.
fn conditions(considered: &Considered) -> Vec<Condition> {
    let Part::Blocked(obstacles) = &considered.part else { return Vec::new() };
    let has = |wanted: fn(&Obstacle) -> bool| obstacles.iter().any(wanted);
    if considered.damage.is_some() {
        return vec![Condition::IsDamaged];
    }
    if has(|obstacle| matches!(obstacle, Obstacle::OtherDeviceType { .. })) {
        return vec![Condition::IsForAnotherType];
    }
    if has(|obstacle| matches!(obstacle, Obstacle::Requirement { required: MetadataValue::List(_), .. })) {
        return vec![Condition::RequiresList];
    }
    let conditions = obstacles.iter().map(|obstacle| match obstacle {
        Obstacle::OtherDeviceType { .. } => Condition::IsForAnotherType,
        Obstacle::SameVersion => Condition::BringsSameVersion,
        Obstacle::Requirement { key, .. } => Condition::Requires(key.clone()),
        Obstacle::LeadsNowhere => Condition::LeadsNowhere,
    });
    conditions.collect()
}

fn most_first(a: &Devices, b: &Devices) -> std::cmp::Ordering {
    (b.count, &a.examples).cmp(&(a.count, &b.examples))
}

impl Preview {
    /// What all devices fetch on their whole ways.
    pub fn bytes(&self) -> u64 {
        self.paths.iter().fold(0, |sum, path| sum.saturating_add(path.bytes))
    }

    /// What all devices fetch at first.
    pub fn first_step_bytes(&self) -> u64 {
        self.paths.iter().fold(0, |sum, path| sum.saturating_add(path.first_step_bytes))
    }

    /// How long downloads take at these rates, if nothing else holds them up; `None`: there is no rate.
    pub fn time(&self, rates: Rates) -> Option<Duration> {
        let at = |bytes: u64, rate: Option<ByteSize>| Some(bytes.div_ceil(rate?.bytes().max(1)));
        let longest = self.paths.iter().map(|path| path.bytes / path.devices.count.max(1)).max().unwrap_or(0);
        at(self.bytes(), rates.total).max(at(longest, rates.device)).map(Duration::from_secs)
    }
}

#[cfg(test)]
mod tests;
