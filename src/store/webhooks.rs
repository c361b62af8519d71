//! Webhooks: whose events wait to be sent, and how sending goes. Addresses and keys are in the configuration, not here.

use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::StoreError;
use super::writer::WriteTx;
use crate::domain::{EventRecord, Sha256Digest, Timestamp};

/// A webhook that has failed so often in a row has failed for some minutes.
const FAILURES_OF_CONCERN: u32 = 8;

/// A webhook's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookId(i64);

/// A configured address.
#[derive(Debug, Clone)]
pub struct Target {
    /// SHA-256 of the address.
    pub url_sha256: Sha256Digest,
    /// The host in it.
    pub host: String,
}

/// How a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub id: WebhookId,
    /// SHA-256 of its address.
    pub url_sha256: Sha256Digest,
    /// The host in its address.
    pub host: String,
    /// How many events wait.
    pub queued: u64,
    /// How many events were dropped.
    pub dropped: u64,
    /// How many attempts to deliver have failed in a row.
    pub failures: u32,
    /// When the first of these was, if there are any.
    pub failing_since: Option<Timestamp>,
    /// Why the last of these failed.
    pub last_error: Option<String>,
}

impl Standing {
    /// When it began to fail, if that is long enough ago for a person to know.
    pub fn concern(&self) -> Option<Timestamp> {
        self.failing_since.filter(|_| self.failures >= FAILURES_OF_CONCERN)
    }
}

/// An event that waits to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its place in the queue; grows.
    pub position: i64,
    /// The event's identifier.
    pub event_id: i64,
    /// The event as it is sent.
    pub body: String,
}

/// Makes the table have exactly these, in this order; what waited for others goes with them. Writes nothing if it has them
/// already.
pub fn adopt(tx: &WriteTx<'_>, targets: &[Target]) -> Result<Vec<WebhookId>, StoreError> {
    let connection = tx.connection();
    for known in list(connection)? {
        if targets.iter().all(|target| target.url_sha256 != known.url_sha256) {
            connection.execute("DELETE FROM webhooks WHERE id = ?1", [known.id.0])?;
        }
    }
    let known = list(connection)?;
    let adopt_one = |target: &Target| {
        if let Some(known) = known.iter().find(|known| known.url_sha256 == target.url_sha256) {
            return Ok(known.id);
        }
        let sql = "INSERT INTO webhooks (url_sha256, host) VALUES (?1, ?2)";
        connection.execute(sql, (target.url_sha256, &target.host))?;
        Ok(WebhookId(connection.last_insert_rowid()))
    };
    targets.iter().map(adopt_one).collect()
}

/// Has these events wait for all webhooks that want them. Of more than may wait, the oldest are dropped.
pub fn queue(tx: &WriteTx<'_>, records: &[Arc<EventRecord>]) -> Result<(), StoreError> {
    let connection = tx.connection();
    for subscription in tx.events().subscriptions() {
        let webhook = subscription.webhook;
        let wanted: Vec<_> = records.iter().filter(|record| subscription.wants.takes(record.event.kind())).collect();
        let Some(last_event_id) = wanted.iter().map(|record| record.id).max() else { continue };
        let mut insert = connection
            .prepare_cached("INSERT INTO webhook_queue (webhook_id, event_id, at, body) VALUES (?1, ?2, ?3, ?4)")?;
        for record in &wanted {
            let body =
                serde_json::to_string(record).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            insert.execute((webhook.0, record.id, tx.now(), body))?;
        }
        let queued: u32 = connection
            .prepare_cached(
                "UPDATE webhooks SET queued = queued + ?2, last_event_id = max(last_event_id, ?3) WHERE id = ?1
                 RETURNING queued",
            )?
            .query_row((webhook.0, wanted.len(), last_event_id), |row| row.get(0))?;
        let surplus = queued.saturating_sub(subscription.most_queued);
        if surplus > 0 {
            let mut delete = connection.prepare_cached(
                "DELETE FROM webhook_queue WHERE id IN (
                     SELECT id FROM webhook_queue WHERE webhook_id = ?1 ORDER BY id LIMIT ?2
                 )",
            )?;
            note_dropped(tx, webhook, delete.execute((webhook.0, surplus))?)?;
        }
        let arrival = subscription.arrival.clone();
        tx.after_commit(move || arrival.notify_one());
    }
    Ok(())
}

fn note_dropped(tx: &WriteTx<'_>, webhook: WebhookId, events: usize) -> Result<(), StoreError> {
    let sql = "UPDATE webhooks SET queued = queued - ?2, dropped = dropped + ?2 WHERE id = ?1";
    tx.connection().prepare_cached(sql)?.execute((webhook.0, events))?;
    Ok(())
}

/// The first events that wait for a webhook behind this position, at most `limit`.
pub fn page(connection: &Connection, webhook: WebhookId, after: i64, limit: u32) -> Result<Vec<Queued>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, event_id, body FROM webhook_queue WHERE webhook_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
    )?;
    let rows = statement.query_map((webhook.0, after, limit), |row| {
        Ok(Queued { position: row.get(0)?, event_id: row.get(1)?, body: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Everything up to this position was delivered.
pub fn note_delivered(tx: &WriteTx<'_>, webhook: WebhookId, position: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM webhook_queue WHERE webhook_id = ?1 AND id <= ?2";
    let delivered = tx.connection().prepare_cached(sql)?.execute((webhook.0, position))?;
    let sql = "UPDATE webhooks SET queued = queued - ?2, failures = 0, failing_since = NULL, last_error = NULL
         WHERE id = ?1";
    tx.connection().prepare_cached(sql)?.execute((webhook.0, delivered))?;
    Ok(())
}

/// An attempt to deliver failed, for the reason that `sentence` gives.
pub fn note_failure(tx: &WriteTx<'_>, webhook: WebhookId, sentence: &str) -> Result<(), StoreError> {
    let sql = "UPDATE webhooks
         SET failures = failures + 1, failing_since = coalesce(failing_since, ?2), last_error = ?3 WHERE id = ?1";
    tx.connection().prepare_cached(sql)?.execute((webhook.0, tx.now(), sentence))?;
    Ok(())
}

/// Drops what was queued before this date; returns how many events.
pub fn give_up(tx: &WriteTx<'_>, webhook: WebhookId, before: Timestamp) -> Result<usize, StoreError> {
    let sql = "DELETE FROM webhook_queue WHERE webhook_id = ?1 AND at < ?2";
    let events = tx.connection().prepare_cached(sql)?.execute((webhook.0, before))?;
    note_dropped(tx, webhook, events)?;
    Ok(events)
}

/// All webhooks.
pub fn list(connection: &Connection) -> Result<Vec<Standing>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, url_sha256, host, queued, dropped, failures, failing_since, last_error FROM webhooks ORDER BY id",
    )?;
    let rows = statement.query_map([], standing)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn standing(row: &Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        id: WebhookId(row.get(0)?),
        url_sha256: row.get(1)?,
        host: row.get(2)?,
        queued: row.get(3)?,
        dropped: row.get(4)?,
        failures: row.get(5)?,
        failing_since: row.get(6)?,
        last_error: row.get(7)?,
    })
}

/// The highest identifier of an event that ever waited here; 0 if there is none.
pub(super) fn latest_event_id(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("SELECT coalesce(max(last_event_id), 0) FROM webhooks", [], |row| row.get(0))?)
}
