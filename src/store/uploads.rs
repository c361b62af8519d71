//! Uploads that can be resumed: what is known of each beside its file.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::StoreError;
use super::convert::Text;
use super::resumable::Progress;
use super::resumable_hash::HashState;
use super::writer::WriteTx;
use crate::domain::{Actor, Timestamp};

const COLUMNS: &str = "id, actor_kind, actor, length_bytes, offset_bytes, hash_state, metadata, created_at, expires_at";

/// An upload that is not a package yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingUpload {
    /// Its name in URLs and of its file.
    pub id: Uuid,
    /// Who began it.
    pub actor: Actor,
    /// How long it will be.
    pub length_bytes: u64,
    /// How far it is.
    pub progress: Progress,
    /// What its client said about it, as the client wrote it.
    pub metadata: String,
    /// When it began.
    pub created: Timestamp,
    /// When it is given up, unless more of it comes.
    pub expires: Timestamp,
}

impl PendingUpload {
    /// How many bytes are still to come.
    pub fn missing_bytes(&self) -> u64 {
        self.length_bytes - self.progress.offset_bytes
    }
}

/// Adds an upload.
pub fn insert(tx: &WriteTx<'_>, upload: &PendingUpload) -> Result<(), StoreError> {
    tx.connection().execute(
        &format!("INSERT INTO uploads ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
        (
            upload.id.to_string(),
            upload.actor.kind.name(),
            &upload.actor.name,
            upload.length_bytes,
            upload.progress.offset_bytes,
            &upload.progress.hash_state.0[..],
            &upload.metadata,
            upload.created,
            upload.expires,
        ),
    )?;
    Ok(())
}

/// All uploads, oldest first.
pub fn list(connection: &Connection) -> Result<Vec<PendingUpload>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM uploads ORDER BY created_at, id"))?;
    let uploads = statement.query_map([], read)?;
    Ok(uploads.collect::<Result<_, _>>()?)
}

/// The upload of this name.
pub fn find(connection: &Connection, id: Uuid) -> Result<Option<PendingUpload>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM uploads WHERE id = ?1"))?;
    Ok(statement.query_row([id.to_string()], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<PendingUpload> {
    Ok(PendingUpload {
        id: row.get::<_, Text<_>>(0)?.0,
        actor: Actor { kind: row.get::<_, Text<_>>(1)?.0, name: row.get(2)? },
        length_bytes: row.get(3)?,
        progress: Progress { offset_bytes: row.get(4)?, hash_state: HashState(row.get(5)?) },
        metadata: row.get(6)?,
        created: row.get(7)?,
        expires: row.get(8)?,
    })
}

/// Notes how far an upload is, and when it is given up; the upload as it is then, unless it is gone.
pub fn advance(
    tx: &WriteTx<'_>,
    id: Uuid,
    progress: Progress,
    expires: Timestamp,
) -> Result<Option<PendingUpload>, StoreError> {
    tx.connection().execute(
        "UPDATE uploads SET offset_bytes = ?2, hash_state = ?3, expires_at = ?4 WHERE id = ?1",
        (id.to_string(), progress.offset_bytes, &progress.hash_state.0[..], expires),
    )?;
    find(tx.connection(), id)
}

/// Takes an upload away; `false` if it was gone.
pub fn remove(tx: &WriteTx<'_>, id: Uuid) -> Result<bool, StoreError> {
    Ok(tx.connection().execute("DELETE FROM uploads WHERE id = ?1", [id.to_string()])? == 1)
}

/// The uploads that are to be given up.
pub fn expired(connection: &Connection, now: Timestamp) -> Result<Vec<Uuid>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id FROM uploads WHERE expires_at <= ?1")?;
    let ids = statement.query_map([now], |row| row.get::<_, Text<Uuid>>(0))?;
    Ok(ids.map(|id| id.map(|id| id.0)).collect::<Result<_, _>>()?)
}

/// How many bytes all uploads have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadTotals {
    /// What has come.
    pub arrived_bytes: u64,
    /// What is still to come.
    pub missing_bytes: u64,
}

/// How many bytes all uploads have together.
pub fn totals(connection: &Connection) -> Result<UploadTotals, StoreError> {
    let sql = "SELECT coalesce(sum(offset_bytes), 0), coalesce(sum(length_bytes - offset_bytes), 0) FROM uploads";
    let read = |row: &Row<'_>| Ok(UploadTotals { arrived_bytes: row.get(0)?, missing_bytes: row.get(1)? });
    Ok(connection.query_row(sql, [], read)?)
}
