//! What tender is about, as pure values and functions: devices, groups, packages, artifacts, policies, accounts and the
//! resolver.
//!
//! A value of one of these types is valid: it was parsed, not checked. Nothing here knows HTTP, SQL, files, threads or
//! the clock; whoever needs the time passes a [`Timestamp`] in.

mod account;
mod artifact;
pub mod attempt;
mod audit;
mod backoff;
mod backup;
pub mod bundle;
mod byte_size;
mod concern;
mod device;
mod download_urls;
pub mod downloads;
mod event;
pub mod explanation;
pub mod fleet;
mod group;
mod hours;
mod ids;
mod integrity;
mod metadata;
mod named;
mod package;
mod policy;
pub mod preview;
pub mod progress;
mod registration;
pub mod resolver;
pub mod rollout;
mod scope;
mod search;
mod timestamp;

pub use account::{ClientName, CredentialHash, PasswordHash, Role, UserName};
pub use artifact::{Artifact, ArtifactKind, ArtifactKinds, ArtifactPayload, Flaw, examine, is_artifact};
pub use audit::{Action, Actor, ActorKind, AuditEntry, AuditRecord, AuditRetention, Deed, Outcome};
pub use backoff::Backoff;
pub use backup::{BackupName, BackupPlan, BackupRecord};
pub use byte_size::ByteSize;
pub use concern::Concern;
pub use device::{Device, DeviceName, DeviceReport, MacAddress, MacKey};
pub use download_urls::DownloadUrls;
pub use event::{DeviceChange, Event, EventFilter, EventRecord, EventType, GroupChange};
pub use group::{Group, GroupMetadata, GroupState, MembershipChange};
pub use hours::{Hours, LocalHours, TimeZone};
pub use ids::{AttemptId, DeviceId, GroupId, Identifier, PackageId, UserId};
pub use integrity::{CheckedPackage, Damage, FoundDamage, Pace, PackageState, ScrubPlan};
pub use metadata::{Metadata, MetadataValue, keys};
pub use package::{Package, PackageDescription, Sha256Digest, StorageDirectory, StorageLimits, Submission};
pub use policy::Policy;
pub use registration::{KeyFingerprint, Registration, RegistrationState};
pub use scope::{Scope, Scopes};
pub use search::{Search, Searched};
pub use timestamp::Timestamp;

use std::borrow::Cow;

/// Why a value from outside was not taken: one sentence for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// Takes the sentence that the sender will read. Whatever it repeats of what was sent, it stays on one line.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        let sentence = sentence.into();
        Self(if sentence.contains(char::is_control) { on_one_line(&sentence).into() } else { sentence })
    }
}

/// The text with escapes, such as `\n`, in place of its control characters.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stays_on_one_line_whatever_it_repeats() {
        let refused = "4\nMiB\u{1b}".parse::<ByteSize>().unwrap_err().to_string();
        assert_eq!(refused, "\"4\\nMiB\\u{1b}\" is not a size, such as 4MiB, 500kB or 1024");
        assert_eq!(Invalid::new("größer").to_string(), "größer");
    }
}
