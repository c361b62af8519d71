//! An authorized device is heard: noted in memory, after one look at the disk if it is new there.

use crate::domain::{MacKey, Timestamp};
use crate::store::{Assignment, Change, Store, StoreError, Utterance, devices};

/// Notes that a device was heard, with what it said; `None` if no such device is registered.
pub async fn hear_device(
    store: &Store,
    mac_key: &MacKey,
    said: Utterance<'_>,
) -> Result<Option<Assignment>, StoreError> {
    let now = store.clock().now();
    match store.presence().heard(mac_key, said, now) {
        Some(assignment) => Ok(Some(assignment)),
        // This is rare: it has room of its own.
        None => Box::pin(learn(store, mac_key, said, now)).await,
    }
}

/// Notes that of a device that is not in memory, if it is on disk.
async fn learn(
    store: &Store,
    mac_key: &MacKey,
    said: Utterance<'_>,
    now: Timestamp,
) -> Result<Option<Assignment>, StoreError> {
    let presence = store.presence();
    loop {
        let generation = store.generations().current(Change::Assignments);
        let key = mac_key.clone();
        let known = store.read(move |connection| devices::find_known(connection, &key)).await?;
        let Some(known) = known else { return Ok(None) };
        let assignment = known.assignment;
        if presence.heard_after_reading(mac_key.clone(), assignment, known.metadata, generation, said, now) {
            return Ok(Some(assignment));
        }
    }
}
