//! The package files of the reference server.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::StoreError;
use crate::domain::Sha256Digest;
use crate::store::{PackageFolder, StagedFile};

/// How much is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The folder in which the reference keeps package files.
#[derive(Debug, Clone)]
pub struct ReferenceFiles(PathBuf);

/// A package file that is there.
#[derive(Debug)]
pub struct ReferenceFile {
    file: File,
    path: PathBuf,
    /// How many bytes it has.
    pub length_bytes: u64,
}

impl ReferenceFiles {
    /// The files below `root`.
    ///
    /// # Errors
    /// It is no folder that can be read.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        root.read_dir().map_err(|error| StoreError::file(root, error))?;
        Ok(Self(root.to_owned()))
    }

    /// Opens `<directory>/<name>`, or `<name>` if it is not there; `None` if neither is a file. Blocks.
    pub fn find(&self, name: &str, directory: Option<&str>) -> Result<Option<ReferenceFile>, StoreError> {
        let in_directory = directory.map(|directory| Path::new(directory.trim_matches('/')).join(name));
        for relative in in_directory.into_iter().chain([PathBuf::from(name)]) {
            if !relative.components().all(|component| matches!(component, Component::Normal(_))) {
                continue;
            }
            let path = self.0.join(relative);
            let failed = |error| StoreError::file(&path, error);
            match File::open(&path) {
                Ok(file) => {
                    let metadata = file.metadata().map_err(failed)?;
                    if metadata.is_file() {
                        return Ok(Some(ReferenceFile { file, length_bytes: metadata.len(), path }));
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }
}

impl ReferenceFile {
    /// Copies it into the package folder, to become the package of this name; hashed on the way. Blocks.
    pub fn copy_into(self, folder: &PackageFolder, uuid: Uuid) -> Result<StagedFile, StoreError> {
        let mut upload = folder.begin_upload_as(uuid)?;
        self.read(|piece| upload.write(piece))?;
        upload.finish()
    }

    /// The hash of its bytes. Blocks.
    pub fn sha256(self) -> Result<Sha256Digest, StoreError> {
        let mut hash = Sha256::new();
        self.read(|piece| {
            hash.update(&piece);
            Ok(())
        })?;
        Ok(Sha256Digest(hash.finalize().into()))
    }

    fn read(mut self, mut take: impl FnMut(Bytes) -> Result<(), StoreError>) -> Result<(), StoreError> {
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let read = (&mut self.file).take(PIECE_BYTES as u64).read_to_end(&mut piece);
            if read.map_err(|error| StoreError::file(&self.path, error))? == 0 {
                return Ok(());
            }
            take(piece.into())?;
        }
    }
}
