//! A device asks for its next package.
//!
//! The usual check touches no file: who the device is comes from [`Presence`], and what it gets from a plan compiled
//! once for its group and device type, with the outcomes of the states met so far.
//!
//! [`Presence`]: crate::store::Presence

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::hear_device::hear_device;
use super::track_progress::Tracker;
use crate::domain::attempt::Step;
use crate::domain::progress::Proposal;
use crate::domain::resolver::{Outcome, Plan, State};
use crate::domain::rollout::Rollout;
use crate::domain::{CheckedPackage, DeviceReport, GroupId, GroupState, Metadata, Package, Policy, keys};
use crate::store::{Assignment, Change, Store, StoreError, groups};

/// Outcomes that one plan remembers; with more states than that it starts over.
const REMEMBERED_OUTCOMES: usize = 4096;
/// Device types that one group has plans for; it has few, but devices say themselves what they are.
const REMEMBERED_DEVICE_TYPES: usize = 64;

/// The answer to an update check.
#[derive(Debug)]
pub enum UpdateCheck {
    /// Install this package next.
    Update(Offer),
    /// Nothing to install.
    NoUpdate,
    /// No such device is registered.
    UnknownDevice,
}

/// A package to install, one of its group's.
#[derive(Debug)]
pub struct Offer {
    packages: Arc<[Package]>,
    position: usize,
}

impl Offer {
    /// The package.
    pub fn package(&self) -> &Package {
        &self.packages[self.position]
    }
}

/// The groups' plans, as far as devices have asked for them.
#[derive(Debug, Default)]
pub struct Planner {
    groups: RwLock<HashMap<GroupId, Arc<GroupPlans>>>,
}

/// A group's packages and policy, and what was compiled from them.
#[derive(Debug)]
struct GroupPlans {
    /// The generation of [`Change::Plans`] that they were read in.
    generation: u64,
    packages: Arc<[Package]>,
    policy: Policy,
    rollout: Rollout,
    by_device_type: Mutex<HashMap<Box<str>, Arc<RememberingPlan>>>,
}

#[derive(Debug)]
struct RememberingPlan {
    plan: Plan,
    outcomes: Mutex<HashMap<State, Outcome>>,
}

/// Notes that the device was heard at `address`, and says what it is to install.
pub async fn check_update(
    store: &Store,
    planner: &Planner,
    tracker: &Tracker,
    report: DeviceReport,
    address: Option<IpAddr>,
) -> Result<UpdateCheck, StoreError> {
    let heard = hear_device(store, &report.mac_address, Some(&report.metadata)).await?;
    let Some(Assignment { device, group }) = heard else { return Ok(UpdateCheck::UnknownDevice) };
    let runs = report.metadata.text(keys::SOFTWARE_VERSION).unwrap_or_default();
    let nothing = || {
        tracker.see(device, runs);
        Ok(UpdateCheck::NoUpdate)
    };
    let Some(group) = group else { return nothing() };
    let device_type = report.metadata.text(keys::DEVICE_TYPE).unwrap_or_default();
    let plans = planner.of_group(store, group).await?;
    let path = match plans.for_device_type(device_type).outcome(&report.metadata).await? {
        Outcome::Install(path) => path,
        Outcome::SearchTooLarge => {
            tracing::warn!(%group, device_type, "the group's packages have too many combinations to search");
            return nothing();
        }
        Outcome::UpToDate | Outcome::NoTarget | Outcome::NoPath => return nothing(),
    };
    let offer = Offer { packages: plans.packages.clone(), position: path[0] };
    let proposal = plans.proposal(group, offer.package());
    match tracker.check(device, address, runs, &proposal, || plans.step(group, runs, &path)) {
        Some(_) => Ok(UpdateCheck::NoUpdate),
        None => Ok(UpdateCheck::Update(offer)),
    }
}

impl Planner {
    /// A group's plans, read anew if something changed since they were.
    async fn of_group(&self, store: &Store, group: GroupId) -> Result<Arc<GroupPlans>, StoreError> {
        let generation = store.generations().current(Change::Plans);
        let kept = self.groups.read().unwrap_or_else(PoisonError::into_inner).get(&group).cloned();
        if let Some(plans) = kept.filter(|plans| plans.generation == generation) {
            return Ok(plans);
        }
        let reading = store.read(move |connection| groups::state(connection, group));
        // A group that was deleted a moment ago has no packages and no target.
        let GroupState { policy, packages, rollout, .. } = reading.await?.unwrap_or_else(|| GroupState::empty(group));
        let packages = CheckedPackage::offerable(&packages).into();
        let plans = Arc::new(GroupPlans { generation, packages, policy, rollout, by_device_type: Mutex::default() });
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        // Groups that are gone, or that no device asks for, go when something changed.
        groups.retain(|_, plans| plans.generation == generation);
        groups.insert(group, plans.clone());
        Ok(plans)
    }
}

impl GroupPlans {
    fn target(&self) -> &str {
        self.policy.target().unwrap_or_default()
    }

    fn proposal(&self, group: GroupId, package: &Package) -> Proposal<'_> {
        Proposal { group, package: package.id, target: self.target(), rollout: &self.rollout }
    }

    fn step(&self, group: GroupId, runs: &str, path: &[usize]) -> Step {
        let package = &self.packages[path[0]];
        Step {
            group,
            package: package.id,
            length_bytes: package.length_bytes,
            from_version: runs.to_owned(),
            to_version: package.metadata().text(keys::SOFTWARE_VERSION).unwrap_or_default().to_owned(),
            target: self.target().to_owned(),
            path: path.iter().map(|position| self.packages[*position].id).collect(),
        }
    }

    fn for_device_type(&self, device_type: &str) -> Arc<RememberingPlan> {
        let mut plans = self.by_device_type.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(device_type) {
            return plan.clone();
        }
        let plan = Plan::compile(device_type, self.packages.clone(), self.policy.clone());
        let plan = Arc::new(RememberingPlan { plan, outcomes: Mutex::default() });
        if plans.len() >= REMEMBERED_DEVICE_TYPES {
            plans.clear();
        }
        plans.insert(device_type.into(), plan.clone());
        plan
    }
}

impl RememberingPlan {
    async fn outcome(self: Arc<Self>, device: &Metadata) -> Result<Outcome, StoreError> {
        let state = self.plan.state_of(device);
        let kept = self.lock_outcomes().get(&state).cloned();
        if let Some(outcome) = kept {
            return Ok(outcome);
        }
        // A search may look at thousands of states.
        let searching = tokio::task::spawn_blocking(move || {
            let outcome = self.plan.outcome(&state);
            let mut outcomes = self.lock_outcomes();
            if outcomes.len() >= REMEMBERED_OUTCOMES {
                outcomes.clear();
            }
            outcomes.insert(state, outcome.clone());
            outcome
        });
        searching.await.map_err(|_| StoreError::Abandoned)
    }

    fn lock_outcomes(&self) -> MutexGuard<'_, HashMap<State, Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
