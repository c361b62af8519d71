//! The audit log's words: who did what, on what, and what came of it.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Timestamp;
use super::named::named;

named!(
    /// What kind of somebody did something.
    ActorKind, "kind of actor":
    /// A person who logged in.
    User = "user",
    /// A client of the own authorization server.
    Client = "client",
    /// The holder of a token that was made on the command line.
    Token = "token",
    /// The holder of a token of the external identity provider.
    External = "external",
    /// Somebody at the machine's command line.
    CommandLine = "command-line",
    /// Somebody who could not or need not say who it is.
    Anonymous = "anonymous",
);

named!(
    /// What was done, or was to be done.
    Action, "action":
    /// A device's registration was accepted.
    AcceptDevice = "device.accept",
    /// A device's registration was rejected.
    RejectDevice = "registration.reject",
    /// A package was uploaded.
    UploadPackage = "package.upload",
    /// An upload that can be resumed was begun.
    BeginUpload = "upload.begin",
    /// More of it was sent.
    ContinueUpload = "upload.continue",
    /// It was given up by its client.
    DiscardUpload = "upload.discard",
    /// A package was deleted.
    DeletePackage = "package.delete",
    /// A group was created.
    CreateGroup = "group.create",
    /// A group was deleted.
    DeleteGroup = "group.delete",
    /// Devices were added to a group or removed from it.
    ChangeGroupDevices = "group.devices",
    /// A group's packages were set.
    SetGroupPackages = "group.packages",
    /// A group's metadata was set.
    SetGroupMetadata = "group.metadata",
    /// A group's policy was set.
    SetGroupPolicy = "group.policy",
    /// How a group's devices get new versions was set.
    SetGroupRollout = "group.rollout",
    /// Offers in a group that had stopped go on.
    ResumeGroup = "group.resume",
    /// A device that paused after failures does not any more.
    ReleaseDevice = "device.release",
    /// A device was given a name.
    SetDeviceName = "device.name",
    /// Devices were moved to a group, or out of theirs.
    AssignDevices = "device.assign",
    /// A device was removed.
    RemoveDevices = "device.remove",
    /// Somebody became the first administrator.
    Claim = "claim",
    /// Somebody logged in.
    LogIn = "login",
    /// Somebody ended a session.
    LogOut = "logout",
    /// A user was added.
    AddUser = "user.add",
    /// A user was removed.
    RemoveUser = "user.remove",
    /// A user was barred from logging in.
    DisableUser = "user.disable",
    /// A user may log in again.
    EnableUser = "user.enable",
    /// A user's password was set.
    SetPassword = "user.password",
    /// A user's role was set.
    SetRole = "user.role",
    /// A client of the authorization server was created.
    CreateClient = "client.create",
    /// A client was removed.
    RemoveClient = "client.remove",
    /// A client got a new secret.
    RotateSecret = "client.secret",
    /// Another certificate authority took the place of the one before.
    RotateAuthority = "authority.rotate",
    /// A token was made on the command line.
    CreateToken = "token.create",
    /// A client asked for a token.
    GrantToken = "token.grant",
    /// A token was revoked.
    RevokeToken = "token.revoke",
    /// A client looked at a token.
    IntrospectToken = "token.introspect",
);

named!(
    /// What came of it.
    Outcome, "outcome":
    /// It was done.
    Done = "done",
    /// Whoever asked may not do that.
    Denied = "denied",
    /// It could not be done as it was asked for.
    Refused = "refused",
    /// It was the server's fault.
    Failed = "failed",
);

/// Somebody who does something.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Actor {
    /// What kind of somebody.
    pub kind: ActorKind,
    /// The name: of the user, the client, the token, or the account on the machine.
    pub name: String,
}

impl Actor {
    /// Somebody of this kind and name.
    pub fn new(kind: ActorKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => self.kind.fmt(f),
            name => write!(f, "{} {name}", self.kind),
        }
    }
}

/// Who does what, and from where: the part of an entry that is known before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deed {
    /// Who.
    pub actor: Actor,
    /// From where; `None` on the machine itself.
    pub address: Option<IpAddr>,
    /// What.
    pub action: Action,
}

impl Deed {
    /// The entry that says that it was done to `target`, such as `group/3`.
    pub fn done(self, target: impl Into<String>) -> AuditEntry {
        self.ended(Outcome::Done, target)
    }

    /// The entry that says what came of it.
    pub fn ended(self, outcome: Outcome, target: impl Into<String>) -> AuditEntry {
        AuditEntry { deed: self, target: bounded(target.into()), outcome, detail: String::new() }
    }
}

/// What is written into the audit log. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Who did what.
    pub deed: Deed,
    /// On what, such as `group/3`; empty if on nothing in particular.
    pub target: String,
    /// What came of it.
    pub outcome: Outcome,
    /// More about it, such as the new policy.
    pub detail: String,
}

impl AuditEntry {
    /// The longest target or detail, in bytes: much of it comes from outside.
    pub const TEXT_LIMIT_BYTES: usize = 512;

    /// The same with more about it.
    #[must_use]
    pub fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = bounded(detail.into());
        self
    }
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number; later entries have higher ones.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: AuditEntry,
}

/// How much of the log is kept: what is older goes, and the oldest of what is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditRetention {
    /// How long an entry stays.
    pub age: Duration,
    /// How many entries stay.
    pub entries: u64,
}

impl Default for AuditRetention {
    fn default() -> Self {
        Self { age: Duration::from_secs(400 * 24 * 60 * 60), entries: 100_000 }
    }
}

/// The text without control characters, cut where it is too long.
pub(super) fn bounded(text: String) -> String {
    if text.len() <= AuditEntry::TEXT_LIMIT_BYTES && !text.chars().any(char::is_control) {
        return text;
    }
    let mut kept = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if kept.len() + character.len_utf8() > AuditEntry::TEXT_LIMIT_BYTES - '…'.len_utf8() {
            kept.push('…');
            break;
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_differ() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(*action));
        }
        assert!("group".parse::<Action>().is_err());
        assert_eq!("denied".parse(), Ok(Outcome::Denied));
    }

    #[test]
    fn texts_from_outside_are_bounded() {
        let deed = Deed { actor: Actor::new(ActorKind::User, "anna"), address: None, action: Action::CreateGroup };
        let entry = deed.done("a\n\u{1b}[2Jb").with("ä".repeat(1000));
        assert_eq!(entry.target, "a[2Jb");
        assert!(entry.detail.len() <= AuditEntry::TEXT_LIMIT_BYTES && entry.detail.ends_with("ä…"));
        assert_eq!(bounded("as it is".into()), "as it is");
    }
}
