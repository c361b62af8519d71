//! Groups of devices, and changes of who is in them.

use serde::Serialize;
use serde_json::value::RawValue;

use super::rollout::Rollout;
use super::{CheckedPackage, DeviceId, GroupId, Invalid, PackageId, Policy, Timestamp};

/// Whatever a person or script attached to a group: any JSON object, kept as it was written, so that no number loses a
/// digit.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct GroupMetadata(Box<RawValue>);

impl GroupMetadata {
    /// Takes the text of a JSON object, nested at most as deep as `serde_json` reads.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let not_an_object = |error| Invalid::new(format!("group metadata is not a JSON object: {error}"));
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(json).map_err(not_an_object)?;
        RawValue::from_string(json.trim().to_owned()).map(Self).map_err(not_an_object)
    }

    /// An object without anything in it.
    pub fn empty() -> Self {
        Self(RawValue::from_string("{}".to_owned()).expect("this is JSON"))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for GroupMetadata {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// A group, as far as it decides about updates.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupState {
    /// The group.
    pub id: GroupId,
    /// Its policy.
    pub policy: Policy,
    /// Its packages, in the order assigned.
    pub packages: Vec<CheckedPackage>,
    /// How its devices get new versions.
    pub rollout: Rollout,
}

impl GroupState {
    /// A group that wants nothing of its devices.
    pub fn empty(id: GroupId) -> Self {
        Self { id, policy: Policy::default(), packages: Vec::new(), rollout: Rollout::default() }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_kept_to_the_last_digit() {
        let json = r#"{"b": 12345678901234567890123, "a": [1.10, {"c": null}]}"#;
        let metadata = GroupMetadata::parse(json).unwrap();
        assert_eq!(metadata.as_str(), json);
        assert_eq!(serde_json::to_string(&metadata).unwrap(), json);
    }

    #[test]
    fn only_objects_are_metadata() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        for json in ["", "[]", "1", "null", "{", "{} {}", "{\"a\":}", &deep] {
            assert!(GroupMetadata::parse(json).is_err(), "{json}");
        }
    }
}
