//! A client gets a token (RFC 6749, section 4.4). It lives some minutes and is kept nowhere.

use std::time::Duration;

use super::audit_log::AuditLog;
use crate::auth::Keys;
use crate::auth::access_token::{AccessToken, CLIENT_TOKEN_LIFETIME, TokenClient};
use crate::domain::{Deed, Scopes};
use crate::store::clients::Client;
use crate::store::{Store, StoreError};

/// Why neither a yes nor a no can be said.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error("signing a client's token: {0}")]
    Signing(#[from] jwt::Error),
}

/// What a client gets.
pub enum Grant {
    /// A token.
    Token {
        /// The text that the client shows.
        text: String,
        /// What it may do with it.
        scopes: Scopes,
        /// For how long.
        lifetime: Duration,
    },
    /// Nothing: the client has no scope, so no token whatever it asks for. It may only look at tokens.
    NotForThisClient,
    /// Nothing: it asked for no scope by name, for one that is none, or for one that it does not have.
    WrongScope,
}

/// Gives the client a token with the `requested` scopes, a text as on the wire; without it, with all that the client has.
pub async fn grant_token(
    store: &Store,
    keys: &Keys,
    log: &AuditLog,
    client: Client,
    requested: Option<&str>,
    deed: Deed,
) -> Result<Grant, GrantError> {
    if client.scopes.is_empty() {
        return Ok(Grant::NotForThisClient);
    }
    let Some(scopes) = granted(&client.scopes, requested) else { return Ok(Grant::WrongScope) };
    let Client { id, name, secret_version, .. } = client;
    let entry = deed.done(format!("client/{name}")).with(scopes.to_string());
    let token_client = TokenClient { id: id.clone(), secret_version };
    let token = AccessToken::for_client(token_client, name, scopes.clone(), store.clock().steady());
    let text = token.sign(keys)?;
    log.note_grant(store, &id, entry).await?;
    Ok(Grant::Token { text, scopes, lifetime: CLIENT_TOKEN_LIFETIME })
}

fn granted(own: &Scopes, requested: Option<&str>) -> Option<Scopes> {
    let Some(requested) = requested else { return Some(own.clone()) };
    Scopes::parse(requested).ok().filter(|scopes| !scopes.is_empty() && own.include(scopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_gets_more_than_it_has() {
        let granted = |own, requested| granted(&Scopes::from_claim(own), requested).map(|scopes| scopes.to_string());
        let uploader = "rdfm_admin_ro rdfm_upload_single_file";
        assert_eq!(granted(uploader, None).as_deref(), Some(uploader));
        assert_eq!(granted(uploader, Some("rdfm_admin_ro")).as_deref(), Some("rdfm_admin_ro"));
        assert_eq!(granted("rdfm_admin_rw", Some("rdfm_admin_ro")).as_deref(), Some("rdfm_admin_ro"));
        for refused in ["rdfm_admin_rw", "rdfm_admin_ro rdfm_admin_rw", "rdfm_admin_ro openid", "RDFM_ADMIN_RO", " "] {
            assert_eq!(granted(uploader, Some(refused)), None, "{refused}");
        }
    }
}
