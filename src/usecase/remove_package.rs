//! A package goes: first its row, then its file, so that a row never lacks its file.

use crate::domain::PackageId;
use crate::store::packages::{self, Deletion};
use crate::store::{PackageFolder, Store, StoreError};

/// Deletes a package that no group has. Downloads of it that have begun go on to their end.
pub async fn remove_package(store: &Store, folder: &PackageFolder, id: PackageId) -> Result<Deletion, StoreError> {
    let deletion = store.write(move |tx| packages::delete(tx, id)).await?;
    if let Deletion::Deleted(package) = &deletion {
        let (folder, package) = (folder.clone(), package.clone());
        let removing = tokio::task::spawn_blocking(move || folder.remove(&package));
        // The package is gone for everybody; a file that could not be deleted is swept at the next start.
        if let Err(error) = removing.await.map_err(|_| StoreError::Abandoned).flatten() {
            tracing::warn!(package = %id, %error, "the file of a deleted package stays until the next start");
        }
    }
    Ok(deletion)
}
