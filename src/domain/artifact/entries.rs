//! Tar files that every reader understands alike: plain files with plain names, no name twice, and nothing after the end.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use tar::{Archive, Entry, EntryType, Header};

use super::{Doubt, read_within};

/// How many entries a tar may have, those with attributes included.
const ENTRIES_LIMIT: usize = 256;
/// How long the attributes of one entry may be.
const ATTRIBUTES_LIMIT_BYTES: u64 = 4 * 1024;
/// How much padding a tar may end with. The usual ones fill it up to 10 KiB.
const PADDING_LIMIT_BYTES: u64 = 64 * 1024;

const BLOCK_BYTES: u64 = 512;

/// Attributes that leave alone what an entry is. Go's tar writes them when an owner does not fit into the header.
const HARMLESS_ATTRIBUTES: [&str; 7] = ["atime", "ctime", "gid", "gname", "mtime", "uid", "uname"];

/// Shows `take` the name and contents of each file in the tar, in order. Contents that it leaves are passed over without
/// being read.
pub(super) fn visit<P: Read + Seek>(
    mut package: P,
    mut take: impl FnMut(&str, &mut dyn Read) -> Result<(), Doubt>,
) -> Result<(), Doubt> {
    let length = package.seek(SeekFrom::End(0))?;
    package.rewind()?;
    let mut archive = Archive::new(package);
    let mut names = BTreeSet::new();
    let mut end = 0;
    let mut follows_attributes = false;
    // Raw: what other readers would make of entries that change the next one is not for this crate to say.
    for (index, entry) in archive.entries_with_seek()?.raw(true).enumerate() {
        let mut entry = entry?;
        let unpadded = entry.raw_file_position().checked_add(entry.size());
        end = unpadded.and_then(|end| end.checked_next_multiple_of(BLOCK_BYTES)).ok_or(Doubt)?;
        if index == ENTRIES_LIMIT || end > length || !is_plain(entry.header()) {
            return Err(Doubt);
        }
        match entry.header().entry_type() {
            EntryType::XHeader if !follows_attributes => {
                check_attributes(&mut entry)?;
                follows_attributes = true;
            }
            EntryType::Regular => {
                let name = name(entry.header())?;
                take(&name, &mut entry)?;
                if !names.insert(name) {
                    return Err(Doubt);
                }
                follows_attributes = false;
            }
            _ => return Err(Doubt),
        }
    }
    let mut package = archive.into_inner();
    package.seek(SeekFrom::Start(end))?;
    let padding = read_within(PADDING_LIMIT_BYTES, package)?;
    if follows_attributes || padding.iter().any(|byte| *byte != 0) { Err(Doubt) } else { Ok(()) }
}

/// Whether the header is of a known format, tells its length in the one way that all read alike, and has nothing where
/// formats differ: behind the device numbers, some have the beginning of the name and others times.
fn is_plain(header: &Header) -> bool {
    let is_known = header.as_ustar().is_some() || header.as_gnu().is_some();
    let (digits, end) = header.as_old().size.split_at(11);
    let is_octal = digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) && matches!(end, b"\0" | b" ");
    is_known && is_octal && header.as_bytes()[345..].iter().all(|byte| *byte == 0)
}

/// The name of an entry, if no reader would shorten it.
fn name(header: &Header) -> Result<String, Doubt> {
    let name = String::from_utf8(header.path_bytes().into_owned()).map_err(|_| Doubt)?;
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) { Err(Doubt) } else { Ok(name) }
}

/// Refuses PAX attributes, for example a name or a length, that make something else of the next entry.
fn check_attributes<R: Read>(entry: &mut Entry<'_, R>) -> Result<(), Doubt> {
    let attributes = read_within(ATTRIBUTES_LIMIT_BYTES, entry)?;
    let mut records = 0;
    for record in tar::PaxExtensions::new(&attributes) {
        if !record?.key().is_ok_and(|key| HARMLESS_ATTRIBUTES.contains(&key)) {
            return Err(Doubt);
        }
        records += 1;
    }
    // The crate stops at an empty line, whatever comes after it.
    let lines = attributes.iter().filter(|byte| **byte == b'\n').count();
    if records == lines { Ok(()) } else { Err(Doubt) }
}
