//! Events: what others are told while it happens. Each has a type, a date, and a few facts: identifiers, versions and names, never
//! a secret.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value, json};

use super::attempt::{Attempt, AttemptOutcome};
use super::audit::bounded;
use super::named::named;
use super::progress::News;
use super::{
    Concern, Damage, DeviceId, GroupId, Invalid, KeyFingerprint, MacAddress, Package, PackageId, Timestamp, keys,
};

named! {
    /// What has happened. The part before the point is the family.
    EventType, "type of event":
    /// A package was offered to a device.
    AttemptOffered = "attempt.offered",
    /// A device has all of a package.
    AttemptFetched = "attempt.fetched",
    /// A device runs what a package brings.
    AttemptSucceeded = "attempt.succeeded",
    /// A device runs what it ran before.
    AttemptReverted = "attempt.reverted",
    /// A device fetches a package again and again.
    AttemptFailed = "attempt.failed",
    /// An attempt was not to be any more.
    AttemptSuperseded = "attempt.superseded",
    /// A device was not heard of, or did not go on.
    AttemptExpired = "attempt.expired",
    /// A package failed on a device so often that the device pauses.
    DeviceHeldBack = "device.held_back",
    /// A person ended the pause of a device.
    DeviceReleased = "device.released",
    /// A registration was accepted.
    DeviceAccepted = "device.accepted",
    /// A person changed something about devices.
    DeviceChanged = "device.changed",
    /// A person removed devices.
    DeviceRemoved = "device.removed",
    /// A group was created.
    GroupCreated = "group.created",
    /// A person changed something about a group.
    GroupChanged = "group.changed",
    /// A group was deleted.
    GroupDeleted = "group.deleted",
    /// Too many devices of a group failed: nothing more is offered there.
    GroupHalted = "group.halted",
    /// A person had offers go on in a group.
    GroupResumed = "group.resumed",
    /// A device asks to be let in for the first time.
    RegistrationWaiting = "registration.waiting",
    /// A person rejected a device that asked to be let in.
    RegistrationRejected = "registration.rejected",
    /// A package was uploaded.
    PackageUploaded = "package.uploaded",
    /// A package was deleted.
    PackageDeleted = "package.deleted",
    /// The file of a package is not what was uploaded, or gone.
    PackageDamaged = "package.damaged",
    /// A damaged package is whole again.
    PackageWhole = "package.whole",
    /// Something is wrong with the server.
    ConcernRaised = "concern.raised",
    /// It is so no more.
    ConcernCleared = "concern.cleared",
    /// Somebody tries a webhook.
    WebhookTest = "webhook.test",
}

impl EventType {
    /// The part of the name before the point.
    fn family(self) -> &'static str {
        self.name().split('.').next().unwrap_or_default()
    }
}

impl From<AttemptOutcome> for EventType {
    fn from(outcome: AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Succeeded => Self::AttemptSucceeded,
            AttemptOutcome::Reverted => Self::AttemptReverted,
            AttemptOutcome::Failed => Self::AttemptFailed,
            AttemptOutcome::Superseded => Self::AttemptSuperseded,
            AttemptOutcome::Expired => Self::AttemptExpired,
        }
    }
}

/// What of a device a person changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChange {
    /// Its name.
    Name,
    /// The group that it is in from now on.
    Group(Option<GroupId>),
}

named! {
    /// What of a group a person changed, other than its devices.
    GroupChange, "change of a group":
    /// Its metadata.
    Metadata = "metadata",
    /// Which packages it has.
    Packages = "packages",
    /// Its policy.
    Policy = "policy",
    /// How its devices get new versions.
    Rollout = "rollout",
}

/// How many devices one event names at most: of more, there are several.
const DEVICES_OF_EVENT: usize = 1000;

/// Something that happened, without its date.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    kind: EventType,
    data: Value,
}

impl Event {
    fn new(kind: EventType, data: Value) -> Self {
        Self { kind, data }
    }

    /// What has happened.
    pub fn kind(&self) -> EventType {
        self.kind
    }

    /// What became of a device or group, and when.
    pub fn of(news: &News) -> (Timestamp, Self) {
        match news {
            News::Begun(attempt) => (attempt.offered_at, Self::attempt(EventType::AttemptOffered, attempt)),
            News::Fetched(attempt) => {
                let at = attempt.fetched_at.unwrap_or(attempt.offered_at);
                (at, Self::attempt(EventType::AttemptFetched, attempt))
            }
            News::Ended(attempt) => {
                let (at, outcome) = attempt.end.unwrap_or((attempt.offered_at, AttemptOutcome::Expired));
                (at, Self::attempt(outcome.into(), attempt))
            }
            News::HeldBack { device, group, package, target, failures, until, at } => {
                let data = json!({
                    "device": device, "group": group, "package": package, "target": text(target),
                    "failures": failures, "until": until.rfc3339(),
                });
                (*at, Self::new(EventType::DeviceHeldBack, data))
            }
            News::Halted { group, target, failed, tried, at } => {
                let data = json!({ "group": group, "target": text(target), "failed": failed, "tried": tried });
                (*at, Self::new(EventType::GroupHalted, data))
            }
        }
    }

    fn attempt(kind: EventType, attempt: &Attempt) -> Self {
        let Attempt { id, device, step, .. } = attempt;
        let data = json!({
            "attempt": id, "device": device, "group": step.group, "package": step.package,
            "from_version": text(&step.from_version), "to_version": text(&step.to_version), "target": text(&step.target),
        });
        Self::new(kind, data)
    }

    /// A person ended the pause of a device.
    pub fn device_released(device: DeviceId) -> Self {
        Self::new(EventType::DeviceReleased, json!({ "device": device }))
    }

    /// A device was let in with this key.
    pub fn device_accepted(device: DeviceId, mac_address: &MacAddress, key: KeyFingerprint) -> Self {
        let data = json!({ "device": device, "mac_address": mac_address.as_str(), "key_fingerprint": key.to_string() });
        Self::new(EventType::DeviceAccepted, data)
    }

    /// A person changed this about devices.
    pub fn devices_changed(devices: &[DeviceId], change: &DeviceChange) -> Vec<Self> {
        let data = |devices: &[DeviceId]| match change {
            DeviceChange::Name => json!({ "devices": devices, "what": "name" }),
            DeviceChange::Group(group) => json!({ "devices": devices, "what": "group", "group": group }),
        };
        devices.chunks(DEVICES_OF_EVENT).map(|devices| Self::new(EventType::DeviceChanged, data(devices))).collect()
    }

    /// A person removed devices.
    pub fn devices_removed(devices: &[DeviceId]) -> Vec<Self> {
        let event = |devices| Self::new(EventType::DeviceRemoved, json!({ "devices": devices }));
        devices.chunks(DEVICES_OF_EVENT).map(event).collect()
    }

    /// A group was created.
    pub fn group_created(group: GroupId) -> Self {
        Self::new(EventType::GroupCreated, json!({ "group": group }))
    }

    /// A person changed this about a group.
    pub fn group_changed(group: GroupId, change: GroupChange) -> Self {
        Self::new(EventType::GroupChanged, json!({ "group": group, "what": change.name() }))
    }

    /// A group was deleted.
    pub fn group_deleted(group: GroupId) -> Self {
        Self::new(EventType::GroupDeleted, json!({ "group": group }))
    }

    /// A person had offers go on in a group.
    pub fn group_resumed(group: GroupId) -> Self {
        Self::new(EventType::GroupResumed, json!({ "group": group }))
    }

    /// A device asks to be let in with this key, for the first time.
    pub fn registration_waiting(mac_address: &MacAddress, key: KeyFingerprint) -> Self {
        let data = json!({ "mac_address": mac_address.as_str(), "key_fingerprint": key.to_string() });
        Self::new(EventType::RegistrationWaiting, data)
    }

    /// A person rejected a device that asked to be let in with this key.
    pub fn registration_rejected(mac_address: &MacAddress, key: KeyFingerprint) -> Self {
        let data = json!({ "mac_address": mac_address.as_str(), "key_fingerprint": key.to_string() });
        Self::new(EventType::RegistrationRejected, data)
    }

    /// A package was uploaded.
    pub fn package_uploaded(package: &Package) -> Self {
        let value = |key| text(package.metadata().text(key).unwrap_or_default());
        let data = json!({
            "package": package.id, "version": value(keys::SOFTWARE_VERSION), "device_type": value(keys::DEVICE_TYPE),
            "length_bytes": package.length_bytes, "sha256": package.sha256.to_string(),
        });
        Self::new(EventType::PackageUploaded, data)
    }

    /// A package was deleted.
    pub fn package_deleted(package: PackageId) -> Self {
        Self::new(EventType::PackageDeleted, json!({ "package": package }))
    }

    /// The file of a package is damaged.
    pub fn package_damaged(package: PackageId, damage: &Damage) -> Self {
        let data = json!({
            "package": package, "state": damage.state().name(), "detail": text(&damage.to_string()),
        });
        Self::new(EventType::PackageDamaged, data)
    }

    /// A damaged package is whole again.
    pub fn package_whole(package: PackageId) -> Self {
        Self::new(EventType::PackageWhole, json!({ "package": package }))
    }

    /// Something is wrong with the server.
    pub fn concern_raised(concern: &Concern) -> Self {
        let data = json!({ "name": concern.name(), "sentence": concern.to_string() });
        Self::new(EventType::ConcernRaised, data)
    }

    /// What had this name is wrong no more.
    pub fn concern_cleared(name: &str) -> Self {
        Self::new(EventType::ConcernCleared, json!({ "name": name }))
    }

    /// Somebody tries a webhook.
    pub fn webhook_test() -> Self {
        Self::new(EventType::WebhookTest, json!({}))
    }
}

/// Versions come from devices and uploaders, and may be long.
fn text(text: &str) -> String {
    bounded(text.to_owned())
}

/// An event that is told.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Tells it from all other events of this installation; later ones have higher numbers, but for those that are told in the
    /// same moment.
    pub id: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

impl Serialize for EventRecord {
    /// As it is told to others: exactly these fields.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("EventRecord", 4)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("type", self.event.kind.name())?;
        fields.serialize_field("time", &self.at.rfc3339())?;
        fields.serialize_field("data", &self.event.data)?;
        fields.end()
    }
}

/// Which events somebody wants to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter(Vec<EventType>);

impl EventFilter {
    /// All of them.
    pub fn all() -> Self {
        Self(EventType::ALL.to_vec())
    }

    /// Those of which a type (`group.halted`) or a family (`attempt`, `attempt.*`) is named.
    ///
    /// # Errors
    /// A name is that of no event, or there are none.
    pub fn parse(names: &[impl AsRef<str>]) -> Result<Self, Invalid> {
        if names.is_empty() {
            return Err(Invalid::new("no type of event is named: leave it out to get all"));
        }
        let mut wanted = Vec::new();
        for name in names.iter().map(AsRef::as_ref) {
            let family = name.strip_suffix(".*").unwrap_or(name);
            let of_family = EventType::ALL.iter().copied().filter(|kind| kind.family() == family);
            let before = wanted.len();
            wanted.extend(of_family);
            if wanted.len() == before {
                wanted.push(name.parse()?);
            }
        }
        Ok(Self(wanted))
    }

    /// Whether events of this type are wanted.
    pub fn takes(&self, kind: EventType) -> bool {
        self.0.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_families_are_wanted_by_name() {
        let wanted = |names: &[&str]| {
            let filter = EventFilter::parse(names).unwrap();
            EventType::ALL.iter().filter(|kind| filter.takes(**kind)).map(|kind| kind.name()).collect::<Vec<_>>()
        };
        assert_eq!(wanted(&["group.halted", "device.*"]).len(), 6);
        let of_groups = ["group.created", "group.changed", "group.deleted", "group.halted", "group.resumed"];
        assert_eq!(wanted(&["group"]), of_groups);
        assert_eq!(wanted(&["attempt"]), wanted(&["attempt.*"]));
        for names in [&["groups"][..], &["group.*.x"], &["*"], &[""], &[]] {
            let sentence = EventFilter::parse(names).unwrap_err().to_string();
            assert!(!sentence.contains('\n'), "{sentence}");
        }
        assert!(EventType::ALL.iter().all(|kind| EventFilter::all().takes(*kind)));
    }

    #[test]
    fn what_devices_report_does_not_make_events_long() {
        let at = Timestamp::from_unix_seconds(1_800_000_000);
        let target = "v".repeat(100_000);
        let (at, event) = Event::of(&News::Halted { group: GroupId(7), target, failed: 3, tried: 10, at });
        let text = serde_json::to_string(&EventRecord { id: 5, at, event }).unwrap();
        assert!(text.len() < 1000, "{text}");
        assert!(text.starts_with(r#"{"id":5,"type":"group.halted","time":"2027-01-15T08:00:00Z","data":{"#), "{text}");
    }
}
