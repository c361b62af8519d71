//! A device asks for its next package.
//!
//! The usual check touches no file: who the device is comes from [`Presence`], and what it gets from the [`Planner`].
//!
//! [`Presence`]: crate::store::Presence

use std::net::IpAddr;
use std::sync::Arc;

use super::hear_device::hear_device;
use super::planner::Planner;
use super::track_progress::Tracker;
use crate::domain::resolver::Outcome;
use crate::domain::{DeviceReport, Package, Timestamp, keys};
use crate::store::{Assignment, Store, StoreError, Utterance};

/// The answer to an update check.
#[derive(Debug)]
pub enum UpdateCheck {
    /// Install this package next.
    Update(Offer),
    /// Nothing to install, for this reason.
    NoUpdate(NoUpdate),
    /// No such device is registered.
    UnknownDevice,
}

/// Why there is nothing to install.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoUpdate {
    /// It runs what its group's policy names.
    UpToDate,
    /// It is in no group, or the policy wants nothing of it.
    NoTarget,
    /// No sequence of the group's packages leads to the target.
    NoPath,
    /// There is a package, and the rollout or a failure holds it back.
    HeldBack,
}

impl NoUpdate {
    /// Every reason there is.
    pub const ALL: [Self; 4] = [Self::UpToDate, Self::NoTarget, Self::NoPath, Self::HeldBack];

    /// The name in the metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UpToDate => "up_to_date",
            Self::NoTarget => "no_target",
            Self::NoPath => "no_path",
            Self::HeldBack => "held_back",
        }
    }
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

/// Notes that the device was heard at `address`, with a token that was `issued` then, and says what it is to install.
pub async fn check_update(
    store: &Store,
    planner: &Planner,
    tracker: &Tracker,
    report: DeviceReport,
    issued: Option<Timestamp>,
    address: Option<IpAddr>,
) -> Result<UpdateCheck, StoreError> {
    let mac_key = report.mac_address.key();
    if issued.is_some_and(|issued| store.presence().has_removed_since(&mac_key, issued)) {
        return Ok(UpdateCheck::UnknownDevice);
    }
    let heard = hear_device(store, &mac_key, Utterance::Check(&report.metadata)).await?;
    let Some(Assignment { device, group }) = heard else { return Ok(UpdateCheck::UnknownDevice) };
    let runs = report.metadata.text(keys::SOFTWARE_VERSION).unwrap_or_default();
    let nothing = |reason| {
        tracker.see(device, runs);
        Ok(UpdateCheck::NoUpdate(reason))
    };
    let Some(group) = group else { return nothing(NoUpdate::NoTarget) };
    let plans = planner.of_group(store, group).await?;
    let path = match plans.outcome(&report.metadata).await? {
        Outcome::Install(path) => path,
        Outcome::SearchTooLarge => {
            let device_type = report.metadata.text(keys::DEVICE_TYPE);
            tracing::warn!(%group, device_type, "the group's packages have too many combinations to search");
            return nothing(NoUpdate::NoPath);
        }
        Outcome::UpToDate => return nothing(NoUpdate::UpToDate),
        Outcome::NoTarget => return nothing(NoUpdate::NoTarget),
        Outcome::NoPath => return nothing(NoUpdate::NoPath),
    };
    let offer = Offer { packages: plans.packages().clone(), position: path[0] };
    let proposal = plans.proposal(group, offer.package());
    let hold = tracker.check(device, address, runs, &proposal, || plans.step(group, runs, &path));
    // Who is removed is forgotten here before the tracker is told: what it noted after that goes again.
    if !store.presence().knows(&mac_key, device) {
        tracker.forget_devices([device]);
        return Ok(UpdateCheck::UnknownDevice);
    }
    match hold {
        Some(_) => Ok(UpdateCheck::NoUpdate(NoUpdate::HeldBack)),
        None => Ok(UpdateCheck::Update(offer)),
    }
}
