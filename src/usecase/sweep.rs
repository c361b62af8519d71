//! At the start, before anything is published: what an earlier run was cut off in is cleared away.

use std::collections::HashSet;

use uuid::Uuid;

use crate::store::{PackageFolder, Store, StoreError, packages};

/// Deletes files of broken-off uploads and removals; returns how many.
pub async fn sweep(store: &Store, folder: &PackageFolder) -> Result<usize, StoreError> {
    let known: HashSet<Uuid> = store.read(packages::uuids).await?;
    let folder = folder.clone();
    tokio::task::spawn_blocking(move || folder.sweep(&known)).await.map_err(|_| StoreError::Abandoned)
}
