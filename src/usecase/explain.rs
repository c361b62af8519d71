//! Why a device is offered what it is offered, and what a change would mean for a group. Nothing is changed by asking.

use std::sync::Arc;

use super::track_progress::Tracker;
use crate::domain::attempt::Attempt;
use crate::domain::explanation::{Explanation, Subject, UnderWay, Waiting, explain};
use crate::domain::preview::{Census, Preview};
use crate::domain::progress::Proposal;
use crate::domain::rollout::Hold;
use crate::domain::{CheckedPackage, DeviceId, GroupId, MacAddress, Metadata, PackageId, Policy};
use crate::store::groups::AssignmentError;
use crate::store::{Store, StoreError, devices, groups, packages, registrations};

/// No device has this identifier: they begin at 1.
const NO_DEVICE: DeviceId = DeviceId(0);

/// Whose update is to be explained.
#[derive(Debug, Clone)]
pub enum Question {
    /// This device's.
    Device(DeviceId),
    /// That of whoever has this address.
    Address(MacAddress),
    /// That of a device which would report this and be in this group.
    Hypothetical(Metadata, Option<GroupId>),
}

impl UnderWay for Tracker {
    fn hold(&self, device: Option<DeviceId>, runs: &str, proposal: &Proposal<'_>) -> Option<Hold> {
        self.rehearse(device.unwrap_or(NO_DEVICE), runs, proposal)
    }

    fn attempt(&self, device: DeviceId) -> Option<Attempt> {
        self.live(device)
    }
}

/// Explains what a device would be offered at this moment; `None`: there is no such device, or no such group.
pub async fn explain_update(
    store: &Store,
    tracker: &Arc<Tracker>,
    question: Question,
) -> Result<Option<Explanation>, StoreError> {
    let (presence, tracker) = (store.presence().clone(), tracker.clone());
    let explaining = store.read(move |connection| {
        let waiting_at =
            |mac_address: &MacAddress| registrations::of_address(connection, &presence, &mac_address.key());
        let waiting = |found: &[_]| found.iter().map(Waiting::from).collect();
        let device = match &question {
            Question::Device(id) => match devices::find(connection, &presence, *id)? {
                None => return Ok(None),
                found => found,
            },
            Question::Address(mac_address) => devices::find_by_address(connection, &presence, &mac_address.key())?,
            Question::Hypothetical(..) => None,
        };
        let (subject, metadata, group) = match (device, question) {
            (Some(device), _) => {
                let waiting = waiting(&waiting_at(&device.mac_address)?);
                let (id, mac_address, last_access) = (device.id, device.mac_address, device.last_access);
                (Subject::Device { id, mac_address, waiting, last_access }, device.metadata, device.group)
            }
            (None, Question::Hypothetical(metadata, group)) => (Subject::Hypothetical, metadata, group),
            (None, Question::Address(mac_address)) => {
                let found = waiting_at(&mac_address)?;
                let first = found.first().map(|(registration, _)| registration.mac_address.clone());
                let subject = match first {
                    Some(first) => Subject::Waiting(first, waiting(&found)),
                    None => Subject::Unknown(mac_address),
                };
                (subject, Metadata::default(), None)
            }
            (None, Question::Device(_)) => return Ok(None),
        };
        let group = match group {
            None => None,
            Some(id) => match groups::state(connection, id)? {
                None => return Ok(None),
                found => found,
            },
        };
        Ok(Some(explain(subject, &metadata, group.as_ref(), &*tracker)))
    });
    explaining.await
}

/// What a policy and packages would mean for the devices of a group; what is not given is as it is now.
pub async fn preview(
    store: &Store,
    group: GroupId,
    policy: Option<Policy>,
    packages: Option<Vec<PackageId>>,
) -> Result<Preview, AssignmentError> {
    let presence = store.presence().clone();
    let counting = store.read(move |connection| {
        let state = groups::state(connection, group)?.ok_or(AssignmentError::NoSuchGroup)?;
        let packages = match packages {
            None => state.packages,
            Some(wanted) => {
                let mut found: Vec<CheckedPackage> = Vec::with_capacity(wanted.len());
                for id in wanted {
                    // A package named twice counts where it is first, as when packages are set.
                    if found.iter().all(|known| known.package.id != id) {
                        let package = packages::find_checked(connection, id)?;
                        found.push(package.ok_or(AssignmentError::NoSuchPackage(id))?);
                    }
                }
                found
            }
        };
        let mut census = Census::new(packages, policy.unwrap_or(state.policy));
        devices::for_each_report(connection, &presence, Some(group), |report| {
            census.count(report.device, report.metadata);
            Ok(())
        })?;
        Ok(census.finish())
    });
    counting.await
}
