//! How far devices are with what they were offered: kept in memory, written when an attempt begins or ends, and told to
//! whoever asks.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::attempt::{Attempt, Step};
use crate::domain::progress::{GroupProgress, Moment, News, Progress, Proposal};
use crate::domain::rollout::Hold;
use crate::domain::{Deed, DeviceId, Event, EventRecord, GroupId, PackageId};
use crate::store::attempts::Filter;
use crate::store::{Events, Store, StoreError, WriteTx, attempts, audit, events, rollouts, webhooks};

/// How many devices behind one address are told apart while they fetch the same package.
const KNOWN_BEHIND_ADDRESS: usize = 64;
/// How many events are kept for webhooks while nothing can be written: then the oldest go.
const MOST_UNQUEUED: usize = 16_384;

/// How far all devices are.
pub struct Tracker {
    store: Store,
    tracked: Mutex<Tracked>,
    /// Held while news are written, so that they reach the disk in their order.
    saving: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Tracked {
    progress: Progress,
    unsaved: Unsaved,
    /// Which devices were offered a package at an address, the latest last: a download does not say whose it is.
    offered: HashMap<(IpAddr, PackageId), Vec<DeviceId>>,
}

/// What is not on disk.
#[derive(Debug, Clone, Default)]
struct Unsaved {
    news: Vec<News>,
    /// Events that webhooks want, told and not queued: queued with the news that they are of.
    events: Vec<Arc<EventRecord>>,
}

impl Tracker {
    /// Takes up what was under way when the server stopped.
    pub async fn restore(store: &Store) -> Result<Self, StoreError> {
        let moment = moment(store);
        let restoring = store.read(move |connection| {
            let mut progress = Progress::new(attempts::latest(connection)?);
            attempts::visit_those_that_count(connection, |attempt| progress.restore(attempt, moment))?;
            for (group, target, since) in rollouts::halted(connection)? {
                progress.restore_halt(group, &target, since);
            }
            Ok::<_, StoreError>(progress)
        });
        let tracked = Tracked { progress: restoring.await?, ..Tracked::default() };
        Ok(Self { store: store.clone(), tracked: Mutex::new(tracked), saving: tokio::sync::Mutex::default() })
    }

    /// A device asks that is to install nothing.
    pub fn see(&self, device: DeviceId, runs: &str) {
        let moment = moment(&self.store);
        self.lock().progress.see(device, runs, None, moment);
    }

    /// A device asks that is to do what `proposal` says, from `address`. `None`: it is to do it now; see [`Progress::check`].
    pub fn check(
        &self,
        device: DeviceId,
        address: Option<IpAddr>,
        runs: &str,
        proposal: &Proposal<'_>,
        step: impl FnOnce() -> Step,
    ) -> Option<Hold> {
        let moment = moment(&self.store);
        let mut tracked = self.lock();
        let hold = tracked.progress.check(device, runs, Some(proposal), moment, step);
        if let (None, Some(address)) = (hold, address) {
            let devices = tracked.offered.entry((address, proposal.package)).or_default();
            if devices.last() != Some(&device) {
                devices.retain(|known| *known != device);
                devices.push(device);
                if devices.len() > KNOWN_BEHIND_ADDRESS {
                    devices.remove(0);
                }
            }
        }
        hold
    }

    /// See [`Progress::hold`].
    pub fn hold(&self, device: DeviceId, proposal: &Proposal<'_>) -> Option<Hold> {
        let now = self.store.clock().now();
        self.lock().progress.hold(device, proposal, now)
    }

    /// See [`Progress::rehearse`].
    pub fn rehearse(&self, device: DeviceId, runs: &str, proposal: &Proposal<'_>) -> Option<Hold> {
        let moment = moment(&self.store);
        self.lock().progress.rehearse(device, runs, proposal, moment)
    }

    /// The attempt of a device that goes on, as it is at this moment.
    pub fn live(&self, device: DeviceId) -> Option<Attempt> {
        self.lock().progress.live(device).cloned()
    }

    /// Which device it probably is that fetches a package at an address, from this byte on: of those that were offered it
    /// there, the one that stopped at this byte, or else the one that asked last.
    pub fn downloader(&self, address: IpAddr, package: PackageId, first: u64) -> Option<DeviceId> {
        let tracked = self.lock();
        let offered = tracked.offered.get(&(address, package))?;
        let under_way =
            |device: &&DeviceId| tracked.progress.live(**device).is_some_and(|attempt| attempt.step.package == package);
        let stopped_here =
            |device: &&DeviceId| tracked.progress.live(**device).is_some_and(|attempt| attempt.fetched_bytes == first);
        let candidates = || offered.iter().rev().filter(under_way);
        candidates().find(stopped_here).or_else(|| candidates().next()).copied()
    }

    /// Bytes of a package were sent to a device.
    pub fn fetched(&self, device: DeviceId, package: PackageId, first: u64, length: u64) {
        let moment = moment(&self.store);
        self.lock().progress.fetch(device, package, first, length, moment);
    }

    /// Ends what does not go on.
    pub fn expire(&self) {
        let moment = moment(&self.store);
        let mut tracked = self.lock();
        tracked.progress.expire(moment);
        let Tracked { progress, offered, .. } = &mut *tracked;
        offered.retain(|(_, package), devices| {
            devices.retain(|device| progress.live(*device).is_some_and(|attempt| attempt.step.package == *package));
            !devices.is_empty()
        });
    }

    /// Tells whoever listens what is new, and writes it if webhooks want to be told as well.
    pub async fn tell(&self) -> Result<(), StoreError> {
        let is_wanted = {
            let mut tracked = self.lock();
            tracked.collect(self.store.events());
            !tracked.unsaved.events.is_empty()
        };
        // What fails is not tried every second.
        if is_wanted && self.store.writes_fail_since().is_none() { self.save().await } else { Ok(()) }
    }

    /// Writes what is new. On failure it is kept for the next time.
    pub async fn save(&self) -> Result<(), StoreError> {
        let _saving = self.saving.lock().await;
        let Some(unsaved) = self.lock().take_unsaved(self.store.events()) else { return Ok(()) };
        let writing = unsaved.clone();
        let written = self.store.write(move |tx| writing.save(tx)).await;
        self.keep_if_failed(unsaved, written)
    }

    /// Writes what is new, and in the same transaction what devices reported. On failure all of it is kept for the next time.
    pub async fn save_with_presence(&self) -> Result<(), StoreError> {
        let _saving = self.saving.lock().await;
        let unsaved = self.lock().take_unsaved(self.store.events());
        let writing = unsaved.clone().map(|unsaved| move |tx: &WriteTx<'_>| unsaved.save(tx));
        let written = self.store.save_presence_along(writing).await;
        self.keep_if_failed(unsaved.unwrap_or_default(), written)
    }

    fn keep_if_failed(&self, unsaved: Unsaved, written: Result<(), StoreError>) -> Result<(), StoreError> {
        if written.is_err() {
            self.lock().put_back(unsaved);
        }
        written
    }

    /// The attempts that fit, latest first, at most `limit`: those that go on as they are at this moment.
    pub async fn attempts(&self, filter: Filter, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        let stored = self.store.read(move |connection| attempts::page(connection, &filter, limit)).await?;
        let mut known: HashMap<_, _> = stored.into_iter().map(|attempt| (attempt.id, attempt)).collect();
        {
            let mut tracked = self.lock();
            tracked.collect(self.store.events());
            for news in &tracked.unsaved.news {
                if let News::Begun(attempt) | News::Fetched(attempt) | News::Ended(attempt) = news {
                    known.insert(attempt.id, attempt.clone());
                }
            }
            let live = tracked.progress.all_live().filter(|attempt| filter.takes(attempt));
            known.extend(live.map(|attempt| (attempt.id, attempt.clone())));
        }
        let mut attempts: Vec<_> = known.into_values().filter(|attempt| filter.takes(attempt)).collect();
        attempts.sort_unstable_by_key(|attempt| std::cmp::Reverse(attempt.id));
        attempts.truncate(limit as usize);
        Ok(attempts)
    }

    /// What `look` makes of where a group stands on its way to its target, if any of its devices has begun. Everything waits
    /// for it.
    pub fn group<T>(&self, group: GroupId, look: impl FnOnce(&GroupProgress) -> T) -> Option<T> {
        self.lock().progress.group(group).map(look)
    }

    /// Devices are gone: what is not told or written of them is not to be.
    pub fn forget_devices(&self, devices: impl IntoIterator<Item = DeviceId>) {
        let mut tracked = self.lock();
        let gone: HashSet<_> = devices.into_iter().collect();
        for device in &gone {
            tracked.progress.forget_device(*device);
        }
        tracked.unsaved.news.retain(|news| news.device().is_none_or(|device| !gone.contains(&device)));
    }

    /// Whether an attempt of a device goes on.
    pub fn is_updating(&self, device: DeviceId) -> bool {
        self.lock().progress.live(device).is_some()
    }

    /// See [`Progress::any_failed`].
    pub fn any_failed(
        &self,
        group: GroupId,
        target: &str,
        device: DeviceId,
        packages: impl IntoIterator<Item = PackageId>,
    ) -> bool {
        self.lock().progress.any_failed(group, target, device, packages)
    }

    /// A group is gone.
    pub fn forget_group(&self, group: GroupId) {
        self.lock().progress.forget_group(group);
    }

    /// A person has looked: offers go on in a group, and its failures do not count any more. `false` if nothing had stopped.
    pub async fn resume(&self, group: GroupId, deed: Deed) -> Result<bool, StoreError> {
        if self.group(group, |progress| progress.halted_since).flatten().is_none() {
            return Ok(false);
        }
        // What is not written could not be forgiven.
        self.save().await?;
        let resuming = self.store.write(move |tx| {
            rollouts::resume(tx, group)?;
            attempts::forgive_group(tx, group)?;
            events::tell(tx, Event::group_resumed(group))?;
            audit::append(tx, &deed.done(format!("group/{group}")))
        });
        resuming.await?;
        Ok(self.lock().progress.resume(group))
    }

    /// A person has looked: a device does not pause any more. `false` if nothing had failed on it.
    pub async fn release(&self, device: DeviceId, deed: Deed) -> Result<bool, StoreError> {
        if !self.lock().progress.has_failed(device) {
            return Ok(false);
        }
        self.save().await?;
        let releasing = self.store.write(move |tx| {
            attempts::forgive_device(tx, device)?;
            events::tell(tx, Event::device_released(device))?;
            audit::append(tx, &deed.done(format!("device/{device}")))
        });
        releasing.await?;
        Ok(self.lock().progress.release(device))
    }

    fn lock(&self) -> MutexGuard<'_, Tracked> {
        // Rules that fail half way leave an attempt too many or too few, which the next check mends.
        self.tracked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tracked {
    /// Takes the news up, and tells of them.
    fn collect(&mut self, events: &Events) {
        for news in self.progress.take_news() {
            let (at, event) = Event::of(&news);
            self.unsaved.events.extend(events.publish(at, event));
            // A pause follows from the failures, which are kept.
            if !matches!(news, News::HeldBack { .. }) {
                self.unsaved.news.push(news);
            }
        }
    }

    /// What is not on disk, which from now on counts as being on disk; `None` if there is nothing.
    fn take_unsaved(&mut self, events: &Events) -> Option<Unsaved> {
        self.collect(events);
        let unsaved = std::mem::take(&mut self.unsaved);
        (!unsaved.news.is_empty() || !unsaved.events.is_empty()).then_some(unsaved)
    }

    /// Writing failed: what was taken counts as not on disk again.
    fn put_back(&mut self, mut unsaved: Unsaved) {
        unsaved.news.append(&mut self.unsaved.news);
        unsaved.events.append(&mut self.unsaved.events);
        let surplus = unsaved.events.len().saturating_sub(MOST_UNQUEUED);
        unsaved.events.drain(..surplus);
        self.unsaved = unsaved;
    }
}

impl Unsaved {
    fn save(&self, tx: &WriteTx<'_>) -> Result<(), StoreError> {
        for news in &self.news {
            match news {
                News::Begun(attempt) | News::Fetched(attempt) | News::Ended(attempt) => attempts::put(tx, attempt)?,
                News::Halted { group, target, at, .. } => rollouts::halt(tx, *group, target, *at)?,
                News::HeldBack { .. } => {}
            }
        }
        webhooks::queue(tx, &self.events)
    }
}

fn moment(store: &Store) -> Moment {
    let clock = store.clock();
    Moment { now: clock.now(), steady: clock.steady() }
}
