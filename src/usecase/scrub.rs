//! Stored packages are read again, slowly, so that a disk which forgets is noticed before a device installs what it made up.
//!
//! One file at a time, whichever was read longest ago first, never faster than the plan says, only in its hours, and not while
//! somebody downloads or uploads. Damaged packages are only looked at: they are read again when their file has changed, as it has when
//! somebody restored it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;
use uuid::Uuid;

use super::setting::Setting;
use crate::domain::{ByteSize, Pace, Package, PackageId, ScrubPlan, Timestamp};
use crate::store::integrity::{self, Noted};
use crate::store::{Inspection, Look, PackageFolder, Sighting, Step, Store, StoreError, Verdict, packages};

/// How often is asked whether anything is to be read: that costs a query, and one stat for each damaged package.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long nothing may be moved by downloads and uploads before reading goes on.
const QUIET: Duration = Duration::from_secs(1);

/// Reads packages again.
pub struct Scrubber {
    store: Store,
    folder: PackageFolder,
    plan: Setting<ScrubPlan>,
    /// Held while a piece is read and rested after: so all reading together keeps to the rate.
    pace: Mutex<Pace>,
}

/// What reading a file makes way for.
enum Manner<'a> {
    /// For downloads and uploads, until this moment; and for the hours that the plan names.
    Patient(&'a mut Quiet, Timestamp),
    /// For nothing: somebody waits for it.
    Urgent,
}

/// How many pieces downloads and uploads had moved when somebody last looked.
#[derive(Default)]
struct Quiet(u64);

/// A damaged package as it was when it was last read.
struct Watched {
    sighting: Option<Sighting>,
    read: Timestamp,
}

impl Scrubber {
    /// For the packages of one installation.
    pub fn new(store: Store, folder: PackageFolder, plan: Setting<ScrubPlan>) -> Self {
        Self { store, folder, plan, pace: Mutex::default() }
    }

    /// Works until it is dropped.
    pub async fn run(self) -> Infallible {
        // Apart: whoever has restored a file does not wait for a round, which may take days.
        tokio::join!(self.watch(), self.go_round()).0
    }

    /// Reads what is due, again and again.
    async fn go_round(&self) -> Infallible {
        let mut quiet = Quiet::default();
        loop {
            if self.reads_now()
                && let Err(error) = self.read_what_is_due(&mut quiet).await
            {
                tracing::warn!(%error, "could not read packages again; will try again");
            }
            self.rest().await;
        }
    }

    async fn read_what_is_due(&self, quiet: &mut Quiet) -> Result<(), StoreError> {
        let (now, every) = (self.store.clock().now(), self.plan.get().every);
        let due = self.store.read(move |connection| integrity::due(connection, now, every)).await?;
        for (id, read) in due {
            if !self.reads_now() {
                break;
            }
            let patience = read.saturating_add(every * 2);
            self.read(id, Manner::Patient(quiet, patience)).await?;
        }
        Ok(())
    }

    /// Reads damaged packages whose file has changed, and files that a download could not read.
    async fn watch(&self) -> Infallible {
        let mut watched = HashMap::new();
        loop {
            if let Err(error) = self.look_at_damaged_and_suspects(&mut watched).await {
                tracing::warn!(%error, "could not look at damaged packages; will try again");
            }
            self.rest().await;
        }
    }

    async fn look_at_damaged_and_suspects(&self, watched: &mut HashMap<PackageId, Watched>) -> Result<(), StoreError> {
        for uuid in self.folder.take_suspects() {
            self.read_suspect(uuid).await?;
        }
        let folder = self.folder.clone();
        let sighting = move |package: Package| Some((package.id, folder.sighting(&package).ok()?));
        let damaged = self.store.read(move |connection| {
            Ok::<_, StoreError>(integrity::damaged(connection)?.into_iter().filter_map(sighting).collect())
        });
        let damaged: HashMap<PackageId, Option<Sighting>> = damaged.await?;
        watched.retain(|id, _| damaged.contains_key(id));
        for (id, sighting) in damaged {
            let now = self.store.clock().now();
            let is_known = watched.get(&id).is_some_and(|watched| {
                // Also a file that looks the same may be readable some day.
                watched.sighting == sighting && (sighting.is_none() || watched.read.until(now) < self.plan.get().every)
            });
            if !is_known && self.read(id, Manner::Urgent).await? != Noted::Stale {
                watched.insert(id, Watched { sighting, read: now });
            }
        }
        Ok(())
    }

    async fn read_suspect(&self, uuid: Uuid) -> Result<(), StoreError> {
        let suspect = self.store.read(move |connection| packages::find_by_uuid(connection, uuid)).await?;
        if let Some(package) = suspect {
            self.read(package.id, Manner::Urgent).await?;
        }
        Ok(())
    }

    /// Reads one package, and notes what it is.
    async fn read(&self, id: PackageId, manner: Manner<'_>) -> Result<Noted, StoreError> {
        let Some(package) = self.store.read(move |connection| packages::find(connection, id)).await? else {
            return Ok(Noted::Stale);
        };
        let (folder, looking) = (self.folder.clone(), package.clone());
        let look = tokio::task::spawn_blocking(move || folder.look(&looking)).await;
        let verdict = match look.map_err(|_| StoreError::Abandoned)? {
            Ok(Look::Judged(verdict)) => verdict,
            Ok(Look::Complete(inspection)) => self.read_to_the_end(id, inspection, manner).await?,
            Err(error) => {
                tracing::warn!(package = %id, %error, "could not look at the file of a package; will try again");
                return Ok(Noted::Stale);
            }
        };
        let folder = self.folder.clone();
        let noting = self.store.write(move |tx| match verdict {
            Verdict { sighting, damage: Some(damage) } => {
                integrity::note_damage(tx, &folder, &package, sighting, &damage)
            }
            Verdict { sighting: Some(sighting), damage: None } => {
                integrity::note_whole(tx, &folder, &package, sighting)
            }
            Verdict { sighting: None, damage: None } => Ok(Noted::Stale),
        });
        noting.await
    }

    async fn read_to_the_end(
        &self,
        id: PackageId,
        mut inspection: Inspection,
        mut manner: Manner<'_>,
    ) -> Result<Verdict, StoreError> {
        loop {
            if let Manner::Patient(quiet, patience) = &mut manner {
                if !self.wait_for_hours(id).await? {
                    return Ok(Verdict { sighting: None, damage: None });
                }
                self.wait_for(quiet, *patience).await;
            }
            let mut pace = self.pace.lock().await;
            let reading = tokio::task::spawn_blocking(move || (inspection.step(), inspection));
            let (step, rest) = reading.await.map_err(|_| StoreError::Abandoned)?;
            match step {
                Step::Read(bytes) => sleep(pace.rest_after(bytes, self.rate())).await,
                Step::Judged(verdict) => return Ok(verdict),
            }
            inspection = rest;
        }
    }

    /// Waits while downloads and uploads move anything, but not beyond `patience`.
    async fn wait_for(&self, quiet: &mut Quiet, patience: Timestamp) {
        while quiet.0 != self.folder.moved_pieces() && self.store.clock().now() < patience {
            quiet.0 = self.folder.moved_pieces();
            sleep(QUIET).await;
        }
    }

    /// Waits for the hours in which is read, for days if need be; `false` if the package is gone by then: as long as its file is
    /// open, its room on the disk is not free.
    async fn wait_for_hours(&self, id: PackageId) -> Result<bool, StoreError> {
        while !self.reads_now() {
            self.rest().await;
            if self.store.read(move |connection| packages::find(connection, id)).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn rate(&self) -> ByteSize {
        self.plan.get().rate.unwrap_or(ScrubPlan::DEFAULT_RATE)
    }

    /// Whether what is due may be read at this moment.
    fn reads_now(&self) -> bool {
        let plan = self.plan.get();
        plan.rate.is_some() && plan.reads_at(self.store.clock().known_date())
    }

    async fn rest(&self) {
        sleep(self.plan.get().every.clamp(Duration::from_millis(10), LOOK_INTERVAL)).await;
    }
}
