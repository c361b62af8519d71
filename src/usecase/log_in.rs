//! A person logs in with name and password, and those who guess are held up.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::audit_log::{self, AuditLog};
use crate::auth::Credential;
use crate::auth::known_browser::BrowserId;
use crate::auth::password::{self, Password, PasswordError, Verdict};
use crate::auth::throttle::{Admission, Patience, Throttle, network};
use crate::domain::{Action, Actor, ActorKind, CredentialHash, Deed, Outcome, PasswordHash, Timestamp, UserName};
use crate::store::users::{self, User};
use crate::store::{Store, StoreError, audit, sessions};

/// Passwords hashed at once: each takes 19 MiB and a core.
const HASHING: usize = 2;
/// Logins that wait at once, for their delay or for their turn.
const WAITING: usize = 64;
/// How long the door is shut, and a failure held against somebody.
const LOCK: Duration = Duration::from_secs(15 * 60);
/// How many names, addresses and browsers are remembered.
const REMEMBERED: usize = 16_384;

const PER_NAME: Patience = Patience {
    free: 3,
    first_delay: Duration::from_millis(500),
    longest_delay: Duration::from_secs(8),
    lock_at: Some(10),
    lock: LOCK,
};
/// Behind one address may be a whole plant.
const PER_ADDRESS: Patience = Patience { free: 10, lock_at: Some(50), ..PER_NAME };

/// Why neither a yes nor a no can be said.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password could not be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No random bytes.
    #[error("making a session: {0}")]
    Random(#[from] getrandom::Error),
}

/// Somebody who wants to log in.
pub struct LoginAttempt {
    /// Who they say they are; `None` if that cannot be anybody's name.
    pub name: Option<UserName>,
    /// Their password, they say.
    pub password: Zeroizing<String>,
    /// Where they are.
    pub address: Option<IpAddr>,
    /// Their browser, if it is known to the user of that name.
    pub browser: Option<BrowserId>,
    /// The session that their browser is in, or was.
    pub session: Option<CredentialHash>,
}

/// What came of it.
pub enum Login {
    /// They are in: the credential of the session that begins, and who they are.
    In(Credential, User),
    /// They are not.
    Out(Refused),
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No such name, a wrong password, or barred.
    Wrong,
    /// Too many have failed; the door opens again after so long.
    Locked(Duration),
    /// Too many wait already.
    Busy,
}

/// Somebody who is not let in.
struct Failure {
    refused: Refused,
    /// Whose name they gave, if it is anybody's.
    user: Option<User>,
}

/// What stands between guessers and passwords.
#[derive(Debug)]
pub struct Doorkeeper {
    hashing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    names: Throttle<UserName>,
    addresses: Throttle<IpAddr>,
    browsers: Throttle<BrowserId>,
}

impl Default for Doorkeeper {
    fn default() -> Self {
        Self {
            hashing: Arc::new(Semaphore::new(HASHING)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            names: Throttle::new(PER_NAME, REMEMBERED),
            addresses: Throttle::new(PER_ADDRESS, REMEMBERED),
            browsers: Throttle::new(PER_NAME, REMEMBERED),
        }
    }
}

impl Doorkeeper {
    /// Lets somebody in who knows the password: begins a session. Everybody else waits the longer the more have failed, and
    /// as long for a name that is nobody's.
    /// The session that the browser was in so far, if any, ends.
    pub async fn log_in(&self, store: &Store, log: &AuditLog, attempt: LoginAttempt) -> Result<Login, LoginError> {
        let (address, replaced) = (attempt.address, attempt.session);
        let (user, renewed) = match self.authenticate(store, attempt).await? {
            Ok(known) => known,
            Err(Failure { refused, user }) => {
                note_failure(store, log, refused, user, address).await;
                return Ok(Login::Out(refused));
            }
        };
        let deed = Deed { actor: Actor::new(ActorKind::User, user.name.as_str()), address, action: Action::LogIn };
        let token = Credential::generate()?;
        let is_noted = log.is_worth_noting(&deed, store.clock().steady());
        if begin_session(store, &user, renewed, &token, deed, is_noted, replaced).await? {
            return Ok(Login::In(token, user));
        }
        note_failure(store, log, Refused::Wrong, Some(user), address).await;
        Ok(Login::Out(Refused::Wrong))
    }

    /// Gives somebody who knows the present password a new one, ends all their sessions, and begins another. That they don't
    /// know it is for the caller to note.
    pub async fn change_password(
        &self,
        store: &Store,
        attempt: LoginAttempt,
        password: Password,
    ) -> Result<Login, LoginError> {
        let address = attempt.address;
        let (user, _) = match self.authenticate(store, attempt).await? {
            Ok(known) => known,
            Err(Failure { refused, .. }) => return Ok(Login::Out(refused)),
        };
        let hash = self.hash(password).await?;
        let deed =
            Deed { actor: Actor::new(ActorKind::User, user.name.as_str()), address, action: Action::SetPassword };
        let token = Credential::generate()?;
        let begins = begin_session(store, &user, Some(hash), &token, deed, true, None).await?;
        Ok(if begins { Login::In(token, user) } else { Login::Out(Refused::Wrong) })
    }

    /// Says who knows the password, with its hash in today's form if it was kept in another.
    async fn authenticate(
        &self,
        store: &Store,
        attempt: LoginAttempt,
    ) -> Result<Result<(User, Option<PasswordHash>), Failure>, LoginError> {
        // A browser that is known does not stand in line behind those who guess.
        let _place = match attempt.browser {
            Some(_) => None,
            None => match self.waiting.try_acquire() {
                Ok(place) => Some(place),
                Err(_) => return Ok(Err(Failure { refused: Refused::Busy, user: None })),
            },
        };
        let admission = self.admission(&attempt, store.clock().steady());
        let LoginAttempt { name, password, address, browser, .. } = attempt;
        let user = match name {
            Some(name) => store.read(move |connection| users::find(connection, &name)).await?,
            None => None,
        };
        match admission {
            Admission::After(delay) => sleep(delay).await,
            Admission::Locked(rest) => return Ok(Err(Failure { refused: Refused::Locked(rest), user })),
        }
        let hash = user.as_ref().filter(|user| user.disabled.is_none()).map(|user| user.password_hash.clone());
        let verdict = self.on_a_thread(move || password::verify(&password, hash.as_ref())).await?;
        let (user, renewed) = match (user, verdict) {
            (Some(user), Verdict::Right) => (user, None),
            (Some(user), Verdict::Outdated(renewed)) => (user, Some(renewed)),
            (user, _) => return Ok(Err(Failure { refused: Refused::Wrong, user })),
        };
        self.forgive(&user.name, address, browser);
        Ok(Ok((user, renewed)))
    }

    fn forgive(&self, name: &UserName, address: Option<IpAddr>, browser: Option<BrowserId>) {
        match browser {
            Some(browser) => self.browsers.forget(&browser),
            None => {
                self.names.forget(name);
                if let Some(address) = address {
                    self.addresses.forgive(&network(address));
                }
            }
        }
    }

    /// Hashes a new password when it is its turn.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, LoginError> {
        Ok(self.on_a_thread(move || password.hash()).await??)
    }

    fn admission(&self, attempt: &LoginAttempt, now: Timestamp) -> Admission {
        if let Some(browser) = &attempt.browser {
            return self.browsers.begin(browser, now);
        }
        let address = attempt.address.map(network);
        // Looked at before anything is counted: what one door turns away is not held against whoever stands at the other.
        let by_address = address.and_then(|address| self.addresses.shut_for(&address, now));
        let by_name = attempt.name.as_ref().and_then(|name| self.names.shut_for(name, now));
        if let Some(rest) = by_address.or(by_name) {
            return Admission::Locked(rest);
        }
        let begun = [
            address.map(|address| self.addresses.begin(&address, now)),
            attempt.name.as_ref().map(|name| self.names.begin(name, now)),
        ];
        begun.into_iter().flatten().max_by_key(|admission| admission.wait()).unwrap_or(Admission::After(Duration::ZERO))
    }

    /// Runs work that takes a core and much memory, when it is its turn.
    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        let turn = self.hashing.clone().acquire_owned().await.map_err(|_| StoreError::Abandoned)?;
        let working = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        working.await.map_err(|_| StoreError::Abandoned)
    }
}

/// Notes that somebody was not let in. Whether the name is somebody's makes no difference to how often that is written: it
/// would be seen by how long the answer takes.
async fn note_failure(store: &Store, log: &AuditLog, refused: Refused, user: Option<User>, address: Option<IpAddr>) {
    // Whom an attempt is about is noted if it is somebody: people type passwords into the wrong field.
    let nobody = Actor::new(ActorKind::Anonymous, "");
    let actor = user.map_or(nobody, |user| Actor::new(ActorKind::User, user.name.as_str()));
    let entry = Deed { actor, address, action: Action::LogIn }.ended(Outcome::Denied, "");
    match refused {
        // There are no more of them than the door lets through.
        Refused::Wrong => audit_log::note(store, entry).await,
        Refused::Locked(_) => log.note_failure_at(store, entry.with("too many failures")).await,
        Refused::Busy => {}
    }
}

/// Begins a session, unless the user was changed while the password was being looked at. A new password ends the others.
async fn begin_session(
    store: &Store,
    user: &User,
    new_hash: Option<PasswordHash>,
    token: &Credential,
    deed: Deed,
    is_noted: bool,
    replaced: Option<CredentialHash>,
) -> Result<bool, StoreError> {
    let (user, token_hash, now) = (user.clone(), token.hash(), store.clock().steady());
    let beginning = store.write(move |tx| {
        let is_unchanged = users::is_unchanged(tx, &user)?;
        if is_unchanged {
            if let Some(hash) = &new_hash {
                users::keep_password(tx, user.id, hash)?;
            }
            if deed.action == Action::SetPassword {
                sessions::end_all(tx, user.id)?;
            }
            if let Some(replaced) = replaced {
                sessions::end(tx, replaced)?;
            }
            users::note_login(tx, user.id)?;
            sessions::insert(tx, token_hash, user.id, now)?;
            if is_noted {
                audit::append(tx, &deed.done(format!("user/{}", user.name)))?;
            }
        }
        Ok(is_unchanged)
    });
    beginning.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_plant_that_logs_in_from_one_address_is_not_held_up() {
        let doorkeeper = Doorkeeper::default();
        let address = Some(IpAddr::from([10, 0, 0, 7]));
        for number in 0..200 {
            let name: UserName = format!("user{number}").parse().unwrap();
            let password = Zeroizing::default();
            let attempt = LoginAttempt { name: Some(name.clone()), password, address, browser: None, session: None };
            let admission = doorkeeper.admission(&attempt, Timestamp::from_unix_seconds(1_800_000_000));
            assert_eq!(admission, Admission::After(Duration::ZERO), "{name}");
            doorkeeper.forgive(&name, address, None);
        }
    }
}
