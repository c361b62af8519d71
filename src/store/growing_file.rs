//! A file that an upload fills.

use std::fs::File;
use std::io::{self, Write};

use rustix::fs::{Advice, fadvise};

/// How much may wait to be written to disk: more is too long a wait at the end, for the upload and for whatever else wants to
/// be on disk meanwhile.
const BEHIND_BYTES: u64 = 8 << 20;

/// A file that is written from here on to its end, and goes to disk while it grows.
#[derive(Debug)]
pub(super) struct GrowingFile {
    file: File,
    end: u64,
    /// Up to where writing to disk has begun.
    begun: u64,
}

impl GrowingFile {
    /// Goes on behind the first `end` bytes, which is where the file stands.
    pub(super) fn new(file: File, end: u64) -> Self {
        Self { file, end, begun: end }
    }

    /// Appends a piece. Blocks, also while the disk is far behind.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)?;
        self.end += piece.len() as u64;
        let behind = self.end - self.begun;
        if behind >= BEHIND_BYTES {
            // What is not needed any more is written to disk at once; that is all this is for. Some file systems know no advice.
            let _ = fadvise(&self.file, self.begun, std::num::NonZeroU64::new(behind), Advice::DontNeed);
            self.begun = self.end;
        }
        Ok(())
    }

    /// How many bytes it has.
    pub(super) fn length_bytes(&self) -> u64 {
        self.end
    }

    /// Puts all of it on disk. Blocks.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
