//! The folder of the backups that the server makes by itself: the latest are kept.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::output::remove_abandoned;
use crate::store::StoreError;
use crate::store::folder::{create_private_directory, names};

/// A folder with backups, and whatever else somebody has put there.
pub struct BackupsFolder(PathBuf);

impl BackupsFolder {
    /// Takes the folder. Its last part is made if it is missing, and nothing above: that may be where a file system is to be mounted.
    /// Blocks, as everything here does.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() && path.parent().is_some_and(|parent| parent.as_os_str().is_empty() || parent.exists()) {
            create_private_directory(path)?;
        }
        path.read_dir().map_err(|error| StoreError::file(path, error))?;
        Ok(Self(path.to_owned()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Deletes all backups but the latest, and what was left of those that were broken off. `parse` says which files are ours, and in
    /// which order.
    pub fn keep_latest<N: Ord>(&self, keep: NonZeroUsize, parse: impl Fn(&str) -> Option<N>) -> Result<(), StoreError> {
        let failed = |error| StoreError::file(&self.0, error);
        let mut backups = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|_| entry.file_type().is_ok_and(|kind| kind.is_file())) else {
                continue;
            };
            let unfinished = name.strip_suffix(names::UNFINISHED_SUFFIX);
            if let Some(backup) = parse(name) {
                backups.push((backup, entry.path()));
            } else if unfinished.is_some_and(|name| parse(name).is_some()) {
                remove_abandoned(&entry.path()).map_err(failed)?;
            }
        }
        backups.sort_unstable();
        backups.reverse();
        for (_, path) in backups.into_iter().skip(keep.get()) {
            fs::remove_file(&path).map_err(|error| StoreError::file(&path, error))?;
            tracing::info!(path = %path.display(), "deleted an old backup");
            fail_point!("backup.old-deleted");
        }
        Ok(())
    }
}
