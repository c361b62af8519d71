//! What kinds of payload a package brings, which says which scopes its upload needs.
//!
//! Whoever may upload only some kinds must not get another one past this reader. So a package is of a kind with a scope of
//! its own only if every client would read the same from it: no name comes twice, no tar entry is anything but a plain
//! file, no JSON key can be taken in two ways, and the format is the one that is known here. All else is
//! [`ArtifactKind::Nonstandard`].

use std::collections::BTreeSet;
use std::io::{self, Cursor, Read, Seek};

use flate2::bufread::MultiGzDecoder;

use super::fields::Fields;
use super::{Doubt, JSON_LIMIT_BYTES, KNOWN_VERSION, Source, entries, payload_data, read_within, version};
use crate::domain::{Scope, Scopes};

/// How long a header may be when it is not compressed.
const HEADER_LIMIT_BYTES: u64 = 4 * 1024 * 1024;
/// How long a compressed header may be. Less, because there is work in compressed nothing too.
const COMPRESSED_HEADER_LIMIT_BYTES: u64 = 1024 * 1024;

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
        let mut source = Source::new(package);
        let kinds = payload_kinds(&mut source);
        source.finish(kinds.map_or_else(|Doubt| Self::nonstandard(), Self))
    }

    /// Those of a file that is no artifact.
    pub fn nonstandard() -> Self {
        Self(BTreeSet::from([ArtifactKind::Nonstandard]))
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

fn payload_kinds(package: impl Read + Seek) -> Result<BTreeSet<ArtifactKind>, Doubt> {
    let mut required = 0;
    let mut kinds = None;
    entries::visit(package, |name, contents| {
        match name {
            // As no name comes twice, two of these are both.
            "version" if kinds.is_none() => {
                let (_, number) = version::read(&read_within(JSON_LIMIT_BYTES, contents)?)?;
                if number != Some(KNOWN_VERSION) {
                    return Err(Doubt);
                }
                required += 1;
            }
            "manifest" if kinds.is_none() => required += 1,
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

/// Whether this is a name like `data/0000.tar`, of a compression that clients know.
fn is_payload_data(name: &str) -> bool {
    payload_data(name).is_some_and(|(_, suffix)| matches!(suffix, "" | ".gz" | ".xz" | ".zst"))
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
