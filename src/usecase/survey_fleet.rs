//! How the devices of the fleet are: in pages, one by one, and all of them in numbers.
//!
//! To say how each device is takes a look at all of them; what was found is kept for a while, the longer the larger the fleet is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use super::planner::{GroupPlans, Planner};
use super::setting::Setting;
use super::track_progress::Tracker;
use crate::domain::fleet::{Circumstances, DeviceState, Overview, Prospect, RollCall};
use crate::domain::resolver::Outcome;
use crate::domain::{
    Device, DeviceId, DeviceReport, GroupId, GroupState, KeyFingerprint, RegistrationState, Timestamp,
};
use crate::store::devices::Report;
use crate::store::fleet::{Filter, Order, Place};
use crate::store::{Change, Store, StoreError, devices, fleet, groups, registrations};

/// What was found is kept for so many times as long as it took to find: at most a tenth of one processor is spent on it.
const KEPT_TIMES: u32 = 10;

/// Which devices are wanted, and in which order.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Those that fit this.
    pub filter: Filter,
    /// And are so.
    pub state: Option<DeviceState>,
    /// What they are ordered by.
    pub order: Order,
    /// Whether the greatest comes first.
    pub is_descending: bool,
    /// The last one of the page before.
    pub after: Option<Place>,
    /// How many at most.
    pub limit: u32,
}

/// A device of a page.
#[derive(Debug)]
pub struct Listed {
    /// The device, as it is now.
    pub device: Device,
    /// How it is now.
    pub state: DeviceState,
    /// Where it is in the order.
    pub place: Place,
}

/// A page of devices.
#[derive(Debug)]
pub struct Page {
    /// They, in order.
    pub devices: Vec<Listed>,
    /// How many fit, on all pages.
    pub total: u64,
}

/// One device, and the keys with which somebody of its address asks to be let in.
#[derive(Debug)]
pub struct Shown {
    /// The device, as it is now.
    pub device: Device,
    /// How it is now.
    pub state: DeviceState,
    /// The keys that wait for a person.
    pub waiting: Vec<KeyFingerprint>,
}

/// What was found when all devices were looked at.
#[derive(Debug)]
pub struct Surveyed {
    /// In numbers.
    pub overview: Overview,
    /// How each device is, ordered by identifier.
    states: Box<[(DeviceId, DeviceState)]>,
    /// The generations of assignments and plans in which it was.
    generations: (u64, u64),
    /// As the clock counts what has elapsed.
    good_until: Duration,
}

/// Looks at the fleet.
pub struct FleetSurvey {
    store: Store,
    planner: Planner,
    tracker: Arc<Tracker>,
    silent_after: Setting<Duration>,
    /// Held while devices are looked at: who asks meanwhile gets what is found then.
    latest: Mutex<Option<Arc<Surveyed>>>,
}

impl Surveyed {
    fn is(&self, device: DeviceId, state: DeviceState) -> bool {
        let found = self.states.binary_search_by_key(&device, |(known, _)| *known);
        found.is_ok_and(|position| self.states[position].1 == state)
    }

    /// The devices that are so, ordered by identifier.
    fn all(&self, state: DeviceState) -> Vec<DeviceId> {
        self.states.iter().filter(|(_, known)| *known == state).map(|(device, _)| *device).collect()
    }
}

impl FleetSurvey {
    /// Devices that were not heard for longer than this are silent.
    pub fn new(store: Store, planner: Planner, tracker: Arc<Tracker>, silent_after: Duration) -> Self {
        Self { store, planner, tracker, silent_after: Setting::new(silent_after), latest: Mutex::default() }
    }

    /// From now on devices are silent after this.
    pub async fn set_silent_after(&self, silent_after: Duration) {
        self.silent_after.set(silent_after);
        // What was found before says who was silent by the old rule.
        *self.latest.lock().await = None;
    }

    /// All devices, as they were a moment ago: after what people change they are looked at anew.
    pub async fn all(&self) -> Result<Arc<Surveyed>, StoreError> {
        let mut latest = self.latest.lock().await;
        let changes = [Change::Assignments, Change::Plans].map(|change| self.store.generations().current(change));
        let generations = (changes[0], changes[1]);
        let begun = self.store.clock().elapsed();
        let is_good = |known: &&Arc<Surveyed>| known.generations == generations && begun < known.good_until;
        if let Some(known) = latest.as_ref().filter(is_good) {
            return Ok(known.clone());
        }
        let (mut judge, presence) = (self.judge(), self.store.presence().clone());
        let looking = self.store.read(move |connection| {
            let (mut roll_call, mut states) = (RollCall::default(), Vec::new());
            devices::for_each_report(connection, &presence, None, |report| {
                let state = judge.state(report, |group| groups::state(connection, group))?;
                roll_call.count(report.group, report.metadata, state);
                states.push((report.device, state));
                Ok(())
            })?;
            Ok::<_, StoreError>((roll_call.finish(), states.into_boxed_slice()))
        });
        let (overview, states) = looking.await?;
        let ended = self.store.clock().elapsed();
        let good_until = ended + ended.saturating_sub(begun) * KEPT_TIMES;
        let surveyed = Arc::new(Surveyed { overview, states, generations, good_until });
        *latest = Some(surveyed.clone());
        Ok(surveyed)
    }

    /// A page of the devices that are wanted. Who fits and in which order may lag as far as what is on disk, and how they are as
    /// [`FleetSurvey::all`] does; the devices themselves are as they are now.
    pub async fn page(&self, wanted: Wanted) -> Result<Page, StoreError> {
        let Wanted { filter, state, order, is_descending, after, limit } = wanted;
        let in_state = match state {
            Some(state) => Some((self.all().await?, state)),
            None => None,
        };
        let (mut judge, presence) = (self.judge(), self.store.presence().clone());
        let reading = self.store.read(move |connection| {
            let chosen = match (filter.takes_all(), in_state) {
                (true, None) => None,
                (true, Some((surveyed, state))) => Some(surveyed.all(state)),
                (false, None) => Some(fleet::matching(connection, &filter)?),
                (false, Some((surveyed, state))) => {
                    let mut found = fleet::matching(connection, &filter)?;
                    found.retain(|device| surveyed.is(*device, state));
                    Some(found)
                }
            };
            let total = match &chosen {
                Some(chosen) => chosen.len() as u64,
                None => fleet::count(connection)?,
            };
            let is_chosen = |device| chosen.as_ref().is_none_or(|chosen| chosen.binary_search(&device).is_ok());
            let places = fleet::page(connection, order, is_descending, after.as_ref(), is_chosen, limit)?;
            let mut listed = Vec::with_capacity(places.len());
            for place in places {
                let Some(device) = devices::find(connection, &presence, place.device)? else { continue };
                let state = judge.state(report_of(&device), |group| groups::state(connection, group))?;
                listed.push(Listed { device, state, place });
            }
            Ok(Page { devices: listed, total })
        });
        reading.await
    }

    /// One device; `None`: there is none.
    pub async fn one(&self, id: DeviceId) -> Result<Option<Shown>, StoreError> {
        let (mut judge, presence) = (self.judge(), self.store.presence().clone());
        let reading = self.store.read(move |connection| {
            let Some(device) = devices::find(connection, &presence, id)? else { return Ok(None) };
            let state = judge.state(report_of(&device), |group| groups::state(connection, group))?;
            let waiting = registrations::of_address(connection, &presence, &device.mac_address.key())?;
            let pending = waiting.into_iter().filter(|(found, _)| found.state == RegistrationState::Pending);
            let waiting = pending.map(|(_, fingerprint)| fingerprint).collect();
            Ok(Some(Shown { device, state, waiting }))
        });
        reading.await
    }

    fn judge(&self) -> Judge {
        Judge {
            planner: self.planner.clone(),
            tracker: self.tracker.clone(),
            // Before anything is read.
            generation: self.store.generations().current(Change::Plans),
            plans: HashMap::new(),
            now: self.store.clock().now(),
            silent_after: self.silent_after.get(),
        }
    }
}

fn report_of(device: &Device) -> Report<'_> {
    let Device { id, group, metadata, last_access, .. } = device;
    Report { device: *id, group: *group, metadata, last_access: *last_access }
}

/// Says how devices are, at one moment.
struct Judge {
    planner: Planner,
    tracker: Arc<Tracker>,
    generation: u64,
    plans: HashMap<GroupId, Arc<GroupPlans>>,
    now: Timestamp,
    silent_after: Duration,
}

impl Judge {
    /// How a device is. `read` gets its group, if that is not known here.
    fn state(
        &mut self,
        report: Report<'_>,
        read: impl FnOnce(GroupId) -> Result<Option<GroupState>, StoreError>,
    ) -> Result<DeviceState, StoreError> {
        let Report { device, group, metadata, last_access } = report;
        let is_complete = DeviceReport::missing_for_update_check(metadata).is_none();
        let (mut prospect, mut has_failed) = (Prospect::NoTarget, false);
        if let Some(group) = group.filter(|_| is_complete) {
            let plans = self.plans_of(group, read)?;
            let outcome = plans.outcome_blocking(metadata);
            prospect = Prospect::from(&outcome);
            if let Outcome::Install(path) = outcome {
                let packages = path.iter().map(|position| plans.packages()[*position].id);
                has_failed = self.tracker.any_failed(group, plans.target(), device, packages);
            }
        }
        Ok(DeviceState::of(Circumstances {
            is_updating: self.tracker.is_updating(device),
            has_failed,
            is_silent: last_access.is_none_or(|last_access| last_access.until(self.now) > self.silent_after),
            prospect,
        }))
    }

    fn plans_of(
        &mut self,
        group: GroupId,
        read: impl FnOnce(GroupId) -> Result<Option<GroupState>, StoreError>,
    ) -> Result<Arc<GroupPlans>, StoreError> {
        if let Some(plans) = self.plans.get(&group) {
            return Ok(plans.clone());
        }
        let plans = match self.planner.kept(group, self.generation) {
            Some(plans) => plans,
            None => self.planner.keep(group, read(group)?, self.generation),
        };
        self.plans.insert(group, plans.clone());
        Ok(plans)
    }
}
