//! Whoever uploads the bytes of a damaged package again has healed it: the good file takes the place of the damaged one.

use crate::domain::Package;
use crate::store::{PackageFolder, PublishedFile, Sighting, Store, StoreError, WriteTx, integrity};

/// A damaged package whose file was replaced, and the file as it is now.
#[derive(Debug)]
pub struct Replaced {
    package: Package,
    sighting: Sighting,
}

/// Puts a new file in the place of those of damaged packages with the same bytes. What cannot be healed stays damaged: the
/// upload has succeeded all the same.
pub async fn replace_damaged(
    store: &Store,
    published: PublishedFile,
) -> Result<(PublishedFile, Vec<Replaced>), StoreError> {
    let sha256 = published.sha256;
    let damaged = store.read(move |connection| integrity::damaged_with(connection, sha256)).await?;
    if damaged.is_empty() {
        return Ok((published, Vec::new()));
    }
    let replacing = tokio::task::spawn_blocking(move || {
        let replaced = damaged.into_iter().filter_map(|package| replace(&published, package)).collect::<Vec<_>>();
        // Each further name of a file changes it: what counts is how it is in the end.
        let sighted = replaced.into_iter().filter_map(|package| {
            let sighting = published.folder().sighting(&package).ok().flatten()?;
            Some(Replaced { package, sighting })
        });
        let sighted = sighted.collect();
        (published, sighted)
    });
    replacing.await.map_err(|_| StoreError::Abandoned)
}

fn replace(published: &PublishedFile, damaged: Package) -> Option<Package> {
    match published.replace(&damaged) {
        Ok(()) => Some(damaged),
        Err(error) => {
            tracing::warn!(package = %damaged.id, %error, "could not replace a damaged file by its new upload");
            None
        }
    }
}

/// Takes the mark from the packages whose file was replaced, if it is still the new one.
pub fn note_replaced(tx: &WriteTx<'_>, folder: &PackageFolder, replaced: &[Replaced]) -> Result<(), StoreError> {
    for Replaced { package, sighting } in replaced {
        integrity::note_replaced(tx, folder, package, *sighting)?;
    }
    Ok(())
}
