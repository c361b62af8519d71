//! The names of a backup's entries. One that comes out of an archive cannot lead anywhere else.

use std::fmt;

use uuid::Uuid;

use crate::domain::StorageDirectory;
use crate::store::blobs::OWNER;
use crate::store::folder::names;

const HEADER: &str = "tender-backup.json";
const CONTENTS: &str = "contents.json";
pub(super) const DIGEST: &str = "digest.sha256";
/// The longest name of a file among the secrets.
const LONGEST_SECRET_NAME: usize = 64;

/// What an entry of a backup is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EntryName {
    /// What the backup says first.
    Header,
    /// The file of a package.
    Package(Option<StorageDirectory>, Uuid),
    /// What says whose the packages are.
    Owner,
    /// A file among the secrets: a name without any folder.
    Secret(String),
    /// The database.
    Database,
    /// What is in the backup.
    Contents,
}

impl EntryName {
    /// Reads a name; `None` if no backup has such an entry.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = below(text, names::PACKAGES) {
            return Self::parse_package(rest);
        }
        if let Some(name) = below(text, names::SECRETS) {
            return is_secret_name(name).then(|| Self::Secret(name.to_owned()));
        }
        match text {
            HEADER => Some(Self::Header),
            names::DATABASE => Some(Self::Database),
            CONTENTS => Some(Self::Contents),
            _ => None,
        }
    }

    fn parse_package(rest: &str) -> Option<Self> {
        if rest == OWNER {
            return Some(Self::Owner);
        }
        let (directory, name) = match rest.rsplit_once('/') {
            Some((directory, name)) => (Some(StorageDirectory::parse(directory).ok()?), name),
            None => (None, rest),
        };
        let uuid = Uuid::try_parse(name).ok()?;
        let parsed = Self::Package(directory, uuid);
        // In one spelling alone.
        (below(&parsed.to_string(), names::PACKAGES) == Some(rest)).then_some(parsed)
    }
}

fn below<'a>(text: &'a str, folder: &str) -> Option<&'a str> {
    text.strip_prefix(folder)?.strip_prefix('/')
}

/// Whether a file among the secrets is backed up under this name: temporary and hidden ones are not.
pub(super) fn is_secret_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=LONGEST_SECRET_NAME).contains(&name.len())
        && !name.starts_with('.')
        && !name.ends_with(names::UNFINISHED_SUFFIX)
        && name.bytes().all(is_plain)
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str(HEADER),
            Self::Package(None, uuid) => write!(f, "{}/{uuid}", names::PACKAGES),
            Self::Package(Some(directory), uuid) => write!(f, "{}/{}/{uuid}", names::PACKAGES, directory.as_str()),
            Self::Owner => write!(f, "{}/{OWNER}", names::PACKAGES),
            Self::Secret(name) => write!(f, "{}/{name}", names::SECRETS),
            Self::Database => f.write_str(names::DATABASE),
            Self::Contents => f.write_str(CONTENTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_lead_nowhere_else() {
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let known = [
            "tender-backup.json".to_owned(),
            "packages/.tender".to_owned(),
            format!("packages/{uuid}"),
            format!("packages/site a/images/{uuid}"),
            "secrets/jwt-secret".to_owned(),
            "tender.sqlite".to_owned(),
            "contents.json".to_owned(),
        ];
        for name in known {
            assert_eq!(EntryName::parse(&name).map(|parsed| parsed.to_string()), Some(name));
        }
        let unknown = [
            String::new(),
            "/etc/passwd".to_owned(),
            "packages/x".to_owned(),
            format!("packages/../{uuid}"),
            format!("packages//{uuid}"),
            format!("packages/.uploads/{uuid}"),
            format!("packages/{}", uuid.to_uppercase()),
            format!("packages/{}", uuid.replace('-', "")),
            "secrets/".to_owned(),
            "secrets/..".to_owned(),
            "secrets/a/b".to_owned(),
            "secrets/jwt-secret.part".to_owned(),
            "./tender.sqlite".to_owned(),
            "tender.sqlite-wal".to_owned(),
            "digest.sha256".to_owned(),
        ];
        for name in unknown {
            assert_eq!(EntryName::parse(&name), None, "{name}");
        }
    }
}
