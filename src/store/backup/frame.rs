//! The frame of an archive: its bytes without the contents that have a hash of their own. Two streams hash it on the way.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::name::DIGEST;
use crate::domain::Sha256Digest;

/// What tar counts in.
const BLOCK_BYTES: usize = 512;

/// What has been hashed of a frame. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Frame {
    hash: Rc<RefCell<Sha256>>,
    /// Set while what passes is content that has a hash of its own.
    is_content: Rc<Cell<bool>>,
}

impl Frame {
    /// Says whether what passes from now on is content that has a hash of its own.
    pub(super) fn set_content(&self, is_content: bool) {
        self.is_content.set(is_content);
    }

    /// The hash of what has passed so far.
    pub(super) fn digest(&self) -> Sha256Digest {
        Sha256Digest(self.hash.borrow().clone().finalize().into())
    }

    fn pass(&self, bytes: &[u8]) {
        if !self.is_content.get() {
            self.hash.borrow_mut().update(bytes);
        }
    }
}

/// A stream that a frame passes.
pub(super) struct Framed<T> {
    pub(super) inner: T,
    pub(super) frame: Frame,
}

impl<T> Framed<T> {
    pub(super) fn new(inner: T) -> Self {
        Self { inner, frame: Frame::default() }
    }
}

impl<R: Read> Read for Framed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.frame.pass(&buffer[..length]);
        Ok(length)
    }
}

impl<W: Write> Write for Framed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.frame.pass(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The header of an entry: nothing in it depends on the machine.
pub(super) fn tar_header(length: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(length);
    header.set_mode(0o600);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// How many zeros follow contents of so many bytes.
pub(super) fn padding(contents_length: usize) -> usize {
    contents_length.next_multiple_of(BLOCK_BYTES) - contents_length
}

/// All that follows what the digest is of.
pub(super) fn tail(digest: Sha256Digest) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    append_digest(&mut archive, digest)?;
    archive.into_inner()
}

/// Appends the last entry.
pub(super) fn append_digest(archive: &mut tar::Builder<impl Write>, digest: Sha256Digest) -> io::Result<()> {
    let line = format!("{digest}\n");
    archive.append_data(&mut tar_header(line.len() as u64), DIGEST, line.as_bytes())
}
