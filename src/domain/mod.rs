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
    /// Takes the sentence that the sender will read.
    pub fn new(sentence: impl Into<Cow<'static, str>>) -> Self {
        Self(sentence.into())
    }
}
