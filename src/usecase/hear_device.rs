//! An authorized device is heard: noted in memory, after one look at the disk if it is new there.

use crate::domain::{MacAddress, Metadata};
use crate::store::{Assignment, Change, Store, StoreError, devices};

/// Notes that a device was heard, with what it reports about itself; `None` if no such device is registered.
///
/// What an authorization carries is not to be noted: clients send less there than with a check, and the one would replace
/// the other with every poll.
pub async fn hear_device(
    store: &Store,
    mac_address: &MacAddress,
    metadata: Option<&Metadata>,
) -> Result<Option<Assignment>, StoreError> {
    let now = store.clock().now();
    let mac_key = mac_address.key();
    if let Some(assignment) = store.presence().heard(&mac_key, metadata, now) {
        return Ok(Some(assignment));
    }
    let generation = store.generations().current(Change::Assignments);
    let key = mac_key.clone();
    let known = store.read(move |connection| devices::find_known(connection, &key)).await?;
    Ok(known.map(|known| {
        let presence = store.presence();
        presence.heard_after_reading(mac_key, known.assignment, known.metadata, generation, metadata, now);
        known.assignment
    }))
}
