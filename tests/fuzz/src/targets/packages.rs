//! What devices and packages say about themselves, and where packages are kept.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::{Component, Path};

use bytes::Bytes;
use headers::HeaderMap;
use serde_json::Value;
use tender::domain::resolver::{Decision, MAX_STATES, next_step, obstacles};
use tender::domain::{
    DeviceReport, Metadata, MetadataValue, Package, PackageDescription, PackageId, Policy, Sha256Digest,
    StorageDirectory, Submission, Timestamp, keys,
};
use tender::http::{ApiError, PathParameter, RequestBody, StoredName};
use tender::store::backup::EntryName;
use uuid::Uuid;

use super::pieces::Pieces;
use super::{assert_sentence, block_on};

/// The longest body that is read here.
const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// The body of an update check: metadata as JSON.
pub fn metadata(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let body: Vec<Result<Bytes, warp::Error>> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut body = RequestBody::new(&HeaderMap::new(), futures_util::stream::iter(body));
    let metadata: Metadata = match block_on(body.read_json(BODY_LIMIT_BYTES)) {
        Ok(metadata) => metadata,
        Err(ApiError::BadRequest(sentence)) => return assert_sentence(&sentence),
        Err(other) => panic!("metadata is not refused with {other:?}"),
    };
    // It says what any reader of JSON sees, and is read as it is written.
    let value: Value = serde_json::from_slice(pieces.bytes).expect("it is JSON");
    assert_eq!(serde_json::to_value(&metadata).expect("it is JSON"), value);
    let text = serde_json::to_string(&metadata).expect("it is JSON");
    assert_eq!(serde_json::from_str::<Metadata>(&text).expect("it was written"), metadata);
    for (key, value) in metadata.iter() {
        assert_eq!(metadata.get(key), Some(value));
    }

    match DeviceReport::for_update_check(metadata.clone()) {
        Ok(report) => {
            assert_eq!(metadata.text(keys::MAC_ADDRESS), Some(report.mac_address.as_str()));
            assert!(metadata.text(keys::SOFTWARE_VERSION).is_some() && metadata.text(keys::DEVICE_TYPE).is_some());
        }
        Err(invalid) => assert_sentence(&invalid),
    }
    let fields = metadata.iter().filter_map(|(key, value)| Some((key.to_owned(), value.as_text()?.to_owned())));
    match Submission::from_fields(fields) {
        Ok(submission) => assert_describable(submission),
        Err(invalid) => assert_sentence(&invalid),
    }
}

/// A package of a submission has a version, a type and no key that is the server's.
pub(super) fn assert_describable(submission: Submission) {
    match submission.describe(None) {
        Ok(description) => {
            let metadata = description.metadata();
            for key in [keys::SOFTWARE_VERSION, keys::DEVICE_TYPE] {
                assert!(metadata.text(key).is_some_and(|value| !value.trim().is_empty()));
            }
            assert!(metadata.iter().all(|(key, _)| !key.starts_with(keys::STORAGE_PREFIX)));
            if let Some(directory) = description.directory() {
                assert_inside(directory);
            }
        }
        Err(invalid) => assert_sentence(&invalid),
    }
}

/// A directory below a folder, wherever that is.
pub(super) fn assert_inside(directory: &StorageDirectory) {
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    assert!(Path::new(directory.as_str()).components().all(is_plain), "{directory:?}");
    let joined = Path::new("/packages").join(directory.as_str());
    assert!(joined.starts_with("/packages") && joined != Path::new("/packages"), "{directory:?}");
}

/// A path as uploaders, the addresses of downloads and the names in backups give it.
pub fn storage_path(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    match StorageDirectory::parse(text) {
        Ok(directory) => {
            assert_inside(&directory);
            assert_eq!(StorageDirectory::parse(directory.as_str()), Ok(directory.clone()));
            // A file of a package in it is found again: by its address, and in a backup.
            let file = format!("{}/{}", directory.as_str(), Uuid::from_u128(7));
            assert!(StoredName::parse(&file).is_some() || file.contains('%'));
            let entry = EntryName::Package(Some(directory), Uuid::from_u128(7));
            assert_eq!(EntryName::parse(&entry.to_string()), Some(entry));
        }
        Err(invalid) => assert_sentence(&invalid),
    }
    let _ = StoredName::parse(text);
    if let Some(name) = EntryName::parse(text) {
        assert_eq!(name.to_string(), text, "a name has one spelling");
        assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))), "{text:?}");
        if let EntryName::Package(Some(directory), _) = &name {
            assert_inside(directory);
        }
    }
}

/// A group: its policy, a device, and packages, on a line each. They are pairs of short words (`v=1,t=gateway,?v=0`), so that
/// requirements meet; `v` is the version, `t` the type, `?` a requirement, and `a|b` a list.
pub fn requires(input: &[u8]) {
    const MOST_PACKAGES: usize = 6;
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let (Some(Ok(policy)), Some(device)) = (lines.next().map(str::parse::<Policy>), lines.next()) else { return };
    let device = pairs(device);
    let packages = lines.take(MOST_PACKAGES).enumerate().filter_map(|(position, line)| {
        Some(Package {
            id: PackageId(position as i64 + 1),
            created: Timestamp::from_unix_seconds(0),
            sha256: Sha256Digest([0; 32]),
            length_bytes: 1,
            uuid: Uuid::from_u128(position as u128),
            description: PackageDescription::from_stored(pairs(line), None).ok()?,
        })
    });
    let packages: Vec<_> = packages.collect();

    let decision = next_step(&device, &packages, &policy);
    let expected = policy.target().map(|target| distance(&device, &packages, target));
    match (&decision, expected) {
        (Decision::NoTarget, None) => {}
        (Decision::UpToDate, Some(Some(0))) => {}
        (Decision::NoPath { blockers, .. }, Some(None)) => {
            assert_eq!(blockers.len(), packages.len());
            assert!(blockers.iter().all(|blocker| !blocker.obstacles.is_empty()));
        }
        (Decision::Install { package, path }, Some(Some(steps))) => {
            assert_eq!((path.first(), path.len()), (Some(package), steps));
            let mut state = device;
            for step in path {
                let step = packages.iter().find(|package| package.id == *step).expect("it is one of the packages");
                assert_eq!(obstacles(&state, step), [], "it cannot be installed");
                state = installed(&state, step);
            }
            assert_eq!(state.text(keys::SOFTWARE_VERSION), policy.target());
        }
        (decision, expected) => panic!("{decision:?}, but there are {expected:?} steps"),
    }
}

fn pairs(line: &str) -> Metadata {
    let key = |key: &str| match key {
        "v" => keys::SOFTWARE_VERSION.to_owned(),
        "t" => keys::DEVICE_TYPE.to_owned(),
        other => other.to_owned(),
    };
    let pairs = line.split(',').filter_map(|pair| pair.split_once('='));
    let pairs = pairs.map(|(name, value)| {
        let name = match name.strip_prefix('?') {
            Some(name) => format!("{}{}", keys::REQUIRES_PREFIX, key(name)),
            None => key(name),
        };
        let value = match value.contains('|') {
            true => MetadataValue::List(value.split('|').map(Box::from).collect()),
            false => MetadataValue::from(value),
        };
        (name, value)
    });
    pairs.collect()
}

/// A device after installing a package.
fn installed(device: &Metadata, package: &Package) -> Metadata {
    let is_reported = |key: &str| !key.starts_with(keys::REQUIRES_PREFIX) && !key.starts_with(keys::STORAGE_PREFIX);
    let brought = package.metadata().iter().filter(|(key, _)| is_reported(key));
    device.iter().chain(brought).map(|(key, value)| (key, value.clone())).collect()
}

/// The fewest steps from a device to a version: each state whole, one after the other.
fn distance(device: &Metadata, packages: &[Package], target: &str) -> Option<usize> {
    let written = |state: &Metadata| {
        let pairs: BTreeMap<_, _> = state.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
        pairs.into_iter().collect::<Vec<_>>()
    };
    let mut seen = HashSet::from([written(device)]);
    let mut waiting = VecDeque::from([(device.clone(), 0)]);
    while let Some((state, steps)) = waiting.pop_front() {
        if state.text(keys::SOFTWARE_VERSION) == Some(target) {
            return Some(steps);
        }
        for package in packages.iter().filter(|package| obstacles(&state, package).is_empty()) {
            let next = installed(&state, package);
            if seen.insert(written(&next)) {
                waiting.push_back((next, steps + 1));
            }
        }
        assert!(seen.len() < MAX_STATES, "so few packages make few states");
    }
    None
}
