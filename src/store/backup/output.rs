//! The file that a backup is written to: it has its name only when it is complete and on disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::store::StoreError;
use crate::store::folder::{directory_of, names, private_file, sync_directory, with_suffix};
use crate::store::growing_file::GrowingFile;

/// A file beside its place. Goes when it is dropped without [`BackupFile::finish`].
pub struct BackupFile {
    place: PathBuf,
    unfinished: PathBuf,
    file: GrowingFile,
    is_finished: bool,
    /// Held by a lock, so that another backup does not write to it.
    _lock: File,
}

impl BackupFile {
    /// Begins a file that will be at `place`, whatever is there now. Blocks, as everything here does.
    pub fn create(place: &Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::file(place, error);
        if place.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(failed(io::Error::other("this is no file: give the name of one, or -")));
        }
        if place.file_name().is_none() {
            return Err(failed(io::Error::other("give the name of a file, or -")));
        }
        let unfinished = with_suffix(place, names::UNFINISHED_SUFFIX);
        let failed = |error| StoreError::file(&unfinished, error);
        let lock = private_file().create(true).truncate(false).open(&unfinished).map_err(failed)?;
        if !is_ours(&lock, &unfinished).map_err(failed)? {
            return Err(failed(io::Error::other("another backup is being written here")));
        }
        lock.set_len(0).map_err(failed)?;
        let file = GrowingFile::new(lock.try_clone().map_err(failed)?, 0);
        Ok(Self { place: place.to_owned(), unfinished, file, is_finished: false, _lock: lock })
    }

    /// Puts the file on disk and gives it its name, which may have been another's until then; returns its length.
    pub fn finish(mut self) -> Result<u64, StoreError> {
        let parent = directory_of(&self.place);
        let finishing = self.file.sync().and_then(|()| {
            fail_point!("backup.file-synced");
            fs::rename(&self.unfinished, &self.place)
        });
        fail_point!("backup.file-named");
        finishing.and_then(|()| sync_directory(parent)).map_err(|error| StoreError::file(&self.place, error))?;
        self.is_finished = true;
        Ok(self.file.length_bytes())
    }
}

/// Locks a file that was just opened; `false` if somebody else has it, or had it and gave it another name.
fn is_ours(file: &File, path: &Path) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(path.metadata().is_ok_and(|there| file.metadata().is_ok_and(|ours| ours.ino() == there.ino()))),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Deletes a file that a process was writing when it died; nothing while it lives. Blocks.
pub fn remove_abandoned(unfinished: &Path) -> io::Result<bool> {
    let file = private_file().open(unfinished)?;
    let is_abandoned = is_ours(&file, unfinished)?;
    if is_abandoned {
        fs::remove_file(unfinished)?;
    }
    Ok(is_abandoned)
}

impl Write for BackupFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BackupFile {
    fn drop(&mut self) {
        if !self.is_finished
            && let Err(error) = fs::remove_file(&self.unfinished)
        {
            tracing::warn!(path = %self.unfinished.display(), %error, "could not delete an unfinished backup");
        }
    }
}
