//! Everything is as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};
use tender::auth::{Keys, Secret, device_token};
use tender::clock::Clock;
use tender::domain::MacAddress;

use super::{Reference, SECRET, Shape, UUIDS, findings};
use crate::harness::Device;
use crate::harness::process::{ServerProcess, create_token, files_below};

/// A device's token as the reference server signed it.
fn token(mac_address: &str) -> String {
    let keys = Keys::new(&Secret::parse(SECRET).unwrap());
    device_token::issue(&keys, &MacAddress::parse(mac_address).unwrap(), Clock::system().steady()).unwrap()
}

async fn serve(reference: &Reference) -> ServerProcess {
    ServerProcess::start_with(reference.path(), |command| command.env("RDFM_JWT_SECRET", SECRET)).await
}

/// What lies in the reference's folder, with its bytes.
fn snapshot(reference: &Reference) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let files =
        files_below(reference.path()).into_iter().filter(|path| !path.starts_with(reference.path().join("data")));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn devices_notice_nothing() {
    for shape in [Shape::Earlier, Shape::Later] {
        let reference = Reference::new(shape);
        // Whoever waits, and whoever is in; both must have keys of their own.
        let mut known = Device::new("", "00:11:22:33:44:55");
        let (other, waiting) = (Device::new("", "loopback"), Device::new("", "00-aa-bb-cc-dd-ee"));
        let images = [b"first image".repeat(50_000), b"second image".repeat(10), b"third".to_vec()];
        reference.package(3, UUIDS[0], None, "v1", &images[0]);
        reference.package(7, UUIDS[1], Some("site-a/images"), "v2", &images[1]);
        reference.package(9, UUIDS[2], None, "v9", &images[2]);
        reference.group(2, r#"{"description": "A test group", "nested": {"a": [1, 2.50]}}"#, "exact_match,v1");
        reference.group(5, "{}", "no_update,");
        reference.assign(2, 7);
        reference.assign(2, 3);
        reference.device(4, &known, Some(2));
        reference.device(11, &other, None);
        if shape == Shape::Earlier {
            let sql = "INSERT INTO registrations VALUES (1, ?1, ?2, ?3, '2024-05-02 09:10:11')";
            let reported = Value::Object(waiting.metadata.clone()).to_string();
            reference.database.execute(sql, (&waiting.mac_address, waiting.public_key_pem(), reported)).unwrap();
        }
        let before = snapshot(&reference);
        let report = reference.report(&[]);
        assert_eq!(snapshot(&reference), before, "the reference's data is only read");
        let expected = if shape == Shape::Earlier {
            (1, vec![])
        } else {
            (0, vec!["left: column packages.tags", "left: table permissions"])
        };
        assert_eq!(report["registrations"], expected.0);
        assert_eq!(findings(&report), expected.1);
        assert_eq!(
            (&report["ok"], &report["devices"], &report["groups"], &report["packages"]),
            (&json!(true), &json!(2), &json!(2), &json!(3))
        );

        let admin = create_token_with_secret(&reference);
        let server = serve(&reference).await;
        let operator = server.operator(&admin);
        let capabilities = json!({ "shell_connect": true, "file_transfer": true, "exec_cmds": false });
        let device = |id: i64, device: &Device, group: Option<i64>| {
            json!({
                "id": id, "name": format!("device {id}"), "mac_address": device.mac_address, "capabilities": capabilities,
                "metadata": device.metadata, "group": group, "last_access": "Wed, 01 May 2024 08:00:00 GMT",
                "public_key": device.public_key_pem(),
            })
        };
        let devices = operator.get("/api/v1/devices").await.ok();
        assert_eq!(devices, json!([device(4, &known, Some(2)), device(11, &other, None)]));
        let created = "Mon, 14 Aug 2023 11:50:40 GMT";
        let groups = json!([
            {
                "id": 2, "created": created, "devices": [4], "packages": [7, 3], "policy": "exact_match,v1",
                "metadata": { "description": "A test group", "nested": { "a": [1, 2.5] } },
            },
            { "id": 5, "created": created, "devices": [], "packages": [], "policy": "no_update,", "metadata": {} },
        ]);
        assert_eq!(operator.get("/api/v1/groups").await.ok(), groups);
        let packages = operator.get("/api/v1/packages").await.ok();
        assert_eq!(packages, reference_packages(&reference.database));
        let pending = operator.pending().await;
        assert_eq!(pending.len(), expected.0);
        for pending in pending {
            let as_it_was = json!({
                "mac_address": waiting.mac_address, "public_key": waiting.public_key_pem(), "metadata": waiting.metadata,
                "last_appeared": "Thu, 02 May 2024 09:10:11 GMT",
            });
            assert_eq!(pending, as_it_was);
        }

        // It goes on with the token that it has, and later gets another one with the key that it has.
        known.follow(&server.url);
        known.token = Some(token(&known.mac_address));
        let offer = known.check().await.ok();
        assert_eq!((&offer["id"], &offer["created"]), (&json!(3), &json!("Thu, 17 Aug 2023 10:41:08 GMT")));
        assert!(offer["uri"].as_str().unwrap().ends_with(&format!("/local_storage/{}", UUIDS[0])));
        assert!(known.download(&offer).await == images[0]);
        assert_eq!(known.authorize().await.status, 200);

        // What is new does not get an identifier that was used.
        assert!(operator.package("v3", &[], b"new").await > 9);
        let entry = operator.get("/api/tender/v1/audit?action=installation.import").await.ok();
        let entry = &entry["entries"][0];
        assert_eq!(
            (&entry["target"], &entry["actor"]["kind"]),
            (&json!("reference"), &json!("command-line")),
            "{entry}"
        );
    }
}

fn create_token_with_secret(reference: &Reference) -> String {
    // The secret that was made by the import is not the one that the server will work with.
    let secret = reference.path().join("data/secrets/jwt-secret");
    fs::write(secret, SECRET).unwrap();
    create_token(reference.path())
}

/// The packages as the reference showed them.
fn reference_packages(database: &Connection) -> Value {
    let mut statement = database.prepare("SELECT id, info, sha256 FROM packages ORDER BY id").unwrap();
    let rows = statement.query_map([], |row| {
        let metadata: Value = serde_json::from_str(&row.get::<_, String>(1)?).unwrap();
        Ok(json!({
            "id": row.get::<_, i64>(0)?, "created": "Thu, 17 Aug 2023 10:41:08 GMT", "driver": "local",
            "sha256": row.get::<_, String>(2)?, "metadata": metadata,
        }))
    });
    rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().into()
}

#[test]
fn what_cannot_be_as_it_was_is_told() {
    let reference = Reference::new(Shape::Later);
    reference.group(1, "{}", "exact_match,");
    reference.group(2, "[]", "newest,");
    reference.group(3, "{}", "exact_match,v1");
    reference.database.execute("UPDATE groups SET priority = 30 WHERE id = 3", []).unwrap();
    let device = Device::new("", "00:11:22:33:44:55");
    reference.device(1, &device, Some(1));
    reference.membership(1, 3);
    reference.device_row(2, "no-key", None, None);
    reference.device_row(3, "bad-key", Some("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), Some(99));
    let report = reference.report(&[]);
    let expected = [
        "change: group 1",
        "change: group 2",
        "change: group 2",
        "change: device 1",
        "change: device 2",
        "change: device 3",
        "change: device 3",
        "left: column packages.tags",
        "left: table permissions",
    ];
    assert_eq!(findings(&report), expected, "{report}");
    assert_eq!(report["devices_without_key"], 2);
    let database = Connection::open(reference.path().join("data/tender.sqlite")).unwrap();
    let policies: String =
        database.query_row("SELECT group_concat(policy || metadata, ' ') FROM groups", [], |row| row.get(0)).unwrap();
    assert_eq!(policies, "no_update,{} no_update,{} exact_match,v1{}");
    let groups: Vec<Option<i64>> = database
        .prepare("SELECT group_id FROM devices ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(groups, [Some(3), None, None]);
}

#[test]
fn what_only_the_journal_has_counts() {
    let reference = Reference::new(Shape::Earlier);
    reference.database.pragma_update(None, "journal_mode", "WAL").unwrap();
    reference.database.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    reference.group(1, "{}", "no_update,");
    assert!(reference.path().join("reference.db-wal").metadata().unwrap().len() > 0);
    let before = snapshot(&reference);
    assert_eq!(reference.report(&["--dry-run"])["groups"], 1);
    assert_eq!(reference.report(&[])["groups"], 1);
    assert_eq!(snapshot(&reference), before);
}
