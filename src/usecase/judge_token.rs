//! Whether a management token of ours is good now.

use crate::auth::Keys;
use crate::auth::access_token::{self, AccessToken, TokenClient};
use crate::store::{Store, StoreError, access_tokens, clients};

/// Reads a management token of ours; `None` if it is none, or none any more.
pub async fn read_in_force(store: &Store, keys: &Keys, text: &str) -> Result<Option<AccessToken>, StoreError> {
    let clock = store.clock();
    let Some(token) = access_token::verify(keys, text, clock.now(), clock.steady()) else { return Ok(None) };
    Ok(is_in_force(store, &token).await?.then_some(token))
}

/// Whether a genuine token of ours was not revoked, nor its client removed or given another secret.
pub async fn is_in_force(store: &Store, token: &AccessToken) -> Result<bool, StoreError> {
    let (id, client) = (token.id.clone(), token.client.clone());
    let reading = store.read(move |connection| {
        let Some(TokenClient { id: client_id, secret_version }) = client else {
            return access_tokens::is_valid(connection, &id);
        };
        let client = clients::find(connection, &client_id)?;
        let has_secret = client.is_some_and(|client| client.secret_version == secret_version);
        Ok(has_secret && !access_tokens::is_revoked(connection, &id)?)
    });
    reading.await
}
