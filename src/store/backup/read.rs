//! Reading a backup: what comes out of it is handed on as it comes, and is good only if [`read_backup`] says so at the end.

use std::collections::HashSet;
use std::io::{self, Read};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::frame::{Frame, Framed, padding, tail};
use super::{Contents, Entry, EntryName, FORMAT, Header};
use crate::domain::{Invalid, Sha256Digest};
use crate::store::{StoreError, latest_version};

/// How much is read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// The longest header: it has some hundred bytes.
const LONGEST_HEADER_BYTES: u64 = 64 * 1024;
/// The longest list of contents: some hundred bytes for each package.
const LONGEST_CONTENTS_BYTES: u64 = 256 * 1024 * 1024;

/// Why a backup is not taken.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is no backup at all.
    #[error("it is not a backup of tender")]
    Foreign,
    /// It is one, and not as it was written.
    #[error("the backup is damaged or cut off: {0}")]
    Damaged(String),
    /// A newer program has made it.
    #[error("the backup was made by a newer tender ({program}): restore it with that version")]
    Newer {
        /// Its version.
        program: String,
    },
    /// It could not be read.
    #[error("cannot read the backup: {0}")]
    Input(#[source] io::Error),
    /// What came out of it could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BackupError {
    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// An error of the archive says that it is damaged; one of the system that it could not be read.
    fn of_archive(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::Other => {
                // It repeats names that are in the archive.
                Self::Damaged(Invalid::new(error.to_string()).to_string())
            }
            _ => Self::Input(error),
        }
    }
}

/// Takes what comes out of a backup.
pub trait Sink {
    /// An entry begins: its bytes follow.
    fn open(&mut self, name: &EntryName, length_bytes: u64) -> Result<(), StoreError>;
    /// More of it.
    fn write(&mut self, piece: &[u8]) -> Result<(), StoreError>;
    /// It is complete.
    fn close(&mut self) -> Result<(), StoreError>;
}

/// A backup that was read to its end and is as it was written.
#[derive(Debug)]
pub struct Taken {
    /// What it says about itself.
    pub header: Header,
    /// What is in it.
    pub contents: Contents,
}

/// Reads a backup to its end. Blocks.
pub fn read_backup(input: impl Read, sink: &mut impl Sink) -> Result<Taken, BackupError> {
    let framed = Framed::new(input);
    let frame = framed.frame.clone();
    let mut archive = tar::Archive::new(framed);
    let (header, text, entries) = read_entries(&mut archive, &frame, sink)?;
    let contents: Contents =
        serde_json::from_slice(&text).map_err(|_| BackupError::damaged("its list of contents cannot be read"))?;
    if contents.entries != entries {
        return Err(BackupError::damaged("it does not hold what its list of contents says"));
    }
    // Where tar has stopped: at the end of what the list of contents says, before the zeros that fill its entry up.
    let mut input = archive.into_inner();
    let mut zeros = vec![0; padding(text.len())];
    input.read_exact(&mut zeros).map_err(BackupError::of_archive)?;
    let expected = tail(frame.digest()).map_err(BackupError::Input)?;
    let mut found = Vec::new();
    input.take(expected.len() as u64 + 1).read_to_end(&mut found).map_err(BackupError::of_archive)?;
    if found != expected {
        return Err(BackupError::damaged("its digest is another one"));
    }
    Ok(Taken { header, contents })
}

/// Hands on all entries up to the list of contents; returns what the backup says about itself, that list's text, and what came.
fn read_entries<R: Read>(
    archive: &mut tar::Archive<Framed<R>>,
    frame: &Frame,
    sink: &mut impl Sink,
) -> Result<(Header, Vec<u8>, Vec<Entry>), BackupError> {
    let mut header = None;
    let (mut entries, mut names) = (Vec::new(), HashSet::new());
    let mut piece = vec![0; PIECE_BYTES];
    for entry in archive.entries().map_err(BackupError::of_archive)? {
        let mut entry = entry.map_err(|error| match header {
            None => BackupError::Foreign,
            Some(_) => BackupError::of_archive(error),
        })?;
        let length_bytes = entry.size();
        let name = str::from_utf8(&entry.path_bytes()).ok().and_then(EntryName::parse);
        let is_file = entry.header().entry_type() == tar::EntryType::Regular;
        let Some(name) = name.filter(|_| is_file) else {
            return Err(if header.is_none() {
                BackupError::Foreign
            } else {
                BackupError::damaged("it holds what no backup has")
            });
        };
        let is_first = header.is_none();
        if is_first != (name == EntryName::Header) || !names.insert(name.clone()) {
            return Err(if is_first {
                BackupError::Foreign
            } else {
                BackupError::damaged(format!("{name} is there twice"))
            });
        }
        if name == EntryName::Contents {
            let text = read_small(&mut entry, LONGEST_CONTENTS_BYTES)?;
            let header = header.ok_or(BackupError::Foreign)?;
            return Ok((header, text, entries));
        }
        frame.set_content(true);
        let sha256 = if name == EntryName::Header {
            let text = read_small(&mut entry, LONGEST_HEADER_BYTES)?;
            header = Some(parse_header(&text)?);
            Sha256Digest(Sha256::digest(&text).into())
        } else {
            hand_on(&mut entry, &name, length_bytes, &mut piece, sink)?
        };
        frame.set_content(false);
        entries.push(Entry { name: name.to_string(), length_bytes, sha256 });
    }
    Err(if header.is_none() { BackupError::Foreign } else { BackupError::damaged("its end is missing") })
}

/// What a backup says about itself, if this program can restore such a one.
fn parse_header(text: &[u8]) -> Result<Header, BackupError> {
    /// What every version of the layout has.
    #[derive(Deserialize)]
    struct AnyHeader {
        format: u32,
        program: String,
    }
    let AnyHeader { format, program } = serde_json::from_slice(text).map_err(|_| BackupError::Foreign)?;
    if format > FORMAT {
        return Err(BackupError::Newer { program });
    }
    let header: Header = serde_json::from_slice(text).map_err(|_| BackupError::Foreign)?;
    if header.schema > latest_version() { Err(BackupError::Newer { program }) } else { Ok(header) }
}

fn hand_on(
    entry: &mut impl Read,
    name: &EntryName,
    length_bytes: u64,
    piece: &mut [u8],
    sink: &mut impl Sink,
) -> Result<Sha256Digest, BackupError> {
    sink.open(name, length_bytes)?;
    let (mut hash, mut rest) = (Sha256::new(), length_bytes);
    while rest > 0 {
        let length = match entry.read(piece) {
            Ok(0) => return Err(BackupError::damaged(format!("{name} is cut off"))),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BackupError::of_archive(error)),
        };
        hash.update(&piece[..length]);
        sink.write(&piece[..length])?;
        rest -= length as u64;
    }
    sink.close()?;
    Ok(Sha256Digest(hash.finalize().into()))
}

fn read_small<R: Read>(entry: &mut tar::Entry<'_, R>, limit_bytes: u64) -> Result<Vec<u8>, BackupError> {
    let length_bytes = entry.size();
    if length_bytes > limit_bytes {
        return Err(BackupError::damaged("an entry is longer than any backup has"));
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text).map_err(BackupError::of_archive)?;
    if text.len() as u64 == length_bytes { Ok(text) } else { Err(BackupError::damaged("its end is missing")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Sink for Nothing {
        fn open(&mut self, _: &EntryName, _: u64) -> Result<(), StoreError> {
            Ok(())
        }

        fn write(&mut self, _: &[u8]) -> Result<(), StoreError> {
            Ok(())
        }

        fn close(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn what_is_said_of_a_damaged_archive_stays_on_one_line() {
        let header =
            Header { format: FORMAT, program: "1".into(), schema: 1, created: "now".into(), has_packages: true };
        let mut writer = super::super::BackupWriter::begin(Vec::new(), &header).unwrap();
        writer.add(&EntryName::Database, 1, &b"x"[..]).unwrap();
        let (mut archive, _) = writer.finish().unwrap();
        // The checksum of the second entry's tar header.
        archive[2 * 512 + 148..2 * 512 + 156].copy_from_slice(b"1\n2\n3\n4\n");
        let error = read_backup(&archive[..], &mut Nothing).unwrap_err();
        assert!(matches!(error, BackupError::Damaged(_)), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}
