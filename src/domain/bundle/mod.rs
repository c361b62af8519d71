//! Bundles: packages, and groups with their policies, in one signed file that is carried from one installation to another.
//!
//! A bundle is a tar of `manifest.json`, `manifest.sig` and the packages in the order of the manifest. The manifest says what
//! everything after it is, to the last byte: so nothing can be added, taken away or changed, and whoever reads it knows what
//! comes before it comes. The signature is Ed25519 (RFC 8032) over the bytes of the manifest.

mod layout;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::device::is_printable;
use super::{GroupMetadata, Invalid, Metadata, PackageDescription, Policy, Sha256Digest, StorageDirectory, Timestamp};

pub use layout::{
    BLOCK_BYTES, END, MANIFEST, MANIFEST_LIMIT_BYTES, SIGNATURE, SIGNATURE_BYTES, entry_header, entry_length,
    package_entry, padding_bytes,
};

/// What the manifest of this version begins with.
const FORMAT: &str = "tender-bundle/1";
/// How keys are written, before their digits.
const KEY_PREFIX: &str = "ed25519:";
const NAME_MAX_CHARACTERS: usize = 64;

/// The public key of somebody who signs bundles: short enough to be its own fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignerKey(pub [u8; 32]);

impl fmt::Display for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_PREFIX}{}", Sha256Digest(self.0))
    }
}

impl FromStr for SignerKey {
    type Err = Invalid;

    /// `ed25519:` and 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let digits = text.trim().strip_prefix(KEY_PREFIX).and_then(|digits| digits.parse().ok());
        digits.map(|Sha256Digest(bytes)| Self(bytes)).ok_or_else(|| {
            Invalid::new(
                "a key is written as ed25519: and 64 hexadecimal digits, as `tender bundle key show` prints it",
            )
        })
    }
}

/// What people call somebody who signs bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerName(String);

impl SignerName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SignerName {
    type Err = Invalid;

    /// Printable text of 1 to 64 characters that is no key.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if !is_printable(text) || !(1..=NAME_MAX_CHARACTERS).contains(&text.chars().count()) {
            let sentence = format!("a signer's name is printable text of 1 to {NAME_MAX_CHARACTERS} characters");
            return Err(Invalid::new(sentence));
        }
        if text.starts_with(KEY_PREFIX) {
            return Err(Invalid::new("a signer's name must not look like a key"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Tells it from other bundles.
    pub id: Uuid,
    /// When it was made, by the clock of whoever made it.
    pub created: Timestamp,
    /// Its packages, in the order in which they follow.
    pub packages: Vec<BundledPackage>,
    /// Its groups.
    pub groups: Vec<BundledGroup>,
}

/// A package in a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct BundledPackage {
    /// The hash of its bytes.
    pub sha256: Sha256Digest,
    /// How many bytes it has.
    pub length_bytes: u64,
    /// What it is and where it is kept.
    pub description: PackageDescription,
}

/// A group in a bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct BundledGroup {
    /// Tells it from other groups, wherever it is carried.
    pub identity: Uuid,
    /// Its metadata.
    pub metadata: GroupMetadata,
    /// Which version its devices are to reach.
    pub policy: Policy,
    /// Its packages in the order assigned, by their places in the manifest.
    pub packages: Vec<usize>,
}

#[derive(Serialize, Deserialize)]
struct WrittenManifest {
    format: String,
    id: String,
    created: String,
    packages: Vec<WrittenPackage>,
    groups: Vec<WrittenGroup>,
}

#[derive(Serialize, Deserialize)]
struct WrittenPackage {
    sha256: Sha256Digest,
    length_bytes: u64,
    directory: Option<String>,
    metadata: Metadata,
}

#[derive(Serialize, Deserialize)]
struct WrittenGroup {
    id: String,
    metadata: Box<RawValue>,
    policy: String,
    packages: Vec<usize>,
}

impl Manifest {
    /// The bytes that are signed.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let packages = self.packages.iter().map(|package| WrittenPackage {
            sha256: package.sha256,
            length_bytes: package.length_bytes,
            directory: package.description.directory().map(|directory| directory.as_str().to_owned()),
            metadata: package.description.metadata().clone(),
        });
        let group = |group: &BundledGroup| {
            Ok::<_, serde_json::Error>(WrittenGroup {
                id: group.identity.to_string(),
                metadata: RawValue::from_string(group.metadata.as_str().to_owned())?,
                policy: group.policy.to_string(),
                packages: group.packages.clone(),
            })
        };
        let written = WrittenManifest {
            format: FORMAT.to_owned(),
            id: self.id.to_string(),
            created: self.created.rfc3339(),
            packages: packages.collect(),
            groups: self.groups.iter().map(group).collect::<Result<_, _>>()?,
        };
        serde_json::to_vec(&written)
    }

    /// Reads a manifest whose signature is good.
    pub fn parse(json: &[u8]) -> Result<Self, Invalid> {
        let unreadable = |reason: &dyn fmt::Display| {
            Invalid::new(format!("the bundle's manifest is not understood; a newer tender may have made it: {reason}"))
        };
        let written: WrittenManifest = serde_json::from_slice(json).map_err(|error| unreadable(&error))?;
        if written.format != FORMAT {
            return Err(unreadable(&format!("it is of the format {:?}", written.format)));
        }
        let uuid = |text: &str| Uuid::try_parse(text).map_err(|error| unreadable(&error));
        let package = |package: WrittenPackage| {
            let directory = package.directory.as_deref().map(StorageDirectory::parse).transpose()?;
            if package.length_bytes == 0 {
                return Err(Invalid::new("a package is empty"));
            }
            Ok(BundledPackage {
                sha256: package.sha256,
                length_bytes: package.length_bytes,
                description: PackageDescription::from_stored(package.metadata, directory)?,
            })
        };
        let packages = written.packages.into_iter().map(package).collect::<Result<Vec<_>, Invalid>>();
        let packages = packages.map_err(|invalid| unreadable(&invalid))?;
        let group = |group: WrittenGroup| {
            if group.packages.iter().any(|place| *place >= packages.len()) {
                return Err(unreadable(&"a group has a package that is not there"));
            }
            Ok(BundledGroup {
                identity: uuid(&group.id)?,
                metadata: GroupMetadata::parse(group.metadata.get()).map_err(|invalid| unreadable(&invalid))?,
                policy: group.policy.parse().map_err(|invalid: Invalid| unreadable(&invalid))?,
                packages: group.packages,
            })
        };
        let groups = written.groups.into_iter().map(group).collect::<Result<_, _>>()?;
        let created = Timestamp::parse_utc(&written.created).ok_or_else(|| unreadable(&"its date is none"))?;
        Ok(Self { id: uuid(&written.id)?, created, packages, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = SignerKey([0xa5; 32]);
        assert_eq!(key.to_string().parse(), Ok(key));
        for text in ["", "ed25519:", &"a5".repeat(32), "ed25519:xyz", "rsa:00"] {
            assert!(text.parse::<SignerKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let metadata = Metadata::from([("rdfm.software.version", "v1"), ("rdfm.hardware.devtype", "t")]);
        let directory = Some(StorageDirectory::parse("site a/images").unwrap());
        let manifest = Manifest {
            id: Uuid::from_u128(1),
            created: Timestamp::from_unix_seconds(1_800_000_000),
            packages: vec![BundledPackage {
                sha256: Sha256Digest([7; 32]),
                length_bytes: 9,
                description: PackageDescription::from_stored(metadata, directory).unwrap(),
            }],
            groups: vec![BundledGroup {
                identity: Uuid::from_u128(2),
                metadata: GroupMetadata::parse(r#"{"n": 1.10}"#).unwrap(),
                policy: "exact_match,v1".parse().unwrap(),
                packages: vec![0],
            }],
        };
        let json = manifest.to_json().unwrap();
        assert_eq!(Manifest::parse(&json).unwrap(), manifest);

        let text = String::from_utf8(json).unwrap();
        for (from, to) in [
            ("tender-bundle/1", "tender-bundle/2"),
            ("\"packages\":[0]", "\"packages\":[1]"),
            ("site a/images", "../images"),
            ("exact_match,v1", "exact_match,"),
            ("\"length_bytes\":9", "\"length_bytes\":0"),
            ("2027-", "nnnn-"),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            assert!(Manifest::parse(changed.as_bytes()).is_err(), "{from}");
        }
    }
}
