//! At the start and every night: what was cut off is cleared away, and packages whose file is gone are noticed.

use std::collections::HashSet;

use uuid::Uuid;

use crate::domain::{Package, PackageId};
use crate::store::{PackageFolder, Store, StoreError, Swept, Verdict, integrity, packages, uploads};

/// How many rows are in memory at once.
const PAGE: u32 = 100;

/// Deletes files of broken-off uploads and removals, and nothing that an upload is still working on.
pub async fn sweep(store: &Store, folder: &PackageFolder) -> Result<Swept, StoreError> {
    let looking = folder.clone();
    let leftovers =
        tokio::task::spawn_blocking(move || looking.leftovers()).await.map_err(|_| StoreError::Abandoned)?;
    // After the files were looked at: what got its row since then is known here.
    let known = store.read(|connection| {
        let mut known: HashSet<Uuid> = packages::uuids(connection)?;
        known.extend(uploads::list(connection)?.iter().map(|upload| upload.id));
        Ok::<_, StoreError>(known)
    });
    let known = known.await?;
    fail_point!("sweep.looked");
    let folder = folder.clone();
    tokio::task::spawn_blocking(move || folder.sweep(leftovers, &known)).await.map_err(|_| StoreError::Abandoned)
}

/// Marks the packages whose file is gone or has another length; returns how many were not known to be so. The rows stay: a
/// person may have the file, or upload it again.
pub async fn mark_incomplete(store: &Store, folder: &PackageFolder) -> Result<usize, StoreError> {
    let (mut last, mut marked) = (PackageId(0), 0);
    loop {
        let folder = folder.clone();
        let looking = folder.clone();
        let glance = move |package: Package| match looking.glance(&package) {
            Ok(verdict) => Some(Ok((package, verdict))),
            Err(error @ StoreError::PackagesAway(_)) => Some(Err(error)),
            Err(error) => {
                tracing::warn!(package = %package.id, %error, "could not look at the file of a package");
                None
            }
        };
        let (next, judged) = store
            .read(move |connection| {
                let page = packages::page(connection, last, PAGE)?;
                let next = page.last().map(|package| package.id);
                Ok::<_, StoreError>((next, page.into_iter().filter_map(glance).collect::<Result<Vec<_>, _>>()?))
            })
            .await?;
        for (package, Verdict { sighting, damage }) in judged {
            let Some(damage) = damage else { continue };
            let folder = folder.clone();
            let noting =
                store.write(move |tx| integrity::note_damage(tx, &folder, &package, sighting, &damage)).await?;
            marked += usize::from(noting == integrity::Noted::Done);
            fail_point!("sweep.package-marked");
        }
        let Some(next) = next else { return Ok(marked) };
        last = next;
    }
}
