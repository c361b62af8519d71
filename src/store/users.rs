//! People who may log in.

use rusqlite::{Connection, OptionalExtension, Row};

use super::convert::Text;
use super::writer::WriteTx;
use super::{StoreError, facts, sessions};
use crate::domain::{PasswordHash, Role, Timestamp, UserId, UserName};

const CLAIMED: &str = "claimed";
const COLUMNS: &str = "id, name, role, password_hash, created_at, disabled_at, last_login_at";

/// A person who may log in, unless disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identifier.
    pub id: UserId,
    /// What they log in with.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Their password's hash.
    pub password_hash: PasswordHash,
    /// When they were added.
    pub created: Timestamp,
    /// Since when they are barred; `None`: they are not.
    pub disabled: Option<Timestamp>,
    /// When they last logged in.
    pub last_login: Option<Timestamp>,
}

/// What came of changing a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserChange {
    /// It was done.
    Done,
    /// There is no such user.
    NotFound,
    /// Nobody would be left who may change things.
    LastAdmin,
}

/// What came of adding the first administrator.
#[derive(Debug, PartialEq, Eq)]
pub enum FirstAdmin {
    /// Here it is.
    Added(User),
    /// There is or ever was one.
    Already,
    /// Another user has this name.
    NameTaken,
}

/// Adds a user; `None` if the name is taken.
pub fn add(
    tx: &WriteTx<'_>,
    name: &UserName,
    role: Role,
    password_hash: &PasswordHash,
) -> Result<Option<UserId>, StoreError> {
    let sql = "INSERT INTO users (name, role, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING RETURNING id";
    let values = (name.as_str(), role.name(), password_hash.as_str(), tx.now());
    let id = tx.connection().query_row(sql, values, |row| row.get(0)).optional()?;
    // Not for a name that is taken: that would close the first run without an administrator.
    if id.is_some() {
        note_admin(tx, role)?;
    }
    Ok(id)
}

/// From the first administrator on nobody can claim the installation any more.
fn note_admin(tx: &WriteTx<'_>, role: Role) -> Result<(), StoreError> {
    if role == Role::Admin { facts::put(tx, CLAIMED, b"") } else { Ok(()) }
}

/// Whether there is or ever was an administrator.
pub fn is_claimed(connection: &Connection) -> Result<bool, StoreError> {
    Ok(facts::find(connection, CLAIMED)?.is_some())
}

/// Adds the first administrator.
pub fn claim(tx: &WriteTx<'_>, name: &UserName, password_hash: &PasswordHash) -> Result<FirstAdmin, StoreError> {
    if is_claimed(tx.connection())? {
        return Ok(FirstAdmin::Already);
    }
    let user = match add(tx, name, Role::Admin, password_hash)? {
        Some(_) => find(tx.connection(), name)?,
        None => None,
    };
    Ok(user.map_or(FirstAdmin::NameTaken, FirstAdmin::Added))
}

/// All users, by name.
pub fn list(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users ORDER BY name"))?;
    let users = statement.query_map([], read)?;
    Ok(users.collect::<Result<_, _>>()?)
}

/// The user of this name.
pub fn find(connection: &Connection, name: &UserName) -> Result<Option<User>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE name = ?1"))?;
    Ok(statement.query_row([name.as_str()], read).optional()?)
}

/// Whether the user is still there, may still log in, and has the same password.
pub fn is_unchanged(tx: &WriteTx<'_>, user: &User) -> Result<bool, StoreError> {
    let now = find(tx.connection(), &user.name)?;
    Ok(now.is_some_and(|now| now.id == user.id && now.disabled.is_none() && now.password_hash == user.password_hash))
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        name: row.get::<_, Text<_>>(1)?.0,
        role: row.get::<_, Text<_>>(2)?.0,
        password_hash: PasswordHash::from_phc(row.get(3)?),
        created: row.get(4)?,
        disabled: row.get(5)?,
        last_login: row.get(6)?,
    })
}

/// Removes a user and ends their sessions.
pub fn remove(tx: &WriteTx<'_>, name: &UserName) -> Result<UserChange, StoreError> {
    change(tx, name, true, |id| {
        tx.connection().execute("DELETE FROM users WHERE id = ?1", [id])?;
        Ok(())
    })
}

/// Bars a user from logging in and ends their sessions.
pub fn disable(tx: &WriteTx<'_>, name: &UserName) -> Result<UserChange, StoreError> {
    change(tx, name, true, |id| {
        sessions::end_all(tx, id)?;
        let sql = "UPDATE users SET disabled_at = coalesce(disabled_at, ?2) WHERE id = ?1";
        tx.connection().execute(sql, (id, tx.now()))?;
        Ok(())
    })
}

/// Lets a user log in again.
pub fn enable(tx: &WriteTx<'_>, name: &UserName) -> Result<UserChange, StoreError> {
    change(tx, name, false, |id| {
        tx.connection().execute("UPDATE users SET disabled_at = NULL WHERE id = ?1", [id])?;
        Ok(())
    })
}

/// Sets what a user may do.
pub fn set_role(tx: &WriteTx<'_>, name: &UserName, role: Role) -> Result<UserChange, StoreError> {
    change(tx, name, role != Role::Admin, |id| {
        note_admin(tx, role)?;
        tx.connection().execute("UPDATE users SET role = ?2 WHERE id = ?1", (id, role.name()))?;
        Ok(())
    })
}

/// Sets a user's password and ends their sessions.
pub fn set_password(tx: &WriteTx<'_>, name: &UserName, hash: &PasswordHash) -> Result<UserChange, StoreError> {
    change(tx, name, false, |id| {
        sessions::end_all(tx, id)?;
        keep_password(tx, id, hash)
    })
}

/// Keeps a user's password in this form.
pub fn keep_password(tx: &WriteTx<'_>, id: UserId, hash: &PasswordHash) -> Result<(), StoreError> {
    tx.connection().execute("UPDATE users SET password_hash = ?2 WHERE id = ?1", (id, hash.as_str()))?;
    Ok(())
}

/// Notes that a user logs in.
pub fn note_login(tx: &WriteTx<'_>, id: UserId) -> Result<(), StoreError> {
    tx.connection().execute("UPDATE users SET last_login_at = ?2 WHERE id = ?1", (id, tx.now()))?;
    Ok(())
}

/// Changes a user, unless it `takes_an_admin` and there is no other who may log in.
fn change(
    tx: &WriteTx<'_>,
    name: &UserName,
    takes_an_admin: bool,
    change: impl FnOnce(UserId) -> Result<(), StoreError>,
) -> Result<UserChange, StoreError> {
    let Some(user) = find(tx.connection(), name)? else { return Ok(UserChange::NotFound) };
    let is_working_admin = user.role == Role::Admin && user.disabled.is_none();
    if takes_an_admin && is_working_admin && !has_other_admin(tx.connection(), user.id)? {
        return Ok(UserChange::LastAdmin);
    }
    change(user.id)?;
    Ok(UserChange::Done)
}

fn has_other_admin(connection: &Connection, id: UserId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE role = ?1 AND disabled_at IS NULL AND id <> ?2)";
    Ok(connection.query_row(sql, (Role::Admin.name(), id), |row| row.get(0))?)
}
