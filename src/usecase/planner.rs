//! The groups' plans: compiled once for a group and device type, with the outcomes of the states met so far.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::domain::attempt::Step;
use crate::domain::progress::Proposal;
use crate::domain::resolver::{Outcome, Plan, State};
use crate::domain::rollout::Rollout;
use crate::domain::{CheckedPackage, GroupId, GroupState, Metadata, Package, Policy, keys};
use crate::store::{Change, Store, StoreError, groups};

/// Outcomes that one plan remembers; with more states than that it starts over.
const REMEMBERED_OUTCOMES: usize = 4096;

/// The groups' plans, as far as somebody has asked for them. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub struct Planner {
    groups: Arc<RwLock<HashMap<GroupId, Arc<GroupPlans>>>>,
}

/// A group's packages and policy, and what was compiled from them.
#[derive(Debug)]
pub struct GroupPlans {
    /// The generation of [`Change::Plans`] that they were read in.
    generation: u64,
    packages: Arc<[Package]>,
    policy: Policy,
    rollout: Rollout,
    /// Those of the types that a package is for.
    by_device_type: HashMap<Box<str>, Arc<RememberingPlan>>,
    of_other_types: Arc<RememberingPlan>,
}

#[derive(Debug)]
struct RememberingPlan {
    plan: Plan,
    outcomes: Mutex<HashMap<State, Outcome>>,
}

impl Planner {
    /// A group's plans, read anew if something changed since they were.
    pub async fn of_group(&self, store: &Store, group: GroupId) -> Result<Arc<GroupPlans>, StoreError> {
        let generation = store.generations().current(Change::Plans);
        match self.kept(group, generation) {
            Some(plans) => Ok(plans),
            // This is rare: it has room of its own.
            None => Box::pin(self.read(store, group, generation)).await,
        }
    }

    async fn read(&self, store: &Store, group: GroupId, generation: u64) -> Result<Arc<GroupPlans>, StoreError> {
        let state = store.read(move |connection| groups::state(connection, group)).await?;
        Ok(self.keep(group, state, generation))
    }

    /// A group's plans, if they are of this generation of [`Change::Plans`].
    pub fn kept(&self, group: GroupId, generation: u64) -> Option<Arc<GroupPlans>> {
        let groups = self.groups.read().unwrap_or_else(PoisonError::into_inner);
        groups.get(&group).filter(|plans| plans.generation == generation).cloned()
    }

    /// Keeps the plans of a group that was read in this generation of [`Change::Plans`]; `None`: it is not there any more.
    pub fn keep(&self, group: GroupId, state: Option<GroupState>, generation: u64) -> Arc<GroupPlans> {
        // A group that was deleted a moment ago has no packages and no target.
        let GroupState { policy, packages, rollout, .. } = state.unwrap_or_else(|| GroupState::empty(group));
        let packages: Arc<[_]> = CheckedPackage::offerable(&packages).into();
        let types: HashSet<_> =
            packages.iter().filter_map(|package| package.metadata().text(keys::DEVICE_TYPE)).collect();
        let plan = |device_type: &str| RememberingPlan {
            plan: Plan::compile(device_type, packages.clone(), policy.clone()),
            outcomes: Mutex::default(),
        };
        let by_device_type = types.iter().map(|name| ((*name).into(), Arc::new(plan(name)))).collect();
        // No package is for a type without a name.
        let of_other_types = Arc::new(plan(""));
        let plans = Arc::new(GroupPlans { generation, packages, policy, rollout, by_device_type, of_other_types });
        let mut groups = self.groups.write().unwrap_or_else(PoisonError::into_inner);
        // Who looks at all devices may come late with what was so before.
        if groups.values().all(|known| known.generation <= generation) {
            // Groups that are gone, or that nobody asks for, go when something changed.
            groups.retain(|_, known| known.generation == generation);
            groups.insert(group, plans.clone());
        }
        plans
    }
}

impl GroupPlans {
    /// The group's packages that can be offered, in the order assigned; outcomes are about their positions.
    pub fn packages(&self) -> &Arc<[Package]> {
        &self.packages
    }

    /// The version that the group's policy names; empty if it names none.
    pub fn target(&self) -> &str {
        self.policy.target().unwrap_or_default()
    }

    /// To install `package`.
    pub fn proposal(&self, group: GroupId, package: &Package) -> Proposal<'_> {
        Proposal { group, package: package.id, target: self.target(), rollout: &self.rollout }
    }

    /// To begin on a path.
    pub fn step(&self, group: GroupId, runs: &str, path: &[usize]) -> Step {
        let package = &self.packages[path[0]];
        Step {
            group,
            package: package.id,
            length_bytes: package.length_bytes,
            from_version: runs.into(),
            to_version: package.metadata().text(keys::SOFTWARE_VERSION).unwrap_or_default().into(),
            target: self.target().into(),
            path: path.iter().map(|position| self.packages[*position].id).collect(),
        }
    }

    /// What devices do that report this: see [`Plan::outcome`].
    pub async fn outcome(&self, device: &Metadata) -> Result<Outcome, StoreError> {
        let plan = self.plan_for(device);
        let state = plan.plan.state_of(device);
        if let Some(outcome) = plan.remembered(&state) {
            return Ok(outcome);
        }
        // A search may look at thousands of states.
        let plan = plan.clone();
        let searching = tokio::task::spawn_blocking(move || plan.search(state));
        searching.await.map_err(|_| StoreError::Abandoned)
    }

    /// The same for whoever may block.
    pub fn outcome_blocking(&self, device: &Metadata) -> Outcome {
        let plan = self.plan_for(device);
        let state = plan.plan.state_of(device);
        plan.remembered(&state).unwrap_or_else(|| plan.search(state))
    }

    fn plan_for(&self, device: &Metadata) -> &Arc<RememberingPlan> {
        let device_type = device.text(keys::DEVICE_TYPE).unwrap_or_default();
        self.by_device_type.get(device_type).unwrap_or(&self.of_other_types)
    }
}

impl RememberingPlan {
    fn remembered(&self, state: &State) -> Option<Outcome> {
        self.lock_outcomes().get(state).cloned()
    }

    fn search(&self, state: State) -> Outcome {
        let outcome = self.plan.outcome(&state);
        let mut outcomes = self.lock_outcomes();
        if outcomes.len() >= REMEMBERED_OUTCOMES {
            outcomes.clear();
        }
        outcomes.insert(state, outcome.clone());
        outcome
    }

    fn lock_outcomes(&self) -> MutexGuard<'_, HashMap<State, Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
