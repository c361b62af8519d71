//! A device asks to be let in, and a person lets it in or rejects it.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hear_device::hear_device;
use super::hold_back::{Asking, HoldBack, Turn};
use crate::auth::{Keys, PublicKey, device_token};
use crate::count::Level;
use crate::domain::{
    Deed, DeviceId, DeviceReport, Event, KeyFingerprint, MacKey, Registration, RegistrationState, Timestamp,
};
use crate::store::registrations::Rejection;
use crate::store::{Store, StoreError, Utterance, audit, devices, events, registrations};

/// The longest request that is kept as a registration: anybody can make one.
pub const REGISTRATION_LIMIT_BYTES: usize = 8 * 1024;

/// A device's request for a token.
#[derive(Debug)]
pub struct AuthorizationRequest {
    /// Who asks, and what it reports.
    pub report: DeviceReport,
    /// Its key.
    pub public_key: PublicKey,
    /// Its key, as it wrote it.
    pub public_key_pem: String,
    /// The bytes that were signed.
    pub message: Bytes,
    /// Their signature.
    pub signature: Vec<u8>,
    /// What the device's clock shows.
    pub device_time: Timestamp,
    /// Where it comes from, as far as that is known.
    pub address: Option<IpAddr>,
}

/// The answer to a request for a token.
#[derive(Debug)]
pub enum Authorization {
    /// The device is registered with this key; here is its token.
    Granted(String),
    /// A person must accept it first, also if one has rejected it.
    Pending,
    /// The device is not registered, and its request is longer than [`REGISTRATION_LIMIT_BYTES`].
    TooLong,
    /// The signature is not one of this key and message.
    BadSignature,
}

/// What went wrong other than the request.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A token could not be made.
    #[error("signing a device token: {0}")]
    Signing(#[from] jwt::Error),
}

/// How many signatures may be checked at once.
#[derive(Debug, Clone)]
pub struct SignatureTurns {
    turns: Arc<Semaphore>,
    waiting: Level,
}

impl SignatureTurns {
    /// So many at once.
    pub fn new(turns: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), waiting: Level::default() }
    }

    /// How many wait.
    pub fn waiting(&self) -> u64 {
        self.waiting.get()
    }

    async fn take(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        let _waiting = self.waiting.enter();
        self.turns.clone().acquire_owned().await.map_err(|_| StoreError::Abandoned)
    }
}

/// Checks the signature, then grants a token or notes that the device waits.
///
/// `signature_turns` bounds how many signatures are checked at once: each is a millisecond of arithmetic. A device that asks
/// too often is held back by `hold_back`; and of those that one address makes up no more are kept than it says.
pub async fn authorize(
    store: &Store,
    keys: &Keys,
    signature_turns: &SignatureTurns,
    hold_back: &HoldBack,
    request: AuthorizationRequest,
) -> Result<Authorization, AuthorizationError> {
    let AuthorizationRequest { report, public_key, public_key_pem, message, signature, device_time, address } = request;
    // Before it waits for anything.
    let arrived = store.clock().known_date();
    let fingerprint = public_key.fingerprint();
    let is_too_long = message.len() > REGISTRATION_LIMIT_BYTES;
    let place = signature_turns.take().await?;
    let verifying = tokio::task::spawn_blocking(move || {
        let _place = place;
        public_key.verify(&message, &signature)
    });
    if verifying.await.map_err(|_| StoreError::Abandoned)?.is_err() {
        return Ok(Authorization::BadSignature);
    }

    // Before anything is written: a registration costs more than an answer.
    let mac_key = report.mac_address.key();
    let (mut is_accepted, mut state) = look(store, &mac_key, fingerprint).await?;
    let asking = if is_accepted { Asking::Device(mac_key.clone(), fingerprint) } else { Asking::Stranger(fingerprint) };
    let turn = hold_back.wait(asking, store.clock().steady()).await;
    if turn == Turn::Later {
        // It may have been accepted or removed meanwhile.
        (is_accepted, state) = look(store, &mac_key, fingerprint).await?;
    }
    if is_accepted {
        let clock_skew_seconds = arrived.map(|arrived| arrived.seconds_until(device_time));
        let heard = hear_device(store, &mac_key, Utterance::Authorization { clock_skew_seconds }).await?;
        // Otherwise it was removed a moment ago, and asks to be let in like any other.
        if heard.is_some() {
            let issued = store.presence().token_date(&mac_key, store.clock().steady());
            let token = device_token::issue(keys, &report.mac_address, issued)?;
            return Ok(Authorization::Granted(token));
        }
    }
    // Nothing is noted of it, so that it costs no flash to be asked by somebody who is not wanted.
    if state == Some(RegistrationState::Rejected) {
        return Ok(Authorization::Pending);
    }
    if is_too_long {
        return Ok(Authorization::TooLong);
    }
    if turn == Turn::Surplus {
        return Ok(Authorization::Pending);
    }
    if state.is_none() && !hold_back.may_register(address, store.clock().steady()) {
        tracing::warn!(
            address = address.map(display),
            "an address has made so many registrations that no more are kept"
        );
        return Ok(Authorization::Pending);
    }
    match note_registration(store, report, public_key_pem, fingerprint).await {
        // The device comes again; any other answer would have it come again at once.
        Err(error) if error.is_disk_full() || error.is_read_only() => {
            tracing::error!(%error, "a registration could not be kept");
        }
        noted => noted?,
    }
    Ok(Authorization::Pending)
}

/// Whether the device is accepted with this key, and if not, how its registration stands if there is one.
async fn look(
    store: &Store,
    mac_key: &MacKey,
    fingerprint: KeyFingerprint,
) -> Result<(bool, Option<RegistrationState>), StoreError> {
    let mac_key = mac_key.clone();
    let looking = store.read(move |connection| {
        let known = devices::find_known(connection, &mac_key)?;
        let is_accepted = known.is_some_and(|known| known.key_fingerprint == Some(fingerprint));
        let state = if is_accepted { None } else { registrations::state(connection, &mac_key, fingerprint)? };
        Ok((is_accepted, state))
    });
    looking.await
}

async fn note_registration(
    store: &Store,
    report: DeviceReport,
    public_key: String,
    fingerprint: KeyFingerprint,
) -> Result<(), StoreError> {
    let now = store.clock().now();
    let mac_key = report.mac_address.key();
    if store.presence().appeared(&mac_key, fingerprint, &report.metadata, now) {
        return Ok(());
    }
    let DeviceReport { mac_address, metadata } = report;
    let state = RegistrationState::Pending;
    let registration = Registration { mac_address, public_key, metadata, last_appeared: now, state };
    let presence = store.presence().clone();
    let putting = store.write(move |tx| {
        let put = registrations::put(tx, &presence, registration, fingerprint);
        fail_point!("register.row");
        put
    });
    putting.await
}

/// Why nobody was let in or rejected: nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum JudgementError {
    /// There is no registration of this MAC address and key, or of one of several.
    #[error("the specified registration request does not exist")]
    NoSuchRegistration,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets in the devices that registered with these MAC addresses and keys, those that were rejected, too: all of them or none.
/// They are returned in the same order.
pub async fn accept(
    store: &Store,
    registrations: Vec<(MacKey, KeyFingerprint)>,
    deed: Deed,
) -> Result<Vec<DeviceId>, JudgementError> {
    let presence = store.presence().clone();
    let accepting = store.write(move |tx| {
        let accept_one = |(mac_key, fingerprint): (MacKey, KeyFingerprint)| {
            let registration = registrations::take(tx, &presence, &mac_key, fingerprint)?;
            let registration = registration.ok_or(JudgementError::NoSuchRegistration)?;
            fail_point!("accept.registration-taken");
            let device = devices::accept(tx, &registration, fingerprint)?;
            fail_point!("accept.device-row");
            let detail = format!("{} with the key {fingerprint}", registration.mac_address);
            audit::append(tx, &deed.clone().done(format!("device/{device}")).with(detail))?;
            events::tell(tx, Event::device_accepted(device, &registration.mac_address, fingerprint))?;
            Ok(device)
        };
        registrations.into_iter().map(accept_one).collect()
    });
    accepting.await
}

/// Rejects the devices that registered with these MAC addresses and keys: all of them or none. Those that were before stay so.
pub async fn reject(
    store: &Store,
    registrations: Vec<(MacKey, KeyFingerprint)>,
    deed: Deed,
) -> Result<(), JudgementError> {
    let rejecting = store.write(move |tx| {
        for (mac_key, fingerprint) in registrations {
            let mac_address = match registrations::reject(tx, &mac_key, fingerprint)? {
                Rejection::Done(mac_address) => mac_address,
                Rejection::Known => continue,
                Rejection::NotFound => return Err(JudgementError::NoSuchRegistration),
            };
            let entry = deed.clone().done(format!("registration/{mac_address}"));
            audit::append(tx, &entry.with(format!("with the key {fingerprint}")))?;
            events::tell(tx, Event::registration_rejected(&mac_address, fingerprint))?;
        }
        Ok(())
    });
    rejecting.await
}
