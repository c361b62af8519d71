//! Packages that are open for downloading. A modem fetches a package in thousands of small ranges: without this, each would
//! ask the database and open the file again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::open_package::{Opened, open_package};
use crate::domain::Package;
use crate::store::{Change, PackageFile, PackageFolder, Store, StoreError};

/// How many packages stay open: more than a fleet is led through at a time.
const MOST_OPEN: usize = 16;

/// The packages downloaded of late, each as what the caller made of it.
///
/// None stays open longer than it is known: what was opened before [`Change::Plans`] last counted is opened anew, and
/// [`OpenPackages::forget`] closes those that nobody downloads, so that deleting a package makes room on the disk.
#[derive(Debug)]
pub struct OpenPackages<T> {
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    /// The generation that all of them were opened in.
    generation: u64,
    /// The latest used is the last.
    packages: Vec<(Uuid, Arc<T>)>,
}

impl<T> Default for OpenPackages<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(Kept { generation: 0, packages: Vec::new() }) }
    }
}

impl<T: Send + Sync + 'static> OpenPackages<T> {
    /// The package whose file has this name, `make` having been called on it when it was opened.
    pub async fn get<E: From<StoreError> + Send + 'static>(
        &self,
        store: &Store,
        folder: &PackageFolder,
        uuid: Uuid,
        make: impl FnOnce(Package, PackageFile) -> Result<T, E>,
    ) -> Result<Opened<Arc<T>>, E> {
        // Before the database is read: what is deleted meanwhile is not kept.
        let generation = store.generations().current(Change::Plans);
        if let Some(open) = self.lock(generation).find(uuid) {
            return Ok(Opened::Ready(open));
        }
        let (package, file) = match open_package(store, folder, uuid).await? {
            Opened::Ready(opened) => opened,
            Opened::Damaged => return Ok(Opened::Damaged),
            Opened::NotFound => return Ok(Opened::NotFound),
        };
        let open = Arc::new(make(package, file)?);
        let mut kept = self.lock(store.generations().current(Change::Plans));
        if kept.generation == generation {
            kept.keep(uuid, open.clone());
        }
        Ok(Opened::Ready(open))
    }

    /// Closes all of them, but for downloads that are under way. To be called after a package's row is gone.
    pub fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).packages.clear();
    }

    /// Those of this generation. Others are closed first.
    fn lock(&self, generation: u64) -> MutexGuard<'_, Kept<T>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.generation != generation {
            *kept = Kept { generation, packages: Vec::new() };
        }
        kept
    }
}

impl<T> Kept<T> {
    fn find(&mut self, uuid: Uuid) -> Option<Arc<T>> {
        let position = self.packages.iter().rposition(|(kept, _)| *kept == uuid)?;
        let found = self.packages.remove(position);
        let open = found.1.clone();
        self.packages.push(found);
        Some(open)
    }

    fn keep(&mut self, uuid: Uuid, open: Arc<T>) {
        self.packages.retain(|(kept, _)| *kept != uuid);
        if self.packages.len() >= MOST_OPEN {
            self.packages.remove(0);
        }
        self.packages.push((uuid, open));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_used_last_are_kept() {
        let mut kept = Kept { generation: 0, packages: Vec::new() };
        for number in 0..MOST_OPEN as u128 {
            kept.keep(Uuid::from_u128(number), Arc::new(number));
        }
        assert_eq!(kept.find(Uuid::from_u128(0)).as_deref(), Some(&0));
        kept.keep(Uuid::from_u128(100), Arc::new(100));
        assert_eq!(kept.packages.len(), MOST_OPEN);
        assert_eq!(kept.find(Uuid::from_u128(1)), None);
        assert!(kept.find(Uuid::from_u128(0)).is_some() && kept.find(Uuid::from_u128(100)).is_some());
        kept.keep(Uuid::from_u128(100), Arc::new(101));
        assert_eq!((kept.packages.len(), kept.find(Uuid::from_u128(100)).as_deref()), (MOST_OPEN, Some(&101)));
    }
}
