//! Looks after devices: has them register, accepts and removes them, and says what their group gets.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Died, send};
use crate::crash::site::Found;
use crate::harness::process::ServerProcess;
use crate::harness::{Device, Operator, sha256};

/// So many devices are kept at most.
const KEPT: usize = 4;

pub struct Registrar {
    name: String,
    number: u8,
    registered: u8,
    /// All devices that there ever were, by their MAC addresses.
    devices: BTreeMap<String, Device>,
    known: Known,
    doubt: Option<Doubt>,
    /// A package for the group: its identifier, and the hash of its bytes.
    package: (i64, String),
}

/// What is there of one registrar.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    /// MAC addresses of devices that wait.
    waiting: Vec<String>,
    /// Identifiers of devices, by MAC address.
    accepted: BTreeMap<String, i64>,
    group: Option<Group>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    id: i64,
    devices: BTreeSet<i64>,
    packages: Vec<i64>,
    policy: String,
}

/// What is in doubt: all of it is true, or nothing.
enum Doubt {
    Register(String),
    Accept(String),
    Remove(String),
    CreateGroup,
    Devices(BTreeSet<i64>),
    Packages(Vec<i64>),
    Policy(String),
}

impl Registrar {
    /// No two have the same number. Their groups get one package, of the version `base`, with this hash.
    pub fn new(name: &str, number: u8, package: (i64, String)) -> Self {
        let (devices, known) = (BTreeMap::new(), Known::default());
        Self { name: name.to_owned(), number, registered: 0, devices, known, doubt: None, package }
    }

    pub async fn work(&mut self, operator: &Operator, choice: u32) -> Result<(), Died> {
        match choice % 10 {
            0 | 1 => self.register(operator).await,
            2 | 3 => self.accept(operator).await,
            4 => self.remove(operator).await,
            5 => self.add_devices(operator).await,
            6 => self.move_devices(operator).await,
            7 => self.set_packages(operator).await,
            8 => self.set_policy(operator).await,
            _ => self.check_in(operator).await,
        }
    }

    pub async fn register(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.known.waiting.len() >= KEPT {
            return self.accept(operator).await;
        }
        self.registered = self.registered.wrapping_add(1);
        let mac_address = format!("02:{:02x}:00:00:00:{:02x}", self.number, self.registered);
        if self.known.accepted.contains_key(&mac_address) || self.known.waiting.contains(&mac_address) {
            return Ok(());
        }
        let device = Device::new(operator.url(), &mac_address);
        let message = serde_json::to_vec(&device.authorization_body()).unwrap();
        let signature = device.sign(&message);
        let request = device.request_authorization(message, &signature);
        self.devices.insert(mac_address.clone(), device);
        self.doubt = Some(Doubt::Register(mac_address));
        send(request).await?.error(401);
        self.settle(true, 0);
        Ok(())
    }

    /// Accepts the device that waits longest; has one register first if there is none.
    pub async fn accept(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.known.accepted.len() >= KEPT {
            return self.remove(operator).await;
        }
        while self.known.waiting.is_empty() {
            Box::pin(self.register(operator)).await?;
        }
        let mac_address = self.known.waiting[0].clone();
        let registration = self.devices[&mac_address].registration();
        self.doubt = Some(Doubt::Accept(mac_address.clone()));
        send(operator.request(Method::POST, "/api/v1/auth/register").json(&registration)).await?.ok();
        // The reply does not say as what it was accepted.
        let devices = send(operator.request(Method::GET, "/api/v1/devices")).await?.ok();
        let accepted = devices.as_array().unwrap().iter().find(|device| device["mac_address"] == *mac_address);
        self.settle(true, accepted.unwrap()["id"].as_i64().unwrap());
        Ok(())
    }

    /// Removes the first device; accepts one first if there is none.
    pub async fn remove(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.known.accepted.is_empty() {
            Box::pin(self.accept(operator)).await?;
        }
        let Some((mac_address, id)) = self.known.accepted.iter().next() else { return Ok(()) };
        let request = operator.request(Method::POST, "/api/tender/v1/devices/remove");
        let request = request.json(&json!({ "devices": [id] }));
        self.doubt = Some(Doubt::Remove(mac_address.clone()));
        send(request).await?.ok();
        self.settle(true, 0);
        Ok(())
    }

    pub async fn create_group(&mut self, operator: &Operator) -> Result<(), Died> {
        self.doubt = Some(Doubt::CreateGroup);
        let request = operator.request(Method::POST, "/api/v1/groups").json(&json!({ "name": self.name }));
        let group = send(request).await?.ok();
        self.settle(true, group["id"].as_i64().unwrap());
        Ok(())
    }

    async fn group(&mut self, operator: &Operator) -> Result<Group, Died> {
        if self.known.group.is_none() {
            self.create_group(operator).await?;
        }
        Ok(self.known.group.clone().expect("it was created"))
    }

    /// Adds all devices to the group, or takes all out of it, in one request; accepts one first if there is none.
    pub async fn add_devices(&mut self, operator: &Operator) -> Result<(), Died> {
        let group = self.group(operator).await?;
        if self.known.accepted.is_empty() {
            self.accept(operator).await?;
        }
        let all: BTreeSet<i64> = self.known.accepted.values().copied().collect();
        let outside: Vec<i64> = all.difference(&group.devices).copied().collect();
        let (body, after) = if outside.is_empty() {
            (json!({ "add": [], "remove": all }), BTreeSet::new())
        } else {
            (json!({ "add": outside, "remove": [] }), all)
        };
        self.doubt = Some(Doubt::Devices(after));
        let path = format!("/api/v1/groups/{}/devices", group.id);
        send(operator.request(Method::PATCH, &path).json(&body)).await?.ok();
        self.settle(true, 0);
        Ok(())
    }

    /// The same with the request that moves devices.
    pub async fn move_devices(&mut self, operator: &Operator) -> Result<(), Died> {
        let group = self.group(operator).await?;
        if self.known.accepted.is_empty() {
            self.accept(operator).await?;
        }
        let all: BTreeSet<i64> = self.known.accepted.values().copied().collect();
        let (to, after) = if group.devices == all { (None, BTreeSet::new()) } else { (Some(group.id), all.clone()) };
        let request = operator.request(Method::POST, "/api/tender/v1/devices/assign");
        let request = request.json(&json!({ "devices": all, "group": to }));
        self.doubt = Some(Doubt::Devices(after));
        send(request).await?.ok();
        self.settle(true, 0);
        Ok(())
    }

    /// Gives the group its package, or takes it away.
    pub async fn set_packages(&mut self, operator: &Operator) -> Result<(), Died> {
        let group = self.group(operator).await?;
        let packages = if group.packages.is_empty() { vec![self.package.0] } else { Vec::new() };
        let path = format!("/api/v1/groups/{}/package", group.id);
        let request = operator.request(Method::POST, &path).json(&json!({ "packages": packages }));
        self.doubt = Some(Doubt::Packages(packages));
        send(request).await?.ok();
        self.settle(true, 0);
        Ok(())
    }

    pub async fn set_policy(&mut self, operator: &Operator) -> Result<(), Died> {
        let group = self.group(operator).await?;
        let policy = if group.policy == "no_update," { "exact_match,base" } else { "no_update," };
        let path = format!("/api/v1/groups/{}/policy", group.id);
        let request = operator.request(Method::POST, &path).json(&json!({ "policy": policy }));
        self.doubt = Some(Doubt::Policy(policy.to_owned()));
        send(request).await?.ok();
        self.settle(true, 0);
        Ok(())
    }

    /// Has a device renew its token and ask for an update.
    async fn check_in(&mut self, operator: &Operator) -> Result<(), Died> {
        let Some((mac_address, _)) = self.known.accepted.iter().next() else { return Ok(()) };
        let device = self.devices.get_mut(mac_address).expect("all are kept");
        device.follow(operator.url());
        let message = serde_json::to_vec(&device.authorization_body()).unwrap();
        let signature = device.sign(&message);
        let granted = send(device.request_authorization(message, &signature)).await?.ok();
        device.token = Some(granted["token"].as_str().unwrap().to_owned());
        let check = device.request(Method::POST, "/api/v1/update/check").json(&device.metadata);
        let reply = send(check).await?;
        assert!([200, 204].contains(&reply.status), "{reply:?}");
        Ok(())
    }

    /// What is in doubt is decided. `id` is that of what is new with it.
    fn settle(&mut self, is_done: bool, id: i64) {
        let Some(doubt) = self.doubt.take().filter(|_| is_done) else { return };
        let Known { waiting, accepted, group } = &mut self.known;
        match (doubt, group) {
            (Doubt::Register(mac_address), _) => waiting.push(mac_address),
            (Doubt::Accept(mac_address), _) => {
                waiting.retain(|waits| *waits != mac_address);
                accepted.insert(mac_address, id);
            }
            (Doubt::Remove(mac_address), group) => {
                let id = accepted.remove(&mac_address).expect("it was accepted");
                if let Some(group) = group {
                    group.devices.remove(&id);
                }
            }
            (Doubt::CreateGroup, group) => {
                let (devices, packages) = (BTreeSet::new(), Vec::new());
                *group = Some(Group { id, devices, packages, policy: "no_update,".to_owned() });
            }
            (Doubt::Devices(devices), Some(group)) => group.devices = devices,
            (Doubt::Packages(packages), Some(group)) => group.packages = packages,
            (Doubt::Policy(policy), Some(group)) => group.policy = policy,
            (_, None) => panic!("there is no group"),
        }
    }

    fn found(&self, found: &Found) -> Known {
        let start = format!("02:{:02x}:", self.number);
        let own = |value: &&Value| value["mac_address"].as_str().unwrap().starts_with(&start);
        let mac_address = |value: &Value| value["mac_address"].as_str().unwrap().to_owned();
        let numbers =
            |value: &Value| value.as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect::<Vec<_>>();
        let mut groups = found.groups.iter().filter(|group| group["metadata"]["name"] == *self.name);
        let group = groups.next().map(|group| Group {
            id: group["id"].as_i64().unwrap(),
            devices: numbers(&group["devices"]).into_iter().collect(),
            packages: numbers(&group["packages"]),
            policy: group["policy"].as_str().unwrap().to_owned(),
        });
        assert_eq!(groups.next(), None, "{} has one group", self.name);
        Known {
            waiting: found.pending.iter().filter(own).map(mac_address).collect(),
            accepted: found
                .devices
                .iter()
                .filter(own)
                .map(|device| (mac_address(device), device["id"].as_i64().unwrap()))
                .collect(),
            group,
        }
    }

    pub async fn compare(&mut self, found: &Found, server: &ServerProcess) {
        let there = self.found(found);
        if let Some(doubt) = &self.doubt {
            let id = match doubt {
                Doubt::Accept(mac_address) => there.accepted.get(mac_address).copied(),
                _ => there.group.as_ref().map(|group| group.id),
            };
            let before = self.known.clone();
            // All of it, or nothing.
            let is_done = there != before;
            self.settle(is_done, id.unwrap_or_default());
        }
        assert_eq!(there, self.known, "what {} looks after", self.name);
        if let Some((mac_address, id)) = self.known.accepted.iter().next_back() {
            let device = self.devices.get_mut(mac_address).expect("all are kept");
            device.follow(&server.url);
            assert_update(device, *id, self.known.group.as_ref(), &self.package).await;
        }
    }
}

/// A device gets a token, and what its group is to have; then it has that.
async fn assert_update(device: &mut Device, id: i64, group: Option<&Group>, (package, hash): &(i64, String)) {
    device.authorize().await.ok();
    let is_to_update = device.metadata["rdfm.software.version"] != "base"
        && group.is_some_and(|group| {
            group.devices.contains(&id) && group.packages.contains(package) && group.policy == "exact_match,base"
        });
    let offer = device.check().await;
    assert_eq!(offer.status, if is_to_update { 200 } else { 204 }, "{offer:?}");
    if is_to_update {
        assert_eq!(sha256(&device.download(&offer.json()).await), *hash);
        device.report("rdfm.software.version", "base");
        assert_eq!(device.check().await.status, 204);
    }
}
