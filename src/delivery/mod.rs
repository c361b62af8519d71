//! Delivery of events to webhooks: one courier for each, who takes what waits in its queue in order and goes on until it is taken.
//!
//! Each event is delivered at least once: what was sent last before a crash is sent again, with the same identifier. Couriers know
//! nothing of each other and nobody waits for them.

mod request;

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::{WebhookConfig, WebhookLimits};
use crate::domain::{Backoff, Sha256Digest, Timestamp};
use crate::outbound::OutboundError;
use crate::store::webhooks::{Queued, Target, WebhookId};
use crate::store::{Store, StoreError, Subscription, facts, webhooks};

pub use request::{Failure, Receiver};

/// How many events are in memory at once.
const PAGE: u32 = 100;
/// How long to leave the store alone that has failed.
const STORE_PAUSE: Duration = Duration::from_secs(10);

/// Why events cannot be delivered: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// There is no client to send with.
    #[error("cannot send webhooks: {0}")]
    Client(#[from] OutboundError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Who delivers the events of one webhook.
pub struct Courier {
    store: Store,
    webhook: WebhookId,
    receiver: Receiver,
    /// How many events go into one request, as an array; `None`: one, as it is.
    batch: Option<u32>,
    limits: WebhookLimits,
    arrival: Arc<Notify>,
    /// What identifiers of requests begin with, as a receiver may hear of several installations.
    prefix: String,
    /// How far events were delivered.
    delivered: i64,
    /// How far this is written.
    settled: i64,
    /// When it was last written, in steady time.
    settled_at: Timestamp,
    /// Attempts that have failed in a row.
    failures: u32,
}

/// What a courier does next.
enum Next {
    /// Whatever has come.
    GoOn,
    /// Nothing until something comes.
    Wait,
    /// The same again, after this time.
    Retry(Duration),
}

/// Makes a courier for each webhook, and has events queued for them from now on. What waits for others is dropped.
pub async fn couriers(
    store: &Store,
    configs: &[WebhookConfig],
    limits: WebhookLimits,
) -> Result<Vec<Courier>, DeliveryError> {
    let target = |config: &WebhookConfig| Target {
        url_sha256: Sha256Digest(Sha256::digest(config.url.as_str()).into()),
        host: config.url.host(),
    };
    let targets: Vec<_> = configs.iter().map(target).collect();
    let adopted = store.write(move |tx| webhooks::adopt(tx, &targets)).await?;
    let (standings, installation) = store
        .read(|connection| {
            Ok::<_, StoreError>((webhooks::list(connection)?, facts::find(connection, facts::INSTALLATION)?))
        })
        .await?;
    let installation = String::from_utf8_lossy(&installation.unwrap_or_default()).into_owned();
    let prefix = format!("evt_{}", installation.split('-').next().unwrap_or_default());
    let mut couriers = Vec::new();
    let mut subscriptions = Vec::new();
    for (config, webhook) in configs.iter().zip(adopted) {
        let failures = standings.iter().find(|standing| standing.id == webhook).map_or(0, |standing| standing.failures);
        let arrival = Arc::new(Notify::new());
        subscriptions.push(Subscription {
            webhook,
            wants: config.events.clone(),
            most_queued: limits.most_queued,
            arrival: arrival.clone(),
        });
        couriers.push(Courier {
            store: store.clone(),
            webhook,
            receiver: Receiver::new(config, limits.patience, store.clock().clone())?,
            batch: config.batch.map(u32::from),
            limits,
            arrival,
            prefix: prefix.clone(),
            delivered: 0,
            settled: 0,
            settled_at: store.clock().steady(),
            failures,
        });
    }
    store.events().subscribe(subscriptions);
    Ok(couriers)
}

impl Courier {
    /// Delivers until the server stops.
    pub async fn run(mut self, shutdown: CancellationToken) {
        shutdown.run_until_cancelled(self.deliver()).await;
        if let Err(error) = self.settle().await {
            tracing::warn!(%error, "could not note which events were delivered; they will be again");
        }
    }

    async fn deliver(&mut self) {
        loop {
            let next = self.deliver_some().await.unwrap_or_else(|error| {
                tracing::warn!(%error, host = self.receiver.host(), "could not look after a webhook's events; will try again");
                Next::Retry(STORE_PAUSE)
            });
            match next {
                Next::GoOn => {}
                Next::Wait => self.arrival.notified().await,
                Next::Retry(pause) => sleep(pause).await,
            }
        }
    }

    /// Delivers the next events, as long as that goes well.
    async fn deliver_some(&mut self) -> Result<Next, StoreError> {
        let (webhook, after) = (self.webhook, self.delivered);
        let in_request = self.batch.unwrap_or(1);
        let limit = PAGE.max(in_request);
        let waiting = self.store.read(move |connection| webhooks::page(connection, webhook, after, limit)).await?;
        if waiting.is_empty() {
            self.settle().await?;
            return Ok(Next::Wait);
        }
        for events in waiting.chunks(in_request as usize) {
            match self.receiver.send(&self.id(events), self.body(events)).await {
                Ok(_) => self.note_delivered(events).await?,
                Err(failure) => return self.note_failure(&failure).await.map(Next::Retry),
            }
        }
        Ok(Next::GoOn)
    }

    fn id(&self, events: &[Queued]) -> String {
        let ids = || events.iter().map(|event| event.event_id);
        let (first, last) = (ids().next().unwrap_or_default(), ids().next_back().unwrap_or_default());
        match self.batch {
            None => format!("{}_{first}", self.prefix),
            Some(_) => format!("{}_{first}-{last}", self.prefix),
        }
    }

    fn body(&self, events: &[Queued]) -> Vec<u8> {
        let bodies = events.iter().map(|event| event.body.as_str()).collect::<Vec<_>>().join(",");
        if self.batch.is_some() { format!("[{bodies}]") } else { bodies }.into_bytes()
    }

    async fn note_delivered(&mut self, events: &[Queued]) -> Result<(), StoreError> {
        self.delivered = events.last().map_or(self.delivered, |event| event.position);
        let has_recovered = std::mem::take(&mut self.failures) > 0;
        if has_recovered {
            tracing::info!(host = self.receiver.host(), "a webhook takes its events again");
        }
        // Not for each of thousands: that would wear out flash.
        if has_recovered || self.store.clock().steady() > self.settled_at { self.settle().await } else { Ok(()) }
    }

    /// Writes what was delivered, if anything is new.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let (webhook, delivered) = (self.webhook, self.delivered);
        if delivered == self.settled {
            return Ok(());
        }
        self.store.write(move |tx| webhooks::note_delivered(tx, webhook, delivered)).await?;
        (self.settled, self.settled_at) = (delivered, self.store.clock().steady());
        Ok(())
    }

    /// Writes that an attempt has failed, and says when the next one is due.
    async fn note_failure(&mut self, failure: &Failure) -> Result<Duration, StoreError> {
        self.settle().await?;
        self.failures = self.failures.saturating_add(1);
        let (host, sentence) = (self.receiver.host(), failure.to_string());
        if self.failures == 1 {
            tracing::warn!(host, "a webhook does not take its events, which wait for it: {failure}");
        }
        let (webhook, failures, limits) = (self.webhook, self.failures, self.limits);
        // So long has it really been tried; the dates of events alone say little where a clock was set.
        let gives_up = limits.backoff.waited(failures) >= limits.give_up;
        let writing = self.store.write(move |tx| {
            webhooks::note_failure(tx, webhook, &sentence)?;
            let oldest = tx.now().unix_seconds().saturating_sub_unsigned(limits.give_up.as_secs());
            if gives_up { webhooks::give_up(tx, webhook, Timestamp::from_unix_seconds(oldest)) } else { Ok(0) }
        });
        let given_up = writing.await?;
        if given_up > 0 {
            tracing::warn!(host, events = given_up, "dropped events that a webhook has not taken for too long");
        }
        Ok(pause(limits.backoff, failures, failure, random()))
    }
}

/// How long to wait after so many failures, of which this is the last. A receiver may ask for longer, but not for more than the
/// longest.
fn pause(backoff: Backoff, failures: u32, failure: &Failure, random: u32) -> Duration {
    let usual = backoff.delay(failures, random);
    match failure {
        Failure::Gone => backoff.longest,
        Failure::Status { retry_after: Some(wanted), .. } => usual.max(backoff.longest.min(*wanted)),
        _ => usual,
    }
}

/// Any number, for waiting: without random bytes the longest time will do.
fn random() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_may_ask_for_longer_pauses() {
        let backoff = WebhookLimits::default().backoff;
        let seconds = |failures, failure: &Failure| pause(backoff, failures, failure, u32::MAX).as_secs();
        let status = |retry_after: Option<u64>| Failure::Status {
            status: 503,
            retry_after: retry_after.map(Duration::from_secs),
        };
        assert_eq!(seconds(1, &Failure::TimedOut(Duration::from_secs(10))), 1);
        assert_eq!(seconds(1, &status(None)), 1);
        assert_eq!(seconds(1, &status(Some(60))), 60);
        assert_eq!(seconds(11, &status(Some(60))), 1024);
        assert_eq!(seconds(1, &status(Some(u64::MAX))), 3600);
        assert_eq!(seconds(1, &Failure::Gone), 3600);
    }
}
