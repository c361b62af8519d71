//! A person names devices, moves them between groups, and removes them.

use std::collections::BTreeSet;

use super::track_progress::Tracker;
use crate::domain::{Deed, DeviceChange, DeviceId, DeviceName, Event, GroupId};
use crate::store::groups::{self, MembershipError};
use crate::store::{Store, StoreError, audit, devices, events};

/// Gives a device a name; `false` if there is no such device.
pub async fn rename(store: &Store, device: DeviceId, name: DeviceName, deed: Deed) -> Result<bool, StoreError> {
    let renaming = store.write(move |tx| {
        if !devices::rename(tx, device, &name)? {
            return Ok(false);
        }
        events::tell_all(tx, Event::devices_changed(&[device], &DeviceChange::Name))?;
        audit::append(tx, &deed.done(target(device)).with(name.as_str()))?;
        Ok(true)
    });
    renaming.await
}

/// Moves devices to a group, or out of theirs: all of them or none.
pub async fn assign(
    store: &Store,
    devices: BTreeSet<DeviceId>,
    group: Option<GroupId>,
    deed: Deed,
) -> Result<(), MembershipError> {
    let assigning = store.write(move |tx| {
        groups::move_devices(tx, &devices, group)?;
        fail_point!("assign.devices-moved");
        let devices: Vec<_> = devices.into_iter().collect();
        events::tell_all(tx, Event::devices_changed(&devices, &DeviceChange::Group(group)))?;
        let target = group.map_or_else(|| "no group".to_owned(), |group| format!("group/{group}"));
        let numbers: Vec<_> = devices.iter().map(ToString::to_string).collect();
        Ok(audit::append(tx, &deed.done(target).with(numbers.join(", ")))?)
    });
    assigning.await
}

/// Removes devices: what they have, keys and tokens, is good for nothing from then on, and their attempts are gone. They may ask
/// to be let in again, as others. `false`, and nothing was removed, if one of them is not there.
pub async fn remove(
    store: &Store,
    tracker: &Tracker,
    devices: BTreeSet<DeviceId>,
    deed: Deed,
) -> Result<bool, StoreError> {
    let presence = store.presence().clone();
    let gone = devices.clone();
    let removing = store.write(move |tx| {
        let Some(removed) = devices::remove(tx, &presence, &devices)? else { return Ok(false) };
        fail_point!("remove.device-row");
        let ids: Vec<_> = devices.into_iter().collect();
        events::tell_all(tx, Event::devices_removed(&ids))?;
        for device in removed {
            let detail = format!("{} ({})", device.mac_address, device.name);
            audit::append(tx, &deed.clone().done(target(device.id)).with(detail))?;
        }
        Ok::<_, StoreError>(true)
    });
    let is_removed = removing.await?;
    if is_removed {
        // After the presence has forgotten them, see `check_update`.
        tracker.forget_devices(gone);
    }
    Ok(is_removed)
}

/// What the audit log calls a device.
fn target(device: DeviceId) -> String {
    format!("device/{device}")
}
