//! What bundles bring and take: packages that are the same wherever they are, groups with an identity that goes with them, and
//! whose bundles are taken.

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::convert::Text;
use super::writer::WriteTx;
use super::{StoreError, groups, packages};
use crate::domain::bundle::{BundledGroup, BundledPackage, SignerKey, SignerName};
use crate::domain::{Group, GroupChange, GroupId, PackageId, Timestamp};

/// Somebody whose bundles are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedSigner {
    /// Their key.
    pub key: SignerKey,
    /// Whose it is, for people.
    pub name: String,
    /// Since when.
    pub added: Timestamp,
}

/// Everybody whose bundles are taken, by name.
pub fn signers(connection: &Connection) -> Result<Vec<TrustedSigner>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT public_key, name, added_at FROM trusted_signers ORDER BY name")?;
    let rows =
        statement.query_map([], |row| Ok(TrustedSigner { key: row.get(0)?, name: row.get(1)?, added: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes the bundles of this signer from now on; `false` if the key or the name is there already.
pub fn trust(tx: &WriteTx<'_>, key: SignerKey, name: &SignerName) -> Result<bool, StoreError> {
    let sql = "INSERT INTO trusted_signers (public_key, name, added_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    Ok(tx.connection().execute(sql, (key, name.as_str(), tx.now()))? == 1)
}

/// Does not take the bundles of this signer any more, who is known by name or key; `None` if there is none.
pub fn distrust(tx: &WriteTx<'_>, name: &str, key: Option<SignerKey>) -> Result<Option<SignerKey>, StoreError> {
    let sql = "DELETE FROM trusted_signers WHERE name = ?1 OR public_key = ?2 RETURNING public_key";
    Ok(tx.connection().query_row(sql, (name, key), |row| row.get(0)).optional()?)
}

/// What a group is known by in bundles, from now on if it was in none before. The group must be there.
pub fn identity(tx: &WriteTx<'_>, group: GroupId) -> Result<Uuid, StoreError> {
    let sql = "SELECT uuid FROM group_identities WHERE group_id = ?1";
    if let Some(Text(uuid)) = tx.connection().query_row(sql, [group], |row| row.get(0)).optional()? {
        return Ok(uuid);
    }
    let uuid = Uuid::new_v4();
    set_identity(tx, group, uuid)?;
    Ok(uuid)
}

fn set_identity(tx: &WriteTx<'_>, group: GroupId, uuid: Uuid) -> Result<(), StoreError> {
    let sql = "INSERT INTO group_identities (group_id, uuid) VALUES (?1, ?2)";
    tx.connection().execute(sql, (group, uuid.to_string()))?;
    Ok(())
}

/// The group of this identity.
pub fn find_group(connection: &Connection, identity: Uuid) -> Result<Option<Group>, StoreError> {
    let sql = "SELECT group_id FROM group_identities WHERE uuid = ?1";
    let id: Option<GroupId> = connection.query_row(sql, [identity.to_string()], |row| row.get(0)).optional()?;
    id.map_or(Ok(None), |id| groups::find(connection, id))
}

/// The package that is the same: it has the same bytes, metadata and directory, and no damage is known. Of several the first.
pub fn find_package(connection: &Connection, wanted: &BundledPackage) -> Result<Option<PackageId>, StoreError> {
    let sql = format!(
        "{} WHERE sha256 = ?1
             AND NOT EXISTS (SELECT 1 FROM package_integrity WHERE package_id = id AND damage IS NOT NULL)
         ORDER BY id",
        packages::SELECT
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query_map([wanted.sha256], packages::from_row)?;
    let found = rows.find(|row| row.as_ref().map_or(true, |package| package.description == wanted.description));
    Ok(found.transpose()?.map(|package| package.id))
}

/// The same inside the transaction that relies on it.
pub fn find_package_now(tx: &WriteTx<'_>, wanted: &BundledPackage) -> Result<Option<PackageId>, StoreError> {
    find_package(tx.connection(), wanted)
}

/// What became of a group that a bundle brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// It is new.
    Created(GroupId),
    /// It was there, and these are as in the bundle now.
    Changed(GroupId, Vec<GroupChange>),
}

/// Makes the group of this identity be as in the bundle, with these packages. Which devices are in it is not touched.
pub fn put_group(tx: &WriteTx<'_>, wanted: &BundledGroup, packages: &[PackageId]) -> Result<Arrival, StoreError> {
    let known = find_group(tx.connection(), wanted.identity)?;
    let is_new = known.is_none();
    let group = match known {
        Some(group) => group,
        None => {
            let group = groups::create(tx, wanted.metadata.clone())?;
            set_identity(tx, group.id, wanted.identity)?;
            group
        }
    };
    let changes = differences(&group, wanted, packages);
    for change in &changes {
        match change {
            GroupChange::Metadata => drop(groups::set_metadata(tx, group.id, &wanted.metadata)?),
            GroupChange::Policy => drop(groups::set_policy(tx, group.id, &wanted.policy)?),
            GroupChange::Packages => groups::set_packages(tx, group.id, packages)?,
            GroupChange::Rollout => {}
        }
    }
    Ok(if is_new { Arrival::Created(group.id) } else { Arrival::Changed(group.id, changes) })
}

/// What of a group is not as in the bundle. `packages` are those that it is to have, each once.
pub fn differences(group: &Group, wanted: &BundledGroup, packages: &[PackageId]) -> Vec<GroupChange> {
    let parts = [
        (GroupChange::Metadata, group.metadata != wanted.metadata),
        (GroupChange::Packages, group.packages != packages),
        (GroupChange::Policy, group.policy != wanted.policy),
    ];
    parts.into_iter().filter_map(|(change, is_other)| is_other.then_some(change)).collect()
}
