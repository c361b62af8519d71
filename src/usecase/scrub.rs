//! Stored packages are read again, slowly, so that a disk which forgets is noticed before a device installs what it made up.
//!
//! One file at a time, whichever was read longest ago first, never faster than the plan says, and not while somebody
//! downloads or uploads. Damaged packages are only looked at: they are read again when their file has changed, as it has when
//! somebody restored it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::sleep;

use crate::domain::{Pace, Package, PackageId, ScrubPlan, Timestamp};
use crate::store::integrity::{self, Noted};
use crate::store::{Inspection, Look, PackageFolder, Sighting, Step, Store, StoreError, Verdict, packages};

/// How often is asked whether anything is to be read: that costs a query, and one stat for each damaged package.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How long nothing may be moved by downloads and uploads before reading goes on.
const QUIET: Duration = Duration::from_secs(1);

/// Whether reading a file may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It makes way for downloads and uploads.
    Patient,
    /// It has waited long enough, or somebody waits for it.
    Urgent,
}

/// A damaged package as it was when it was last read.
#[derive(Debug)]
struct Watched {
    sighting: Option<Sighting>,
    read: Timestamp,
}

/// Reads packages again.
pub struct Scrubber {
    store: Store,
    folder: PackageFolder,
    plan: ScrubPlan,
    watched: HashMap<PackageId, Watched>,
    seen_pieces: u64,
}

impl Scrubber {
    /// For the packages of one installation.
    pub fn new(store: Store, folder: PackageFolder, plan: ScrubPlan) -> Self {
        Self { store, folder, plan, watched: HashMap::new(), seen_pieces: 0 }
    }

    /// Works until it is dropped.
    pub async fn run(mut self) -> Infallible {
        loop {
            if let Err(error) = self.look_around().await {
                tracing::warn!(%error, "could not read packages again; will try again");
            }
            sleep(self.plan.every.clamp(Duration::from_millis(10), LOOK_INTERVAL)).await;
        }
    }

    /// Reads all that is due now.
    async fn look_around(&mut self) -> Result<(), StoreError> {
        self.look_at_damaged_and_suspects().await?;
        if self.plan.rate.is_none() {
            return Ok(());
        }
        let (now, every) = (self.store.clock().now(), self.plan.every);
        let due = self.store.read(move |connection| integrity::due(connection, now, every)).await?;
        for (id, read) in due {
            let manner = if read.until(now) >= every * 2 { Manner::Urgent } else { Manner::Patient };
            self.read(id, manner).await?;
            // A round may take days: whoever has restored a file does not wait for its end.
            self.look_at_damaged_and_suspects().await?;
        }
        Ok(())
    }

    async fn look_at_damaged_and_suspects(&mut self) -> Result<(), StoreError> {
        for uuid in self.folder.take_suspects() {
            let suspect = self.store.read(move |connection| packages::find_by_uuid(connection, uuid)).await?;
            if let Some(package) = suspect {
                self.read(package.id, Manner::Urgent).await?;
            }
        }
        let folder = self.folder.clone();
        let sighting = move |package: Package| Some((package.id, folder.sighting(&package).ok()?));
        let damaged: HashMap<PackageId, Option<Sighting>> = self
            .store
            .read(move |connection| {
                Ok::<_, StoreError>(integrity::damaged(connection)?.into_iter().filter_map(sighting).collect())
            })
            .await?;
        self.watched.retain(|id, _| damaged.contains_key(id));
        for (id, sighting) in damaged {
            let now = self.store.clock().now();
            let is_known = self.watched.get(&id).is_some_and(|watched| {
                // Also a file that looks the same may be readable some day.
                watched.sighting == sighting && (sighting.is_none() || watched.read.until(now) < self.plan.every)
            });
            if !is_known && self.read(id, Manner::Urgent).await? != Noted::Stale {
                self.watched.insert(id, Watched { sighting, read: now });
            }
        }
        Ok(())
    }

    /// Reads one package, and notes what it is.
    async fn read(&mut self, id: PackageId, manner: Manner) -> Result<Noted, StoreError> {
        let Some(package) = self.store.read(move |connection| packages::find(connection, id)).await? else {
            return Ok(Noted::Stale);
        };
        let (folder, looking) = (self.folder.clone(), package.clone());
        let look = tokio::task::spawn_blocking(move || folder.look(&looking)).await;
        let verdict = match look.map_err(|_| StoreError::Abandoned)? {
            Ok(Look::Judged(verdict)) => verdict,
            Ok(Look::Complete(inspection)) => self.read_to_the_end(inspection, manner).await?,
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

    async fn read_to_the_end(&mut self, mut inspection: Inspection, manner: Manner) -> Result<Verdict, StoreError> {
        let mut pace = Pace::new(self.plan.rate.unwrap_or(ScrubPlan::DEFAULT_RATE));
        loop {
            if manner == Manner::Patient {
                self.wait_for_quiet().await;
            }
            let reading = tokio::task::spawn_blocking(move || (inspection.step(), inspection));
            let (step, rest) = reading.await.map_err(|_| StoreError::Abandoned)?;
            match step {
                Step::Read(bytes) => sleep(pace.rest_after(bytes)).await,
                Step::Judged(verdict) => return Ok(verdict),
            }
            inspection = rest;
        }
    }

    /// Waits while downloads and uploads move anything.
    async fn wait_for_quiet(&mut self) {
        while self.seen_pieces != self.folder.moved_pieces() {
            self.seen_pieces = self.folder.moved_pieces();
            sleep(QUIET).await;
        }
    }
}
