//! A management token is made: signed, and known to the store so that it can be revoked.

use std::time::Duration;

use crate::auth::Keys;
use crate::auth::access_token::AccessToken;
use crate::domain::{Deed, Scopes};
use crate::store::access_tokens::{self, IssuedToken};
use crate::store::{Store, StoreError, audit};

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error("signing a management token: {0}")]
    Signing(#[from] jwt::Error),
}

/// Makes a token for `name`; without a `lifetime` it never ends. Returns its text, which is kept nowhere.
pub async fn issue_token(
    store: &Store,
    keys: &Keys,
    name: String,
    scopes: Scopes,
    lifetime: Option<Duration>,
    deed: Deed,
) -> Result<String, IssueError> {
    let token = AccessToken::new(name, scopes, store.clock().now(), lifetime);
    let text = token.sign(keys)?;
    let issued = IssuedToken {
        id: token.id,
        name: token.name,
        scope: token.scopes.to_string(),
        created: token.created,
        expires: token.expires,
        revoked: None,
    };
    let inserting = store.write(move |tx| {
        access_tokens::insert(tx, &issued)?;
        let detail = format!("{}: {}", issued.name, issued.scope);
        audit::append(tx, &deed.done(format!("token/{}", issued.id)).with(detail))
    });
    inserting.await?;
    Ok(text)
}
