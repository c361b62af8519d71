//! Backups that the server makes by itself: when they are due, what is kept of them, and how they fare.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::back_up::{BackUpError, BackupOrder, BackupReport};
use crate::auth::Secret;
use crate::domain::{BackupName, BackupPlan, BackupRecord, Timestamp};
use crate::store::backup::BackupsFolder;
use crate::store::{DataFolder, Store, StoreError, facts};

/// How long after a failure it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(10 * 60);

/// How the backups fare that the server makes by itself.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct BackupStanding {
    /// The last one that was completed.
    pub last: Option<BackupRecord>,
    /// Since when they fail; `None`: the last try was a success, or there was none.
    pub failing_since: Option<Timestamp>,
    /// When the last try failed.
    tried: Option<Timestamp>,
}

/// Makes backups as planned.
pub struct BackupSchedule {
    store: Store,
    folder: DataFolder,
    plan: BackupPlan,
    secret: Option<Secret>,
    passphrase: Option<Secret>,
    program: &'static str,
    standing: Mutex<BackupStanding>,
}

impl BackupSchedule {
    /// For one installation; `secret` is the one that is not in the data folder, and `program` this program's version.
    pub async fn new(
        store: Store,
        folder: DataFolder,
        plan: BackupPlan,
        secret: Option<Secret>,
        passphrase: Option<Secret>,
        program: &'static str,
    ) -> Result<Self, StoreError> {
        let last = store.read(|connection| facts::find(connection, facts::LAST_BACKUP)).await?;
        // What cannot be read is as if it were not there: then a backup is due.
        let last = last.and_then(|text| serde_json::from_slice(&text).ok());
        let standing = Mutex::new(BackupStanding { last, ..BackupStanding::default() });
        Ok(Self { store, folder, plan, secret, passphrase, program, standing })
    }

    /// How they fare.
    pub fn standing(&self) -> BackupStanding {
        *self.lock()
    }

    /// Makes a backup if one is due. `goes_on` is asked again and again whether it is to be finished.
    pub async fn tick(self: Arc<Self>, goes_on: impl Fn() -> bool + Send + 'static) {
        let clock = self.store.clock();
        let (now, date) = (clock.now(), clock.known_date());
        let standing = self.standing();
        let waits = standing.tried.is_some_and(|tried| tried.until(now) < RETRY_AFTER);
        if waits || !self.plan.is_due(standing.last.as_ref().map(BackupRecord::time), now, date) {
            return;
        }
        match self.clone().make(now, goes_on).await {
            Ok((record, path)) => {
                *self.lock() = BackupStanding { last: Some(record), failing_since: None, tried: None };
                let BackupRecord { bytes, damaged, .. } = record;
                tracing::info!(path = %path.display(), bytes, "made a backup");
                if damaged > 0 {
                    tracing::warn!(packages = damaged, "the backup lacks packages whose files are damaged or missing");
                }
            }
            Err(BackUpError::Stopped) => {}
            Err(error) => {
                tracing::error!(%error, "could not make a backup; will try again");
                let mut standing = self.lock();
                standing.failing_since = standing.failing_since.or(Some(now));
                standing.tried = Some(now);
            }
        }
    }

    async fn make(
        self: Arc<Self>,
        now: Timestamp,
        goes_on: impl Fn() -> bool + Send + 'static,
    ) -> Result<(BackupRecord, PathBuf), BackUpError> {
        let installation = self.store.read(|connection| facts::find(connection, facts::INSTALLATION)).await?;
        let installation = String::from_utf8_lossy(&installation.unwrap_or_default()).into_owned();
        let store = self.store.clone();
        // What devices have just reported comes along; on a disk that takes no writes, what is on it.
        if let Err(error) = store.save_presence().await {
            tracing::warn!(%error, "the backup will lack what devices have reported last");
        }
        let making = tokio::task::spawn_blocking(move || self.make_file(now, &installation, &goes_on));
        let (report, path) = making.await.map_err(|_| StoreError::Abandoned)??;
        fail_point!("backup.unnoted");
        let BackupReport { damaged, bytes, .. } = report;
        let record = BackupRecord { unix_seconds: now.unix_seconds(), bytes, damaged: damaged.len() as u64 };
        let text = serde_json::to_vec(&record).map_err(std::io::Error::from)?;
        store.write(move |tx| facts::put(tx, facts::LAST_BACKUP, &text)).await?;
        Ok((record, path))
    }

    /// Makes one, and then deletes those that are too many.
    fn make_file(
        &self,
        now: Timestamp,
        installation: &str,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(BackupReport, PathBuf), BackUpError> {
        let folder = BackupsFolder::open(&self.plan.folder)?;
        let order = BackupOrder {
            folder: &self.folder,
            secret: self.secret.as_ref(),
            with_packages: self.plan.with_packages,
            passphrase: self.passphrase.as_ref(),
            created: now,
            program: self.program,
            goes_on,
        };
        let path = folder.path().join(BackupName::new(installation, now, self.passphrase.is_some()).to_string());
        let report = order.write_file(&path)?;
        folder.keep_latest(self.plan.keep, |name| BackupName::parse(name, installation))?;
        Ok((report, path))
    }

    fn lock(&self) -> MutexGuard<'_, BackupStanding> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
