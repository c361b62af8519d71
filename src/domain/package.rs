//! Packages: files with metadata that say which device they are for and what they bring.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::{Artifact, ByteSize, Invalid, Metadata, MetadataValue, PackageId, Timestamp, keys};

const STORAGE_DIRECTORY_MAX_BYTES: usize = 512;
const STORAGE_DIRECTORY_PART_MAX_BYTES: usize = 128;
/// How many device types a sentence names.
const DEVICE_TYPES_NAMED: usize = 8;

/// The SHA-256 of a package's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest(pub [u8; 32]);

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It is in every offer: digit by digit through the formatter takes a microsecond.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
            digits[0] = DIGITS[usize::from(byte >> 4)];
            digits[1] = DIGITS[usize::from(byte & 0xf)];
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Sha256Digest {
    type Err = Invalid;

    /// 64 hexadecimal digits, in any case.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("a SHA-256 is written as 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| invalid())?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Sha256Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A stored package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// Identifier; never used again, also after deletion.
    pub id: PackageId,
    /// When it was uploaded.
    pub created: Timestamp,
    /// The hash of its bytes.
    pub sha256: Sha256Digest,
    /// How many bytes it has.
    pub length_bytes: u64,
    /// Its name in the package folder and in download URLs.
    pub uuid: Uuid,
    /// What it is and where it is kept.
    pub description: PackageDescription,
}

impl Package {
    /// The metadata as uploaded.
    pub fn metadata(&self) -> &Metadata {
        &self.description.metadata
    }
}

/// What an uploader sends beside the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    metadata: Metadata,
    directory: Option<StorageDirectory>,
    expected_sha256: Option<Sha256Digest>,
}

impl Submission {
    /// Takes the text fields of an upload: metadata, where the file is to be kept, and which hash it must have. Other keys under
    /// `rdfm.storage.` are the server's.
    pub fn from_fields(fields: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let (mut directory, mut expected_sha256) = (None, None);
        let mut pairs = Vec::new();
        for (key, value) in fields {
            if key == keys::STORAGE_DIRECTORY {
                directory = if value.is_empty() { None } else { Some(StorageDirectory::parse(&value)?) };
            } else if key == keys::STORAGE_SHA256 && !value.is_empty() {
                let sha256 = value.parse()?;
                if expected_sha256.replace(sha256).is_some_and(|before| before != sha256) {
                    return Err(Invalid::new(format!("{} is there twice", keys::STORAGE_SHA256)));
                }
            } else if key == keys::STORAGE_SHA256 {
                // An empty field of a form.
            } else if key.starts_with(keys::STORAGE_PREFIX) {
                return Err(Invalid::new(format!("the metadata key {key} is reserved by RDFM")));
            } else {
                pairs.push((key, MetadataValue::Text(value.into())));
            }
        }
        Ok(Self { metadata: pairs.into_iter().collect(), directory, expected_sha256 })
    }

    /// What the file must be, if that was said.
    pub fn expected_sha256(&self) -> Option<Sha256Digest> {
        self.expected_sha256
    }

    /// The metadata of the package: what was given, and for keys without a value what the artifact offers.
    pub fn metadata(&self, artifact: Option<&Artifact>) -> Metadata {
        let offered = artifact.map(Artifact::metadata).unwrap_or_default();
        let is_given = |key: &str| self.metadata.text(key).is_some_and(|value| !value.trim().is_empty());
        // Devices that know the version by another name than the artifact's do so before it, too.
        let is_renamed = is_given(keys::SOFTWARE_VERSION)
            && self.metadata.text(keys::SOFTWARE_VERSION) != offered.text(keys::SOFTWARE_VERSION);
        let is_left = |key: &str| is_given(key) || (is_renamed && key.starts_with(keys::REQUIRES_PREFIX));
        let offered = offered.iter().filter(|(key, _)| !is_left(key));
        self.metadata.iter().chain(offered).map(|(key, value)| (key, value.clone())).collect()
    }

    /// What is stored with the package, with what the artifact offers. Version and device type must be there then.
    pub fn describe(self, artifact: Option<&Artifact>) -> Result<PackageDescription, Invalid> {
        let metadata = self.metadata(artifact);
        PackageDescription::from_stored(metadata, self.directory).map_err(|invalid| {
            match artifact.map(|artifact| &artifact.device_types[..]) {
                Some(types @ [_, _, ..]) if invalid == PackageDescription::missing(keys::DEVICE_TYPE) => {
                    let named: Vec<_> = types.iter().take(DEVICE_TYPES_NAMED).map(|name| format!("{name:?}")).collect();
                    let more = if types.len() > named.len() { " and more" } else { "" };
                    Invalid::new(format!("{invalid}: the artifact is for {}{more}; say for which", named.join(", ")))
                }
                _ => invalid,
            }
        })
    }
}

/// What an uploader says about a package.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageDescription {
    metadata: Metadata,
    directory: Option<StorageDirectory>,
}

impl PackageDescription {
    /// Puts together what was taken apart for storing. Version and device type must be there.
    pub fn from_stored(metadata: Metadata, directory: Option<StorageDirectory>) -> Result<Self, Invalid> {
        for key in [keys::SOFTWARE_VERSION, keys::DEVICE_TYPE] {
            if metadata.text(key).is_none_or(|value| value.trim().is_empty()) {
                return Err(Self::missing(key));
            }
        }
        Ok(Self { metadata, directory })
    }

    fn missing(key: &str) -> Invalid {
        Invalid::new(format!("package metadata is missing {key}"))
    }

    /// The metadata, without the storage keys.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The directory below the package folder, if one was asked for.
    pub fn directory(&self) -> Option<&StorageDirectory> {
        self.directory.as_ref()
    }
}

/// How much may be stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StorageLimits {
    /// What stays free in any case; `None`: 256 MiB, or 5 % of the file system if that is more.
    pub reserve: Option<ByteSize>,
    /// The largest package; `None`: no limit.
    pub package: Option<ByteSize>,
    /// All packages together; `None`: no limit.
    pub store: Option<ByteSize>,
}

/// A directory below the package folder: one or more plain names, so that it can never lead out of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StorageDirectory(String);

impl StorageDirectory {
    /// Takes `name` or `name/name/…`. A name begins with a letter, digit or `_` and has letters, digits, `_`, `-`, `.`,
    /// `+`, `@` and spaces: what every file system and URL can carry.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let plain_name = |name: &str| {
            name.len() <= STORAGE_DIRECTORY_PART_MAX_BYTES
                && name.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_')
                && name.chars().all(|character| character.is_alphanumeric() || "_-.+@ ".contains(character))
                // That is how package files are named.
                && Uuid::try_parse(name).is_err()
        };
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.len() > STORAGE_DIRECTORY_MAX_BYTES || !text.split('/').all(plain_name) {
            return Err(Invalid::new(format!(
                "{} must be a plain relative path inside the package store, such as \"site-a/images\"",
                keys::STORAGE_DIRECTORY
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The path, relative to the package folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn describe(pairs: &[(&str, &str)]) -> Result<PackageDescription, Invalid> {
        Submission::from_fields(fields(pairs))?.describe(None)
    }

    #[test]
    fn version_and_device_type_are_required() {
        let both = [(keys::SOFTWARE_VERSION, "v1"), (keys::DEVICE_TYPE, "t")];
        assert!(describe(&both).is_ok());
        assert!(describe(&both[..1]).is_err());
        assert!(describe(&both[1..]).is_err());
        assert!(describe(&[both[0], (keys::DEVICE_TYPE, " ")]).is_err());
    }

    #[test]
    fn storage_keys_are_reserved_but_for_the_directory() {
        let with = |key, value| describe(&[(keys::SOFTWARE_VERSION, "v1"), (keys::DEVICE_TYPE, "t"), (key, value)]);
        assert!(with(keys::LOCAL_UUID, "x").is_err());
        assert!(with("rdfm.storage.s3.bucket", "x").is_err());
        assert_eq!(with(keys::STORAGE_DIRECTORY, "").unwrap().directory(), None);
        let description = with(keys::STORAGE_DIRECTORY, "a/b").unwrap();
        assert_eq!(description.directory().unwrap().as_str(), "a/b");
        assert_eq!(description.metadata().get(keys::STORAGE_DIRECTORY), None);
    }

    #[test]
    fn directories_stay_inside_the_store() {
        for text in ["a", "a/b", "a/b/", "site A/v1.2+rc@x", "größe", "_x/9"] {
            assert!(StorageDirectory::parse(text).is_ok(), "{text:?}");
        }
        let long = "x/".repeat(300);
        let unsafe_names = [
            "",
            "/",
            "/etc",
            "..",
            "../x",
            "a/../b",
            "a/..",
            "a//b",
            ".",
            "./a",
            ".hidden",
            "a/.uploads",
            "a\\b",
            "a\0b",
            "a\nb",
            " a",
            "~",
            "6f7483ac-5cde-467f-acf7-39e4b397e313",
            "a:b",
            "C:\\x",
            "%2e%2e",
            &long,
            &"n".repeat(129),
        ];
        for text in unsafe_names {
            assert!(StorageDirectory::parse(text).is_err(), "{text:?}");
        }
    }
}
