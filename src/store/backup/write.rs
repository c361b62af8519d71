//! Writing a backup, entry by entry.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::frame::{Frame, Framed, append_digest, tar_header};
use super::{Contents, DamagedPackage, Entry, EntryName, Header};
use crate::domain::Sha256Digest;

/// A backup that is being written. Without [`BackupWriter::finish`] it is none.
pub struct BackupWriter<W: Write> {
    archive: tar::Builder<Framed<W>>,
    contents: Contents,
}

impl<W: Write> BackupWriter<W> {
    /// Begins with what the backup says first. Blocks, as everything here does.
    pub fn begin(output: W, header: &Header) -> io::Result<Self> {
        let contents = Contents { entries: Vec::new(), damaged: Vec::new() };
        let mut writer = Self { archive: tar::Builder::new(Framed::new(output)), contents };
        let text = serde_json::to_vec(header)?;
        writer.add(&EntryName::Header, text.len() as u64, &text[..])?;
        Ok(writer)
    }

    /// Copies an entry, which must be so long.
    pub fn add(&mut self, name: &EntryName, length_bytes: u64, source: impl Read) -> io::Result<()> {
        let frame = self.archive.get_ref().frame.clone();
        let mut source = Content { inner: source.take(length_bytes), frame, hash: Sha256::new(), passed_bytes: 0 };
        let name = name.to_string();
        self.archive.append_data(&mut tar_header(length_bytes), &name, &mut source)?;
        if source.passed_bytes != length_bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} has become shorter")));
        }
        let sha256 = Sha256Digest(source.hash.finalize().into());
        self.contents.entries.push(Entry { name, length_bytes, sha256 });
        Ok(())
    }

    /// Notes a package that is not what was uploaded.
    pub fn note_damaged(&mut self, damaged: DamagedPackage) {
        self.contents.damaged.push(damaged);
    }

    /// Completes the backup; gives back what it was written to, and what is in it.
    pub fn finish(mut self) -> io::Result<(W, Contents)> {
        let text = serde_json::to_vec(&self.contents)?;
        let name = EntryName::Contents.to_string();
        self.archive.append_data(&mut tar_header(text.len() as u64), name, &text[..])?;
        let digest = self.archive.get_ref().frame.digest();
        append_digest(&mut self.archive, digest)?;
        Ok((self.archive.into_inner()?.inner, self.contents))
    }
}

/// What is copied into an entry. As long as it comes, what is written is content and no frame; its end is seen before tar fills the
/// entry up.
struct Content<R> {
    inner: R,
    frame: Frame,
    hash: Sha256,
    passed_bytes: u64,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.frame.set_content(length > 0);
        self.hash.update(&buffer[..length]);
        self.passed_bytes += length as u64;
        Ok(length)
    }
}
