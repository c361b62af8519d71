//! The reader of backups.

use std::io;

use tender::domain::StorageDirectory;
use tender::store::StoreError;
use tender::store::backup::{BackupWriter, EntryName, FORMAT, Header, Sink, Taken, read_backup};

use super::assert_sentence;
use super::pieces::Pieces;

/// What comes between two parts of an input.
const SEPARATOR: u8 = 0xff;
const MOST_ENTRIES: usize = 8;

/// An archive as it lies on a medium.
pub fn backup(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let read = |input: &mut dyn io::Read| {
        let mut keeper = Keeper::default();
        let taken = read_backup(input, &mut keeper);
        match &taken {
            Ok(taken) => keeper.assert_complete(taken),
            Err(error) => assert_sentence(error),
        }
        taken.map(|taken| (taken.header, taken.contents)).map_err(|error| error.to_string())
    };
    assert_eq!(read(&mut pieces.file()), read(&mut &*pieces.bytes), "it depends on how the archive is read");
}

/// An archive with right digests of entries whose names and contents are in the input. One bit of it is another, if the input
/// says so: then it must be refused.
pub fn backup_parts(input: &[u8]) {
    let Some((pieces, rest)) = Pieces::of(input).and_then(|pieces| Some((pieces, pieces.bytes.split_first_chunk()?)))
    else {
        return;
    };
    let (&[high, low, bit], parts) = rest;
    let Some((archive, count)) = archive_of(parts) else { return };
    let mut changed = archive.clone();
    let at = usize::from(u16::from_be_bytes([high, low]));
    if let Some(byte) = changed.get_mut(at).filter(|_| bit < 8) {
        *byte ^= 1 << bit;
    }
    let mut keeper = Keeper::default();
    let taken = read_backup(pieces.with(&changed).file(), &mut keeper);
    match taken {
        Ok(taken) => {
            assert!(changed == archive, "a change of byte {at} was not noticed");
            keeper.assert_complete(&taken);
            assert_eq!(taken.contents.entries.len(), count);
        }
        Err(error) => {
            assert!(changed != archive, "it is as it was written: {error}");
            assert_sentence(&error);
        }
    }
}

/// An archive, and how many entries its list of contents has. `None`: there can be none of these.
fn archive_of(parts: &[u8]) -> Option<(Vec<u8>, usize)> {
    let header =
        Header { format: FORMAT, program: "0.1.0".into(), schema: 1, created: "now".into(), has_packages: true };
    let mut writer = BackupWriter::begin(Vec::new(), &header).expect("there is room in memory");
    let mut parts = parts.split(|byte| *byte == SEPARATOR);
    let mut names = Vec::new();
    while let (Some(name), Some(contents)) = (parts.next(), parts.next()) {
        let name = EntryName::parse(str::from_utf8(name).ok()?)?;
        let is_own = matches!(name, EntryName::Header | EntryName::Contents);
        if is_own || names.contains(&name) || names.len() == MOST_ENTRIES {
            return None;
        }
        writer.add(&name, contents.len() as u64, contents).ok()?;
        names.push(name);
    }
    let (archive, contents) = writer.finish().expect("there is room in memory");
    Some((archive, contents.entries.len()))
}

/// Takes what comes out of a backup, and sees that it comes in order and leads nowhere.
#[derive(Default)]
struct Keeper {
    open: Option<(String, u64)>,
    closed: Vec<String>,
}

impl Keeper {
    fn assert_complete(&self, taken: &Taken) {
        assert!(self.open.is_none());
        let listed: Vec<_> = taken.contents.entries.iter().map(|entry| &*entry.name).collect();
        // The header is read and not handed on.
        assert_eq!(self.closed, listed[1..]);
    }
}

impl Sink for Keeper {
    fn open(&mut self, name: &EntryName, length_bytes: u64) -> Result<(), StoreError> {
        assert!(self.open.is_none());
        if let EntryName::Package(Some(directory), _) = name {
            super::packages::assert_inside(directory);
            assert_eq!(StorageDirectory::parse(directory.as_str()).as_ref(), Ok(directory));
        }
        assert_eq!(EntryName::parse(&name.to_string()).as_ref(), Some(name));
        self.open = Some((name.to_string(), length_bytes));
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        let (_, missing) = self.open.as_mut().expect("an entry is open");
        *missing = missing.checked_sub(piece.len() as u64).expect("no more comes than was said");
        Ok(())
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let (name, missing) = self.open.take().expect("an entry is open");
        assert_eq!(missing, 0);
        self.closed.push(name);
        Ok(())
    }
}
