//! Groups, their devices and packages.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension, Row};

use super::writer::{Change, WriteTx};
use super::{StoreError, packages, rollouts};
use crate::domain::{DeviceId, Group, GroupId, GroupMetadata, GroupState, MembershipChange, PackageId, Policy};

fn from_row(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: row.get(0)?,
        created: row.get(1)?,
        metadata: row.get(2)?,
        policy: row.get(3)?,
        devices: Vec::new(),
        packages: Vec::new(),
    })
}

/// All groups, ordered by identifier.
pub fn list(connection: &Connection) -> Result<Vec<Group>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT id, created_at, metadata, policy FROM groups")?;
    let rows = statement.query_map([], |row| from_row(row).map(|group| (group.id, group)))?;
    let mut groups: BTreeMap<GroupId, Group> = rows.collect::<Result<_, _>>()?;

    let mut devices =
        connection.prepare_cached("SELECT group_id, id FROM devices WHERE group_id IS NOT NULL ORDER BY id")?;
    for row in devices.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (group, device) = row?;
        groups.entry(group).and_modify(|group| group.devices.push(device));
    }
    let mut packages =
        connection.prepare_cached("SELECT group_id, package_id FROM group_packages ORDER BY group_id, position")?;
    for row in packages.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (group, package) = row?;
        groups.entry(group).and_modify(|group| group.packages.push(package));
    }
    Ok(groups.into_values().collect())
}

/// One group.
pub fn find(connection: &Connection, id: GroupId) -> Result<Option<Group>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, created_at, metadata, policy FROM groups WHERE id = ?1")?;
    let Some(mut group) = statement.query_row([id], from_row).optional()? else { return Ok(None) };
    let mut devices = connection.prepare_cached("SELECT id FROM devices WHERE group_id = ?1 ORDER BY id")?;
    group.devices = devices.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut packages =
        connection.prepare_cached("SELECT package_id FROM group_packages WHERE group_id = ?1 ORDER BY position")?;
    group.packages = packages.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Some(group))
}

/// What of a group decides about updates.
pub fn state(connection: &Connection, id: GroupId) -> Result<Option<GroupState>, StoreError> {
    let Some(policy) = policy(connection, id)? else { return Ok(None) };
    let (packages, rollout) = (packages::list_of_group(connection, id)?, rollouts::find(connection, id)?);
    Ok(Some(GroupState { id, policy, packages, rollout }))
}

/// The policy of a group.
pub fn policy(connection: &Connection, id: GroupId) -> Result<Option<Policy>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT policy FROM groups WHERE id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// Whether there is such a group, inside the transaction that relies on it.
pub fn is_there(tx: &WriteTx<'_>, id: GroupId) -> Result<bool, StoreError> {
    exists(tx.connection(), id)
}

fn exists(connection: &Connection, id: GroupId) -> Result<bool, StoreError> {
    Ok(policy(connection, id)?.is_some())
}

/// Makes a group without devices and packages.
pub fn create(tx: &WriteTx<'_>, metadata: GroupMetadata) -> Result<Group, StoreError> {
    let policy = Policy::default();
    let mut statement = tx
        .connection()
        .prepare_cached("INSERT INTO groups (created_at, metadata, policy) VALUES (?1, ?2, ?3) RETURNING id")?;
    let id = statement.query_row((tx.now(), &metadata, &policy), |row| row.get(0))?;
    Ok(Group { id, created: tx.now(), devices: Vec::new(), packages: Vec::new(), metadata, policy })
}

/// What became of a wish to delete a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// It is gone.
    Deleted,
    /// There is no such group.
    NotFound,
    /// It has devices.
    HasDevices,
}

/// Deletes a group, unless it has devices. Its packages stay, unassigned.
pub fn delete(tx: &WriteTx<'_>, id: GroupId) -> Result<Deletion, StoreError> {
    if !exists(tx.connection(), id)? {
        return Ok(Deletion::NotFound);
    }
    let mut has_devices =
        tx.connection().prepare_cached("SELECT EXISTS (SELECT 1 FROM devices WHERE group_id = ?1)")?;
    if has_devices.query_row([id], |row| row.get(0))? {
        return Ok(Deletion::HasDevices);
    }
    tx.changes(Change::Plans);
    tx.connection().prepare_cached("DELETE FROM groups WHERE id = ?1")?.execute([id])?;
    Ok(Deletion::Deleted)
}

/// Why a change of membership was not made; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// There is no such group.
    #[error("no such group")]
    NoSuchGroup,
    /// There is no such device.
    #[error("device {0} does not exist")]
    NoSuchDevice(DeviceId),
    /// The device to add is in a group already, this one or another.
    #[error("device {0} is already assigned to group {1}")]
    AlreadyAssigned(DeviceId, GroupId),
    /// The device to remove is not in this group.
    #[error("device {0} is not assigned to this group")]
    NotAssigned(DeviceId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for MembershipError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Adds devices to a group, then removes devices from it: all of it or nothing.
pub fn change_members(tx: &WriteTx<'_>, id: GroupId, change: &MembershipChange) -> Result<(), MembershipError> {
    if !exists(tx.connection(), id)? {
        return Err(MembershipError::NoSuchGroup);
    }
    tx.changes(Change::Assignments);
    for &device in &change.add {
        match assigned_group(tx.connection(), device)? {
            Some(group) => return Err(MembershipError::AlreadyAssigned(device, group)),
            None => assign(tx, device, Some(id))?,
        }
        fail_point!("assign.device-added");
    }
    for &device in &change.remove {
        if assigned_group(tx.connection(), device)? != Some(id) {
            return Err(MembershipError::NotAssigned(device));
        }
        assign(tx, device, None)?;
    }
    Ok(())
}

/// Moves devices from whatever group each is in to this one, or out of all: all of them or none.
pub fn move_devices(
    tx: &WriteTx<'_>,
    devices: &BTreeSet<DeviceId>,
    group: Option<GroupId>,
) -> Result<(), MembershipError> {
    if let Some(group) = group
        && !exists(tx.connection(), group)?
    {
        return Err(MembershipError::NoSuchGroup);
    }
    tx.changes(Change::Assignments);
    for &device in devices {
        assigned_group(tx.connection(), device)?;
        assign(tx, device, group)?;
    }
    Ok(())
}

fn assigned_group(connection: &Connection, device: DeviceId) -> Result<Option<GroupId>, MembershipError> {
    let mut statement = connection.prepare_cached("SELECT group_id FROM devices WHERE id = ?1")?;
    statement.query_row([device], |row| row.get(0)).optional()?.ok_or(MembershipError::NoSuchDevice(device))
}

fn assign(tx: &WriteTx<'_>, device: DeviceId, group: Option<GroupId>) -> Result<(), MembershipError> {
    tx.connection().prepare_cached("UPDATE devices SET group_id = ?2 WHERE id = ?1")?.execute((device, group))?;
    Ok(())
}

/// Why packages were not assigned; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AssignmentError {
    /// There is no such group.
    #[error("no such group")]
    NoSuchGroup,
    /// There is no such package.
    #[error("package {0} does not exist")]
    NoSuchPackage(PackageId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for AssignmentError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// For those who know that group and packages are there.
impl From<AssignmentError> for StoreError {
    fn from(error: AssignmentError) -> Self {
        match error {
            AssignmentError::Store(error) => error,
            error => Self::Unusable(error.to_string().into()),
        }
    }
}

/// Gives a group these packages instead of those it had, in this order; a package named twice counts where it is first.
pub fn set_packages(tx: &WriteTx<'_>, id: GroupId, packages: &[PackageId]) -> Result<(), AssignmentError> {
    let connection = tx.connection();
    if !exists(connection, id)? {
        return Err(AssignmentError::NoSuchGroup);
    }
    tx.changes(Change::Plans);
    connection.prepare_cached("DELETE FROM group_packages WHERE group_id = ?1")?.execute([id])?;
    fail_point!("assign.packages-taken");
    let mut known = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM packages WHERE id = ?1)")?;
    let mut insert =
        connection.prepare_cached("INSERT INTO group_packages (group_id, package_id, position) VALUES (?1, ?2, ?3)")?;
    let mut seen = HashSet::new();
    let each_once = packages.iter().filter(|package| seen.insert(**package));
    for (position, &package) in each_once.enumerate() {
        if !known.query_row([package], |row| row.get(0))? {
            return Err(AssignmentError::NoSuchPackage(package));
        }
        insert.execute((id, package, position))?;
    }
    Ok(())
}

/// Gives a group this metadata instead of what it had; `false` if there is no such group.
pub fn set_metadata(tx: &WriteTx<'_>, id: GroupId, metadata: &GroupMetadata) -> Result<bool, StoreError> {
    let sql = "UPDATE groups SET metadata = ?2 WHERE id = ?1";
    Ok(tx.connection().prepare_cached(sql)?.execute((id, metadata))? == 1)
}

/// Sets a group's policy; `false` if there is no such group.
pub fn set_policy(tx: &WriteTx<'_>, id: GroupId, policy: &Policy) -> Result<bool, StoreError> {
    tx.changes(Change::Plans);
    let changed =
        tx.connection().prepare_cached("UPDATE groups SET policy = ?2 WHERE id = ?1")?.execute((id, policy))?;
    fail_point!("policy.row");
    Ok(changed == 1)
}
