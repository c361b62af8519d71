//! Room for packages: what is taken in, before a byte of it is read, and what is kept back so that the server itself never
//! runs out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::setting::Setting;
use crate::domain::{ByteSize, PackageId, StorageLimits};
use crate::store::{PackageFolder, Space, Store, StoreError, packages, uploads};

/// The reserve if none was set: so much, or this part of the file system if that is more.
const LEAST_RESERVE_BYTES: u64 = 256 << 20;
const RESERVE_PERCENT: u64 = 5;
/// After so many bytes of an upload there is a look at how much room is left: others write as well.
pub const CHECK_BYTES: u64 = 8 << 20;
/// How many packages that could go are named.
const NAMED: usize = 5;

/// Why something is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is larger than any package may be.
    TooLarge(ByteSize),
    /// There is no room; the sentence says how much there is and what could go.
    NoRoom(String),
}

/// What is taken in and what is not.
#[derive(Clone)]
pub struct Room {
    store: Store,
    folder: PackageFolder,
    limits: Setting<StorageLimits>,
    forms: Arc<Forms>,
}

/// Forms that were taken in and are no packages yet, in bytes.
#[derive(Debug, Default)]
struct Forms {
    /// What is still to come.
    promised: AtomicU64,
    /// What has come.
    arrived: AtomicU64,
}

/// Room for an upload that was taken in. What does not arrive is free again when this is dropped.
#[derive(Debug)]
pub struct Promise {
    forms: Arc<Forms>,
    missing_bytes: u64,
    arrived_bytes: u64,
}

impl Promise {
    /// So many bytes have arrived.
    pub fn arrived(&mut self, bytes: u64) {
        let promised = bytes.min(self.missing_bytes);
        self.missing_bytes -= promised;
        self.arrived_bytes += bytes;
        self.forms.promised.fetch_sub(promised, Ordering::Relaxed);
        self.forms.arrived.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.forms.promised.fetch_sub(self.missing_bytes, Ordering::Relaxed);
        self.forms.arrived.fetch_sub(self.arrived_bytes, Ordering::Relaxed);
    }
}

fn reserve_bytes(limits: StorageLimits, space: Space) -> u64 {
    let usual = (space.total_bytes / 100 * RESERVE_PERCENT).max(LEAST_RESERVE_BYTES);
    limits.reserve.map_or(usual, ByteSize::bytes)
}

impl Room {
    /// For the packages in `folder`.
    pub fn new(store: Store, folder: PackageFolder, limits: StorageLimits) -> Self {
        Self { store, folder, limits: Setting::new(limits), forms: Arc::default() }
    }

    /// From now on other limits hold: what was taken in before stays.
    pub fn set_limits(&self, limits: StorageLimits) {
        self.limits.set(limits);
    }

    /// The folder that it is about.
    pub fn folder(&self) -> &PackageFolder {
        &self.folder
    }

    /// What uploads must leave free on a file system with this room, in bytes.
    pub fn reserve_bytes(&self, space: Space) -> u64 {
        reserve_bytes(self.limits.get(), space)
    }

    /// The largest package that is taken in, if there is a limit.
    pub fn largest_package(&self) -> Option<ByteSize> {
        self.limits.get().package
    }

    /// Takes in a file of this length, or of one that nobody knows yet.
    pub async fn admit(&self, length_bytes: Option<u64>) -> Result<Result<Promise, Refusal>, StoreError> {
        let missing_bytes = length_bytes.unwrap_or(0);
        if let Err(too_large) = self.check_length(missing_bytes) {
            return Ok(Err(too_large));
        }
        // Promised first: of two that come at the same time, one sees the other.
        self.forms.promised.fetch_add(missing_bytes, Ordering::Relaxed);
        let promise = Promise { forms: self.forms.clone(), missing_bytes, arrived_bytes: 0 };
        Ok(self.check().await?.map(|()| promise))
    }

    /// Whether a package may be so long.
    pub fn check_length(&self, length_bytes: u64) -> Result<(), Refusal> {
        match self.largest_package() {
            Some(limit) if length_bytes > limit.bytes() => Err(Refusal::TooLarge(limit)),
            _ => Ok(()),
        }
    }

    /// Whether there is room for all that was taken in.
    pub async fn check(&self) -> Result<Result<(), Refusal>, StoreError> {
        let (folder, limits) = (self.folder.clone(), self.limits.get());
        let promised = self.forms.promised.load(Ordering::Relaxed);
        let arrived = self.forms.arrived.load(Ordering::Relaxed);
        let checking = self.store.read(move |connection| {
            let space = folder.space()?;
            let resumable = uploads::totals(connection)?;
            let promised = promised.saturating_add(resumable.missing_bytes);
            let reserve = reserve_bytes(limits, space);
            if promised.saturating_add(reserve) > space.free_bytes {
                let unassigned = packages::unassigned(connection)?;
                return Ok(Err(Refusal::NoRoom(no_room(space, reserve, promised, &unassigned))));
            }
            if let Some(limit) = limits.store {
                let stored = packages::total_bytes(connection)? + arrived + resumable.arrived_bytes;
                if stored.saturating_add(promised) > limit.bytes() {
                    let unassigned = packages::unassigned(connection)?;
                    return Ok(Err(Refusal::NoRoom(store_is_full(limit, stored, &unassigned))));
                }
            }
            Ok::<_, StoreError>(Ok(()))
        });
        checking.await
    }
}

fn no_room(space: Space, reserve: u64, promised: u64, unassigned: &[(PackageId, u64)]) -> String {
    let [free, reserve, promised] = [space.free_bytes, reserve, promised].map(ByteSize::from_bytes);
    format!(
        "there is no room for this: {free} are free, of which {reserve} are kept back, and {promised} are to come; {}",
        what_could_go(unassigned)
    )
}

fn store_is_full(limit: ByteSize, stored: u64, unassigned: &[(PackageId, u64)]) -> String {
    let stored = ByteSize::from_bytes(stored);
    format!("there is no room for this: packages may take {limit}, and take {stored}; {}", what_could_go(unassigned))
}

/// Names packages that no group has, the largest first.
fn what_could_go(unassigned: &[(PackageId, u64)]) -> String {
    if unassigned.is_empty() {
        return "all packages are assigned to groups".to_owned();
    }
    let named: Vec<_> =
        unassigned.iter().take(NAMED).map(|(id, bytes)| format!("{id} ({})", ByteSize::from_bytes(*bytes))).collect();
    let more = if unassigned.len() > NAMED { " and more" } else { "" };
    format!("packages that no group has could go: {}{more}", named.join(", "))
}
