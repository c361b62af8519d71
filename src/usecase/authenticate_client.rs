//! A client of the authorization server proves who it is, and those who guess are held up.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::audit_log::AuditLog;
use crate::auth::credential;
use crate::auth::throttle::{Admission, Patience, Throttle, network};
use crate::domain::{Action, Actor, ActorKind, CredentialHash, Deed, Outcome, Timestamp};
use crate::store::clients::{self, Client};
use crate::store::{Store, StoreError};

/// Wrong secrets whose answers wait at once; more are answered without a wait, and not noted.
const WAITING: usize = 64;
/// How many clients and addresses are remembered.
const REMEMBERED: usize = 16_384;

/// There is no lock: secrets are 256 random bits, so the wait only keeps guessers from making load.
const PER_CLIENT: Patience = Patience {
    free: 3,
    first_delay: Duration::from_millis(250),
    longest_delay: Duration::from_secs(8),
    lock_at: None,
    lock: Duration::from_secs(15 * 60),
};
/// Behind one address may be a whole plant.
const PER_ADDRESS: Patience = Patience { free: 10, ..PER_CLIENT };
/// Compared with where there is no such client; that anybody knew a text of this hash would make no difference.
const NOBODYS: CredentialHash = CredentialHash([0; 32]);

/// A program that says which client it is.
pub struct ClientAttempt {
    /// The client's identifier, it says.
    pub id: String,
    /// The client's secret, it says.
    pub secret: Zeroizing<String>,
    /// Where it is.
    pub address: Option<IpAddr>,
    /// What it wants to do.
    pub action: Action,
}

/// What stands between guessers and the secrets of clients.
#[derive(Debug)]
pub struct Gatekeeper {
    waiting: Semaphore,
    /// By the identifier's hash: what is no client's may be of any length.
    clients: Throttle<CredentialHash>,
    addresses: Throttle<IpAddr>,
}

impl Default for Gatekeeper {
    fn default() -> Self {
        Self {
            waiting: Semaphore::new(WAITING),
            clients: Throttle::new(PER_CLIENT, REMEMBERED),
            addresses: Throttle::new(PER_ADDRESS, REMEMBERED),
        }
    }
}

impl Gatekeeper {
    /// The client, if the secret is right: however many wrong ones came before, so that nobody can lock a client out. A wrong
    /// one is noted, and answered the later the more there were; as one for a client that does not exist.
    pub async fn authenticate(
        &self,
        store: &Store,
        log: &AuditLog,
        attempt: ClientAttempt,
    ) -> Result<Option<Client>, StoreError> {
        let ClientAttempt { id, secret, address, action } = attempt;
        let id_hash = credential::hash_of(&id);
        let client = store.read(move |connection| clients::find(connection, &id)).await?;
        let secret_hash = client.as_ref().map_or(NOBODYS, |client| client.secret_hash);
        if credential::matches(secret_hash, &secret) && client.is_some() {
            return Ok(client);
        }
        let delay = self.delay(id_hash, address, store.clock().steady());
        // Of a flood not all is noted either: that would be as many writes to flash.
        let Ok(_place) = self.waiting.try_acquire() else { return Ok(None) };
        // Texts that are no client's identifier are not noted: one may be a secret in the wrong field.
        let actor = match client {
            Some(client) => Actor::new(ActorKind::Client, client.name),
            None => Actor::new(ActorKind::Anonymous, ""),
        };
        let entry = Deed { actor, address, action }.ended(Outcome::Denied, "");
        let entry = entry.with("the client's identifier or secret is wrong");
        // At the same time: whether there was something to note must not be seen by the clock.
        tokio::join!(sleep(delay), log.note_failure(store, entry));
        Ok(None)
    }

    /// Counts a wrong secret; says how long its answer has to wait.
    fn delay(&self, id_hash: CredentialHash, address: Option<IpAddr>, now: Timestamp) -> Duration {
        let by_address = address.map(|address| self.addresses.begin(&network(address), now));
        let wait = |admission| match admission {
            Admission::After(wait) | Admission::Locked(wait) => wait,
        };
        let by_address = by_address.map(wait).unwrap_or_default();
        by_address.max(wait(self.clients.begin(&id_hash, now)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn delays(times: u8, mut delay: impl FnMut(u8) -> Duration) -> Vec<u64> {
        (0..times).map(|time| u64::try_from(delay(time).as_millis()).unwrap()).collect()
    }

    #[test]
    fn wrong_secrets_of_one_client_wait_longer_and_longer_from_wherever_they_come() {
        let gatekeeper = Gatekeeper::default();
        let client = credential::hash_of("client");
        let waits = delays(10, |time| gatekeeper.delay(client, Some([10, 0, 0, time].into()), NOW));
        assert_eq!(waits, [0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 8000]);
        let another = credential::hash_of("another");
        assert_eq!(gatekeeper.delay(another, Some([10, 0, 0, 1].into()), NOW), Duration::ZERO);
    }

    #[test]
    fn wrong_secrets_of_one_address_wait_longer_and_longer_whoever_they_are_of() {
        let gatekeeper = Gatekeeper::default();
        let waits = delays(12, |time| {
            // One host has a whole /64 network.
            let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(time));
            gatekeeper.delay(credential::hash_of(&time.to_string()), Some(address.into()), NOW)
        });
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 250, 500]);
    }

    #[test]
    fn wrong_secrets_are_forgotten() {
        let gatekeeper = Gatekeeper::default();
        let client = credential::hash_of("client");
        assert_ne!(delays(5, |_| gatekeeper.delay(client, None, NOW)), [0; 5]);
        let later = NOW.saturating_add(PER_CLIENT.lock);
        assert_eq!(gatekeeper.delay(client, None, later), Duration::ZERO);
    }
}
