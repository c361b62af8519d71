//! Groups of devices, and changes of who is in them.

use super::{DeviceId, GroupId, PackageId, Policy, Timestamp};

/// Whatever a person or script attached to a group: any JSON object.
pub type GroupMetadata = serde_json::Map<String, serde_json::Value>;

/// A group: devices that share packages and a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Identifier.
    pub id: GroupId,
    /// When it was created.
    pub created: Timestamp,
    /// Its devices, ordered by identifier.
    pub devices: Vec<DeviceId>,
    /// Its packages, in the order in which they were assigned.
    pub packages: Vec<PackageId>,
    /// Its metadata.
    pub metadata: GroupMetadata,
    /// Which version its devices are to reach.
    pub policy: Policy,
}

/// Devices to add to and remove from a group, in one step: additions first, then removals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MembershipChange {
    /// Devices that must be in no group so far.
    pub add: Vec<DeviceId>,
    /// Devices that must be in this group, once the additions are made.
    pub remove: Vec<DeviceId>,
}
