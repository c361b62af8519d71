//! The file `manifest`: the checksums of all other files.

use std::collections::BTreeMap;

use super::examination::{Flaw, quoted};
use crate::domain::Sha256Digest;

/// How long a manifest may be; that is enough for ten thousand files.
pub(super) const MANIFEST_LIMIT_BYTES: u64 = 1024 * 1024;

/// The checksum of each file, and whether the file was found.
pub(super) struct Manifest(BTreeMap<String, (Sha256Digest, bool)>);

impl Manifest {
    /// Reads lines of a SHA-256, two spaces and a name.
    pub(super) fn read(text: &[u8]) -> Result<Self, Flaw> {
        let text = str::from_utf8(text).map_err(|_| Flaw::new("its manifest is not text"))?;
        let mut files = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let parts = line.split_once("  ").and_then(|(sha256, name)| Some((sha256.parse().ok()?, name)));
            let Some((sha256, name)) = parts.filter(|(_, name)| !name.is_empty()) else {
                return Err(Flaw::new(format!("line {} of its manifest is no SHA-256 and name", index + 1)));
            };
            if files.insert(name.to_owned(), (sha256, false)).is_some() {
                return Err(Flaw::new(format!("its manifest lists {} twice", quoted(name))));
            }
        }
        Ok(Self(files))
    }

    /// Compares a file that was found.
    pub(super) fn compare(&mut self, name: &str, found: Sha256Digest) -> Result<(), Flaw> {
        match self.0.get_mut(name) {
            None => Err(Flaw::new(format!("{} is in it, but not in its manifest", quoted(name)))),
            Some((_, true)) => Err(Flaw::new(format!("{} is in it twice", quoted(name)))),
            Some((listed, _)) if *listed != found => {
                let name = quoted(name);
                Err(Flaw::new(format!("its manifest says SHA-256 {listed} for {name}, which has {found}")))
            }
            Some((_, was_found)) => {
                *was_found = true;
                Ok(())
            }
        }
    }

    /// Whether it lists this file.
    pub(super) fn lists(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All files, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Sha256Digest)> {
        self.0.iter().map(|(name, (sha256, _))| (&**name, *sha256))
    }

    /// The files that were not found.
    pub(super) fn missing(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, (_, was_found))| !was_found).map(|(name, _)| &**name)
    }
}
