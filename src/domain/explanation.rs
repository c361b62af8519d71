//! Why a device is offered what it is offered, or nothing: the chain from its address to an offer, link by link. The sentences
//! for people are in `sentences`.
//!
//! A chain ends as an update check of that moment would: it offers the same package if it reaches its end, and nothing if
//! it stops before.

mod sentences;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::attempt::Attempt;
use super::named::named;
use super::progress::Proposal;
use super::resolver::{Decision, Obstacle, Plan, obstacles};
use super::rollout::Hold;
use super::{
    CheckedPackage, DeviceId, DeviceReport, FoundDamage, GroupId, GroupState, KeyFingerprint, MacAddress, Metadata,
    PackageId, Registration, RegistrationState, Timestamp, keys,
};

/// How many attempts of one address to be let in an explanation names.
const WAITING_NAMED: usize = 3;

named! {
    /// A link of the chain.
    Link, "link":
    /// Has anybody of this address ever been here?
    Known = "known",
    /// Has a person accepted the device?
    Accepted = "accepted",
    /// Does it report what an update check needs?
    Reported = "reported",
    /// Is it in a group?
    Group = "group",
    /// Does the group's policy want it to run something else?
    Policy = "policy",
    /// Which packages are there for it?
    Packages = "packages",
    /// Do they lead to what the policy wants?
    Path = "path",
    /// Does the group's rollout let it begin?
    Rollout = "rollout",
    /// What is it offered?
    Offer = "offer",
}

named! {
    /// What a link of the chain does.
    LinkState, "state of a link":
    /// It holds: the chain goes on.
    Holds = "ok",
    /// It is why nothing is offered.
    Stops = "stops_here",
    /// The chain stopped before.
    NotReached = "not_reached",
}

/// The whole chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// What was found at each link that was reached, in order; never empty.
    findings: Vec<Finding>,
}

/// What was found at a link. As text: a sentence or two for people.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Nobody of this address was ever here.
    Unknown {
        /// The address.
        mac_address: MacAddress,
    },
    /// Somebody of this address was here.
    Known {
        /// The address, as the device first spelled it.
        mac_address: MacAddress,
        /// The device; `None`: it is none yet.
        device: Option<DeviceId>,
    },
    /// The device is only thought of.
    Hypothetical,
    /// It is not accepted, and asks to be.
    Waits {
        /// With these keys, the latest first.
        waiting: Vec<Waiting>,
    },
    /// It is accepted.
    Accepted {
        /// It asks to be accepted with other keys, too.
        waiting: Vec<Waiting>,
    },
    /// It does not report what an update check needs, and so is refused.
    ReportLacks {
        /// The key that is missing.
        key: &'static str,
        /// When the device was last heard.
        last_access: Option<Timestamp>,
    },
    /// It reports what an update check needs.
    Reports {
        /// The version that it runs.
        version: String,
        /// Its type.
        device_type: String,
        /// When it was last heard; `None`: not since it was accepted.
        last_access: Option<Timestamp>,
    },
    /// It is in no group.
    NoGroup,
    /// It is in this group.
    InGroup {
        /// The group.
        group: GroupId,
    },
    /// The group's policy is that devices stay as they are.
    NoTarget {
        /// The group.
        group: GroupId,
    },
    /// The device runs what the policy names.
    UpToDate {
        /// The group.
        group: GroupId,
        /// The version.
        target: String,
    },
    /// The policy names another version than the device runs.
    Target {
        /// The group.
        group: GroupId,
        /// The version that the policy names.
        target: String,
        /// The one that the device runs.
        runs: String,
    },
    /// The group has no package that could be offered to anybody.
    NothingToOffer {
        /// The group.
        group: GroupId,
        /// Its packages.
        packages: Vec<Considered>,
    },
    /// The group has packages.
    Packages {
        /// The group.
        group: GroupId,
        /// They, in the order assigned.
        packages: Vec<Considered>,
    },
    /// They do not lead to the target.
    NoPath {
        /// The version that the device runs.
        runs: String,
        /// The version that it should reach.
        target: String,
    },
    /// They have too many combinations to find out whether they lead to the target.
    SearchTooLarge {
        /// The version that the device should reach.
        target: String,
    },
    /// They lead to the target.
    Path {
        /// The version that the device runs.
        runs: String,
        /// The version that it should reach.
        target: String,
        /// The packages of the shortest path.
        steps: Vec<PathStep>,
    },
    /// The rollout holds the device back.
    Held {
        /// The group.
        group: GroupId,
        /// The next package.
        step: PathStep,
        /// What holds it back.
        hold: Hold,
        /// The group's hours, if it has any.
        hours: Option<String>,
    },
    /// The rollout lets the device begin, or go on.
    NotHeld {
        /// The group.
        group: GroupId,
    },
    /// The device is offered this when it asks.
    Offered {
        /// The package.
        step: PathStep,
        /// How far it is with it, if it was offered before.
        attempt: Option<Attempt>,
    },
}

/// A device that asks to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which key it has.
    pub fingerprint: KeyFingerprint,
    /// When it last asked; once it is rejected that is not noted.
    pub last_appeared: Timestamp,
    /// Whether it waits or was rejected.
    pub state: RegistrationState,
}

/// A package on the way to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStep {
    /// The package.
    pub package: PackageId,
    /// The version that it brings.
    pub version: String,
    /// How long it is.
    pub length_bytes: u64,
}

/// A package of the group, and what it means for a device. As text: a sentence for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Considered {
    /// The package.
    pub package: PackageId,
    /// The version that it brings.
    pub version: String,
    /// What is wrong with its file: it is not offered then.
    pub damage: Option<FoundDamage>,
    /// What it means for the device.
    pub part: Part,
}

/// What a package means for a device.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// It is this step of the path; 1 is the next one.
    Step(usize),
    /// The device could install it, and another path is shorter, or as short and assigned first.
    NotNeeded,
    /// The device cannot install it, or gets nowhere with it. Empty if it is damaged and nothing else.
    Blocked(Vec<Obstacle>),
}

impl From<&(Registration, KeyFingerprint)> for Waiting {
    fn from((registration, fingerprint): &(Registration, KeyFingerprint)) -> Self {
        Self { fingerprint: *fingerprint, last_appeared: registration.last_appeared, state: registration.state }
    }
}

/// Whose update is explained.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// Nobody who was ever here.
    Unknown(MacAddress),
    /// Somebody who waits to be accepted.
    Waiting(MacAddress, Vec<Waiting>),
    /// An accepted device. It may wait to be accepted with another key.
    Device {
        /// The device.
        id: DeviceId,
        /// Its address, as it first spelled it.
        mac_address: MacAddress,
        /// The other keys that it wants to be accepted with.
        waiting: Vec<Waiting>,
        /// When it was last heard.
        last_access: Option<Timestamp>,
    },
    /// A device that is only thought of.
    Hypothetical,
}

/// What is under way: what an explanation asks about a device that could be offered a package.
pub trait UnderWay {
    /// What would hold the device back that runs this and is to do what is proposed.
    fn hold(&self, device: Option<DeviceId>, runs: &str, proposal: &Proposal<'_>) -> Option<Hold>;

    /// The attempt of the device that goes on.
    fn attempt(&self, device: DeviceId) -> Option<Attempt>;
}

/// Explains what a device that reports `metadata` would be offered.
pub fn explain(
    subject: Subject,
    metadata: &Metadata,
    group: Option<&GroupState>,
    under_way: &impl UnderWay,
) -> Explanation {
    let mut findings = Vec::with_capacity(Link::ALL.len());
    let (device, last_access) = match subject {
        Subject::Unknown(mac_address) => {
            findings.push(Finding::Unknown { mac_address });
            return Explanation { findings };
        }
        Subject::Waiting(mac_address, mut waiting) => {
            latest_first(&mut waiting);
            findings.extend([Finding::Known { mac_address, device: None }, Finding::Waits { waiting }]);
            return Explanation { findings };
        }
        Subject::Device { id, mac_address, mut waiting, last_access } => {
            latest_first(&mut waiting);
            findings.extend([Finding::Known { mac_address, device: Some(id) }, Finding::Accepted { waiting }]);
            (Some(id), last_access)
        }
        Subject::Hypothetical => {
            findings.extend([Finding::Hypothetical, Finding::Hypothetical]);
            (None, None)
        }
    };
    if let Some(key) = DeviceReport::missing_for_update_check(metadata) {
        findings.push(Finding::ReportLacks { key, last_access });
        return Explanation { findings };
    }
    let text = |key| metadata.text(key).unwrap_or_default().to_owned();
    let (version, device_type) = (text(keys::SOFTWARE_VERSION), text(keys::DEVICE_TYPE));
    findings.push(Finding::Reports { version, device_type, last_access });
    match group {
        None => findings.push(Finding::NoGroup),
        Some(group) => explain_in_group(&mut findings, device, metadata, group, under_way),
    }
    Explanation { findings }
}

fn latest_first(waiting: &mut Vec<Waiting>) {
    waiting.sort_by_key(|waiting| std::cmp::Reverse(waiting.last_appeared));
    waiting.truncate(WAITING_NAMED);
}

fn explain_in_group(
    findings: &mut Vec<Finding>,
    device: Option<DeviceId>,
    metadata: &Metadata,
    state: &GroupState,
    under_way: &impl UnderWay,
) {
    let GroupState { id: group, policy, packages, rollout } = state;
    let group = *group;
    let runs = metadata.text(keys::SOFTWARE_VERSION).unwrap_or_default().to_owned();
    findings.push(Finding::InGroup { group });

    let device_type = metadata.text(keys::DEVICE_TYPE).unwrap_or_default();
    let offerable = CheckedPackage::offerable(packages);
    let has_any = !offerable.is_empty();
    let decision = Plan::compile(device_type, offerable, policy.clone()).decide(metadata);
    let target = match (&decision, policy.target()) {
        (Decision::NoTarget, _) | (_, None) => return findings.push(Finding::NoTarget { group }),
        (Decision::UpToDate, Some(target)) => {
            return findings.push(Finding::UpToDate { group, target: target.to_owned() });
        }
        (_, Some(target)) => target.to_owned(),
    };
    findings.push(Finding::Target { group, target: target.clone(), runs: runs.clone() });

    let considered = consider(metadata, packages, &decision);
    if !has_any {
        return findings.push(Finding::NothingToOffer { group, packages: considered });
    }
    findings.push(Finding::Packages { group, packages: considered });

    let steps: Vec<_> = match decision {
        Decision::Install { path, .. } => path.iter().filter_map(|id| step(packages, *id)).collect(),
        Decision::SearchTooLarge { .. } => return findings.push(Finding::SearchTooLarge { target }),
        Decision::NoPath { .. } | Decision::NoTarget | Decision::UpToDate => Vec::new(),
    };
    let Some(next) = steps.first().cloned() else { return findings.push(Finding::NoPath { runs, target }) };
    findings.push(Finding::Path { runs: runs.clone(), target: target.clone(), steps });

    let proposal = Proposal { group, package: next.package, target: &target, rollout };
    if let Some(hold) = under_way.hold(device, &runs, &proposal) {
        let hours = rollout.hours.as_ref().map(ToString::to_string);
        return findings.push(Finding::Held { group, step: next, hold, hours });
    }
    findings.push(Finding::NotHeld { group });
    let attempt = device.and_then(|device| under_way.attempt(device));
    let attempt = attempt.filter(|attempt| attempt.step.package == next.package && *attempt.step.from_version == *runs);
    findings.push(Finding::Offered { step: next, attempt });
}

fn step(packages: &[CheckedPackage], id: PackageId) -> Option<PathStep> {
    let CheckedPackage { package, .. } = packages.iter().find(|checked| checked.package.id == id)?;
    let version = package.metadata().text(keys::SOFTWARE_VERSION).unwrap_or_default().to_owned();
    Some(PathStep { package: id, version, length_bytes: package.length_bytes })
}

/// What each of the packages means for a device. The decision is about this device, and was made without packages that are
/// damaged.
pub fn consider(device: &Metadata, packages: &[CheckedPackage], decision: &Decision) -> Vec<Considered> {
    let (path, blockers) = match decision {
        Decision::Install { path, .. } => (&path[..], &[][..]),
        Decision::NoPath { blockers, .. } => (&[][..], &blockers[..]),
        Decision::UpToDate | Decision::NoTarget | Decision::SearchTooLarge { .. } => (&[][..], &[][..]),
    };
    let blockers: HashMap<_, _> = blockers.iter().map(|blocker| (blocker.package, &blocker.obstacles)).collect();
    let part = |checked: &CheckedPackage| {
        let id = checked.package.id;
        if let Some(position) = path.iter().position(|step| *step == id) {
            return Part::Step(position + 1);
        }
        match blockers.get(&id) {
            Some(known) => Part::Blocked((*known).clone()),
            None => match obstacles(device, &checked.package) {
                none if none.is_empty() && checked.damage.is_none() => Part::NotNeeded,
                some => Part::Blocked(some),
            },
        }
    };
    let considered = packages.iter().map(|checked| Considered {
        package: checked.package.id,
        version: checked.package.metadata().text(keys::SOFTWARE_VERSION).unwrap_or_default().to_owned(),
        damage: checked.damage.clone(),
        part: part(checked),
    });
    considered.collect()
}

impl Explanation {
    /// Every link of the chain, with what it does and what was found there.
    pub fn links(&self) -> impl Iterator<Item = (Link, LinkState, Option<&Finding>)> {
        Link::ALL.iter().enumerate().map(|(position, link)| {
            let finding = self.findings.get(position);
            let state = match finding {
                None => LinkState::NotReached,
                Some(_) if position + 1 < self.findings.len() || *link == Link::Offer => LinkState::Holds,
                Some(_) => LinkState::Stops,
            };
            (*link, state, finding)
        })
    }

    /// What the device is offered when it asks now.
    pub fn offer(&self) -> Option<&PathStep> {
        match self.conclusion() {
            Finding::Offered { step, .. } => Some(step),
            _ => None,
        }
    }

    /// Why the chain ends as it does.
    pub fn conclusion(&self) -> &Finding {
        self.findings.last().expect("every subject adds a finding")
    }
}
