//! The files of uploads that can be resumed: in `.resumable/` of the package folder, one for each row in `uploads`.
//!
//! The row says how many bytes count; what a file has beyond them was not acknowledged, and is written again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use uuid::Uuid;

use super::StoreError;
use super::activity::InFlight;
use super::blobs::{PackageFolder, RESUMABLE, StagedFile};
use super::folder::{create_private_directory, private_file, sync_directory};
use super::growing_file::GrowingFile;
use super::hashing::Hashing;
use super::resumable_hash::{HashState, ResumableHash, whole_blocks};

/// How far an upload is, on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes are on disk.
    pub offset_bytes: u64,
    /// The hash of their whole blocks.
    pub hash_state: HashState,
}

impl Progress {
    /// Nothing so far.
    pub fn none() -> Self {
        Self { offset_bytes: 0, hash_state: ResumableHash::new().state() }
    }
}

/// The file of an upload, open for more.
#[derive(Debug)]
pub struct ResumableFile {
    folder: PackageFolder,
    path: PathBuf,
    file: GrowingFile,
    hash: Hashing,
}

impl ResumableFile {
    /// Appends a piece. Blocks.
    pub fn write(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.file.write(&piece).map_err(|error| StoreError::file(&self.path, error))?;
        fail_point!("upload.piece-written");
        self.hash.update(piece);
        self.folder.count_piece();
        Ok(())
    }

    /// Puts all that was written on disk. Blocks.
    pub fn sync(&mut self) -> Result<Progress, StoreError> {
        let synced = self.file.sync().and_then(|()| self.hash.so_far());
        let hash = synced.map_err(|error| StoreError::file(&self.path, error))?;
        fail_point!("upload.piece-synced");
        Ok(Progress { offset_bytes: self.file.length_bytes(), hash_state: hash.state() })
    }
}

/// Opens a file, makes `progress` its end, and gives the hash of what is before.
fn open_at(path: &Path, progress: Progress) -> io::Result<(File, ResumableHash)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let Progress { offset_bytes, hash_state } = progress;
    if file.metadata()?.len() < offset_bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "bytes that were acknowledged are gone"));
    }
    file.set_len(offset_bytes)?;
    fail_point!("upload.file-cut");
    let mut hash = ResumableHash::resume(hash_state, offset_bytes);
    let whole = whole_blocks(offset_bytes);
    let mut rest = vec![0; usize::try_from(offset_bytes - whole).unwrap_or(0)];
    file.read_exact_at(&mut rest, whole)?;
    hash.update(&rest);
    file.seek(SeekFrom::Start(offset_bytes))?;
    Ok((file, hash))
}

impl PackageFolder {
    /// Makes the file of a new upload, so that power loss cannot undo it. What is returned keeps it from being swept, until
    /// it has its row. Blocks.
    pub fn create_resumable(&self, id: Uuid) -> Result<InFlight, StoreError> {
        let in_flight = self.hold(id);
        let folder = self.root().join(RESUMABLE);
        create_private_directory(&folder)?;
        let path = self.resumable_path(id);
        private_file().create_new(true).open(&path).map_err(|error| StoreError::file(&path, error))?;
        fail_point!("upload.file-made");
        let syncing = sync_directory(&folder).and_then(|()| sync_directory(self.root()));
        syncing.map_err(|error| StoreError::file(&folder, error))?;
        fail_point!("upload.file-kept");
        Ok(in_flight)
    }

    /// Opens the file of an upload where it stopped. Blocks.
    pub fn open_resumable(&self, id: Uuid, progress: Progress) -> Result<ResumableFile, StoreError> {
        let path = self.resumable_path(id);
        let opening = || {
            let (file, hash) = open_at(&path, progress)?;
            Ok((GrowingFile::new(file, progress.offset_bytes), Hashing::begin(hash)?))
        };
        let (file, hash) = opening().map_err(|error| StoreError::file(&path, error))?;
        Ok(ResumableFile { folder: self.clone(), path, file, hash })
    }

    /// The complete file of an upload as one that can be published. It stays where it is until its row goes. Blocks.
    pub fn stage_resumable(&self, id: Uuid, progress: Progress) -> Result<StagedFile, StoreError> {
        let path = self.resumable_path(id);
        let (_, hash) = open_at(&path, progress).map_err(|error| StoreError::file(&path, error))?;
        Ok(StagedFile::resumable(self.clone(), path, hash.finish(), progress.offset_bytes))
    }

    /// Deletes the file of an upload whose row is gone. Blocks.
    pub fn remove_resumable(&self, id: Uuid) -> Result<(), StoreError> {
        let path = self.resumable_path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(path, error)),
            _ => Ok(()),
        }
    }

    fn resumable_path(&self, id: Uuid) -> PathBuf {
        self.root().join(RESUMABLE).join(id.to_string())
    }
}
