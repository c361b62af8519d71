//! Management tokens that were made on the command line, and those that were revoked.

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::writer::WriteTx;
use crate::domain::Timestamp;

/// A token as it is listed. The token's text is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// Its `jti`.
    pub id: String,
    /// Whom or what it was made for.
    pub name: String,
    /// Its scopes, separated by spaces.
    pub scope: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself; `None`: never.
    pub expires: Option<Timestamp>,
    /// When it was revoked; `None`: it was not.
    pub revoked: Option<Timestamp>,
}

/// Keeps a new token.
pub fn insert(tx: &WriteTx<'_>, token: &IssuedToken) -> Result<(), StoreError> {
    tx.connection().execute(
        "INSERT INTO access_tokens (id, name, scope, created_at, expires_at, revoked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        (&token.id, &token.name, &token.scope, token.created, token.expires, token.revoked),
    )?;
    fail_point!("token.row");
    Ok(())
}

/// All tokens, in the order in which they were made.
pub fn list(connection: &Connection) -> Result<Vec<IssuedToken>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, scope, created_at, expires_at, revoked_at FROM access_tokens ORDER BY created_at, id",
    )?;
    let tokens = statement.query_map([], read)?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<IssuedToken> {
    Ok(IssuedToken {
        id: row.get(0)?,
        name: row.get(1)?,
        scope: row.get(2)?,
        created: row.get(3)?,
        expires: row.get(4)?,
        revoked: row.get(5)?,
    })
}

/// Whether the token of this identifier was issued here and not revoked.
pub fn is_valid(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT revoked_at IS NULL FROM access_tokens WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// Revokes the tokens with this identifier or name; returns those that were not revoked before.
pub fn revoke(tx: &WriteTx<'_>, id_or_name: &str) -> Result<Vec<IssuedToken>, StoreError> {
    let mut statement = tx.connection().prepare_cached(
        "UPDATE access_tokens SET revoked_at = ?2 WHERE (id = ?1 OR name = ?1) AND revoked_at IS NULL
         RETURNING id, name, scope, created_at, expires_at, revoked_at",
    )?;
    let revoked = statement.query_map((id_or_name, tx.now()), read)?.collect::<Result<_, _>>()?;
    fail_point!("token.revoked");
    Ok(revoked)
}

/// Revokes a client's token, which ends by itself at `expires`, and forgets those that have ended; `false` if it was revoked
/// before. `now` is the steady time.
pub fn revoke_clients(tx: &WriteTx<'_>, id: &str, expires: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
    tx.connection().execute("DELETE FROM revoked_tokens WHERE expires_at <= ?1", [now])?;
    let sql = "INSERT INTO revoked_tokens (id, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let is_new = tx.connection().execute(sql, (id, expires))? == 1;
    fail_point!("token.given-back");
    Ok(is_new)
}

/// Whether a client's token was revoked.
pub fn is_revoked(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM revoked_tokens WHERE id = ?1)")?;
    Ok(statement.query_row([id], |row| row.get(0))?)
}
