//! Looking at package files: whether each is there, as long as it was, and still has the bytes that were uploaded.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use sha2::{Digest, Sha256};

use super::StoreError;
use super::blobs::{PackageFile, PackageFolder};
use crate::domain::{Damage, Package, Sha256Digest};

/// How much is read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// `EIO`: what the disk says when it cannot read what it once wrote.
const IO_ERROR: i32 = 5;

/// Which file was looked at, and in which state: another one as soon as anybody writes, replaces or restores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    device: u64,
    inode: u64,
    length_bytes: u64,
    /// Seconds and nanoseconds of the last change, which unlike the modification nobody can set back.
    changed: (i64, i64),
}

impl Sighting {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length_bytes: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// What a look at a package's file has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The file as it was then; `None`: there was none.
    pub sighting: Option<Sighting>,
    /// What is wrong with it; `None`: nothing.
    pub damage: Option<Damage>,
}

/// What is known about a package's file before it is read.
#[derive(Debug)]
pub enum Look {
    /// Enough to judge it.
    Judged(Verdict),
    /// It has the right length; its bytes remain to be read.
    Complete(Inspection),
}

/// What reading on has brought.
#[derive(Debug)]
pub enum Step {
    /// So many bytes more.
    Read(u64),
    /// The end.
    Judged(Verdict),
}

/// A package's file, wanted for a download.
#[derive(Debug)]
pub enum Opening {
    /// It is there, as long as it was.
    Ready(PackageFile),
    /// It cannot be what was uploaded.
    Judged(Verdict),
}

impl PackageFolder {
    /// The file of a package as it is now; `None` if there is none. Blocks, for microseconds.
    pub fn sighting(&self, package: &Package) -> Result<Option<Sighting>, StoreError> {
        let path = self.path_of(package);
        match path.metadata() {
            Ok(metadata) => Ok(metadata.is_file().then(|| Sighting::of(&metadata))),
            Err(error) if is_missing(&error) => self.require_there().map(|()| None),
            Err(error) => Err(StoreError::file(path, error)),
        }
    }

    /// No file can be missing where the whole folder is.
    fn require_there(&self) -> Result<(), StoreError> {
        if self.is_there() { Ok(()) } else { Err(StoreError::PackagesAway(self.root().to_owned())) }
    }

    /// Judges the file of a package without opening it: whether it is there, and how long it is. Blocks, for microseconds.
    pub fn glance(&self, package: &Package) -> Result<Verdict, StoreError> {
        let sighting = self.sighting(package)?;
        let damage = match &sighting {
            None => Some(Damage::Missing),
            Some(sighting) => wrong_length(package, sighting),
        };
        Ok(Verdict { sighting, damage })
    }

    /// Opens the file of a package for a download. Blocks.
    pub fn open_package(&self, package: &Package) -> Result<Opening, StoreError> {
        Ok(match self.open_complete(package)? {
            Ok((file, _)) => Opening::Ready(self.lend(package.uuid, file)),
            Err(verdict) => Opening::Judged(verdict),
        })
    }

    /// Opens the file of a package to read all of it, from the disk and not from memory. An error is no judgement: the file
    /// could not be looked at. Blocks.
    pub fn look(&self, package: &Package) -> Result<Look, StoreError> {
        let (file, sighting) = match self.open_complete(package)? {
            Ok(opened) => opened,
            Err(verdict) => return Ok(Look::Judged(verdict)),
        };
        forget(&file);
        Ok(Look::Complete(Inspection {
            file,
            sighting,
            expected: package.sha256,
            position: 0,
            hash: Sha256::new(),
            piece: vec![0; PIECE_BYTES],
        }))
    }

    /// Opens a file that is there and as long as it was.
    fn open_complete(&self, package: &Package) -> Result<Result<(File, Sighting), Verdict>, StoreError> {
        let missing = Verdict { sighting: None, damage: Some(Damage::Missing) };
        let path = self.path_of(package);
        let opened = File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        let (file, metadata) = match opened {
            Ok((file, metadata)) if metadata.is_file() => (file, metadata),
            Ok(_) => return Ok(Err(missing)),
            Err(error) if is_missing(&error) => return self.require_there().map(|()| Err(missing)),
            // What is wrong with this file alone, unlike too many open ones.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied || error.raw_os_error() == Some(IO_ERROR) => {
                let damage = Some(Damage::Unreadable(error.to_string()));
                return Ok(Err(Verdict { sighting: self.sighting(package)?, damage }));
            }
            Err(error) => return Err(StoreError::file(path, error)),
        };
        let sighting = Sighting::of(&metadata);
        Ok(match wrong_length(package, &sighting) {
            None => Ok((file, sighting)),
            damage => Err(Verdict { sighting: Some(sighting), damage }),
        })
    }
}

fn wrong_length(package: &Package, sighting: &Sighting) -> Option<Damage> {
    let (uploaded, found) = (package.length_bytes, sighting.length_bytes);
    (found != uploaded).then_some(Damage::Length { uploaded, found })
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A package file that is being read to its end, in one piece of memory.
#[derive(Debug)]
pub struct Inspection {
    file: File,
    sighting: Sighting,
    expected: Sha256Digest,
    position: u64,
    hash: Sha256,
    piece: Vec<u8>,
}

impl Inspection {
    /// Reads the next piece, or judges if there is none. Blocks.
    pub fn step(&mut self) -> Step {
        match self.file.read_at(&mut self.piece, self.position) {
            Ok(0) => {
                let found = Sha256Digest(self.hash.finalize_reset().into());
                self.judged((found != self.expected).then_some(Damage::Hash { found }))
            }
            Ok(length) => {
                self.hash.update(&self.piece[..length]);
                self.position += length as u64;
                if self.position.is_multiple_of(16 * PIECE_BYTES as u64) {
                    forget(&self.file);
                }
                Step::Read(length as u64)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Step::Read(0),
            // An open file that cannot be read is what a worn out disk shows.
            Err(error) => self.judged(Some(Damage::Unreadable(error.to_string()))),
        }
    }

    /// The bytes that [`Step::Read`] was about.
    pub(super) fn piece(&self, length: u64) -> &[u8] {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.piece.get(..length).unwrap_or(&self.piece)
    }

    fn judged(&self, damage: Option<Damage>) -> Step {
        forget(&self.file);
        Step::Judged(Verdict { sighting: Some(self.sighting), damage })
    }

    /// Reads to the end without a rest. Blocks.
    pub fn finish(mut self) -> Verdict {
        loop {
            if let Step::Judged(verdict) = self.step() {
                return verdict;
            }
        }
    }
}

/// Lets the system drop what it keeps of the file in memory: what is read next comes from the disk, and what was read
/// displaces nothing that is needed. Only a hint.
fn forget(file: &File) {
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
