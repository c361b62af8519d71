//! How the server is: what is stored, how much room there is, and what a person has to know.

use super::room::Room;
use super::schedule_backups::{BackupSchedule, BackupStanding};
use crate::domain::{ByteSize, Concern};
use crate::store::integrity::{self, StateCounts};
use crate::store::{DatabaseSize, Space, Store, StoreError, packages, registrations, uploads, webhooks};

/// How the server is at a moment.
#[derive(Debug)]
pub struct Status {
    /// Packages by what is known about their files.
    pub packages: StateCounts,
    /// How many bytes all packages have by right.
    pub package_bytes: u64,
    /// How much the database takes on its file system.
    pub database: DatabaseSize,
    /// Room on the file system of the packages; `None` if it is not there.
    pub space: Option<Space>,
    /// What uploads must leave free, in bytes.
    pub reserve_bytes: u64,
    /// Uploads that are not packages yet.
    pub unfinished_uploads: usize,
    /// Devices that wait to be accepted.
    pub pending_registrations: usize,
    /// Where events are sent.
    pub webhooks: Vec<webhooks::Standing>,
    /// How the backups fare that the server makes by itself; `None`: it makes none.
    pub backups: Option<BackupStanding>,
    /// What is wrong, the worst first.
    pub concerns: Vec<Concern>,
}

/// Looks how the server is. Writes nothing.
pub async fn status(
    store: &Store,
    room: &Room,
    backups: Option<&BackupSchedule>,
    authentication_is_off: bool,
) -> Result<Status, StoreError> {
    let folder = room.folder().clone();
    let looking = store.read(move |connection| {
        Ok::<_, StoreError>(Status {
            packages: integrity::count(connection)?,
            package_bytes: packages::total_bytes(connection)?,
            database: DatabaseSize::of(connection),
            space: folder.is_there().then(|| folder.space()).transpose()?,
            reserve_bytes: 0,
            unfinished_uploads: uploads::list(connection)?.len(),
            pending_registrations: registrations::count(connection)?,
            webhooks: webhooks::list(connection)?,
            backups: None,
            concerns: Vec::new(),
        })
    });
    let mut status = looking.await?;
    status.reserve_bytes = status.space.map_or(0, |space| room.reserve_bytes(space));
    status.backups = backups.map(BackupSchedule::standing);
    status.concerns = concerns(&status, store, authentication_is_off);
    Ok(status)
}

fn concerns(status: &Status, store: &Store, authentication_is_off: bool) -> Vec<Concern> {
    let StateCounts { corrupt, missing, .. } = status.packages;
    let [free, reserve] =
        [status.space.map_or(0, |space| space.free_bytes), status.reserve_bytes].map(ByteSize::from_bytes);
    let found = [
        store.writes_fail_since().map(|since| Concern::WritesFail { since }),
        status.space.is_none().then_some(Concern::PackagesAway),
        (status.space.is_some() && free < reserve).then_some(Concern::NoRoom { free, reserve }),
        (corrupt + missing > 0).then_some(Concern::DamagedPackages { corrupt, missing }),
        status.webhooks.iter().find_map(webhooks::Standing::concern).map(|since| Concern::WebhookFails { since }),
        status.backups.and_then(|backups| backups.failing_since).map(|since| Concern::BackupsFail { since }),
        store.clock().is_unset().then_some(Concern::ClockUnset),
        authentication_is_off.then_some(Concern::AuthenticationOff),
    ];
    found.into_iter().flatten().collect()
}
