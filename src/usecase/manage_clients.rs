//! Clients of the authorization server come, get other secrets, and go; each change with its entry in the audit log.

use uuid::Uuid;

use crate::auth::Credential;
use crate::domain::{ClientName, Deed, Scopes};
use crate::store::{Store, StoreError, audit, clients};

/// Why a client has no secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes.
    #[error("making a client's secret: {0}")]
    Random(#[from] getrandom::Error),
}

/// What a client authenticates with. The secret is kept nowhere: this is the only time that it can be seen.
#[derive(Debug)]
pub struct ClientSecret {
    /// The client's identifier.
    pub id: String,
    /// The secret.
    pub secret: Credential,
}

/// Creates a client that may be given these scopes; `None` if there is one of this name.
pub async fn create(
    store: &Store,
    name: ClientName,
    scopes: Scopes,
    deed: Deed,
) -> Result<Option<ClientSecret>, ClientError> {
    let new = ClientSecret { id: Uuid::new_v4().to_string(), secret: Credential::generate()? };
    let (id, secret_hash) = (new.id.clone(), new.secret.hash());
    let creating = store.write(move |tx| {
        let is_new = clients::add(tx, &id, name.as_str(), &scopes, secret_hash)?;
        if is_new {
            audit::append(tx, &deed.done(format!("client/{name}")).with(scopes.to_string()))?;
        }
        Ok::<_, StoreError>(is_new)
    });
    Ok(creating.await?.then_some(new))
}

/// Gives the client of this identifier or name another secret: the old one and the tokens that it got end at once. `None` if
/// there is no such client.
pub async fn rotate_secret(store: &Store, id_or_name: String, deed: Deed) -> Result<Option<ClientSecret>, ClientError> {
    let secret = Credential::generate()?;
    let secret_hash = secret.hash();
    let rotating = store.write(move |tx| {
        let Some((id, name)) = clients::set_secret(tx, &id_or_name, secret_hash)? else { return Ok(None) };
        audit::append(tx, &deed.done(format!("client/{name}")))?;
        Ok::<_, StoreError>(Some(id))
    });
    Ok(rotating.await?.map(|id| ClientSecret { id, secret }))
}

/// Removes the client of this identifier or name: its tokens end at once. `false` if there is none.
pub async fn remove(store: &Store, id_or_name: String, deed: Deed) -> Result<bool, StoreError> {
    let removing = store.write(move |tx| {
        let Some(name) = clients::remove(tx, &id_or_name)? else { return Ok(false) };
        audit::append(tx, &deed.done(format!("client/{name}")))?;
        Ok(true)
    });
    removing.await
}
