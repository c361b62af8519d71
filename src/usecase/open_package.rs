//! A package is wanted for a download: only what is whole, as far as a glance can tell, is delivered.

use uuid::Uuid;

use crate::domain::Package;
use crate::store::integrity::Noted;
use crate::store::{Opening, PackageFile, PackageFolder, Store, StoreError, Verdict, integrity, packages};

/// What there is to download.
#[derive(Debug)]
pub enum Opened<T> {
    /// A package, and its file.
    Ready(T),
    /// A package whose file is damaged.
    Damaged,
    /// No such package.
    NotFound,
}

/// Opens the package whose file has this name. One that is found to be damaged is marked at once, and never offered again
/// until it is whole.
pub async fn open_package(
    store: &Store,
    folder: &PackageFolder,
    uuid: Uuid,
) -> Result<Opened<(Package, PackageFile)>, StoreError> {
    let looking = folder.clone();
    let found = store.read(move |connection| {
        let Some(package) = packages::find_by_uuid(connection, uuid)? else { return Ok(None) };
        let opening = match integrity::is_damaged(connection, package.id)? {
            true => None,
            false => Some(looking.open_package(&package)?),
        };
        Ok::<_, StoreError>(Some((package, opening)))
    });
    match found.await? {
        None => Ok(Opened::NotFound),
        Some((_, None)) => Ok(Opened::Damaged),
        Some((package, Some(Opening::Ready(file)))) => Ok(Opened::Ready((package, file))),
        Some((package, Some(Opening::Judged(Verdict { sighting, damage })))) => {
            let (folder, Some(damage)) = (folder.clone(), damage) else { return Ok(Opened::NotFound) };
            let noting = store.write(move |tx| integrity::note_damage(tx, &folder, &package, sighting, &damage));
            // What is not so any more was deleted a moment ago.
            Ok(if noting.await? == Noted::Stale { Opened::NotFound } else { Opened::Damaged })
        }
    }
}
