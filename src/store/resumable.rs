//! The files of uploads that can be resumed: in `.resumable/` of the package folder, one for each row in `uploads`.
//!
//! The row says how many bytes count; what a file has beyond them was not acknowledged, and is written again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use uuid::Uuid;

use super::StoreError;
use super::activity::InFlight;
use super::blobs::{PackageFolder, RESUMABLE, StagedFile};
use super::folder::{create_private_directory, private_file, sync_directory};
use super::growing_file::GrowingFile;
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
    hash: ResumableHash,
}

impl ResumableFile {
    /// Appends a piece. Blocks.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.file.write(piece).map_err(|error| StoreError::file(&self.path, error))?;
        self.folder.count_piece();
        self.hash.update(piece);
        Ok(())
    }

    /// Puts all that was written on disk. Blocks.
    pub fn sync(&self) -> Result<Progress, StoreError> {
        self.file.sync().map_err(|error| StoreError::file(&self.path, error))?;
        Ok(Progress { offset_bytes: self.file.length_bytes(), hash_state: self.hash.state() })
    }
}

/// Makes `progress` the end of the file, and gives its hash.
fn position(file: &mut File, progress: Progress) -> io::Result<ResumableHash> {
    let Progress { offset_bytes, hash_state } = progress;
    if file.metadata()?.len() < offset_bytes {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "bytes that were acknowledged are gone"));
    }
    file.set_len(offset_bytes)?;
    let mut hash = ResumableHash::resume(hash_state, offset_bytes);
    let whole = whole_blocks(offset_bytes);
    let mut rest = vec![0; usize::try_from(offset_bytes - whole).unwrap_or(0)];
    file.read_exact_at(&mut rest, whole)?;
    hash.update(&rest);
    file.seek(SeekFrom::Start(offset_bytes))?;
    Ok(hash)
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
        let syncing = sync_directory(&folder).and_then(|()| sync_directory(self.root()));
        syncing.map_err(|error| StoreError::file(&folder, error))?;
        Ok(in_flight)
    }

    /// Opens the file of an upload where it stopped. Blocks.
    pub fn open_resumable(&self, id: Uuid, progress: Progress) -> Result<ResumableFile, StoreError> {
        let path = self.resumable_path(id);
        let opening = || {
            let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
            let hash = position(&mut file, progress)?;
            Ok((file, hash))
        };
        let (file, hash) = opening().map_err(|error| StoreError::file(&path, error))?;
        let file = GrowingFile::new(file, progress.offset_bytes);
        Ok(ResumableFile { folder: self.clone(), path, file, hash })
    }

    /// The complete file of an upload as one that can be published. It stays where it is until its row goes. Blocks.
    pub fn stage_resumable(&self, id: Uuid, progress: Progress) -> Result<StagedFile, StoreError> {
        let ResumableFile { path, hash, file, .. } = self.open_resumable(id, progress)?;
        Ok(StagedFile::resumable(self.clone(), path, hash.finish(), file.length_bytes()))
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
