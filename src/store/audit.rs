//! The audit log: entries are added, looked at, and go when they are old or too many.

use std::net::IpAddr;

use rusqlite::{Connection, Row, named_params};

use super::StoreError;
use super::convert::Text;
use super::writer::WriteTx;
use crate::domain::{Action, Actor, AuditEntry, AuditRecord, AuditRetention, Deed, Outcome, Timestamp};

/// Which entries are wanted: those that fit everything that is said.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// By somebody of this name.
    pub actor: Option<String>,
    /// Of what was done.
    pub action: Option<Action>,
    /// On what, such as `group/3`.
    pub target: Option<String>,
    /// What came of it.
    pub outcome: Option<Outcome>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// Before the entry of this number: the next page.
    pub before: Option<i64>,
}

/// Adds an entry, which stands if the transaction does.
pub fn append(tx: &WriteTx<'_>, entry: &AuditEntry) -> Result<(), StoreError> {
    let AuditEntry { deed, target, outcome, detail } = entry;
    tx.connection()
        .prepare_cached(
            "INSERT INTO audit_log (at, actor_kind, actor, address, action, target, outcome, detail)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            tx.now(),
            deed.actor.kind.name(),
            &deed.actor.name,
            deed.address.map(|address| address.to_string()),
            deed.action.name(),
            target,
            outcome.name(),
            detail,
        ))?;
    let entry = entry.clone();
    tx.after_commit(move || {
        let AuditEntry { deed: Deed { actor, address, action }, target, outcome, detail } = entry;
        let address = address.map(tracing::field::display);
        tracing::info!(%actor, address, target, detail, "{action}: {outcome}");
    });
    Ok(())
}

/// The latest entries that fit, latest first, at most `limit`.
pub fn page(connection: &Connection, filter: &Filter, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, actor_kind, actor, address, action, target, outcome, detail FROM audit_log
         WHERE (:actor IS NULL OR actor = :actor)
             AND (:action IS NULL OR action = :action)
             AND (:target IS NULL OR target = :target)
             AND (:outcome IS NULL OR outcome = :outcome)
             AND (:since IS NULL OR at >= :since)
             AND (:until IS NULL OR at < :until)
             AND id < coalesce(:before, 9223372036854775807)
         ORDER BY id DESC LIMIT :limit",
    )?;
    let records = statement.query_map(
        named_params! {
            ":actor": filter.actor,
            ":action": filter.action.map(Action::name),
            ":target": filter.target,
            ":outcome": filter.outcome.map(Outcome::name),
            ":since": filter.since,
            ":until": filter.until,
            ":before": filter.before,
            ":limit": limit,
        },
        read,
    )?;
    Ok(records.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    let actor = Actor { kind: row.get::<_, Text<_>>(2)?.0, name: row.get(3)? };
    let address = row.get::<_, Option<Text<IpAddr>>>(4)?.map(|text| text.0);
    let deed = Deed { actor, address, action: row.get::<_, Text<_>>(5)?.0 };
    let entry = AuditEntry { deed, target: row.get(6)?, outcome: row.get::<_, Text<_>>(7)?.0, detail: row.get(8)? };
    Ok(AuditRecord { id: row.get(0)?, at: row.get(1)?, entry })
}

/// Whether [`prune`] would find something: looked at first, so that a log within its limits costs no write.
pub fn is_over(connection: &Connection, retention: AuditRetention, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM audit_log WHERE at < ?1 - ?2)
         OR (SELECT count(*) FROM audit_log) > ?3";
    Ok(connection.query_row(sql, (now, retention.age.as_secs(), retention.entries), |row| row.get(0))?)
}

/// Takes away what is older or more than is kept; returns how many entries.
pub fn prune(tx: &WriteTx<'_>, retention: AuditRetention) -> Result<usize, StoreError> {
    Ok(tx.connection().execute(
        "DELETE FROM audit_log WHERE at < ?1 - ?2
             OR id <= (SELECT id FROM audit_log ORDER BY id DESC LIMIT 1 OFFSET ?3)",
        (tx.now(), retention.age.as_secs(), retention.entries),
    )?)
}
