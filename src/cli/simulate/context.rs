//! What all devices of a run share: the client, the report, the limits, and how the run goes.
//!
//! Nothing here belongs to one device.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::Client;
use super::failure::{Failure, Operation};
use super::report::Report;

/// What all devices of a run share.
pub struct FleetContext {
    pub client: Client,
    pub report: Report,
    pub limits: Limits,
    /// Between two update checks of a device.
    pub interval: Duration,
    /// Between two authorization requests of a device that is not accepted yet.
    pub authorize_interval: Duration,
    /// Whether a device ends when it is up to date.
    pub once: bool,
    /// Whether what happens to a single device is told on stderr.
    pub tells_each_device: bool,
}

/// How much happens at once, so that a large fleet runs out of neither file descriptors nor
/// threads. Waiting for one's turn is not part of a latency.
pub struct Limits {
    pub requests: Semaphore,
    /// Apart from the other requests, which slow downloads must not hold up.
    pub downloads: Semaphore,
    pub signatures: Semaphore,
}

impl FleetContext {
    /// Waits for a turn within `limit`, then measures how long `request` takes to succeed.
    pub async fn measured<T>(
        &self,
        operation: Operation,
        limit: &Semaphore,
        request: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _turn = turn(limit).await;
        let started = Instant::now();
        let answer = request.await?;
        self.report.measure(operation, started.elapsed());
        Ok(answer)
    }
}

/// Waits for a turn within `limit`; it ends when the value is dropped.
pub async fn turn(limit: &Semaphore) -> SemaphorePermit<'_> {
    limit.acquire().await.expect("no semaphore of a fleet is ever closed")
}
