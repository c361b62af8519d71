//! The first run: whoever has the code that the server printed becomes the first administrator.

use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::log_in::{Doorkeeper, LoginError};
use crate::auth::password::Password;
use crate::auth::{Credential, credential};
use crate::domain::{Action, Actor, ActorKind, CredentialHash, Deed, Timestamp, UserName};
use crate::store::users::{FirstAdmin, User};
use crate::store::{Store, StoreError, audit, sessions, users};

/// How long a claim code is good for.
pub const CODE_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What the server knows of the claim code that it printed.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    code_hash: CredentialHash,
    /// On the steady time.
    expires: Timestamp,
}

/// What came of claiming.
pub enum Claimed {
    /// There is a first administrator now: the credential of the session that begins, and who it is.
    Now(Credential, User),
    /// There is one already.
    Already,
    /// The code has ended; a restart makes a new one.
    Expired,
    /// That is not the code.
    WrongCode,
    /// Another user has this name.
    NameTaken,
}

/// Makes a claim code, if nobody has claimed this installation yet.
pub async fn offer(store: &Store) -> Result<Option<(Claim, Credential)>, LoginError> {
    if store.read(users::is_claimed).await? {
        return Ok(None);
    }
    let code = Credential::generate()?;
    let expires = store.clock().steady().saturating_add(CODE_LIFETIME);
    Ok(Some((Claim { code_hash: code.hash(), expires }, code)))
}

/// How far the first run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The code that the server printed is waiting for somebody.
    Open,
    /// There is no administrator, and the code has ended: a restart makes a new one.
    Expired,
    /// There is an administrator, or was.
    Done,
}

/// How far the first run is, seen from a server that made this offer at its start.
pub async fn setup(store: &Store, claim: Option<Claim>) -> Result<Setup, StoreError> {
    if store.read(users::is_claimed).await? {
        return Ok(Setup::Done);
    }
    let is_in_time = claim.is_some_and(|claim| store.clock().steady() < claim.expires);
    Ok(if is_in_time { Setup::Open } else { Setup::Expired })
}

/// Makes `name` the first administrator and begins their session, if `code` is right and nobody was first.
pub async fn claim(
    store: &Store,
    doorkeeper: &Doorkeeper,
    claim: Option<Claim>,
    code: &Zeroizing<String>,
    name: UserName,
    password: Password,
    address: Option<IpAddr>,
) -> Result<Claimed, LoginError> {
    let claim = match (setup(store, claim).await?, claim) {
        (Setup::Done, _) => return Ok(Claimed::Already),
        (Setup::Open, Some(claim)) => claim,
        _ => return Ok(Claimed::Expired),
    };
    let now = store.clock().steady();
    if !credential::matches(claim.code_hash, code) {
        return Ok(Claimed::WrongCode);
    }
    let hash = doorkeeper.hash(password).await?;
    fail_point!("claim.hashed");
    let token = Credential::generate()?;
    let token_hash = token.hash();
    let claiming = store.write(move |tx| {
        let first = users::claim(tx, &name, &hash)?;
        if let FirstAdmin::Added(user) = &first {
            fail_point!("claim.user-row");
            users::note_login(tx, user.id)?;
            sessions::insert(tx, token_hash, user.id, now)?;
            fail_point!("claim.session-row");
            let deed = Deed { actor: Actor::new(ActorKind::User, name.as_str()), address, action: Action::Claim };
            audit::append(tx, &deed.done(format!("user/{name}")))?;
        }
        Ok::<_, StoreError>(first)
    });
    Ok(match claiming.await? {
        FirstAdmin::Added(user) => Claimed::Now(token, user),
        FirstAdmin::Already => Claimed::Already,
        FirstAdmin::NameTaken => Claimed::NameTaken,
    })
}
