//! What devices report with each request, in memory: when they were last heard, what they say of themselves, and which
//! group they are in.
//!
//! A poll that says nothing new touches this and no file. What is new is seen by every reader at once through
//! [`Presence::overlay`] and written in one batch every now and then; devices report it again, so that losing the last
//! batch loses nothing.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::StoreError;
use super::writer::{Change, Generations, WriteTx};
use crate::clock::Clock;
use crate::domain::{Device, DeviceId, GroupId, KeyFingerprint, MacKey, Metadata, Registration, Timestamp};

/// How long removals are remembered: longer than device tokens are good for.
const REMOVALS_KEPT: Duration = Duration::from_secs(15 * 60);

/// Which device a MAC address is, and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    /// The device.
    pub device: DeviceId,
    /// The group it is assigned to.
    pub group: Option<GroupId>,
}

/// What a device says when it is heard.
#[derive(Debug, Clone, Copy)]
pub enum Utterance<'a> {
    /// It asks for a token. What it reports then is not noted: clients send less there than with a check, and the one would
    /// replace the other with every poll.
    Authorization {
        /// How many seconds its clock is ahead; `None`: nobody knows the time here.
        clock_skew_seconds: Option<i64>,
    },
    /// It asks for an update, and reports this.
    Check(&'a Metadata),
}

/// What is known of the devices that were heard since the start.
pub struct Presence {
    clock: Clock,
    generations: Arc<Generations>,
    tracked: Mutex<Tracked>,
}

/// How many devices are told one by one.
const MOST_TOLD: usize = 5000;

/// Which devices were heard of late, for those who listen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceNews {
    /// Those that were heard.
    pub heard: Vec<DeviceId>,
    /// Of these, those that said something else of themselves than before.
    pub changed: Vec<DeviceId>,
    /// They are too many to be named, and are not.
    pub are_many: bool,
}

impl DeviceNews {
    fn note(&mut self, device: DeviceId, has_changed: bool) {
        if self.are_many {
            return;
        }
        self.heard.push(device);
        if has_changed {
            self.changed.push(device);
        }
        if self.heard.len() > MOST_TOLD {
            *self = Self { are_many: true, ..Self::default() };
        }
    }

    fn is_empty(&self) -> bool {
        self.heard.is_empty() && !self.are_many
    }
}

#[derive(Default)]
struct Tracked {
    /// What is told to those who listen; `None`: nobody does.
    news: Option<DeviceNews>,
    devices: HashMap<MacKey, TrackedDevice>,
    /// When devices of these addresses were removed, in steady moments.
    removals: HashMap<MacKey, Timestamp>,
    registrations: HashMap<(MacKey, KeyFingerprint), TrackedRegistration>,
}

struct TrackedDevice {
    assignment: Assignment,
    /// The generation of [`Change::Assignments`] that `assignment` was read in.
    generation: u64,
    metadata: Metadata,
    last_access: Timestamp,
    clock_skew_seconds: Option<i64>,
    metadata_is_unsaved: bool,
    access_is_unsaved: bool,
}

struct TrackedRegistration {
    metadata: Metadata,
    last_appeared: Timestamp,
    is_unsaved: bool,
}

/// News that is not on disk.
pub(super) struct Unsaved {
    accesses: Vec<(DeviceId, Timestamp)>,
    metadata: Vec<(DeviceId, Metadata)>,
    appearances: Vec<(MacKey, KeyFingerprint, Timestamp)>,
}

impl Presence {
    pub(super) fn new(clock: Clock, generations: Arc<Generations>) -> Self {
        Self { clock, generations, tracked: Mutex::default() }
    }

    /// A device was heard. Says which device and group that address is; `None` if this must be read from disk first (and told
    /// with [`Presence::heard_after_reading`]), because the device is new here or assignments changed.
    pub fn heard(&self, mac_key: &MacKey, said: Utterance<'_>, now: Timestamp) -> Option<Assignment> {
        let generation = self.generations.current(Change::Assignments);
        let mut tracked = self.lock();
        let Tracked { news, devices, .. } = &mut *tracked;
        let device = devices.get_mut(mac_key).filter(|device| device.generation == generation)?;
        device.note(said, now, news);
        Some(device.assignment)
    }

    /// A device was heard whose `assignment` and `stored` metadata were read from disk in `generation` of
    /// [`Change::Assignments`]. `false` if it must be read once more, because assignments changed meanwhile: it may be gone.
    pub fn heard_after_reading(
        &self,
        mac_key: MacKey,
        assignment: Assignment,
        stored: Metadata,
        generation: u64,
        said: Utterance<'_>,
        now: Timestamp,
    ) -> bool {
        let mut tracked = self.lock();
        // Under the lock: a device that is forgotten is so after the generation has moved on.
        if self.generations.current(Change::Assignments) != generation {
            return false;
        }
        let Tracked { news, devices, .. } = &mut *tracked;
        let device = match devices.entry(mac_key) {
            Entry::Occupied(entry) => {
                let device = entry.into_mut();
                device.assignment = assignment;
                device.generation = generation;
                device
            }
            Entry::Vacant(entry) => entry.insert(TrackedDevice {
                assignment,
                generation,
                metadata: stored,
                last_access: now,
                clock_skew_seconds: None,
                metadata_is_unsaved: false,
                access_is_unsaved: true,
            }),
        };
        device.note(said, now, news);
        true
    }

    /// From now on it is collected who is heard, for somebody who listens.
    pub fn listen(&self) {
        self.lock().news.get_or_insert_default();
    }

    /// Who was heard since this was asked last, if it was somebody; `has_listeners`: it is collected on.
    pub(super) fn take_news(&self, has_listeners: bool) -> Option<DeviceNews> {
        let mut tracked = self.lock();
        let taken = tracked.news.take();
        tracked.news = has_listeners.then(DeviceNews::default);
        let mut news = taken.filter(|news| has_listeners && !news.is_empty())?;
        for devices in [&mut news.heard, &mut news.changed] {
            devices.sort_unstable();
            devices.dedup();
        }
        Some(news)
    }

    /// Whether a device that was heard is still there.
    pub fn knows(&self, mac_key: &MacKey, device: DeviceId) -> bool {
        self.lock().devices.get(mac_key).is_some_and(|tracked| tracked.assignment.device == device)
    }

    /// Devices have no rows any more: what is known of them goes, also what is not on disk yet.
    pub(super) fn devices_were_removed(&self, mac_keys: Vec<MacKey>) {
        let steady = self.clock.steady();
        let mut tracked = self.lock();
        tracked.removals.retain(|_, removed| removed.until(steady) < REMOVALS_KEPT);
        for mac_key in mac_keys {
            tracked.devices.remove(&mac_key);
            tracked.removals.insert(mac_key, steady);
        }
    }

    /// Whether a device of this address was removed since `issued`, a steady moment: a token from before is not that of the
    /// device that may have the address now.
    pub fn has_removed_since(&self, mac_key: &MacKey, issued: Timestamp) -> bool {
        self.lock().removals.get(mac_key).is_some_and(|removed| issued <= *removed)
    }

    /// The date of a token that is issued at `steady`: after a removal of the same second, it is told from those before.
    pub fn token_date(&self, mac_key: &MacKey, steady: Timestamp) -> Timestamp {
        let removed = self.lock().removals.get(mac_key).copied();
        removed.map_or(steady, |removed| steady.max(removed.saturating_add(Duration::from_secs(1))))
    }

    /// A device that waits for acceptance asked again. `false` if its registration must be written: it is new here, or
    /// says something else than before.
    pub fn appeared(&self, mac_key: &MacKey, fingerprint: KeyFingerprint, metadata: &Metadata, now: Timestamp) -> bool {
        let mut tracked = self.lock();
        match tracked.registrations.get_mut(&(mac_key.clone(), fingerprint)) {
            Some(registration) if registration.metadata == *metadata => {
                registration.last_appeared = registration.last_appeared.max(now);
                registration.is_unsaved = true;
                true
            }
            _ => false,
        }
    }

    /// A registration has its row, as it is here.
    pub(super) fn registration_was_written(&self, registration: &Registration, fingerprint: KeyFingerprint) {
        let tracked = TrackedRegistration {
            metadata: registration.metadata.clone(),
            last_appeared: registration.last_appeared,
            is_unsaved: false,
        };
        self.lock().registrations.insert((registration.mac_address.key(), fingerprint), tracked);
    }

    /// A registration has no row any more.
    pub(super) fn registration_was_taken(&self, mac_key: &MacKey, fingerprint: KeyFingerprint) {
        self.lock().registrations.remove(&(mac_key.clone(), fingerprint));
    }

    /// Lays what is known here over a device as read from disk.
    pub(super) fn overlay(&self, device: &mut Device) {
        if let Some(tracked) = self.lock().devices.get(&device.mac_address.key()) {
            device.last_access = device.last_access.max(Some(tracked.last_access));
            device.metadata.clone_from(&tracked.metadata);
            device.clock_skew_seconds = tracked.clock_skew_seconds;
        }
    }

    /// What a device last reported, by its [`MacKey`], and when it was heard; `None` if nothing is known here of it.
    pub(super) fn report(&self, mac_key: &str) -> Option<(Metadata, Timestamp)> {
        self.lock().devices.get(mac_key).map(|tracked| (tracked.metadata.clone(), tracked.last_access))
    }

    /// Lays what is known here over a registration as read from disk.
    pub(super) fn overlay_registration(&self, registration: &mut Registration, fingerprint: KeyFingerprint) {
        let key = (registration.mac_address.key(), fingerprint);
        if let Some(tracked) = self.lock().registrations.get(&key) {
            registration.last_appeared = registration.last_appeared.max(tracked.last_appeared);
        }
    }

    /// What is not on disk, which from now on counts as being on disk; `None` if there is nothing.
    pub(super) fn take_unsaved(&self) -> Option<Unsaved> {
        let mut unsaved = Unsaved { accesses: Vec::new(), metadata: Vec::new(), appearances: Vec::new() };
        let mut tracked = self.lock();
        for device in tracked.devices.values_mut() {
            if std::mem::take(&mut device.access_is_unsaved) {
                unsaved.accesses.push((device.assignment.device, device.last_access));
            }
            if std::mem::take(&mut device.metadata_is_unsaved) {
                unsaved.metadata.push((device.assignment.device, device.metadata.clone()));
            }
        }
        for ((mac_key, fingerprint), registration) in &mut tracked.registrations {
            if std::mem::take(&mut registration.is_unsaved) {
                unsaved.appearances.push((mac_key.clone(), *fingerprint, registration.last_appeared));
            }
        }
        let nothing = unsaved.accesses.is_empty() && unsaved.metadata.is_empty() && unsaved.appearances.is_empty();
        (!nothing).then_some(unsaved)
    }

    /// Writing failed: what was taken counts as not on disk again.
    pub(super) fn put_back(&self, unsaved: &Unsaved) {
        let mut tracked = self.lock();
        let accesses: HashSet<_> = unsaved.accesses.iter().map(|(device, _)| *device).collect();
        let metadata: HashSet<_> = unsaved.metadata.iter().map(|(device, _)| *device).collect();
        for device in tracked.devices.values_mut() {
            device.access_is_unsaved |= accesses.contains(&device.assignment.device);
            device.metadata_is_unsaved |= metadata.contains(&device.assignment.device);
        }
        for (mac_key, fingerprint, _) in &unsaved.appearances {
            if let Some(registration) = tracked.registrations.get_mut(&(mac_key.clone(), *fingerprint)) {
                registration.is_unsaved = true;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tracked> {
        // Every change under the lock is a plain assignment: a panic elsewhere leaves nothing half done.
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrackedDevice {
    fn note(&mut self, said: Utterance<'_>, now: Timestamp, news: &mut Option<DeviceNews>) {
        if let Some(news) = news {
            let has_changed = matches!(said, Utterance::Check(metadata) if self.metadata != *metadata);
            news.note(self.assignment.device, has_changed);
        }
        if self.last_access < now {
            self.last_access = now;
            self.access_is_unsaved = true;
        }
        match said {
            Utterance::Authorization { clock_skew_seconds } => self.clock_skew_seconds = clock_skew_seconds,
            Utterance::Check(metadata) if self.metadata != *metadata => {
                self.metadata.clone_from(metadata);
                self.metadata_is_unsaved = true;
            }
            Utterance::Check(_) => {}
        }
    }
}

/// Writes what was taken with [`Presence::take_unsaved`]. Devices and registrations that are gone are passed over.
pub(super) fn save(tx: &WriteTx<'_>, unsaved: &Unsaved) -> Result<(), StoreError> {
    let connection = tx.connection();
    let mut access = connection.prepare_cached(
        "INSERT INTO device_presence (device_id, last_access_at) SELECT id, ?2 FROM devices WHERE id = ?1
         ON CONFLICT (device_id) DO UPDATE SET last_access_at = excluded.last_access_at",
    )?;
    for row in &unsaved.accesses {
        access.execute(*row)?;
    }
    let mut metadata = connection.prepare_cached("UPDATE devices SET metadata = ?2 WHERE id = ?1")?;
    for (device, reported) in &unsaved.metadata {
        metadata.execute((device, reported))?;
    }
    let mut appearance = connection
        .prepare_cached("UPDATE registrations SET last_appeared_at = ?3 WHERE mac_key = ?1 AND key_fingerprint = ?2")?;
    for (mac_key, fingerprint, last_appeared) in &unsaved.appearances {
        appearance.execute((mac_key, fingerprint, last_appeared))?;
    }
    Ok(())
}
