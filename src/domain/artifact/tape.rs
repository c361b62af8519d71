//! Tar files as they come, from the first byte to the last, and where they stop making sense.
//!
//! This reader is for telling what is wrong: it knows how usual tools write long names, and says where a file is cut off. What
//! matters to permissions is read by [`super::entries`], which takes nothing that could be read in two ways.

use std::io::{self, Read};

use sha2::{Digest, Sha256};
use tar::{EntryType, Header, PaxExtensions};

use super::decompress::Unsupported;
use super::examination::quoted;
use crate::domain::Sha256Digest;

const BLOCK_BYTES: usize = 512;
/// How long the attributes or the long name of an entry may be.
const ATTRIBUTES_LIMIT_BYTES: u64 = 64 * 1024;
/// How much may follow the end before it counts as more than padding. The usual tools fill a tar up to 10 KiB.
const PADDING_LIMIT_BYTES: u64 = 64 * 1024;

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It ends too early: "in this" or "after this".
    Cut(String),
    /// "This makes no sense".
    Damaged(String),
    /// It may be right, but is not understood here: "this is that".
    Unread(String),
}

/// One entry's description.
pub(super) struct TapeEntry {
    pub(super) name: String,
    pub(super) length_bytes: u64,
    /// Something else would be a directory or a link.
    pub(super) is_file: bool,
}

/// A tar that is read from its beginning to its end.
pub(super) struct Tape<R> {
    source: R,
    /// How much there is from here on, if that is known.
    available_bytes: Option<u64>,
    /// What is left of the current entry, and then of its last block.
    left_bytes: u64,
    padding_bytes: u64,
    current: String,
    /// The mark of the end was only half of one.
    ends_oddly: bool,
}

impl<R: Read> Tape<R> {
    /// Begins where `source` stands; from there it has `available_bytes`, if that is known.
    pub(super) fn new(source: R, available_bytes: Option<u64>) -> Self {
        Self { source, available_bytes, left_bytes: 0, padding_bytes: 0, current: String::new(), ends_oddly: false }
    }

    /// The next entry; `None` at the mark of the end. What is left of the one before is passed over.
    pub(super) fn next_entry(&mut self) -> Result<Option<TapeEntry>, Trouble> {
        let (mut long_name, mut attributes) = (None, Attributes::default());
        loop {
            self.pass_over()?;
            let Some(header) = self.read_header()? else { return Ok(None) };
            let kind = header.entry_type();
            let announces = matches!(
                kind,
                EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink
            );
            let length = header.entry_size().map_err(|_| self.damaged_header())?;
            let length_bytes = if announces { length } else { attributes.length_bytes.unwrap_or(length) };
            if !announces {
                let name = long_name.or(attributes.path).unwrap_or_else(|| header.path_bytes().into_owned());
                self.current = String::from_utf8(name)
                    .map_err(|_| Trouble::Unread(format!("the name {} is not UTF-8", self.after())))?;
                (long_name, attributes) = (None, Attributes::default());
            }
            self.enter(length_bytes)?;
            match kind {
                EntryType::XHeader => attributes = Attributes::read(&self.read_within(ATTRIBUTES_LIMIT_BYTES)?)?,
                EntryType::GNULongName => {
                    let mut name = self.read_within(ATTRIBUTES_LIMIT_BYTES)?;
                    name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                    long_name = Some(name);
                }
                EntryType::XGlobalHeader | EntryType::GNULongLink => {}
                EntryType::GNUSparse => return Err(Trouble::Unread(format!("{} is sparse", quoted(&self.current)))),
                _ => {
                    let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
                    return Ok(Some(TapeEntry { name: self.current.clone(), length_bytes, is_file }));
                }
            }
        }
    }

    /// The contents of the current entry, if they are no more than `limit`.
    pub(super) fn read_within(&mut self, limit: u64) -> Result<Vec<u8>, Trouble> {
        if self.left_bytes > limit {
            return Err(Trouble::Unread(format!("{} is longer than {limit} bytes", quoted(&self.current))));
        }
        let mut contents = Vec::new();
        self.read_to_end(&mut contents).map_err(|error| self.trouble(&error))?;
        Ok(contents)
    }

    /// The hash of what is left of the current entry.
    pub(super) fn hash(&mut self) -> Result<Sha256Digest, Trouble> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.read(&mut buffer).map_err(|error| self.trouble(&error))? {
                0 => return Ok(Sha256Digest(hash.finalize().into())),
                length => hash.update(&buffer[..length]),
            }
        }
    }

    /// Whether something follows the end that is more than padding.
    pub(super) fn has_more(&mut self) -> Result<bool, Trouble> {
        let mut padding = Vec::new();
        let reading = (&mut self.source).take(PADDING_LIMIT_BYTES + 1).read_to_end(&mut padding);
        reading.map_err(|error| self.trouble(&error))?;
        Ok(self.ends_oddly || padding.len() as u64 > PADDING_LIMIT_BYTES || padding.iter().any(|byte| *byte != 0))
    }

    fn enter(&mut self, length_bytes: u64) -> Result<(), Trouble> {
        self.left_bytes = length_bytes;
        self.padding_bytes = length_bytes.wrapping_neg() % BLOCK_BYTES as u64;
        match self.available_bytes {
            Some(available) if available < length_bytes => Err(self.cut_within()),
            _ => Ok(()),
        }
    }

    fn pass_over(&mut self) -> Result<(), Trouble> {
        let length = self.left_bytes.saturating_add(std::mem::take(&mut self.padding_bytes));
        self.left_bytes = 0;
        let passed = io::copy(&mut (&mut self.source).take(length), &mut io::sink());
        let passed = passed.map_err(|error| self.trouble(&error))?;
        self.available_bytes = self.available_bytes.map(|available| available.saturating_sub(passed));
        if passed < length { Err(self.cut_within()) } else { Ok(()) }
    }

    /// The next header; `None` for the mark of the end, which is two blocks of zeros.
    fn read_header(&mut self) -> Result<Option<Header>, Trouble> {
        let block = self.read_block()?;
        if block.iter().all(|byte| *byte == 0) {
            self.ends_oddly = self.read_block()?.iter().any(|byte| *byte != 0);
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block).clone();
        // The checksum counts its own bytes as spaces.
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let own: u32 = block[148..156].iter().map(|byte| u32::from(*byte)).sum();
        match header.cksum() {
            Ok(stated) if stated == sum - own + 8 * u32::from(b' ') => Ok(Some(header)),
            _ => Err(self.damaged_header()),
        }
    }

    fn read_block(&mut self) -> Result<[u8; BLOCK_BYTES], Trouble> {
        let mut block = [0; BLOCK_BYTES];
        match self.source.read_exact(&mut block) {
            Ok(()) => {
                self.available_bytes =
                    self.available_bytes.map(|available| available.saturating_sub(BLOCK_BYTES as u64));
                Ok(block)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Trouble::Cut(self.after())),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    fn cut_within(&self) -> Trouble {
        Trouble::Cut(format!("in {}", quoted(&self.current)))
    }

    fn damaged_header(&self) -> Trouble {
        Trouble::Damaged(format!("the tar header {} makes no sense", self.after()))
    }

    /// Where the current entry ends.
    fn after(&self) -> String {
        if self.current.is_empty() { "at its beginning".to_owned() } else { format!("after {}", quoted(&self.current)) }
    }

    /// What an error of the source says about the tar.
    pub(super) fn trouble(&self, error: &io::Error) -> Trouble {
        match error.get_ref() {
            Some(inner) if inner.is::<Unsupported>() => Trouble::Unread(inner.to_string()),
            _ if error.kind() == io::ErrorKind::UnexpectedEof => self.cut_within(),
            _ => Trouble::Damaged(format!("{} cannot be unpacked ({error})", quoted(&self.current))),
        }
    }
}

impl<R: Read> Read for Tape<R> {
    /// Reads from the current entry.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
        // To some readers, no room for bytes is the end of them.
        if wanted == 0 {
            return Ok(0);
        }
        let length = self.source.read(&mut buffer[..wanted])?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left_bytes -= length as u64;
        self.available_bytes = self.available_bytes.map(|available| available.saturating_sub(length as u64));
        Ok(length)
    }
}

/// What PAX attributes say about the next entry, as far as it matters here.
#[derive(Default)]
struct Attributes {
    path: Option<Vec<u8>>,
    length_bytes: Option<u64>,
}

impl Attributes {
    fn read(records: &[u8]) -> Result<Self, Trouble> {
        let damaged = || Trouble::Damaged("the attributes of an entry make no sense".to_owned());
        let mut attributes = Self::default();
        for record in PaxExtensions::new(records) {
            let record = record.map_err(|_| damaged())?;
            match record.key() {
                Ok("path") => attributes.path = Some(record.value_bytes().to_vec()),
                Ok("size") => {
                    let length = record.value().ok().and_then(|length| length.parse().ok());
                    attributes.length_bytes = Some(length.ok_or_else(damaged)?);
                }
                Ok(key) if key.starts_with("GNU.sparse") => {
                    return Err(Trouble::Unread("a file in it is sparse".to_owned()));
                }
                _ => {}
            }
        }
        Ok(attributes)
    }
}
