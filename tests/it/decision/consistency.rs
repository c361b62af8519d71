//! What is explained is what an update check answers, and what a preview counts: in many situations made at random.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

use super::{file_of, link, note_damage, stop, why};
use crate::harness::{Device, Operator, TestServer};

const VERSIONS: [&str; 4] = ["v0", "v1", "v2", "v3"];
const DEVICES: u8 = 6;
const PACKAGES: usize = 12;
/// Of these, so many have no file; whether the server knows that changes.
const MISSING: usize = 4;
const ROUNDS: usize = 40;

struct Dice(ChaCha20Rng);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0.next_u32() as usize % sides
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn one_of<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// Packages of two device types, with requirements of version and root file system.
async fn packages(admin: &Operator, dice: &mut Dice) -> Vec<i64> {
    let mut packages = Vec::new();
    for number in 0..PACKAGES {
        let mut more = Vec::new();
        if !dice.one_in(3) {
            more.push(("requires:rdfm.software.version", dice.one_of(&VERSIONS)));
        }
        if dice.one_in(4) {
            more.push(("requires:rootfs", dice.one_of(&["a", "b"])));
        }
        if dice.one_in(3) {
            more.push(("rootfs", dice.one_of(&["a", "b"])));
        }
        if dice.one_in(6) {
            more.push(("rdfm.hardware.devtype", "camera"));
        }
        packages.push(admin.package(dice.one_of(&VERSIONS[1..]), &more, &vec![b'x'; number + 1]).await);
    }
    packages
}

/// Sets everything about the groups anew; the policy last, which tells the server that plans have changed.
async fn rearrange(server: &TestServer, admin: &Operator, dice: &mut Dice, groups: &[i64], packages: &[i64]) {
    server.database().execute_batch("DELETE FROM package_integrity; DELETE FROM group_rollouts").unwrap();
    for package in &packages[..MISSING] {
        if dice.one_in(2) {
            note_damage(server, *package, "missing", "the file is not there");
        }
    }
    for group in groups {
        let number =
            |dice: &mut Dice, sides| if dice.one_in(2) { "NULL".to_owned() } else { dice.below(sides).to_string() };
        let hours =
            if dice.one_in(3) { dice.one_of(&["'08:00-12:00', 'UTC'", "'20:00-21:00', 'UTC'"]) } else { "NULL, NULL" };
        let halt = if dice.one_in(3) { "0, 1" } else { "NULL, NULL" };
        let (failures, parallel, first) = (dice.below(3), number(dice, 3), number(dice, 3));
        let insert = format!(
            "INSERT INTO group_rollouts VALUES ({group}, {hours}, {failures}, {halt}, {parallel}, {first}, NULL, NULL)"
        );
        server.database().execute(&insert, []).unwrap();
        let most = if dice.one_in(5) { 1 } else { packages.len() };
        let chosen: Vec<_> = packages.iter().filter(|_| !dice.one_in(3)).take(most).collect();
        admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": chosen })).await.ok();
        let policy =
            if dice.one_in(8) { "no_update,".to_owned() } else { format!("exact_match,{}", dice.one_of(&VERSIONS)) };
        admin.post(&format!("/api/v1/groups/{group}/policy"), json!({ "policy": policy })).await.ok();
    }
}

/// What becomes of a device between two checks. Whether it says something else of itself from now on.
async fn live_on(device: &mut Device, dice: &mut Dice, offer: Option<&Value>) -> bool {
    if let Some(offer) = offer.filter(|_| dice.one_in(2)) {
        device.download(offer).await;
    }
    let has_changed = dice.one_in(3);
    if has_changed {
        device.report("rdfm.software.version", dice.one_of(&VERSIONS));
        device.report("rootfs", dice.one_of(&["a", "b", "c"]));
        device.report("rdfm.hardware.devtype", dice.one_of(&["dummy", "dummy", "camera", "sensor"]));
    }
    has_changed
}

#[tokio::test]
async fn an_explanation_ends_as_an_update_check_does() {
    let server = TestServer::start_with(|config| config.authentication_is_off = true).await;
    let admin = server.admin().await;
    let mut dice = Dice(ChaCha20Rng::seed_from_u64(1));
    let packages = packages(&admin, &mut dice).await;
    for package in &packages[..MISSING] {
        std::fs::remove_file(file_of(&server, &admin, *package).await).unwrap();
    }
    let groups = [admin.group(&[], &[], "no_update,").await, admin.group(&[], &[], "no_update,").await];
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        let mac = format!("00:11:22:33:44:{number:02x}");
        // The last one asks to be let in, and is not.
        let mut device = Device::new(server.url(), &mac);
        device.authorize().await;
        if number + 1 < DEVICES {
            admin.accept(&device).await;
            let id = admin.device_id(&device).await;
            if let Some(group) = groups.get(usize::from(number) / 2) {
                let body = json!({ "add": [id], "remove": [] });
                admin.patch(&format!("/api/v1/groups/{group}/devices"), body).await.ok();
            }
        }
        device.token = Some("authentication is off".to_owned());
        devices.push((device, true));
    }

    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..ROUNDS {
        rearrange(&server, &admin, &mut dice, &groups, &packages).await;
        for (device, has_changed) in &mut devices {
            // What is explained is about what the device has reported.
            if *has_changed {
                device.check().await;
            }
            let decision = why(&admin, &device.mac_address).await;
            assert_eq!(why(&admin, &device.mac_address).await, decision, "asking changes nothing");
            let after = device.check().await;
            assert_eq!(decision["offer"].is_null(), after.status != 200, "{decision}");
            if after.status == 200 {
                assert_eq!(decision["offer"]["package"], after.json()["id"], "{decision}");
            }
            *ends.entry(stop(&decision).unwrap_or("offered").to_owned()).or_default() += 1;
            if let Some(group) = link(&decision, "group")["data"]["group"].as_i64() {
                let body = json!({ "metadata": device.metadata, "group": group });
                let thought_of = admin.post("/api/tender/v1/decision", body).await.ok();
                for name in ["policy", "packages", "path"] {
                    assert_eq!(link(&thought_of, name), link(&decision, name));
                }
            }
            let offer = (after.status == 200).then(|| after.json());
            let offer = offer.filter(|offer| packages[MISSING..].iter().any(|package| offer["id"] == *package));
            *has_changed = live_on(device, &mut dice, offer.as_ref()).await;
        }
        server.time.advance(Duration::from_secs(dice.below(600) as u64));
        for group in groups {
            preview_counts_what_is_explained(&admin, group).await;
        }
    }
    for link in ["accepted", "group", "policy", "packages", "path", "rollout", "offered"] {
        assert!(ends.contains_key(link), "the dice never led to {link}: {ends:?}");
    }
}

/// What a preview says of a group is what is explained about each of its devices, but for what holds them back.
async fn preview_counts_what_is_explained(admin: &Operator, group: i64) {
    let preview = admin.post(&format!("/api/tender/v1/groups/{group}/preview"), json!({})).await.ok();
    let mut paths: BTreeMap<String, u64> = BTreeMap::new();
    let (mut up_to_date, mut without_target, mut blocked, mut bytes) = (0, 0, 0, 0);
    let devices = admin.show_group(group).await["devices"].as_array().unwrap().clone();
    for device in &devices {
        let decision = admin.get(&format!("/api/tender/v1/devices/{device}/decision")).await.ok();
        match stop(&decision) {
            Some("policy") if link(&decision, "policy")["data"]["target"].is_null() => without_target += 1,
            Some("policy") => up_to_date += 1,
            Some("packages" | "path") => blocked += 1,
            _ => {
                let path = &link(&decision, "path")["data"];
                let ids: Vec<_> = path["path"].as_array().unwrap().iter().map(|step| &step["package"]).collect();
                *paths.entry(json!(ids).to_string()).or_default() += 1;
                bytes += path["bytes"].as_u64().unwrap();
            }
        }
    }
    let previewed: BTreeMap<_, _> = preview["paths"]
        .as_array()
        .unwrap()
        .iter()
        .map(|path| (path["packages"].to_string(), path["devices"].as_u64().unwrap()))
        .collect();
    assert_eq!(previewed, paths, "{preview}");
    let count = |name: &str| preview[name]["devices"].as_u64().unwrap();
    assert_eq!((count("up_to_date"), count("without_target")), (up_to_date, without_target), "{preview}");
    let previewed_blocked: u64 =
        preview["blocked"].as_array().unwrap().iter().map(|blocked| blocked["devices"].as_u64().unwrap()).sum();
    assert_eq!((previewed_blocked, preview["bytes"].as_u64().unwrap()), (blocked, bytes), "{preview}");
    assert_eq!(preview["devices"], devices.len());
}
