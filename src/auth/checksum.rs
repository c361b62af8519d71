//! Checksums that clients send with a piece of an upload (tus 1.0, extension checksum): they tell a piece that was damaged on
//! the way, and no more.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::domain::Invalid;

/// How a checksum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// `sha1`, which the protocol demands.
    Sha1,
    /// `sha256`.
    Sha256,
}

impl ChecksumAlgorithm {
    /// The names of all, as a server lists them.
    pub const NAMES: &'static str = "sha1,sha256";

    /// Begins a checksum.
    pub fn begin(self) -> ChecksumHasher {
        match self {
            Self::Sha1 => ChecksumHasher::Sha1(Sha1::new()),
            Self::Sha256 => ChecksumHasher::Sha256(Sha256::new()),
        }
    }
}

/// A checksum in the making.
#[derive(Debug, Clone)]
pub enum ChecksumHasher {
    /// By SHA-1.
    Sha1(Sha1),
    /// By SHA-256.
    Sha256(Sha256),
}

impl ChecksumHasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    /// The checksum of all bytes.
    pub fn finish(self) -> Checksum {
        match self {
            Self::Sha1(hash) => Checksum { algorithm: ChecksumAlgorithm::Sha1, sum: hash.finalize().to_vec() },
            Self::Sha256(hash) => Checksum { algorithm: ChecksumAlgorithm::Sha256, sum: hash.finalize().to_vec() },
        }
    }
}

/// A checksum, written as `sha1 <base64>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: ChecksumAlgorithm,
    sum: Vec<u8>,
}

impl FromStr for Checksum {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("Upload-Checksum must be sha1 or sha256, a space, and the sum in base64");
        let (name, sum) = text.trim().split_once(' ').ok_or_else(invalid)?;
        let (algorithm, length) = match name {
            "sha1" => (ChecksumAlgorithm::Sha1, 20),
            "sha256" => (ChecksumAlgorithm::Sha256, 32),
            _ => return Err(invalid()),
        };
        let sum = STANDARD.decode(sum.trim()).map_err(|_| invalid())?;
        if sum.len() == length { Ok(Self { algorithm, sum }) } else { Err(invalid()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_read_and_made() {
        for (text, algorithm) in [
            ("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=", ChecksumAlgorithm::Sha1),
            ("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek=", ChecksumAlgorithm::Sha256),
        ] {
            let checksum: Checksum = text.parse().unwrap();
            assert_eq!(checksum.algorithm, algorithm);
            let mut hasher = algorithm.begin();
            hasher.update(b"hello ");
            hasher.update(b"world");
            assert_eq!(hasher.finish(), checksum);
        }
        for bad in
            ["", "sha1", "md5 XrY7u+Ae7tCTyyK7j1rNww==", "sha1 AAAA", "sha1 !", "SHA1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="]
        {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
    }
}
