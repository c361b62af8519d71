//! RDFM artifacts, read as far as permissions go: what kinds of payload a package brings.
//!
//! An artifact (Mender's format, version 3) is a tar of `version`, `manifest`, perhaps `manifest.sig`, `header.tar` or
//! `header.tar.gz`, and `data/0000.tar` and so on. In the header, `header-info` lists the types of its payloads.
//!
//! Whoever may upload only some kinds must not get another one past this reader. So a package is an artifact only if every
//! client would read the same from it: no name comes twice, no tar entry is anything but a plain file, and no JSON key can
//! be taken in two ways. All else is [`ArtifactKind::Nonstandard`].

mod entries;
mod fields;

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use flate2::bufread::MultiGzDecoder;

use super::{Scope, Scopes};
use fields::Fields;

/// How long a header may be when it is not compressed.
const HEADER_LIMIT_BYTES: u64 = 4 * 1024 * 1024;
/// How long a compressed header may be. Less, because there is work in compressed nothing too.
const COMPRESSED_HEADER_LIMIT_BYTES: u64 = 1024 * 1024;
/// How long a JSON file in the header may be; they have a few hundred bytes.
const JSON_LIMIT_BYTES: u64 = 256 * 1024;

/// What a payload is, as far as permissions go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactKind {
    /// `single-file`: one file of a device.
    SingleFile,
    /// `rootfs-image` or `delta-rootfs-image`: a root file system, whole or as a delta.
    RootfsImage,
    /// Any other type, or no artifact that every client would understand alike.
    Nonstandard,
}

impl ArtifactKind {
    /// The scope that its upload needs.
    pub const fn scope(self) -> Scope {
        match self {
            Self::SingleFile => Scope::UploadSingleFile,
            Self::RootfsImage => Scope::UploadRootfsImage,
            Self::Nonstandard => Scope::UploadNonstandardArtifact,
        }
    }

    fn of_type(name: &str) -> Self {
        match name {
            "single-file" => Self::SingleFile,
            "rootfs-image" | "delta-rootfs-image" => Self::RootfsImage,
            _ => Self::Nonstandard,
        }
    }
}

/// The kinds of a package's payloads: at least one, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactKinds(BTreeSet<ArtifactKind>);

impl ArtifactKinds {
    /// Judges a package, from its beginning wherever `package` stands. Reads no more than 6 MiB of it, and takes some
    /// 16 MiB of memory at worst. An error is one of `package` itself: whatever can be read has kinds.
    pub fn read(package: impl Read + Seek) -> io::Result<Self> {
        let mut source = Source { package, failure: None };
        let kinds = payload_kinds(&mut source);
        match source.failure {
            Some(failure) => Err(failure),
            None => Ok(Self(kinds.unwrap_or_else(|Doubt| BTreeSet::from([ArtifactKind::Nonstandard])))),
        }
    }

    /// The kinds, in order.
    pub fn iter(&self) -> impl Iterator<Item = ArtifactKind> {
        self.0.iter().copied()
    }

    /// The scopes that the upload needs, all of them; never none. [`Scopes::include`] tells whether somebody has them.
    pub fn scopes(&self) -> Scopes {
        self.iter().map(ArtifactKind::scope).collect()
    }
}

/// It is not certain what a client would take this for, or it is nothing that a client takes.
#[derive(Debug)]
struct Doubt;

impl From<io::Error> for Doubt {
    fn from(_: io::Error) -> Self {
        Self
    }
}

impl From<serde_json::Error> for Doubt {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

/// Keeps the first error of a package itself, which the readers on top of it mix with those about its contents.
struct Source<P> {
    package: P,
    failure: Option<io::Error>,
}

impl<P> Source<P> {
    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.failure.get_or_insert(error);
            kind.into()
        })
    }
}

impl<P: Read> Read for Source<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.package.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return self.note(result),
            }
        }
    }
}

impl<P: Seek> Seek for Source<P> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let result = self.package.seek(position);
        self.note(result)
    }
}

/// Reads all bytes, if they are no more than `limit`.
fn read_within(limit: u64, contents: impl Read) -> Result<Vec<u8>, Doubt> {
    let mut bytes = Vec::new();
    contents.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(Doubt) } else { Ok(bytes) }
}

fn payload_kinds(package: impl Read + Seek) -> Result<BTreeSet<ArtifactKind>, Doubt> {
    let mut required = 0;
    let mut kinds = None;
    entries::visit(package, |name, contents| {
        match name {
            // As no name comes twice, two of these are both.
            "version" | "manifest" if kinds.is_none() => required += 1,
            "manifest.sig" if kinds.is_none() => {}
            "header.tar" if kinds.is_none() && required == 2 => {
                kinds = Some(kinds_in_header(&read_within(HEADER_LIMIT_BYTES, contents)?)?);
            }
            "header.tar.gz" if kinds.is_none() && required == 2 => {
                kinds = Some(kinds_in_header(&decompressed(contents)?)?);
            }
            _ if kinds.is_some() && is_payload_data(name) => {}
            // Such as `header-augment.tar`, with which a client would replace what the header says.
            _ => return Err(Doubt),
        }
        Ok(())
    })?;
    kinds.ok_or(Doubt)
}

/// The contents of a gzip file, of all its members as in the reference client.
fn decompressed(contents: impl Read) -> Result<Vec<u8>, Doubt> {
    // Read first: a file that is cut between two members looks complete.
    let compressed = read_within(COMPRESSED_HEADER_LIMIT_BYTES, contents)?;
    read_within(HEADER_LIMIT_BYTES, MultiGzDecoder::new(&compressed[..]))
}

/// Whether this is a name like `data/0000.tar`.
fn is_payload_data(name: &str) -> bool {
    let Some((number, extension)) = name.strip_prefix("data/").and_then(|name| name.split_once('.')) else {
        return false;
    };
    let is_number = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && matches!(extension, "tar" | "tar.gz" | "tar.xz" | "tar.zst")
}

fn kinds_in_header(header: &[u8]) -> Result<BTreeSet<ArtifactKind>, Doubt> {
    let mut listed = Vec::new();
    let mut stated = Vec::new();
    entries::visit(Cursor::new(header), |name, contents| {
        if name == "header-info" {
            listed = kinds_listed(&read_within(JSON_LIMIT_BYTES, contents)?)?;
        } else if name.starts_with("headers/") && name.ends_with("/type-info") {
            // It may repeat the type of its payload: a client could go by either.
            stated.extend(stated_kind(&Fields::read(&read_within(JSON_LIMIT_BYTES, contents)?)?)?);
        }
        Ok(())
    })?;
    if listed.is_empty() { Err(Doubt) } else { Ok(listed.into_iter().chain(stated).collect()) }
}

/// The kinds of the payloads that `header-info` lists.
fn kinds_listed(header_info: &[u8]) -> Result<Vec<ArtifactKind>, Doubt> {
    let info = Fields::read(header_info)?;
    // The list of payloads in older versions of the format.
    if info.get("updates")?.is_some() {
        return Err(Doubt);
    }
    let payloads = info.get("payloads")?.ok_or(Doubt)?;
    let payloads: Vec<Fields> = serde_json::from_str(payloads.get())?;
    payloads.iter().map(|payload| Ok(stated_kind(payload)?.unwrap_or(ArtifactKind::Nonstandard))).collect()
}

/// The kind by the `type` of an object; `None` if that is missing or null.
fn stated_kind(fields: &Fields<'_>) -> Result<Option<ArtifactKind>, Doubt> {
    let Some(stated) = fields.get("type")? else { return Ok(None) };
    let stated: Option<String> = serde_json::from_str(stated.get())?;
    Ok(stated.as_deref().map(ArtifactKind::of_type))
}
