//! The resolver as its callers see it: tables of situations that people know, and properties checked against an oracle.
//!
//! Sketches are packages and devices in few words. Theirs is a plain map, so that the oracle shares no code with what it
//! judges; [`Sketch::install`] is the only place that says what installing does.

mod oracle;
mod previews;
mod properties;
mod tables;

use std::collections::BTreeMap;

use tender::domain::resolver::{Decision, next_step};
use tender::domain::{
    Metadata, MetadataValue, Package, PackageDescription, PackageId, Policy, Sha256Digest, Timestamp, keys,
};

/// The device type of sketches that name no other.
const GATEWAY: &str = "gateway";

type Fields = BTreeMap<String, MetadataValue>;

/// A device's report, or a package with its identifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Sketch {
    id: i64,
    fields: Fields,
}

/// A gateway that runs `version`.
fn device(version: &str) -> Sketch {
    sketch(0).version(version).with(keys::MAC_ADDRESS, "00:00:00:00:00:01")
}

/// A package for gateways; it needs a version.
fn package(id: i64) -> Sketch {
    sketch(id)
}

fn sketch(id: i64) -> Sketch {
    Sketch { id, fields: Fields::new() }.with(keys::DEVICE_TYPE, GATEWAY)
}

impl Sketch {
    fn with(self, key: &str, value: &str) -> Self {
        self.with_value(key, value.into())
    }

    fn with_list<const N: usize>(self, key: &str, values: [&str; N]) -> Self {
        self.with_value(key, MetadataValue::List(values.map(Box::from).into()))
    }

    fn with_value(mut self, key: &str, value: MetadataValue) -> Self {
        self.fields.insert(key.to_owned(), value);
        self
    }

    fn version(self, version: &str) -> Self {
        self.with(keys::SOFTWARE_VERSION, version)
    }

    fn device_type(self, device_type: &str) -> Self {
        self.with(keys::DEVICE_TYPE, device_type)
    }

    fn requires(self, key: &str, value: &str) -> Self {
        self.with(&format!("requires:{key}"), value)
    }

    fn requires_version(self, version: &str) -> Self {
        self.requires(keys::SOFTWARE_VERSION, version)
    }

    fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.fields.get(key)
    }

    fn metadata(&self) -> Metadata {
        self.fields.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()
    }

    /// What the device reports once it runs `package`.
    fn install(&mut self, package: &Sketch) {
        for (key, value) in &package.fields {
            if !key.starts_with("requires:") && !key.starts_with("rdfm.storage.") {
                self.fields.insert(key.clone(), value.clone());
            }
        }
    }

    fn build(&self) -> Package {
        Package {
            id: PackageId(self.id),
            created: Timestamp::from_unix_seconds(0),
            sha256: Sha256Digest([0; 32]),
            length_bytes: 1,
            uuid: uuid::Uuid::nil(),
            description: PackageDescription::from_stored(self.metadata(), None).unwrap(),
        }
    }
}

fn build_all(packages: &[Sketch]) -> Vec<Package> {
    packages.iter().map(Sketch::build).collect()
}

fn exactly(version: &str) -> Policy {
    Policy::ExactMatch(version.to_owned())
}

/// What `device` is told in a group with `packages`, assigned in this order, that is to run `target`.
fn decide(device: &Sketch, packages: &[Sketch], target: &str) -> Decision {
    next_step(&device.metadata(), &build_all(packages), &exactly(target))
}

/// The identifiers of the path that `device` is offered.
fn path(device: &Sketch, packages: &[Sketch], target: &str) -> Option<Vec<i64>> {
    match decide(device, packages, target) {
        Decision::Install { package, path } => {
            assert_eq!(path.first(), Some(&package), "what is offered is not the first of the path");
            Some(path.into_iter().map(|id| id.0).collect())
        }
        _ => None,
    }
}

/// Asks and installs until nothing is offered any more; what was installed, and the last answer.
fn follow(device: &Sketch, packages: &[Sketch], target: &str) -> (Vec<i64>, Decision) {
    let mut device = device.clone();
    let mut installed = Vec::new();
    loop {
        match decide(&device, packages, target) {
            Decision::Install { package, .. } => {
                assert!(installed.len() < 50, "this does not end: {installed:?}");
                device.install(packages.iter().find(|candidate| candidate.id == package.0).unwrap());
                installed.push(package.0);
            }
            decision => return (installed, decision),
        }
    }
}
