//! What the shim has written down: the calls that changed files, in the order in which the kernel saw them.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A call, and what of it matters to a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub call: Call,
    /// The file's number while it is there: it may be given to another one later.
    pub inode: u64,
    /// Where a write begins, or the length that a file has now.
    pub offset: u64,
    pub path: PathBuf,
    /// The new name, of what has two.
    pub target: PathBuf,
    pub data: Vec<u8>,
}

/// Kinds of calls, in the order of the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Create,
    Truncate,
    Write,
    Sync,
    SyncDirectory,
    Rename,
    Link,
    Unlink,
    MakeDirectory,
    RemoveDirectory,
    Allocate,
    /// Something was said on a connection.
    Socket,
    /// The test has come to the end of a step; the data is its number.
    Mark,
    /// A sync failed: the kernel takes what was to be synced for written, and it is not.
    LostSync,
    Open,
    /// A file was mapped: what is written to it then is not seen.
    Map,
}

impl Call {
    pub const ALL: [Self; 16] = [
        Self::Create,
        Self::Truncate,
        Self::Write,
        Self::Sync,
        Self::SyncDirectory,
        Self::Rename,
        Self::Link,
        Self::Unlink,
        Self::MakeDirectory,
        Self::RemoveDirectory,
        Self::Allocate,
        Self::Socket,
        Self::Mark,
        Self::LostSync,
        Self::Open,
        Self::Map,
    ];
}

const HEAD_BYTES: usize = 32;

/// Reads a log.
pub fn read(path: &Path) -> Vec<Record> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (head, more) = rest.split_at(HEAD_BYTES);
        let word = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let long = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().unwrap());
        let (path, more) = more.split_at(word(4));
        let (target, more) = more.split_at(word(8));
        let (data, more) = more.split_at(word(12));
        let text = |bytes: &[u8]| PathBuf::from(str::from_utf8(bytes).unwrap());
        records.push(Record {
            call: Call::ALL[word(0)],
            inode: long(16),
            offset: long(24),
            path: text(path),
            target: text(target),
            data: data.to_vec(),
        });
        rest = more;
    }
    records
}

/// Notes in a log that the test has come to the end of a step.
pub fn mark(path: &Path, step: usize) {
    let data = u64::try_from(step).unwrap().to_ne_bytes();
    let mut record = Vec::new();
    for word in [Call::ALL.iter().position(|call| *call == Call::Mark).unwrap(), 0, 0, data.len()] {
        record.extend_from_slice(&u32::try_from(word).unwrap().to_ne_bytes());
    }
    record.extend_from_slice(&[0; 16]);
    record.extend_from_slice(&data);
    let mut file: File = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(&record).unwrap();
}
