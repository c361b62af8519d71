//! Whose bundles are taken; each change with its entry in the audit log.

use crate::domain::Deed;
use crate::domain::bundle::{SignerKey, SignerName};
use crate::store::{Store, StoreError, audit, bundles};

/// Takes the bundles of this signer from now on; `false` if the key or the name is there already.
pub async fn trust(store: &Store, key: SignerKey, name: SignerName, deed: Deed) -> Result<bool, StoreError> {
    let trusting = store.write(move |tx| {
        let is_new = bundles::trust(tx, key, &name)?;
        if is_new {
            audit::append(tx, &deed.done(format!("signer/{}", name.as_str())).with(key.to_string()))?;
        }
        Ok(is_new)
    });
    trusting.await
}

/// Does not take the bundles any more of the signer of this name or key; `false` if there is none.
pub async fn distrust(store: &Store, name_or_key: String, deed: Deed) -> Result<bool, StoreError> {
    let distrusting = store.write(move |tx| {
        let Some(key) = bundles::distrust(tx, &name_or_key, name_or_key.parse().ok())? else { return Ok(false) };
        audit::append(tx, &deed.done(format!("signer/{name_or_key}")).with(key.to_string()))?;
        Ok(true)
    });
    distrusting.await
}
