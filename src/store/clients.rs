//! Programs that get tokens from the authorization server.

use rusqlite::{Connection, OptionalExtension, Row};

use super::StoreError;
use super::writer::WriteTx;
use crate::domain::{CredentialHash, Scopes, Timestamp};

const COLUMNS: &str = "id, name, scope, secret_hash, created_at, secret_version";

/// A client (RFC 6749, section 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it may be given.
    pub scopes: Scopes,
    /// Its secret's hash.
    pub secret_hash: CredentialHash,
    /// When it was created.
    pub created: Timestamp,
    /// Grows when it gets another secret: tokens from before are not good any more.
    pub secret_version: i64,
}

/// Adds a client; `false` if there is one of this name.
pub fn add(
    tx: &WriteTx<'_>,
    id: &str,
    name: &str,
    scopes: &Scopes,
    secret_hash: CredentialHash,
) -> Result<bool, StoreError> {
    let inserted = tx.connection().execute(
        "INSERT INTO clients (id, name, scope, secret_hash, created_at, secret_version)
         VALUES (?1, ?2, ?3, ?4, ?5, 1) ON CONFLICT (name) DO NOTHING",
        (id, name, scopes.to_string(), secret_hash, tx.now()),
    )?;
    Ok(inserted == 1)
}

/// All clients, by name.
pub fn list(connection: &Connection) -> Result<Vec<Client>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM clients ORDER BY name"))?;
    let clients = statement.query_map([], read)?;
    Ok(clients.collect::<Result<_, _>>()?)
}

/// The client of this identifier.
pub fn find(connection: &Connection, id: &str) -> Result<Option<Client>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM clients WHERE id = ?1"))?;
    Ok(statement.query_row([id], read).optional()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        id: row.get(0)?,
        name: row.get(1)?,
        scopes: Scopes::from_claim(&row.get::<_, String>(2)?),
        secret_hash: row.get(3)?,
        created: row.get(4)?,
        secret_version: row.get(5)?,
    })
}

/// Removes the client of this identifier or name; returns its name.
pub fn remove(tx: &WriteTx<'_>, id_or_name: &str) -> Result<Option<String>, StoreError> {
    let sql = "DELETE FROM clients WHERE id = ?1 OR name = ?1 RETURNING name";
    Ok(tx.connection().query_row(sql, [id_or_name], |row| row.get(0)).optional()?)
}

/// Gives the client of this identifier or name another secret; returns its identifier and name.
pub fn set_secret(
    tx: &WriteTx<'_>,
    id_or_name: &str,
    secret_hash: CredentialHash,
) -> Result<Option<(String, String)>, StoreError> {
    let sql = "UPDATE clients SET secret_hash = ?2, secret_version = secret_version + 1
         WHERE id = ?1 OR name = ?1 RETURNING id, name";
    let changed = tx.connection().query_row(sql, (id_or_name, secret_hash), |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(changed.optional()?)
}
