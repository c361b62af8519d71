//! An authorized device is heard: noted in memory, after one look at the disk if it is new there.

use crate::store::{Assignment, Change, Speaker, Store, StoreError, Utterance, devices};

/// Notes that a device was heard, with what it said; `None` if no such device is registered.
pub async fn hear_device(
    store: &Store,
    speaker: &Speaker,
    said: Utterance<'_>,
) -> Result<Option<Assignment>, StoreError> {
    let now = store.clock().now();
    let presence = store.presence();
    loop {
        if let Some(assignment) = presence.heard(speaker, said, now) {
            return Ok(Some(assignment).filter(|assignment| speaker.is(assignment.device)));
        }
        let generation = store.generations().current(Change::Assignments);
        let mac_key = speaker.mac_key.clone();
        let known = store.read(move |connection| devices::find_known(connection, &mac_key)).await?;
        let Some(known) = known.filter(|known| speaker.is(known.assignment.device)) else { return Ok(None) };
        let (assignment, mac_key) = (known.assignment, speaker.mac_key.clone());
        if presence.heard_after_reading(mac_key, assignment, known.metadata, generation, said, now) {
            return Ok(Some(assignment));
        }
    }
}
