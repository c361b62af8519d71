//! What a backup is made of: a copy of the database as it is at one moment, and files as they are while they are copied.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;
use zeroize::Zeroizing;

use super::name::is_secret_name;
use super::output::remove_abandoned;
use crate::domain::{Damage, Package};
use crate::store::folder::{DataFolder, names, private_file};
use crate::store::{Examination, Inspection, Step, StoreError, Verdict, schema};

/// No secret is longer.
const LONGEST_SECRET_BYTES: u64 = 1024 * 1024;
/// Another process may be writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// The name of a secret, and what is in its file.
pub type SecretFile = (String, Zeroizing<Vec<u8>>);

impl DataFolder {
    /// The files among the secrets, with their names. Blocks.
    pub fn secret_files(&self) -> Result<Vec<SecretFile>, StoreError> {
        let folder = self.secrets();
        let failed = |error| StoreError::file(&folder, error);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry.file_name().to_str().filter(|name| is_secret_name(name)).map(str::to_owned) else {
                continue;
            };
            if !entry.file_type().map_err(failed)?.is_file() {
                continue;
            }
            let mut bytes = Zeroizing::new(Vec::new());
            let reading =
                File::open(entry.path()).and_then(|file| file.take(LONGEST_SECRET_BYTES).read_to_end(&mut bytes));
            reading.map_err(|error| StoreError::file(entry.path(), error))?;
            files.push((name, bytes));
        }
        files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Ok(files)
    }

    /// The name under which the secret that tokens are signed with is backed up.
    pub fn token_secret_name() -> &'static str {
        names::JWT_SECRET
    }
}

/// The database of a server that may run. Nothing is written to it, nor is it migrated.
pub struct BackupSource(Examination);

impl BackupSource {
    /// Opens the database; refuses one that is newer, or another program's. Blocks, as everything here does.
    pub fn open(database: &Path) -> Result<Self, StoreError> {
        let examination = Examination::open(database)?;
        examination.wait_for_others(BUSY_TIMEOUT)?;
        examination.refuse_foreign()?;
        Ok(Self(examination))
    }

    /// The database as it is whenever it is asked.
    pub fn now(&self) -> &Examination {
        &self.0
    }

    /// Copies the database as it is at this moment into a file in `folder`.
    pub fn copy(&self, folder: &Path) -> Result<Scratch, StoreError> {
        let scratch = Scratch::create(folder)?;
        fail_point!("backup.scratch-made");
        self.0.read(|connection| schema::copy_into(connection, &scratch.path))?;
        // Their files are not in the backup.
        schema::forget_uploads(&scratch.path)?;
        Ok(scratch)
    }
}

/// A file for a copy of the database, that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Held by a lock, so that nobody takes it for one that was left over.
    file: File,
}

impl Scratch {
    /// Makes an empty file in `folder`, and clears away what killed processes left there.
    pub fn create(folder: &Path) -> Result<Self, StoreError> {
        for entry in fs::read_dir(folder).map_err(|error| StoreError::file(folder, error))?.flatten() {
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(names::SCRATCH_PREFIX)) {
                // Whoever it belongs to may just have deleted it.
                let _ = remove_abandoned(&entry.path());
            }
        }
        let path = folder.join(format!("{}{}", names::SCRATCH_PREFIX, Uuid::new_v4()));
        let failed = |error| StoreError::file(&path, error);
        let file = private_file().create_new(true).open(&path).map_err(failed)?;
        file.try_lock().map_err(|error| failed(error.into()))?;
        Ok(Self { path, file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a piece behind what is there.
    pub fn append(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(piece).map_err(|error| StoreError::file(&self.path, error))
    }

    /// Its length in bytes, and the file.
    pub fn open(&self) -> Result<(u64, File), StoreError> {
        let opening = || {
            let file = File::open(&self.path)?;
            Ok((file.metadata()?.len(), file))
        };
        opening().map_err(|error| StoreError::file(&self.path, error))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "could not delete a copy of the database");
        }
    }
}

/// The file of a package as it goes into a backup: as long as it was uploaded, whatever has become of it.
pub struct PackageCopy {
    inspection: Inspection,
    /// What was read and not handed on: the end of the piece.
    piece: std::ops::Range<usize>,
    missing_bytes: u64,
    verdict: Option<Verdict>,
}

impl PackageCopy {
    /// Copies what is being looked at.
    pub fn new(package: &Package, inspection: Inspection) -> Self {
        Self { inspection, piece: 0..0, missing_bytes: package.length_bytes, verdict: None }
    }

    /// What is wrong with the file, once all of it was copied.
    pub fn damage(self) -> Option<Damage> {
        match self.verdict {
            Some(verdict) => verdict.damage,
            None => self.inspection.finish().damage,
        }
    }
}

impl Read for PackageCopy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && self.verdict.is_none() && self.missing_bytes > 0 {
            match self.inspection.step() {
                Step::Read(length) => self.piece = 0..self.inspection.piece(length).len(),
                Step::Judged(verdict) => self.verdict = Some(verdict),
            }
        }
        let wanted = buffer.len().min(usize::try_from(self.missing_bytes).unwrap_or(usize::MAX));
        let length = if self.piece.is_empty() {
            // The archive says how long it is: zeros stand for what cannot be read.
            buffer[..wanted].fill(0);
            wanted
        } else {
            let length = wanted.min(self.piece.len());
            let end = self.piece.end as u64;
            let rest = &self.inspection.piece(end)[self.piece.start..];
            buffer[..length].copy_from_slice(&rest[..length]);
            self.piece.start += length;
            length
        };
        self.missing_bytes -= length as u64;
        Ok(length)
    }
}
