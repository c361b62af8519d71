//! A device asks for its next package.
//!
//! The usual check touches no file: who the device is comes from [`Presence`], and what it gets from a plan compiled
//! once for its group and device type, with the outcomes of the states met so far.
//!
//! [`Presence`]: crate::store::Presence

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::domain::resolver::{Outcome, Plan, State};
use crate::domain::{DeviceReport, GroupId, Metadata, Package, keys};
use crate::store::{Assignment, Change, Store, StoreError, devices, groups, packages};

/// Outcomes that one plan remembers; with more states than that it starts over.
const REMEMBERED_OUTCOMES: usize = 4096;
/// Plans that are kept; a fleet has few pairs of group and device type, but devices choose their type.
const REMEMBERED_PLANS: usize = 4096;

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

/// A package to install, kept in the plan that it comes from.
#[derive(Debug)]
pub struct Offer {
    plan: Arc<RememberingPlan>,
    position: usize,
}

impl Offer {
    /// The package.
    pub fn package(&self) -> &Package {
        &self.plan.plan.packages()[self.position]
    }
}

type PlansByDeviceType = HashMap<Box<str>, Arc<RememberingPlan>>;

/// Compiled plans, by group and device type.
#[derive(Debug, Default)]
pub struct Planner {
    plans: RwLock<HashMap<GroupId, PlansByDeviceType>>,
}

#[derive(Debug)]
struct RememberingPlan {
    /// The generation of [`Change::Plans`] that the plan was compiled from.
    generation: u64,
    plan: Plan,
    outcomes: Mutex<HashMap<State, Outcome>>,
}

/// Notes that the device was heard, and says what it is to install.
pub async fn check_update(store: &Store, planner: &Planner, report: DeviceReport) -> Result<UpdateCheck, StoreError> {
    let Some(assignment) = hear(store, &report).await? else { return Ok(UpdateCheck::UnknownDevice) };
    let Some(group) = assignment.group else { return Ok(UpdateCheck::NoUpdate) };
    let device_type = report.metadata.text(keys::DEVICE_TYPE).unwrap_or_default();
    let plan = match planner.current(store, group, device_type) {
        Some(plan) => plan,
        None => planner.compile(store, group, device_type).await?,
    };
    Ok(match plan.outcome(&report.metadata) {
        Outcome::Install(path) => UpdateCheck::Update(Offer { plan, position: path[0] }),
        Outcome::SearchTooLarge => {
            tracing::warn!(%group, device_type, "the group's packages have too many combinations to search");
            UpdateCheck::NoUpdate
        }
        Outcome::UpToDate | Outcome::NoTarget | Outcome::NoPath => UpdateCheck::NoUpdate,
    })
}

/// Notes what a device reports; `None` if no such device is registered.
pub async fn hear(store: &Store, report: &DeviceReport) -> Result<Option<Assignment>, StoreError> {
    let now = store.clock().now();
    let mac_key = report.mac_address.key();
    if let Some(assignment) = store.presence().heard(&mac_key, &report.metadata, now) {
        return Ok(Some(assignment));
    }
    let generation = store.generations().current(Change::Assignments);
    let key = mac_key.clone();
    let known = store.read(move |connection| devices::find_known(connection, &key)).await?;
    Ok(known.map(|known| {
        let presence = store.presence();
        presence.heard_after_reading(mac_key, known.assignment, known.metadata, generation, &report.metadata, now);
        known.assignment
    }))
}

impl Planner {
    /// The plan, if it was compiled and nothing changed since.
    fn current(&self, store: &Store, group: GroupId, device_type: &str) -> Option<Arc<RememberingPlan>> {
        let generation = store.generations().current(Change::Plans);
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        plans.get(&group)?.get(device_type).filter(|plan| plan.generation == generation).cloned()
    }

    async fn compile(
        &self,
        store: &Store,
        group: GroupId,
        device_type: &str,
    ) -> Result<Arc<RememberingPlan>, StoreError> {
        let generation = store.generations().current(Change::Plans);
        let (policy, packages) = store
            .read(move |connection| {
                // A group that was deleted a moment ago has no packages and no target.
                let policy = groups::policy(connection, group)?.unwrap_or_default();
                Ok::<_, StoreError>((policy, packages::list_of_group(connection, group)?))
            })
            .await?;
        let plan = Plan::compile(device_type, packages, policy);
        let plan = Arc::new(RememberingPlan { generation, plan, outcomes: Mutex::default() });

        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.values().map(HashMap::len).sum::<usize>() >= REMEMBERED_PLANS {
            plans.clear();
        }
        plans.entry(group).or_default().insert(device_type.into(), plan.clone());
        Ok(plan)
    }
}

impl RememberingPlan {
    fn outcome(&self, device: &Metadata) -> Outcome {
        let state = self.plan.state_of(device);
        let lock = || self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = lock().get(&state) {
            return outcome.clone();
        }
        let outcome = self.plan.outcome(&state);
        let mut outcomes = lock();
        if outcomes.len() >= REMEMBERED_OUTCOMES {
            outcomes.clear();
        }
        outcomes.insert(state, outcome.clone());
        outcome
    }
}
