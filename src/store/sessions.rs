//! Who is logged in.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use super::convert::Text;
use super::writer::WriteTx;
use crate::domain::{CredentialHash, Role, Timestamp, UserId, UserName};

/// How long a session lasts without being used.
pub const IDLE_LIMIT: Duration = Duration::from_secs(12 * 60 * 60);
/// How long a session lasts at most.
pub const LIFETIME: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How old the note of the last use may get before it is written again: a page that is open must not wear out flash.
const NOTE_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Sessions of one user at most; of more, those go that have not been used for the longest time.
const PER_USER: u32 = 32;

/// A session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What tells it from others.
    pub token_hash: CredentialHash,
    /// Whose it is.
    pub user_id: UserId,
    /// Their name.
    pub user: UserName,
    /// What they may do.
    pub role: Role,
    /// When it was last used, as far as that is written.
    last_seen: Timestamp,
}

impl Session {
    /// Whether it is time to call [`note_use`].
    pub fn should_note_use(&self, now: Timestamp) -> bool {
        now >= self.last_seen.saturating_add(NOTE_INTERVAL)
    }
}

/// Begins a session. `now` is the steady time, here and below: sessions don't end because somebody sets the clock.
pub fn insert(tx: &WriteTx<'_>, token_hash: CredentialHash, user_id: UserId, now: Timestamp) -> Result<(), StoreError> {
    tx.connection().execute(
        "DELETE FROM sessions WHERE created_at <= ?1 - ?2 OR last_seen_at <= ?1 - ?3",
        (now, LIFETIME.as_secs(), IDLE_LIMIT.as_secs()),
    )?;
    tx.connection().execute(
        "DELETE FROM sessions WHERE token_hash IN (
             SELECT token_hash FROM sessions WHERE user_id = ?1 ORDER BY last_seen_at DESC LIMIT -1 OFFSET ?2 - 1
         )",
        (user_id, PER_USER),
    )?;
    tx.connection().execute(
        "INSERT INTO sessions (token_hash, user_id, created_at, last_seen_at) VALUES (?1, ?2, ?3, ?3)",
        (token_hash, user_id, now),
    )?;
    Ok(())
}

/// The session of this cookie, if it has not ended and its user may log in.
pub fn find(
    connection: &Connection,
    token_hash: CredentialHash,
    now: Timestamp,
) -> Result<Option<Session>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT users.id, name, role, last_seen_at
         FROM sessions JOIN users ON users.id = user_id
         WHERE token_hash = ?1 AND disabled_at IS NULL
             AND sessions.created_at > ?2 - ?3 AND last_seen_at > ?2 - ?4",
    )?;
    let limits = (token_hash, now, LIFETIME.as_secs(), IDLE_LIMIT.as_secs());
    let session = statement.query_row(limits, |row| {
        Ok(Session {
            token_hash,
            user_id: row.get(0)?,
            user: row.get::<_, Text<_>>(1)?.0,
            role: row.get::<_, Text<_>>(2)?.0,
            last_seen: row.get(3)?,
        })
    });
    Ok(session.optional()?)
}

/// Notes that a session is in use.
pub fn note_use(tx: &WriteTx<'_>, token_hash: CredentialHash, now: Timestamp) -> Result<(), StoreError> {
    tx.connection().execute("UPDATE sessions SET last_seen_at = ?2 WHERE token_hash = ?1", (token_hash, now))?;
    Ok(())
}

/// Ends a session.
pub fn end(tx: &WriteTx<'_>, token_hash: CredentialHash) -> Result<(), StoreError> {
    tx.connection().execute("DELETE FROM sessions WHERE token_hash = ?1", [token_hash])?;
    Ok(())
}

/// Ends all sessions of a user; returns how many.
pub fn end_all(tx: &WriteTx<'_>, user_id: UserId) -> Result<usize, StoreError> {
    Ok(tx.connection().execute("DELETE FROM sessions WHERE user_id = ?1", [user_id])?)
}
