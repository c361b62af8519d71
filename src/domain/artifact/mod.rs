//! RDFM artifacts: what a package is made of, and whether it is whole.
//!
//! An artifact (Mender's format, version 3) is a tar of `version`, `manifest` (the checksums of all other files), perhaps
//! `manifest.sig`, `header.tar` and `data/0000.tar` and so on, the latter perhaps compressed. In the header, `header-info`
//! says what the artifact is called, which devices it is for and which payloads it has; `headers/0000/type-info` says more
//! about each payload.
//!
//! There are two readers, as there are two questions. [`ArtifactKinds`] asks what the upload needs permission for, and takes
//! for certain only what no client could read in another way. [`examine`] asks what is in it and whether it is whole, and
//! complains only where no reading makes sense of it. Both bound what they keep in memory, whatever the file says.

mod decompress;
mod description;
mod entries;
mod examination;
mod fields;
mod header;
mod kinds;
mod manifest;
mod tape;
mod version;

use std::io::{self, Read, Seek, SeekFrom};

pub use description::{Artifact, ArtifactPayload};
pub use examination::{Flaw, examine, is_artifact};
pub use kinds::{ArtifactKind, ArtifactKinds};

/// The version of the format that is known here.
const KNOWN_VERSION: u64 = 3;
/// How long a JSON file may be; they have a few hundred bytes.
const JSON_LIMIT_BYTES: u64 = 256 * 1024;

/// The number and what follows `.tar` in a name like `data/0000.tar.gz`.
fn payload_data(name: &str) -> Option<(&str, &str)> {
    let (number, suffix) = name.strip_prefix("data/")?.split_once(".tar")?;
    (is_payload_number(number) && is_compression(suffix)).then_some((number, suffix))
}

/// Whether this may follow `.tar` in a name and say how it is compressed, known or not.
fn is_compression(suffix: &str) -> bool {
    suffix.is_empty() || (suffix.starts_with('.') && !suffix.contains('/'))
}

/// Whether this is how payloads are numbered in names.
fn is_payload_number(number: &str) -> bool {
    number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit())
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
    fn new(package: P) -> Self {
        Self { package, failure: None }
    }

    /// What was read, unless the package could not be.
    fn finish<T>(self, read: T) -> io::Result<T> {
        self.failure.map_or(Ok(read), Err)
    }

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
