//! Moving in: what a reference server's database and packages held is here afterwards, and devices notice nothing.

mod death;
mod refusals;
mod takeover;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::run;
use crate::harness::{Device, sha256};

/// The secret that the reference server signed its tokens with.
const SECRET: &str = "the reference's own secret";

const UUIDS: [&str; 3] = [
    "6f7483ac-5cde-467f-acf7-39e4b397e313",
    "12a83ff3-2de2-4a95-8f3f-c7a884e426e5",
    "0c5e1d0a-6a60-4f0c-9f4c-0d9a4a0f6c11",
];

/// The schema of 2024-05: a device has one group, a column of its own.
const EARLIER: &str = "
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('53a2fa7f8bb0');
    CREATE TABLE groups (id INTEGER NOT NULL PRIMARY KEY, created DATETIME NOT NULL, info TEXT NOT NULL, policy TEXT NOT NULL);
    CREATE TABLE packages (id INTEGER NOT NULL PRIMARY KEY, created DATETIME NOT NULL, info TEXT NOT NULL,
        driver TEXT NOT NULL, sha256 VARCHAR(64) NOT NULL);
    CREATE TABLE devices (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, mac_address TEXT NOT NULL, capabilities TEXT NOT NULL,
        metadata TEXT NOT NULL, \"group\" INTEGER REFERENCES groups (id), last_access DATETIME, public_key TEXT);
    CREATE TABLE groups_packages (group_id INTEGER NOT NULL REFERENCES groups (id),
        package_id INTEGER NOT NULL REFERENCES packages (id));
    CREATE TABLE registrations (id INTEGER NOT NULL PRIMARY KEY, mac_address TEXT NOT NULL, public_key TEXT NOT NULL,
        info TEXT NOT NULL, last_appeared DATETIME NOT NULL);
";

/// A later one: groups have priorities, a device may be in several, and there are columns and tables that nobody needs here.
const LATER: &str = "
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
    INSERT INTO alembic_version VALUES ('9d2fe3d6a2ea');
    CREATE TABLE groups (id INTEGER NOT NULL PRIMARY KEY, created DATETIME NOT NULL, info TEXT NOT NULL, policy TEXT NOT NULL,
        priority INTEGER NOT NULL DEFAULT 25, updated DATETIME);
    CREATE TABLE packages (id INTEGER NOT NULL PRIMARY KEY, created DATETIME NOT NULL, info TEXT NOT NULL,
        driver TEXT NOT NULL, sha256 VARCHAR(64) NOT NULL, tags TEXT);
    CREATE TABLE devices (id INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL, mac_address TEXT NOT NULL, capabilities TEXT NOT NULL,
        device_metadata TEXT NOT NULL, last_access DATETIME, public_key TEXT);
    CREATE TABLE group_package_assignments (id INTEGER PRIMARY KEY, pkg INTEGER NOT NULL REFERENCES packages (id),
        grp INTEGER NOT NULL REFERENCES groups (id));
    CREATE TABLE group_device_assignments (device_id INTEGER NOT NULL, group_id INTEGER NOT NULL);
    CREATE TABLE permissions (id INTEGER PRIMARY KEY, resource TEXT, user_id TEXT);
    INSERT INTO permissions VALUES (1, 'group', 'anna'), (2, 'group', 'bert');
";

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Earlier,
    Later,
}

/// A reference server's data, and the devices that it knows.
struct Reference {
    folder: TempDir,
    shape: Shape,
    database: Connection,
}

impl Reference {
    /// An empty one.
    fn new(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let database = Connection::open(folder.path().join("reference.db")).unwrap();
        database.execute_batch(if shape == Shape::Earlier { EARLIER } else { LATER }).unwrap();
        Self { folder, shape, database }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn files(&self) -> PathBuf {
        self.path().join("files")
    }

    fn group(&self, id: i64, info: &str, policy: &str) {
        let row = params![id, "2023-08-14 11:50:40.123456", info, policy];
        self.database.execute("INSERT INTO groups (id, created, info, policy) VALUES (?1, ?2, ?3, ?4)", row).unwrap();
    }

    /// A package with its file, in a directory if one is given.
    fn package(&self, id: i64, uuid: &str, directory: Option<&str>, version: &str, contents: &[u8]) {
        let mut info = json!({
            "rdfm.hardware.devtype": "dummy",
            "rdfm.software.version": version,
            "rdfm.storage.local.length": contents.len(),
            "rdfm.storage.local.uuid": uuid,
        });
        let place = directory.map_or_else(|| self.files(), |directory| self.files().join(directory));
        if let Some(directory) = directory {
            info["rdfm.storage.local.directory"] = directory.into();
        }
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(uuid), contents).unwrap();
        self.package_row(id, &info, &sha256(contents));
    }

    fn package_row(&self, id: i64, info: &Value, sha256: &str) {
        let row = params![id, "2023-08-17 10:41:08.000000", info.to_string(), sha256];
        let sql = "INSERT INTO packages (id, created, info, driver, sha256) VALUES (?1, ?2, ?3, 'local', ?4)";
        self.database.execute(sql, row).unwrap();
    }

    fn assign(&self, group: i64, package: i64) {
        let sql = match self.shape {
            Shape::Earlier => "INSERT INTO groups_packages (group_id, package_id) VALUES (?1, ?2)",
            Shape::Later => "INSERT INTO group_package_assignments (grp, pkg) VALUES (?1, ?2)",
        };
        self.database.execute(sql, [group, package]).unwrap();
    }

    fn device(&self, id: i64, device: &Device, group: Option<i64>) {
        self.device_row(id, &device.mac_address, Some(&device.public_key_pem()), group);
    }

    fn device_row(&self, id: i64, mac_address: &str, public_key: Option<&str>, group: Option<i64>) {
        let capabilities = json!({ "shell_connect": true, "file_transfer": true, "exec_cmds": false });
        let reported = Value::Object(Device::reports(mac_address)).to_string();
        let name = format!("device {id}");
        let row = params![id, name, mac_address, capabilities.to_string(), reported, "2024-05-01 08:00:00", public_key];
        let metadata = if self.shape == Shape::Earlier { "metadata" } else { "device_metadata" };
        let sql = format!(
            "INSERT INTO devices (id, name, mac_address, capabilities, {metadata}, last_access, public_key)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
        );
        self.database.execute(&sql, row).unwrap();
        match self.shape {
            Shape::Earlier => {
                self.database.execute("UPDATE devices SET \"group\" = ?2 WHERE id = ?1", params![id, group]).unwrap();
            }
            Shape::Later => group.into_iter().for_each(|group| self.membership(id, group)),
        }
    }

    fn membership(&self, device: i64, group: i64) {
        let sql = "INSERT INTO group_device_assignments (device_id, group_id) VALUES (?1, ?2)";
        self.database.execute(sql, [device, group]).unwrap();
    }

    /// Runs `tender import` into the folder `data` beside the reference's data.
    fn import(&self, more: &[&str]) -> Output {
        let mut arguments =
            vec!["import", "--data-dir", "data", "--from-reference", "reference.db", "--packages", "files"];
        arguments.extend_from_slice(more);
        run(self.path(), arguments)
    }

    /// The same, which must succeed; the report.
    fn report(&self, more: &[&str]) -> Value {
        let output = self.import(&[more, &["--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// The findings of a report as `severity: subject`.
fn findings(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .map(|finding| format!("{}: {}", finding["severity"].as_str().unwrap(), finding["subject"].as_str().unwrap()))
        .collect()
}
