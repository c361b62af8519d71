//! What the reference's rows mean here. Whatever cannot be as it was is told in the report.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::report::{Report, Severity};
use crate::auth::PublicKey;
use crate::domain::{
    Device, DeviceId, Group, GroupId, GroupMetadata, KeyFingerprint, MacAddress, Metadata, MetadataValue,
    PackageDescription, PackageId, Policy, Registration, RegistrationState, Sha256Digest, StorageDirectory, Timestamp,
    keys,
};
use crate::store::reference::{DeviceRow, GroupRow, PackageRow, ReferenceRows, RegistrationRow, Unread};

/// How the reference stores packages in a folder.
const LOCAL_DRIVER: &str = "local";

/// What is to be taken over.
#[derive(Debug)]
pub(super) struct Translation {
    pub groups: Vec<Group>,
    pub packages: Vec<ReferencePackage>,
    pub devices: Vec<Device>,
    pub registrations: Vec<(Registration, KeyFingerprint)>,
}

/// A package whose file remains to be looked for.
#[derive(Debug)]
pub(super) struct ReferencePackage {
    pub id: PackageId,
    pub created: Timestamp,
    pub sha256: Sha256Digest,
    /// Its name from now on.
    pub uuid: Uuid,
    pub description: PackageDescription,
    /// Its file's name there.
    pub file_name: String,
    /// The directory that its file is in there.
    pub file_directory: Option<String>,
}

/// Translates everything. `now` stands for dates that are not there.
pub(super) fn translate(rows: &ReferenceRows, now: Timestamp, report: &mut Report) -> Translation {
    report.revision.clone_from(&rows.revision);
    for unread in &rows.unread {
        tell_unread(unread, report);
    }
    let packages = rows.packages.iter().filter_map(|row| package(row, now, report)).collect();
    let groups = rows.groups.iter().map(|row| group(row, rows, now, report)).collect();
    let devices = devices(rows, now, report);
    let registrations = registrations(&rows.registrations, now, report);
    Translation { groups, packages, devices, registrations }
}

fn tell_unread(unread: &Unread, report: &mut Report) {
    match unread {
        Unread::Table(table, count) => {
            let rows = if *count == 1 { "row" } else { "rows" };
            let sentence = format!("is not understood, and its {count} {rows} are not taken over");
            report.add(Severity::Left, format!("table {table}"), sentence);
        }
        Unread::Column(table, column) => {
            report.add(Severity::Left, format!("column {table}.{column}"), "is not understood, and not taken over");
        }
        Unread::Missing(table, meaning) => {
            report.add(Severity::Change, format!("table {table}"), format!("has no column for the {meaning}"));
        }
    }
}

fn package(row: &PackageRow, now: Timestamp, report: &mut Report) -> Option<ReferencePackage> {
    let subject = format!("package {}", row.id);
    let damage = |report: &mut Report, sentence: String| {
        report.add(Severity::Damage, subject.clone(), sentence);
        None
    };
    let Some(sha256) = row.sha256.as_deref().and_then(|text| text.trim().parse::<Sha256Digest>().ok()) else {
        return damage(report, "has no SHA-256 in the database".to_owned());
    };
    let Some(info) = object(row.metadata.as_deref()) else {
        return damage(report, "has metadata that is no JSON object".to_owned());
    };
    // `local` keeps `rdfm.storage.local.uuid`; other drivers have the same under their own names.
    let stored = |name: &str| {
        let driver = row.driver.as_deref().unwrap_or(LOCAL_DRIVER);
        let found = info.get(&format!("{}{driver}.{name}", keys::STORAGE_PREFIX));
        found.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let Some(file_name) = stored("uuid") else {
        return damage(report, "does not say which file it is".to_owned());
    };
    let file_directory =
        stored("directory").or_else(|| info.get(keys::STORAGE_DIRECTORY).and_then(Value::as_str).map(str::to_owned));
    let directory = match file_directory.as_deref().filter(|text| !text.is_empty()).map(StorageDirectory::parse) {
        None => None,
        Some(Ok(directory)) => Some(directory),
        Some(Err(_)) => {
            let sentence = "is in a directory that tender does not have; it is kept outside of directories";
            report.add(Severity::Change, subject.clone(), sentence);
            None
        }
    };
    let metadata = metadata(&subject, info.iter().filter(|(key, _)| !key.starts_with(keys::STORAGE_PREFIX)), report);
    let description = match PackageDescription::from_stored(metadata, directory) {
        Ok(description) => description,
        Err(invalid) => return damage(report, format!("cannot be offered to any device: {invalid}")),
    };
    if let Some(driver) = row.driver.as_deref().filter(|driver| *driver != LOCAL_DRIVER) {
        let sentence = format!("was stored by the driver {driver}, and is a file of the package folder from now on");
        report.add(Severity::Change, subject.clone(), sentence);
    }
    let uuid = Uuid::try_parse(&file_name).ok().filter(|uuid| uuid.to_string() == file_name).unwrap_or_else(|| {
        report.add(Severity::Change, subject.clone(), "gets another name in its download address");
        Uuid::new_v4()
    });
    let created = date(row.created.as_deref(), "date of its upload", &subject, now, report);
    Some(ReferencePackage { id: PackageId(row.id), created, sha256, uuid, description, file_name, file_directory })
}

/// A group with all packages that it has there.
fn group(row: &GroupRow, rows: &ReferenceRows, now: Timestamp, report: &mut Report) -> Group {
    let subject = format!("group {}", row.id);
    let metadata = GroupMetadata::parse(row.metadata.as_deref().unwrap_or("{}")).unwrap_or_else(|_| {
        report.add(Severity::Change, subject.clone(), "has metadata that is no JSON object, and none from now on");
        GroupMetadata::empty()
    });
    let text = row.policy.as_deref().unwrap_or("no_update,");
    let policy = text.parse().unwrap_or_else(|_| {
        let sentence = format!("has the policy {text:?}, which leads to no version; it is \"no_update,\" from now on");
        report.add(Severity::Change, subject.clone(), sentence);
        Policy::default()
    });
    let mut packages = Vec::new();
    for (_, package) in rows.assignments.iter().filter(|(group, _)| *group == row.id) {
        let package = PackageId(*package);
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let created = date(row.created.as_deref(), "date of its creation", &subject, now, report);
    Group { id: GroupId(row.id), created, devices: Vec::new(), packages, metadata, policy }
}

fn devices(rows: &ReferenceRows, now: Timestamp, report: &mut Report) -> Vec<Device> {
    let priorities: HashMap<_, _> = rows.groups.iter().map(|group| (group.id, group.priority.unwrap_or(0))).collect();
    let mut by_key: BTreeMap<_, (i64, String)> = BTreeMap::new();
    let mut devices = Vec::with_capacity(rows.devices.len());
    for row in &rows.devices {
        let Some(device) = device(row, now, report) else { continue };
        let spelled = device.mac_address.to_string();
        if let Some((other, other_spelled)) = by_key.insert(device.mac_address.key(), (row.id, spelled.clone())) {
            let sentence = format!(
                "({spelled}) and device {other} ({other_spelled}) have the same MAC address: remove one of them in the \
                 reference server"
            );
            report.add(Severity::Obstacle, format!("device {}", row.id), sentence);
            continue;
        }
        let group = group_of(row, rows, &priorities, report);
        devices.push(Device { group, ..device });
    }
    devices
}

/// The one group of a device; of several the one with the highest priority, and of these the first.
fn group_of(
    row: &DeviceRow,
    rows: &ReferenceRows,
    priorities: &HashMap<i64, i64>,
    report: &mut Report,
) -> Option<GroupId> {
    let subject = format!("device {}", row.id);
    let assigned = rows.memberships.iter().filter(|(device, _)| *device == row.id).map(|(_, group)| *group);
    let mut groups: Vec<i64> = row.group.into_iter().chain(assigned).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| {
        let is_there = priorities.contains_key(group);
        if !is_there {
            report.add(Severity::Change, subject.clone(), format!("is in group {group}, which is not there"));
        }
        is_there
    });
    let highest = groups.iter().copied().max_by_key(|group| (priorities[group], std::cmp::Reverse(*group)))?;
    if groups.len() > 1 {
        let named: Vec<_> = groups.iter().map(|group| format!("{group} (priority {})", priorities[group])).collect();
        let sentence = format!(
            "is in the groups {}, and tender knows one group for each device; it is in group {highest} from now on",
            named.join(", ")
        );
        report.add(Severity::Change, subject, sentence);
    }
    Some(GroupId(highest))
}

fn device(row: &DeviceRow, now: Timestamp, report: &mut Report) -> Option<Device> {
    let subject = format!("device {}", row.id);
    let spelled = row.mac_address.as_deref().unwrap_or_default();
    let mac_address = match MacAddress::parse(spelled) {
        Ok(mac_address) => mac_address,
        Err(invalid) => {
            report.add(Severity::Damage, subject, format!("cannot be known by {spelled:?}: {invalid}"));
            return None;
        }
    };
    let key = row.public_key.as_deref().filter(|pem| !pem.trim().is_empty());
    let key = match key.map(|pem| PublicKey::from_pem(pem).map(|key| (pem.to_owned(), key.fingerprint()))) {
        Some(Ok(key)) => Some(key),
        unusable => {
            let why = match unusable {
                Some(Err(invalid)) => format!("has a key that cannot be used ({invalid})"),
                _ => "has no key".to_owned(),
            };
            let sentence = format!("({mac_address}) {why}: it has to be accepted again when it registers");
            report.add(Severity::Change, subject.clone(), sentence);
            report.devices_without_key += 1;
            None
        }
    };
    let (public_key, key_fingerprint) = key.unzip();
    let last_access = row.last_access.as_deref().and_then(|text| {
        let parsed = Timestamp::parse_utc(text);
        if parsed.is_none() {
            report.add(Severity::Change, subject.clone(), format!("was last heard at {text:?}, which is no date"));
        }
        parsed
    });
    Some(Device {
        id: DeviceId(row.id),
        name: row.name.clone().unwrap_or_else(|| mac_address.to_string()),
        mac_address,
        capabilities: capabilities(&subject, row.capabilities.as_deref(), report),
        metadata: reported(&subject, row.metadata.as_deref(), report),
        group: None,
        last_access,
        public_key,
        key_fingerprint,
        accepted: now,
        clock_skew_seconds: None,
    })
}

fn capabilities(subject: &str, json: Option<&str>, report: &mut Report) -> BTreeMap<String, bool> {
    let Some(object) = object(json) else {
        if json.is_some() {
            report.add(Severity::Change, subject, "has capabilities that are no JSON object, and none from now on");
        }
        return Device::unknown_capabilities();
    };
    let mut capabilities = BTreeMap::new();
    for (name, value) in object {
        match value.as_bool() {
            Some(is_there) => drop(capabilities.insert(name, is_there)),
            None => report.add(Severity::Change, subject, format!("loses the capability {name:?}, as it is {value}")),
        }
    }
    capabilities
}

/// What a device reported; it reports it again.
fn reported(subject: &str, json: Option<&str>, report: &mut Report) -> Metadata {
    match object(json) {
        Some(object) => metadata(subject, &object, report),
        None => {
            if json.is_some() {
                report.add(Severity::Change, subject, "has metadata that is no JSON object, and none until it reports");
            }
            Metadata::default()
        }
    }
}

fn registrations(rows: &[RegistrationRow], now: Timestamp, report: &mut Report) -> Vec<(Registration, KeyFingerprint)> {
    let mut seen = HashSet::new();
    let mut registrations = Vec::new();
    for row in rows {
        let spelled = row.mac_address.as_deref().unwrap_or_default();
        let subject = format!("registration of {spelled}");
        let public_key = row.public_key.clone().unwrap_or_default();
        let (mac_address, key) = match (MacAddress::parse(spelled), PublicKey::from_pem(&public_key)) {
            (Ok(mac_address), Ok(key)) => (mac_address, key),
            (Err(invalid), _) | (_, Err(invalid)) => {
                report.add(Severity::Left, subject, format!("{invalid}; the device will ask again"));
                continue;
            }
        };
        if !seen.insert((mac_address.key(), key.fingerprint())) {
            continue;
        }
        let metadata = reported(&subject, row.metadata.as_deref(), report);
        let last_appeared = date(row.last_appeared.as_deref(), "date when it asked", &subject, now, report);
        let state = RegistrationState::Pending;
        let registration = Registration { mac_address, public_key, metadata, last_appeared, state };
        registrations.push((registration, key.fingerprint()));
    }
    registrations
}

/// Metadata of texts and lists of texts. Other values become texts, as JSON writes them.
fn metadata<'a>(
    subject: &str,
    pairs: impl IntoIterator<Item = (&'a String, &'a Value)>,
    report: &mut Report,
) -> Metadata {
    let mut translated = Vec::new();
    for (key, value) in pairs {
        let value = serde_json::from_value::<MetadataValue>(value.clone()).unwrap_or_else(|_| {
            report.add(
                Severity::Change,
                subject,
                format!("has {key:?} as the text {:?} from now on", value.to_string()),
            );
            MetadataValue::Text(value.to_string().into())
        });
        translated.push((key.as_str(), value));
    }
    translated.into_iter().collect()
}

fn date(text: Option<&str>, meaning: &str, subject: &str, now: Timestamp, report: &mut Report) -> Timestamp {
    text.and_then(Timestamp::parse_utc).unwrap_or_else(|| {
        report.add(Severity::Change, subject, format!("has no {meaning} that can be read; it is today"));
        now
    })
}

fn object(json: Option<&str>) -> Option<Map<String, Value>> {
    serde_json::from_str(json?).ok()
}
