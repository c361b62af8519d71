//! An artifact, looked at from its first byte to its last: what it says, and whether that is what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use super::decompress::{UNPACKED_LIMIT_BYTES, decompressed};
use super::description::{Artifact, Intake};
use super::header::{self, Header};
use super::manifest::{MANIFEST_LIMIT_BYTES, Manifest};
use super::tape::{Tape, TapeEntry, Trouble};
use super::{JSON_LIMIT_BYTES, KNOWN_VERSION, Source, is_compression, payload_data, version};
use crate::domain::Sha256Digest;

/// How much of a name from an artifact is in a sentence.
const NAME_LIMIT_CHARS: usize = 100;

/// Why an artifact cannot be what its maker made: one sentence for its uploader, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw(String);

impl Flaw {
    /// Something in it says otherwise than something else in it.
    pub(super) fn new(contradiction: impl fmt::Display) -> Self {
        Self(format!("the artifact contradicts itself: {contradiction}"))
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why looking at an artifact, or at a part of it, ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Flawed(Flaw),
    /// It may be right, but is not understood here: why.
    Unread(String),
}

impl Stop {
    /// For trouble with a tar inside of the artifact.
    pub(super) fn within(name: &str, trouble: Trouble) -> Self {
        match trouble {
            Trouble::Cut(place) => Self::Flawed(Flaw(format!("the artifact is damaged: {name} is cut off {place}"))),
            Trouble::Damaged(what) => Self::Flawed(Flaw(format!("the artifact is damaged: in {name}, {what}"))),
            Trouble::Unread(why) => Self::Unread(format!("in {name}, {why}")),
        }
    }
}

impl From<Flaw> for Stop {
    fn from(flaw: Flaw) -> Self {
        Self::Flawed(flaw)
    }
}

impl From<Trouble> for Stop {
    /// For trouble with the artifact's own tar.
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Cut(place) => Self::Flawed(Flaw(format!("the artifact is cut off {place}"))),
            Trouble::Damaged(what) => Self::Flawed(Flaw(format!("the artifact is damaged: {what}"))),
            Trouble::Unread(why) => Self::Unread(why),
        }
    }
}

/// A name from an artifact as it may stand in a sentence: not too long, and without characters that do something.
pub(super) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(NAME_LIMIT_CHARS).collect();
    let is_plain = short.len() == name.len() && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { short } else { format!("{short:?}") }
}

/// Whether a package is an artifact, from its beginning wherever `package` stands: a tar whose first file is `version`, with a
/// known format in it. Everything else is a plain file, whatever it is. Reads some kilobytes.
pub fn is_artifact(package: impl Read + Seek) -> io::Result<bool> {
    let mut source = Source::new(package);
    let is_artifact = begin(&mut source).is_some();
    source.finish(is_artifact)
}

/// Looks at a package, from its beginning wherever `package` stands; `None` if it is no artifact. Reads all of it, and keeps some
/// megabytes in memory, up to 40 at worst. An error is one of `package` itself.
///
/// What is not understood is taken as it is, with the reason in [`Artifact::unverified`]: another version of the format or
/// another compression is not a mistake.
pub fn examine(package: impl Read + Seek) -> io::Result<Result<Option<Artifact>, Flaw>> {
    let mut source = Source::new(package);
    let examined = match begin(&mut source) {
        Some((beginning, tape)) => Examiner::new(beginning).examine(tape).map(Some),
        None => Ok(None),
    };
    source.finish(examined)
}

/// What makes an artifact of a tar.
struct Beginning {
    format: &'static str,
    version: Option<u64>,
    sha256: Sha256Digest,
}

/// The beginning of an artifact, and its tar after that. `None`: it is none, or cannot be read.
fn begin<P: Read + Seek>(package: &mut Source<P>) -> Option<(Beginning, Tape<BufReader<&mut Source<P>>>)> {
    let length = package.seek(SeekFrom::End(0)).ok()?;
    package.rewind().ok()?;
    let mut tape = Tape::new(BufReader::with_capacity(64 * 1024, package), Some(length));
    let entry = tape.next_entry().ok()??;
    if !entry.is_file || entry.name != "version" {
        return None;
    }
    let json = tape.read_within(JSON_LIMIT_BYTES).ok()?;
    let (format, version) = version::read(&json).ok()?;
    Some((Beginning { format, version, sha256: Sha256Digest(Sha256::digest(&json).into()) }, tape))
}

/// What is known so far.
struct Examiner {
    beginning: Beginning,
    intake: Intake,
    manifest: Option<Manifest>,
    header: Option<Header>,
    has_header: bool,
    is_signed: bool,
    /// The first reason why not everything is verified.
    unverified: Option<String>,
    /// Whether something may replace what the header and the manifest say.
    is_augmented: bool,
    /// The payloads whose data is there; with the hash of its file, if it is one.
    data: BTreeMap<usize, Option<(String, Sha256Digest)>>,
    /// The beginnings of the names of files that were not looked at.
    unread: BTreeSet<String>,
    left_to_unpack_bytes: u64,
}

impl Examiner {
    fn new(beginning: Beginning) -> Self {
        Self {
            beginning,
            intake: Intake::new(),
            manifest: None,
            header: None,
            has_header: false,
            is_signed: false,
            unverified: None,
            is_augmented: false,
            data: BTreeMap::new(),
            unread: BTreeSet::new(),
            left_to_unpack_bytes: UNPACKED_LIMIT_BYTES,
        }
    }

    fn examine(mut self, mut tape: Tape<impl Read>) -> Result<Artifact, Flaw> {
        // Of other versions nothing is known, not even what makes them whole.
        if self.beginning.version == Some(KNOWN_VERSION) {
            match self.read_all(&mut tape).and_then(|()| Ok(self.compare()?)) {
                Err(Stop::Flawed(flaw)) => return Err(flaw),
                Err(Stop::Unread(why)) => self.leave_unverified(why),
                Ok(()) => {}
            }
        } else {
            self.leave_unverified("this version of the format is not known here".to_owned());
        }
        Ok(self.description())
    }

    fn read_all(&mut self, tape: &mut Tape<impl Read>) -> Result<(), Stop> {
        while let Some(entry) = tape.next_entry()? {
            match self.read_entry(tape, &entry) {
                // Without the manifest, nothing can be said about the rest.
                Err(Stop::Unread(why)) if self.manifest.is_some() => self.leave_unverified(why),
                other => other?,
            }
        }
        if tape.has_more()? {
            self.leave_unverified("something follows its end".to_owned());
        }
        Ok(())
    }

    fn read_entry(&mut self, tape: &mut Tape<impl Read>, entry: &TapeEntry) -> Result<(), Stop> {
        let name = &*entry.name;
        if !entry.is_file {
            return Err(Stop::Unread(format!("{} is no plain file", quoted(name))));
        }
        match (name, &mut self.manifest) {
            ("manifest", None) => {
                let mut manifest = Manifest::read(&tape.read_within(MANIFEST_LIMIT_BYTES)?)?;
                manifest.compare("version", self.beginning.sha256)?;
                self.manifest = Some(manifest);
                Ok(())
            }
            ("manifest", Some(_)) => Err(Flaw::new("manifest is in it twice").into()),
            (_, None) => Err(Flaw::new(format!("{} comes before its manifest", quoted(name))).into()),
            ("manifest.sig", _) => {
                self.is_signed = true;
                Ok(())
            }
            ("manifest-augment", _) => {
                self.is_augmented = true;
                Err(Stop::Unread("it has an augmented manifest".to_owned()))
            }
            (name, Some(manifest)) => {
                if let Some(suffix) = name.strip_prefix("header.tar").filter(|suffix| is_compression(suffix)) {
                    self.read_header(tape, name, suffix)
                } else if name.starts_with("header-augment.tar") {
                    self.is_augmented = true;
                    Err(Stop::Unread("it has an augmented header".to_owned()))
                } else if let Some((number, suffix)) = payload_data(name) {
                    self.read_data(tape, entry, number, suffix)
                } else {
                    Ok(manifest.compare(name, tape.hash()?)?)
                }
            }
        }
    }

    fn read_header(&mut self, tape: &mut Tape<impl Read>, name: &str, suffix: &str) -> Result<(), Stop> {
        if std::mem::replace(&mut self.has_header, true) {
            return Err(Flaw::new("it has two headers").into());
        }
        let mut hashing = Hashing { contents: tape, hash: Sha256::new() };
        let header = match decompressed(&mut hashing, suffix, &mut self.left_to_unpack_bytes) {
            Some(contents) => header::read(&quoted(name), Tape::new(contents, None), &mut self.intake),
            None => Err(unknown_compression(name)),
        };
        // A header with a wrong checksum may say anything: so the checksum comes first.
        let found = hashing.finish().map_err(Stop::from)?;
        self.compare_file(name, found)?;
        self.header = Some(header?);
        Ok(())
    }

    fn read_data(
        &mut self,
        tape: &mut Tape<impl Read>,
        entry: &TapeEntry,
        number: &str,
        suffix: &str,
    ) -> Result<(), Stop> {
        let name = quoted(&entry.name);
        // Four digits.
        let index = number.parse().unwrap_or(usize::MAX);
        if self.data.insert(index, None).is_some() {
            return Err(Flaw::new(format!("it has data/{number} twice")).into());
        }
        self.unread.insert(format!("data/{number}/"));
        let available = suffix.is_empty().then_some(entry.length_bytes);
        // One that is not read to its end leaves nothing to unpack for the next.
        let mut left_bytes = std::mem::take(&mut self.left_to_unpack_bytes);
        let Some(contents) = decompressed(tape, suffix, &mut left_bytes) else {
            self.left_to_unpack_bytes = left_bytes;
            return Err(unknown_compression(&entry.name));
        };
        let mut tape = Tape::new(contents, available);
        let (mut count, mut last) = (0, None);
        while let Some(file) = tape.next_entry().map_err(|trouble| Stop::within(&name, trouble))? {
            if file.is_file {
                let path = format!("data/{number}/{}", file.name.strip_prefix("./").unwrap_or(&file.name));
                let found = tape.hash().map_err(|trouble| Stop::within(&name, trouble))?;
                self.compare_file(&path, found)?;
                (count, last) = (count + 1, Some((path, found)));
            }
        }
        // Where the sums at the end of compressed files are.
        let has_more = tape.has_more().map_err(|trouble| Stop::within(&name, trouble))?;
        drop(tape);
        self.left_to_unpack_bytes = left_bytes;
        self.unread.remove(&format!("data/{number}/"));
        self.data.insert(index, last.filter(|_| count == 1));
        if has_more { Err(Stop::Unread(format!("something follows the end of {name}"))) } else { Ok(()) }
    }

    fn compare_file(&mut self, name: &str, found: Sha256Digest) -> Result<(), Flaw> {
        let Some(manifest) = &mut self.manifest else { return Ok(()) };
        // What an augmented manifest lists is not known here.
        if self.is_augmented && !manifest.lists(name) {
            return Ok(());
        }
        manifest.compare(name, found)
    }

    /// Compares what the parts say about each other, once all of them are known.
    fn compare(&self) -> Result<(), Flaw> {
        let manifest = self.manifest.as_ref().ok_or_else(|| Flaw::new("it has no manifest"))?;
        if !self.has_header {
            return Err(Flaw::new("it has no header.tar"));
        }
        if self.is_augmented {
            return Ok(());
        }
        if let Some(header) = &self.header {
            self.compare_payloads(header)?;
        }
        let is_unread = |name: &str| {
            let beginning = name.get(.."data/0000/".len());
            beginning.is_some_and(|beginning| self.unread.contains(beginning))
        };
        match manifest.missing().find(|name| !is_unread(name)) {
            Some(name) => Err(Flaw::new(format!("its manifest lists {}, which is not in it", quoted(name)))),
            None => Ok(()),
        }
    }

    fn compare_payloads(&self, header: &Header) -> Result<(), Flaw> {
        let count = header.payloads.len();
        if let Some(index) = self.data.keys().find(|index| **index >= count) {
            return Err(Flaw::new(format!("it has data/{index:04}.tar, but its header lists no payload {index}")));
        }
        for (index, payload) in header.payloads.iter().enumerate() {
            match (self.data.get(&index), &payload.kind) {
                (None, Some(_)) => {
                    let sentence = format!("its header lists payload {index}, but data/{index:04}.tar is not in it");
                    return Err(Flaw::new(sentence));
                }
                (Some(Some((path, found))), Some(kind)) if kind == "rootfs-image" => {
                    let stated = payload.provides.text("rootfs-image.checksum").and_then(|text| text.parse().ok());
                    if let Some(stated) = stated.filter(|stated: &Sha256Digest| stated != found) {
                        let path = quoted(path);
                        return Err(Flaw::new(format!(
                            "rootfs-image.checksum in headers/{index:04}/type-info is {stated}, but {path} has the SHA-256 \
                             {found}"
                        )));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn leave_unverified(&mut self, why: String) {
        self.unverified.get_or_insert(why);
    }

    fn description(self) -> Artifact {
        let mut intake = self.intake;
        let mut artifact = Artifact {
            format: self.beginning.format.to_owned(),
            version: self.beginning.version,
            signed: self.is_signed,
            unverified: self.unverified,
            ..Artifact::default()
        };
        if let Some(header) = self.header {
            let Header { name, device_types, provides, depends, payloads } = header;
            artifact = Artifact { name, device_types, provides, depends, payloads, ..artifact };
        }
        // Last, so that long lists of files leave room for what matters more.
        for (name, sha256) in self.manifest.iter().flat_map(Manifest::iter) {
            if let Some(name) = intake.text("checksums", name.to_owned()) {
                artifact.checksums.insert(name, sha256);
            }
        }
        artifact.left_out = intake.finish();
        artifact
    }
}

fn unknown_compression(name: &str) -> Stop {
    Stop::Unread(format!("{} is compressed in a way that is not read here", quoted(name)))
}

/// Hashes what is read from an entry.
struct Hashing<'a, R> {
    contents: &'a mut Tape<R>,
    hash: Sha256,
}

impl<R: Read> Hashing<'_, R> {
    /// The hash of the whole entry.
    fn finish(mut self) -> Result<Sha256Digest, Trouble> {
        let mut buffer = vec![0; 64 * 1024];
        while self.read(&mut buffer).map_err(|error| self.contents.trouble(&error))? > 0 {}
        Ok(Sha256Digest(self.hash.finalize().into()))
    }
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.contents.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}
