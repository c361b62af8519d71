//! A client gives a token back before it ends (RFC 7009).

use super::audit_log::AuditLog;
use super::judge_token::read_in_force;
use crate::auth::{Keys, device_token};
use crate::domain::Deed;
use crate::store::clients::Client;
use crate::store::{Store, StoreError, access_tokens, audit};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The token is good for nothing any more, or was not before.
    Ended,
    /// It is somebody else's.
    NotYours,
    /// It is a device's: those end by themselves, and cannot be revoked.
    Device,
}

/// Revokes a token of this client, for good: when this returns, that is on disk.
pub async fn revoke_token(
    store: &Store,
    log: &AuditLog,
    keys: &Keys,
    client: &Client,
    token: &str,
    deed: Deed,
) -> Result<Revocation, StoreError> {
    let now = store.clock().steady();
    if device_token::verify(keys, token, now).is_some() {
        return Ok(Revocation::Device);
    }
    let Some(token) = read_in_force(store, keys, token).await? else { return Ok(Revocation::Ended) };
    let is_own = token.client.is_some_and(|holder| holder.id == client.id);
    let Some(expires) = token.expires.filter(|_| is_own) else { return Ok(Revocation::NotYours) };
    let id = token.id;
    let is_noted = log.is_worth_noting(&deed, now);
    let revoking = store.write(move |tx| {
        if access_tokens::revoke_clients(tx, &id, expires, now)? && is_noted {
            audit::append(tx, &deed.done(format!("token/{id}")))?;
        }
        Ok::<_, StoreError>(())
    });
    revoking.await?;
    Ok(Revocation::Ended)
}
