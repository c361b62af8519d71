//! Backups: the database, the secrets and the packages in one tar archive that says of itself whether it is whole.
//!
//! In this order:
//!
//! | entry | what it is |
//! |---|---|
//! | `tender-backup.json` | [`Header`]: format, program, schema, when it was made, and whether packages are in it |
//! | `packages/…` | the package files, and whose they are (`packages/.tender`), under the names that they have in the data folder |
//! | `secrets/…` | the secrets |
//! | `tender.sqlite` | the database as it was after all of these were copied: it names nothing that is not there |
//! | `contents.json` | [`Contents`]: length and SHA-256 of each entry before it, and what was wrong with packages |
//! | `digest.sha256` | SHA-256 of the archive before this entry, without what `contents.json` has the SHA-256 of: tar's own blocks and `contents.json` |
//!
//! What this entry is and what comes after it follows from the digest, so no byte can be changed unnoticed.

mod frame;
mod kept;
mod name;
mod output;
mod read;
mod source;
mod write;

use serde::{Deserialize, Serialize};

pub use kept::BackupsFolder;
pub use name::EntryName;
pub use output::BackupFile;
pub use read::{BackupError, Sink, Taken, read_backup};
pub use source::{BackupSource, PackageCopy, Scratch, SecretFile};
pub use write::BackupWriter;

use crate::domain::{PackageId, Sha256Digest};

/// The version of this layout. A program refuses those that it does not know.
pub const FORMAT: u32 = 1;

/// What a backup says first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the program that made it.
    pub program: String,
    /// The version of the database's schema.
    pub schema: u32,
    /// When it was begun, as RFC 3339.
    pub created: String,
    /// Whether the package files are in it.
    pub has_packages: bool,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// All entries before this one, in their order.
    pub entries: Vec<Entry>,
    /// Packages whose files were not what was uploaded: they are in it as they were, filled up with zeros, or not at all.
    pub damaged: Vec<DamagedPackage>,
}

/// An entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// How long it is.
    pub length_bytes: u64,
    /// The hash of its bytes.
    pub sha256: Sha256Digest,
}

/// A package that could not be copied as it was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedPackage {
    /// The package.
    pub package: PackageId,
    /// What is wrong with its file, for people.
    pub detail: String,
}
