//! Devices that ask for tokens too often wait for the answer. The Linux client asks again at once on 400 and on every status
//! that it does not know, so an answer that comes late is the only thing that slows it down.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::auth::throttle::{Admission, Patience, Throttle, network};
use crate::domain::{KeyFingerprint, MacKey, Timestamp};
use crate::store::registrations;

/// Answers held back at once. Each keeps a connection, and those of well-behaved devices must find room: who comes when this
/// is full is answered at once.
const WAITING: usize = 256;
/// How many devices and addresses are remembered.
const REMEMBERED: usize = 16_384;

/// A device asks once in five minutes, and after a restart.
const PER_DEVICE: Patience = Patience {
    free: 10,
    first_delay: Duration::from_millis(250),
    longest_delay: Duration::from_secs(10),
    lock_at: None,
    lock: Duration::from_secs(60),
};
/// Failed requests only: behind one address may be a thousand devices that power up at the same second.
const PER_ADDRESS: Patience = Patience { free: 5, ..PER_DEVICE };

/// Registrations that one address may make before an hour has passed without another: as many as a large site behind one address
/// has devices, and too few to displace those of all others.
const REGISTRATIONS_OF_AN_ADDRESS: u32 = registrations::LIMIT as u32 / 4;
/// When an address has made too many, and is let make more.
const REGISTRATIONS_LOCK: Duration = Duration::from_secs(60 * 60);

/// Who asked, as far as that is certain.
#[derive(Debug, Clone)]
pub enum Asking {
    /// A device that was accepted with this key: the signature was right. Copies of one disk may all have the same key.
    Device(MacKey, KeyFingerprint),
    /// Whoever holds this key, and may call itself anything: the signature was right.
    Stranger(KeyFingerprint),
    /// Somebody at this address whose request was no good.
    Address(Option<IpAddr>),
}

/// When somebody's turn came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There was no reason to wait.
    AtOnce,
    /// After a wait: what was known before may be so no more.
    Later,
    /// At once, as so many wait already: nothing should be done that costs anything.
    Surplus,
}

/// Holds answers back.
#[derive(Debug)]
pub struct HoldBack {
    devices: Throttle<(MacKey, KeyFingerprint)>,
    strangers: Throttle<KeyFingerprint>,
    addresses: Throttle<IpAddr>,
    registrations: Throttle<IpAddr>,
    waiting: Arc<Semaphore>,
}

impl Default for HoldBack {
    fn default() -> Self {
        Self::with_registrations(REGISTRATIONS_OF_AN_ADDRESS)
    }
}

impl HoldBack {
    /// One that keeps so many registrations of each address.
    pub fn with_registrations(registrations: u32) -> Self {
        let patience = Patience {
            free: u32::MAX,
            first_delay: Duration::ZERO,
            longest_delay: Duration::ZERO,
            lock_at: Some(registrations),
            lock: REGISTRATIONS_LOCK,
        };
        Self {
            devices: Throttle::new(PER_DEVICE, REMEMBERED),
            strangers: Throttle::new(PER_DEVICE, REMEMBERED),
            addresses: Throttle::new(PER_ADDRESS, REMEMBERED),
            registrations: Throttle::new(patience, REMEMBERED),
            waiting: Arc::new(Semaphore::new(WAITING)),
        }
    }

    /// Waits for as long as the answer is to be held back. `now` is the steady time.
    pub async fn wait(&self, asking: Asking, now: Timestamp) -> Turn {
        let admission = match asking {
            Asking::Device(mac_key, fingerprint) => self.devices.begin(&(mac_key, fingerprint), now),
            Asking::Stranger(fingerprint) => self.strangers.begin(&fingerprint, now),
            Asking::Address(Some(address)) => self.addresses.begin(&network(address), now),
            Asking::Address(None) => return Turn::AtOnce,
        };
        if admission.wait().is_zero() {
            return Turn::AtOnce;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Turn::Surplus };
        sleep(admission.wait()).await;
        Turn::Later
    }

    /// Whether a device that was never heard of, at this address, may be kept as a registration: it counts as one. `now` is the
    /// steady time.
    pub fn may_register(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let Some(address) = address else { return true };
        !matches!(self.registrations.begin(&network(address), now), Admission::Locked(_))
    }
}
