//! Whether the server does what it is there for: for load balancers, containers and service managers, which ask often and know nothing
//! else about it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::store::{PackageFolder, Store};

/// What was found is good for so long: however many ask, the database is asked once.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whether requests are worth sending here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Everything works.
    Ready,
    /// Devices are served, and nothing can be changed: the disk takes no writes, or they hang.
    Degraded,
    /// The database does not answer, or the packages are not there.
    Unavailable,
    /// It has been told to stop.
    Stopping,
}

/// Looks whether the server is ready.
pub struct HealthCheck {
    shutdown: CancellationToken,
    /// What was found last, and until when it is good, as the clock counts what has elapsed. Held while it is looked: who asks
    /// meanwhile gets what is found then.
    latest: Mutex<Option<(Readiness, Duration)>>,
}

impl HealthCheck {
    /// For a server that stops with `shutdown`.
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { shutdown, latest: Mutex::default() }
    }

    /// How it is now, or was a second ago. Writes nothing.
    pub async fn readiness(&self, store: &Store, packages: &PackageFolder) -> Readiness {
        if self.shutdown.is_cancelled() {
            return Readiness::Stopping;
        }
        let mut latest = self.latest.lock().await;
        if let Some((readiness, good_until)) = *latest
            && store.clock().elapsed() < good_until
        {
            return readiness;
        }
        let readiness = look(store, packages).await;
        *latest = Some((readiness, store.clock().elapsed() + GOOD_FOR));
        readiness
    }
}

async fn look(store: &Store, packages: &PackageFolder) -> Readiness {
    let folder = packages.clone();
    let are_packages_there = tokio::task::spawn_blocking(move || folder.is_there());
    let (reads, begins, are_packages_there) = tokio::join!(
        timeout(PATIENCE, store.try_reading()),
        timeout(PATIENCE, store.try_beginning_to_write()),
        timeout(PATIENCE, are_packages_there),
    );
    match (reads, begins) {
        (Ok(Ok(())), _) if !matches!(are_packages_there, Ok(Ok(true))) => Readiness::Unavailable,
        (Ok(Ok(())), Ok(Ok(()))) if store.writes_fail_since().is_none() => Readiness::Ready,
        (Ok(Ok(())), _) => Readiness::Degraded,
        _ => Readiness::Unavailable,
    }
}
