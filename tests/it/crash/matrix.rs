//! The matrix: each fail point that the program has, and what is under way when it is reached.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::site::Death;

/// What is done when the process is to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A package is uploaded as a form.
    Publish,
    /// A damaged package is uploaded again.
    Heal,
    /// A package is deleted.
    RemovePackage,
    /// An upload that can be resumed is begun,
    BeginUpload,
    /// goes on,
    Append,
    /// becomes a package,
    FinishUpload,
    /// or is given up.
    DiscardUpload,
    /// A device asks to be let in.
    Register,
    /// It is accepted,
    Accept,
    /// and removed.
    RemoveDevice,
    /// A group is created.
    CreateGroup,
    /// Devices are added to a group,
    AddDevices,
    /// or moved to it.
    MoveDevices,
    /// It is given packages,
    SetPackages,
    /// and a policy.
    SetPolicy,
    /// A client gives its token back.
    GiveTokenBack,
    /// Somebody becomes the first administrator.
    Claim,
    /// The server makes a backup by itself.
    ScheduledBackup,
    /// `tender token create`
    CreateToken,
    /// `tender token revoke`
    RevokeToken,
    /// `tender backup`
    Backup,
    /// `tender restore`
    Restore,
    /// `tender restore` where another one was cut off.
    RestoreAgain,
    /// `tender rollback`
    Rollback,
    /// A server starts for the first time,
    FirstStart,
    /// with a database of an earlier version,
    Upgrade,
    /// after an upload and a removal were cut off,
    Sweep,
    /// or while a package's file is away.
    MarkMissing,
}

/// The way that ends in death, as `TENDER_FAIL_POINT` has it, and the work that goes this way. Every fail point is the end of one.
pub const MATRIX: &[(&str, Work)] = &[
    ("publish.file-made", Work::Publish),
    ("publish.piece-written", Work::Publish),
    ("publish.file-synced", Work::Publish),
    ("publish.examined", Work::Publish),
    ("publish.directory-made", Work::Publish),
    ("publish.file-moved", Work::Publish),
    ("publish.directory-synced", Work::Publish),
    ("publish.placed", Work::Publish),
    ("publish.placed>write.begun", Work::Publish),
    ("publish.row", Work::Publish),
    ("publish.row>write.applied", Work::Publish),
    ("publish.row>write.committed", Work::Publish),
    ("publish.row>write.followed", Work::Publish),
    ("heal.file-linked", Work::Heal),
    ("heal.file-replaced", Work::Heal),
    ("heal.file-replaced>publish.row", Work::Heal),
    ("heal.file-replaced>publish.row>write.committed", Work::Heal),
    ("remove.row", Work::RemovePackage),
    ("remove.row>write.committed", Work::RemovePackage),
    ("remove.committed", Work::RemovePackage),
    ("remove.file-deleted", Work::RemovePackage),
    ("upload.file-made", Work::BeginUpload),
    ("upload.file-kept", Work::BeginUpload),
    ("upload.row", Work::BeginUpload),
    ("upload.row>write.committed", Work::BeginUpload),
    ("upload.file-cut", Work::Append),
    ("upload.piece-written", Work::Append),
    ("upload.piece-synced", Work::Append),
    ("upload.advanced", Work::Append),
    ("upload.advanced>write.committed", Work::Append),
    ("publish.directory-made", Work::FinishUpload),
    ("publish.file-moved", Work::FinishUpload),
    ("publish.directory-synced", Work::FinishUpload),
    ("upload.finished", Work::FinishUpload),
    ("upload.finished>write.committed", Work::FinishUpload),
    ("upload.finished>upload.forgotten", Work::FinishUpload),
    ("upload.finished>upload.file-deleted", Work::FinishUpload),
    ("upload.discarded", Work::DiscardUpload),
    ("upload.discarded>write.committed", Work::DiscardUpload),
    ("upload.forgotten", Work::DiscardUpload),
    ("upload.file-deleted", Work::DiscardUpload),
    ("register.row", Work::Register),
    ("register.row>write.committed", Work::Register),
    ("accept.registration-taken", Work::Accept),
    ("accept.device-row", Work::Accept),
    ("accept.device-row>write.committed", Work::Accept),
    ("remove.device-row", Work::RemoveDevice),
    ("remove.device-row>write.committed", Work::RemoveDevice),
    ("remove.device-row>write.followed", Work::RemoveDevice),
    ("group.row", Work::CreateGroup),
    ("group.row>write.committed", Work::CreateGroup),
    ("assign.device-added", Work::AddDevices),
    ("assign.device-added>assign.device-added", Work::AddDevices),
    ("assign.device-added>write.committed", Work::AddDevices),
    ("assign.devices-moved", Work::MoveDevices),
    ("assign.devices-moved>write.committed", Work::MoveDevices),
    ("assign.packages-taken", Work::SetPackages),
    ("assign.packages-set", Work::SetPackages),
    ("assign.packages-set>write.committed", Work::SetPackages),
    ("policy.row", Work::SetPolicy),
    ("policy.row>write.committed", Work::SetPolicy),
    ("token.given-back", Work::GiveTokenBack),
    ("token.given-back>write.committed", Work::GiveTokenBack),
    ("claim.hashed", Work::Claim),
    ("claim.user-row", Work::Claim),
    ("claim.session-row", Work::Claim),
    ("claim.session-row>write.committed", Work::Claim),
    ("backup.file-made", Work::ScheduledBackup),
    ("backup.file-named", Work::ScheduledBackup),
    ("backup.old-deleted", Work::ScheduledBackup),
    ("backup.unnoted", Work::ScheduledBackup),
    ("backup.unnoted>write.committed", Work::ScheduledBackup),
    ("token.row", Work::CreateToken),
    ("token.row>write.committed", Work::CreateToken),
    ("token.unprinted", Work::CreateToken),
    ("token.revoked", Work::RevokeToken),
    ("token.revoked>write.committed", Work::RevokeToken),
    ("backup.file-made", Work::Backup),
    ("backup.package-copied", Work::Backup),
    ("backup.scratch-made", Work::Backup),
    ("backup.database-copied", Work::Backup),
    ("backup.written", Work::Backup),
    ("backup.file-synced", Work::Backup),
    ("backup.file-named", Work::Backup),
    ("restore.marked", Work::Restore),
    ("restore.marked>restore.marked", Work::Restore),
    ("restore.file-made", Work::Restore),
    ("restore.file-synced", Work::Restore),
    ("restore.read", Work::Restore),
    ("restore.file-moved", Work::Restore),
    ("restore.packages-moved", Work::Restore),
    ("restore.secrets-moved", Work::Restore),
    ("restore.database-moved", Work::Restore),
    ("restore.synced", Work::Restore),
    ("restore.unmarked", Work::Restore),
    ("restore.cleared", Work::RestoreAgain),
    ("rollback.copied", Work::Rollback),
    ("rollback.log-merged", Work::Rollback),
    ("rollback.kept", Work::Rollback),
    ("rollback.replaced", Work::Rollback),
    ("start.folders-made", Work::FirstStart),
    ("start.secret-written", Work::FirstStart),
    ("start.secret-named", Work::FirstStart),
    ("migrate.begun", Work::FirstStart),
    ("migrate.step-done>migrate.step-done", Work::FirstStart),
    ("migrate.done", Work::FirstStart),
    ("start.opened", Work::FirstStart),
    ("start.packages-locked", Work::FirstStart),
    ("start.packages-claimed", Work::FirstStart),
    ("migrate.snapshot-file-made", Work::Upgrade),
    ("migrate.snapshot-copied", Work::Upgrade),
    ("migrate.snapshot-named", Work::Upgrade),
    ("migrate.snapshot-deleted", Work::Upgrade),
    ("migrate.begun", Work::Upgrade),
    ("migrate.step-done", Work::Upgrade),
    ("migrate.step-done>migrate.step-done", Work::Upgrade),
    ("migrate.done", Work::Upgrade),
    ("sweep.looked", Work::Sweep),
    ("sweep.file-deleted", Work::Sweep),
    ("sweep.file-deleted>sweep.file-deleted", Work::Sweep),
    ("sweep.package-marked", Work::MarkMissing),
];

/// The ways of some work, each with each death.
pub fn deaths(works: &[Work]) -> impl Iterator<Item = (&'static str, Work, Death)> {
    let wanted = MATRIX.iter().filter(|(_, work)| works.contains(work));
    wanted.flat_map(|(way, work)| Death::ALL.map(|death| (*way, *work, death)))
}

/// The names of the fail points in the source, with how often each is there.
fn fail_points(folder: &Path, names: &mut BTreeMap<String, usize>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fail_points(&path, names);
        } else if !path.ends_with("fail_point.rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for rest in text.split("fail_point!(\"").skip(1) {
                *names.entry(rest.split('"').next().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
}

#[test]
fn every_fail_point_is_in_the_matrix() {
    let mut names = BTreeMap::new();
    fail_points(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    for (name, count) in &names {
        assert_eq!(*count, 1, "{name} is at one place");
    }
    let ends: BTreeSet<&str> = MATRIX.iter().map(|(way, _)| way.rsplit('>').next().unwrap()).collect();
    assert_eq!(ends, names.keys().map(String::as_str).collect());
}
