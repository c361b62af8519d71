//! What a server in use has: devices, registrations, packages and groups, put there without the page.

use rusqlite::Transaction;
use serde_json::{Value, json};

use crate::server::{START, Server};
use crate::tab::Tab;

const VERSION: &str = "rdfm.software.version";
const TYPE: &str = "rdfm.hardware.devtype";

impl Tab {
    /// Asks the server's API something as whoever is logged in here; the reply.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        let options =
            json!({ "method": method, "headers": { "content-type": "application/json" }, "body": body.to_string() });
        self.asked(&format!("fetch('{path}', {options})")).await
    }

    /// Uploads a package by the API; its identifier.
    pub async fn upload(&self, metadata: &Value, contents: &str) -> i64 {
        let contents = Value::from(contents);
        let form = format!(
            "(() => {{ const form = new FormData(); Object.entries({metadata}).forEach(([key, value]) => form.append(key, value)); \
             form.append('file', new Blob([{contents}]), 'file'); return form }})()"
        );
        let reply = self.asked(&format!("fetch('/api/v1/packages', {{ method: 'POST', body: {form} }})")).await;
        reply["id"].as_i64().unwrap()
    }

    async fn asked(&self, fetch: &str) -> Value {
        let answer = "async (response) => [response.ok, await response.json()]";
        let (is_fine, reply): (bool, Value) = self.promised(&format!("{fetch}.then({answer})")).await;
        assert!(is_fine, "{reply}");
        reply
    }

    /// A group by the API; its identifier.
    pub async fn group(&self, metadata: Value, packages: &[i64], target: Option<&str>) -> i64 {
        let group = self.call("POST", "/api/v1/groups", metadata).await["id"].as_i64().unwrap();
        let path = format!("/api/v1/groups/{group}");
        self.call("POST", &format!("{path}/package"), json!({ "packages": packages })).await;
        if let Some(target) = target {
            self.call("POST", &format!("{path}/policy"), json!({ "policy": format!("exact_match,{target}") })).await;
        }
        group
    }
}

/// What a device or a package says about itself.
pub fn says(version: &str, device_type: &str) -> Value {
    json!({ VERSION: version, TYPE: device_type })
}

/// A MAC address.
pub fn mac(number: i64) -> String {
    format!("02:00:00:00:{:02x}:{:02x}", number / 256, number % 256)
}

/// A device that was accepted and heard; its identifier. Its key has `number` in it.
pub fn device(tx: &Transaction, number: i64, name: &str, metadata: &Value, group: Option<i64>) -> i64 {
    let sql = "INSERT INTO devices (mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata, group_id, created_at) \
               VALUES (?1, ?2, ?3, 'key', ?4, '{}', ?5, ?6, ?7)";
    let (mac, now) = (mac(number), START.as_secs());
    let values = (mac.replace(':', ""), &mac, name, fingerprint(number), metadata.to_string(), group, now);
    tx.prepare_cached(sql).unwrap().execute(values).unwrap();
    let id = tx.last_insert_rowid();
    let sql = "INSERT INTO device_presence (device_id, last_access_at) VALUES (?1, ?2)";
    tx.prepare_cached(sql).unwrap().execute((id, now)).unwrap();
    id
}

/// A registration that waits, or was rejected. With the number of a device it claims to be that, with another key.
pub fn registration(tx: &Transaction, number: i64, metadata: &Value, is_rejected: bool) {
    let sql = "INSERT INTO registrations (mac_key, mac_address, public_key, key_fingerprint, metadata, last_appeared_at, rejected_at) \
               VALUES (?1, ?2, 'key', ?3, ?4, ?5, ?6)";
    let (mac, now) = (mac(number), START.as_secs());
    let rejected_at = is_rejected.then_some(now);
    let values = (mac.replace(':', ""), &mac, fingerprint(number + 0x8000), metadata.to_string(), now, rejected_at);
    tx.prepare_cached(sql).unwrap().execute(values).unwrap();
}

/// The fingerprint of nobody's key.
fn fingerprint(number: i64) -> [u8; 32] {
    std::array::from_fn(|position| number.to_be_bytes()[position % 8])
}

/// Something that a device was to install, and what came of it.
pub fn attempt(tx: &Transaction, device: i64, group: i64, package: i64, outcome: Option<&str>) {
    let sql = "INSERT INTO attempts (device_id, group_id, package_id, length_bytes, from_version, to_version, target, path, offered_at, offers, \
               fetched_bytes, sent_bytes, ended_at, outcome) VALUES (?1, ?2, ?3, 1000, '1.0', '2.0', '3.0', '[]', ?4, 1, 500, 500, ?5, ?6)";
    let now = START.as_secs();
    tx.prepare_cached(sql).unwrap().execute((device, group, package, now, outcome.map(|_| now), outcome)).unwrap();
}

/// Fills a server by somebody who may change it: group 1 wants version 3.0 of its pumps, and its devices are in all states; group 2
/// is empty; device 1 is on the way, and somebody else claims to be it; package 3 is in no group.
pub async fn stock(server: &mut Server, administrator: &Tab) {
    let first = administrator.upload(&says("2.0", "pump"), "two").await;
    let mut second = says("3.0", "pump");
    second["requires:rdfm.software.version"] = "2.0".into();
    let second = administrator.upload(&second, "three").await;
    administrator.upload(&says("9.0", "valve"), "nine").await;
    let metadata = json!({ "name": "North plant", "description": "Pumps by the river", "site": "Kiel" });
    let north = administrator.group(metadata, &[first, second], Some("3.0")).await;
    administrator.group(json!({ "name": "South plant" }), &[], None).await;
    server
        .insert(|tx| {
            let started = device(tx, 1, "Pump 1", &says("1.0", "pump"), Some(north));
            attempt(tx, started, north, first, None);
            let failed = device(tx, 2, "Pump 2", &says("1.0", "pump"), Some(north));
            attempt(tx, failed, north, first, Some("reverted"));
            device(tx, 3, "Pump 3", &says("3.0", "pump"), Some(north));
            device(tx, 4, "Pump 4", &says("0.1", "valve"), Some(north));
            device(tx, 5, "Pump 5", &says("2.0", "pump"), Some(north));
            device(tx, 6, "Spare", &json!({}), None);
            for number in 7..120 {
                device(tx, number, &format!("Pump {number}"), &says("3.0", "pump"), Some(north));
            }
            registration(tx, 1, &says("1.0", "pump"), false);
            registration(tx, 200, &json!({ VERSION: "1.0", TYPE: "pump", "site": "Kiel" }), false);
            registration(tx, 201, &json!({}), true);
        })
        .await;
}

/// The addresses of all views of a server with this stock, and their headings.
pub const VIEWS: [(&str, &str); 14] = [
    ("", "Overview"),
    ("devices", "Devices"),
    ("devices/1", "Pump 1"),
    ("registrations", "Registrations"),
    ("registrations?state=rejected", "Registrations"),
    ("packages", "Packages"),
    ("packages/1", "2.0 for pump"),
    ("packages/3", "9.0 for valve"),
    ("groups", "Groups"),
    ("groups/1", "North plant"),
    ("activity?tab=updates", "Activity"),
    ("activity?tab=events", "Activity"),
    ("activity?tab=log", "Activity"),
    ("account", "Account"),
];

impl Tab {
    /// Goes to one of [`VIEWS`], and waits until all of it is there.
    pub async fn sees(&self, (place, heading): (&str, &str)) {
        // Two views may have one heading.
        self.go("account", "Account").await;
        self.go(place, heading).await;
        self.becomes("[...document.querySelectorAll('.loading, .old')].length", 0).await;
    }
}
