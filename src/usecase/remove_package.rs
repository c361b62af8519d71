//! A package goes: first its row, then its file, so that a row never lacks its file.

use super::open_packages::OpenPackages;
use crate::domain::{Deed, Event, PackageId};
use crate::store::packages::{self, Deletion};
use crate::store::{PackageFolder, Store, StoreError, audit, events};

/// Deletes a package that no group has. Downloads of it that have begun go on to their end.
pub async fn remove_package<T: Send + Sync + 'static>(
    store: &Store,
    folder: &PackageFolder,
    open: &OpenPackages<T>,
    id: PackageId,
    deed: Deed,
) -> Result<Deletion, StoreError> {
    let deleting = store.write(move |tx| {
        let deletion = packages::delete(tx, id)?;
        fail_point!("remove.row");
        if let Deletion::Deleted(_) = &deletion {
            audit::append(tx, &deed.done(format!("package/{id}")))?;
            events::tell(tx, Event::package_deleted(id))?;
        }
        Ok::<_, StoreError>(deletion)
    });
    let deletion = deleting.await?;
    if let Deletion::Deleted(package) = &deletion {
        fail_point!("remove.committed");
        // A file that is open takes its room on the disk until it is closed.
        open.forget();
        let (folder, package) = (folder.clone(), package.clone());
        let removing = tokio::task::spawn_blocking(move || folder.remove(&package));
        // The package is gone for everybody; a file that could not be deleted is swept some day.
        if let Err(error) = removing.await.map_err(|_| StoreError::Abandoned).flatten() {
            tracing::warn!(package = %id, %error, "the file of a deleted package stays until the next sweep");
        }
        fail_point!("remove.file-deleted");
    }
    Ok(deletion)
}
