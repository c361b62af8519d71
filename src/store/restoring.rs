//! A restore into a data folder: everything is written beside its place first, and put there when it is known to be good.
//!
//! From the first file on until everything is in its place there is a folder `.restoring` in the data folder, and one in that of the
//! packages. A server does not start there, and the next restore clears away what one that was broken off has left. It clears away
//! nothing else: a restore begins only where nothing is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::backup::{EntryName, Sink};
use super::blobs::{OWNER, RESUMABLE, UPLOADS, package_name};
use super::folder::{DataFolder, create_private_directory, names, private_file, sync_directory, with_suffix};
use super::growing_file::GrowingFile;
use super::{InstanceLock, StoreError};

/// Why nothing is restored here.
#[derive(Debug, thiserror::Error)]
pub enum RestoreRefused {
    /// Something is there already.
    #[error("there is something in {0} already: restore into an empty folder, or move this away first")]
    Occupied(PathBuf),
    /// A server runs.
    #[error("a tender is running on the data folder {0}: stop it first")]
    Running(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A restore that goes on. What it has written goes when this is dropped without [`Restoring::commit`].
pub struct Restoring {
    folder: DataFolder,
    /// Whether the data folder is there because of us.
    is_new: bool,
    is_complete: bool,
    open: Option<(PathBuf, GrowingFile)>,
    _locks: [InstanceLock; 2],
}

impl Restoring {
    /// Begins in a data folder in which nothing is but what a restore that was broken off has left. Blocks, as everything here does.
    pub fn begin(folder: &DataFolder) -> Result<Self, RestoreRefused> {
        let is_new = !folder.root().exists();
        // Before anything is made in a folder that may be somebody's.
        if !folder.is_being_restored() {
            refuse_occupied(folder)?;
        }
        create_private_directory(folder.root())?;
        if let Some(parent) = folder.database().parent().filter(|parent| !parent.as_os_str().is_empty()) {
            create_private_directory(parent)?;
        }
        let Some(locks) = folder.lock_instance()? else {
            return Err(RestoreRefused::Running(folder.root().to_owned()));
        };
        if folder.is_being_restored() {
            clear(folder)?;
            fail_point!("restore.cleared");
        }
        // Once more, as another restore may have ended just now.
        refuse_occupied(folder)?;
        // The marks first: whoever finds them knows that all the rest is ours.
        for mark in [folder.restoring(), packages_mark(folder)] {
            create_private_directory(&mark)?;
            let above = mark.parent().unwrap_or(Path::new("."));
            sync_directory(above).map_err(|error| StoreError::file(above, error))?;
            fail_point!("restore.marked");
        }
        Ok(Self { folder: folder.clone(), is_new, is_complete: false, open: None, _locks: locks })
    }

    /// The database as it was restored, not yet in its place.
    pub fn database(&self) -> PathBuf {
        self.folder.beside_database(names::RESTORING_SUFFIX)
    }

    /// Deletes a package's file that is not to be restored.
    pub fn discard(&self, name: &EntryName) -> Result<(), StoreError> {
        let path = self.unfinished(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(path, error)),
            _ => Ok(()),
        }
    }

    /// Puts everything in its place. When this returns, it is on disk.
    pub fn commit(mut self) -> Result<(), StoreError> {
        let folder = &self.folder.clone();
        move_all(&packages_mark(folder), folder.packages())?;
        fail_point!("restore.packages-moved");
        move_all(&folder.restoring(), &folder.secrets())?;
        fail_point!("restore.secrets-moved");
        let database = folder.database();
        fs::rename(self.database(), database).map_err(|error| StoreError::file(database, error))?;
        fail_point!("restore.database-moved");
        let above_database = database.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = [folder.packages(), &folder.secrets(), above_database.unwrap_or(Path::new(".")), folder.root()];
        for directory in synced {
            sync_directory(directory).map_err(|error| StoreError::file(directory, error))?;
        }
        // Without the mark of the data folder it is a data folder; that of the packages means nothing by itself.
        if let Some(parent) = folder.root().parent().filter(|parent| !parent.as_os_str().is_empty()) {
            // One that we may pass but not read cannot be synced; whoever made it so made the data folder in it, too.
            let _ = sync_directory(parent);
        }
        fail_point!("restore.synced");
        let mark = folder.restoring();
        let unmark = fs::remove_dir_all(&mark).and_then(|()| sync_directory(folder.root()));
        unmark.map_err(|error| StoreError::file(&mark, error))?;
        self.is_complete = true;
        fail_point!("restore.unmarked");
        let mark = packages_mark(folder);
        fs::remove_dir_all(&mark).map_err(|error| StoreError::file(&mark, error))?;
        Ok(())
    }

    /// Where an entry is until it is put in its place.
    fn unfinished(&self, name: &EntryName) -> PathBuf {
        match name {
            EntryName::Database => self.database(),
            EntryName::Secret(secret) => self.folder.restoring().join(secret),
            EntryName::Owner => packages_mark(&self.folder).join(OWNER),
            EntryName::Package(None, uuid) => packages_mark(&self.folder).join(uuid.to_string()),
            EntryName::Package(Some(directory), uuid) => {
                packages_mark(&self.folder).join(directory.as_str()).join(uuid.to_string())
            }
            // Read and not kept.
            EntryName::Header | EntryName::Contents => self.folder.restoring().join(".ignored"),
        }
    }
}

impl Sink for Restoring {
    fn open(&mut self, name: &EntryName, _: u64) -> Result<(), StoreError> {
        let path = self.unfinished(name);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            create_private_directory(parent)?;
        }
        let file = private_file().create_new(true).open(&path).map_err(|error| StoreError::file(&path, error))?;
        fail_point!("restore.file-made");
        self.open = Some((path, GrowingFile::new(file, 0)));
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        match &mut self.open {
            Some((path, file)) => file.write(piece).map_err(|error| StoreError::file(&*path, error)),
            None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), StoreError> {
        if let Some((path, mut file)) = self.open.take() {
            file.sync().map_err(|error| StoreError::file(path, error))?;
            fail_point!("restore.file-synced");
        }
        Ok(())
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        let clearing = clear(&self.folder).and_then(|()| {
            let root = self.folder.root();
            // What we have not made stays, as do the locks in it, which are held.
            if self.is_new { fs::remove_dir_all(root).map_err(|error| StoreError::file(root, error)) } else { Ok(()) }
        });
        if let Err(error) = clearing {
            tracing::warn!(%error, "could not clear away an unfinished restore; the next one will");
        }
    }
}

fn packages_mark(folder: &DataFolder) -> PathBuf {
    folder.packages().join(names::RESTORING)
}

/// Takes away the mark that a restore, killed after it was complete, has left in the folder of the packages: a restore that is told
/// of this folder by mistake would take them for its own.
pub(super) fn forget_mark(packages: &Path) {
    let mark = packages.join(names::RESTORING);
    if let Err(error) = fs::remove_dir_all(&mark)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %mark.display(), %error, "could not delete what a restore has left");
    }
}

/// Moves all files below `from` to the same place below `to`, and puts the directories that get them on disk.
fn move_all(from: &Path, to: &Path) -> Result<(), StoreError> {
    create_private_directory(to)?;
    for entry in fs::read_dir(from).map_err(|error| StoreError::file(from, error))? {
        let entry = entry.map_err(|error| StoreError::file(from, error))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            move_all(&source, &target)?;
        } else {
            fs::rename(&source, &target).map_err(|error| StoreError::file(&target, error))?;
            fail_point!("restore.file-moved");
        }
    }
    sync_directory(to).map_err(|error| StoreError::file(to, error))
}

/// What a system or an installer may have made in a data folder that was never used.
fn refuse_occupied(folder: &DataFolder) -> Result<(), RestoreRefused> {
    let is_empty = |directory: &Path, allowed: &[&str]| match fs::read_dir(directory) {
        Ok(entries) => entries.flatten().all(|entry| {
            let name = entry.file_name();
            let is_allowed = name.to_str().is_some_and(|name| name == "lost+found" || allowed.contains(&name));
            is_allowed || fs::read_dir(entry.path()).is_ok_and(|mut within| within.next().is_none())
        }),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    let lock_of_database = folder.beside_database(names::LOCK_SUFFIX);
    let lock_of_database = lock_of_database.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let occupied = |path: &Path| Err(RestoreRefused::Occupied(path.to_owned()));
    if folder.database().exists() {
        return occupied(folder.database());
    }
    if !is_empty(folder.root(), &[names::INSTANCE_LOCK, lock_of_database, names::PACKAGES, names::SECRETS]) {
        return occupied(folder.root());
    }
    for directory in [folder.packages(), &folder.secrets()] {
        if !is_empty(directory, &[]) {
            return occupied(directory);
        }
    }
    Ok(())
}

/// Deletes what a restore has written, and its marks last.
fn clear(folder: &DataFolder) -> Result<(), StoreError> {
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(path, error)),
        _ => Ok(()),
    };
    let remove_all = |path: &Path| match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(path, error)),
        _ => Ok(()),
    };
    for path in [folder.beside_database(names::RESTORING_SUFFIX), folder.database().to_owned()] {
        for companion in names::DATABASE_COMPANIONS {
            remove(&with_suffix(&path, companion))?;
        }
        remove(&path)?;
    }
    for secret in fs::read_dir(folder.secrets()).into_iter().flatten().flatten() {
        remove(&secret.path())?;
    }
    // Another restore may have been told of another folder for the packages: what is there without a mark is not ours.
    if packages_mark(folder).exists() {
        remove_packages(folder.packages())?;
        remove_all(&packages_mark(folder))?;
    }
    remove_all(&folder.restoring())
}

/// Deletes what is named like a package, in a folder that is known to have held nothing else before.
fn remove_packages(directory: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::file(directory, error);
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            if ![names::RESTORING, UPLOADS, RESUMABLE, "lost+found"].iter().any(|other| name == **other) {
                remove_packages(&path)?;
                // Something else may be in it.
                let _ = fs::remove_dir(&path);
            }
        } else if package_name(&path).is_some() || name == OWNER {
            fs::remove_file(&path).map_err(|error| StoreError::file(&path, error))?;
        }
    }
    Ok(())
}
