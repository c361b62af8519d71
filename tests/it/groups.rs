//! Groups: their devices, packages and policies.

mod overview;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Operator, START, TestServer, assert_fields, date};

const FIELDS: [&str; 6] = ["id", "created", "devices", "packages", "metadata", "policy"];

/// Rows as accepting leaves them, without keys; their identifiers.
fn insert_devices(server: &TestServer, count: usize) -> Vec<i64> {
    let database = server.database();
    let insert = |number| {
        database.query_row(
            "INSERT INTO devices (mac_key, mac_address, name, capabilities, metadata, created_at)
             VALUES (?1, ?1, ?1, '{}', '{}', 0) RETURNING id",
            [format!("gateway {number}")],
            |row| row.get(0),
        )
    };
    (0..count).map(|number| insert(number).unwrap()).collect()
}

/// Asserts that a change of devices is refused and that everything stays as it was.
async fn assert_change_refused(admin: &Operator, group: i64, change: Value, status: u16) {
    let everything = async || (admin.get("/api/v1/groups").await.ok(), admin.get("/api/v1/devices").await.ok());
    let before = everything().await;
    admin.patch(&format!("/api/v1/groups/{group}/devices"), change.clone()).await.error(status);
    assert_eq!(everything().await, before, "{change}");
}

async fn change(admin: &Operator, group: i64, change: Value) -> Value {
    assert_eq!(admin.patch(&format!("/api/v1/groups/{group}/devices"), change).await.ok(), json!({}));
    admin.show_group(group).await["devices"].clone()
}

#[tokio::test]
async fn a_new_group_is_empty_and_offers_no_update() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    assert_eq!(admin.get("/api/v1/groups").await.ok(), json!([]));
    let group = admin.post("/api/v1/groups", json!({ "description": "A test group" })).await.ok();
    assert_fields(&group, &FIELDS);
    assert_eq!(date(&group["created"]), START);
    assert_eq!((&group["devices"], &group["packages"]), (&json!([]), &json!([])));
    assert_eq!(group["metadata"], json!({ "description": "A test group" }));
    assert_eq!(group["policy"], "no_update,");
    assert_eq!(admin.show_group(group["id"].as_i64().unwrap()).await, group);
    assert_eq!(admin.get("/api/v1/groups").await.ok(), json!([group]));
}

#[tokio::test]
async fn the_metadata_of_a_group_is_any_object_and_kept_as_it_is() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let metadata = json!({
        "site": { "name": "größe", "floors": [1, 2.5, null, { "deep": [true] }] },
        "": "",
        "empty": {},
        "number": -9_007_199_254_740_993_i64,
        "policy": "exact_match,v1",
        "id": 7,
    });
    let group = admin.post("/api/v1/groups", metadata.clone()).await.ok();
    assert_eq!(group["metadata"], metadata);
    assert_eq!(group["policy"], "no_update,");
    assert_eq!(admin.get("/api/v1/groups").await.ok()[0]["metadata"], metadata);
    for body in [json!([]), json!([1]), json!("text"), json!(1), json!(null)] {
        admin.post("/api/v1/groups", body).await.error(400);
    }
    assert_eq!(server.rows("groups"), 1);
}

#[tokio::test]
async fn a_group_that_is_not_there_is_a_404_everywhere() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for id in ["0", "1", "-1", "one", "99999999999999999999"] {
        let path = format!("/api/v1/groups/{id}");
        admin.get(&path).await.error(404);
        admin.delete(&path).await.error(404);
        admin.patch(&format!("{path}/devices"), json!({ "add": [], "remove": [] })).await.error(404);
        admin.post(&format!("{path}/package"), json!({ "packages": [] })).await.error(404);
        admin.post(&format!("{path}/policy"), json!({ "policy": "no_update," })).await.error(404);
    }
}

#[tokio::test]
async fn a_group_with_devices_cannot_be_deleted_and_one_with_packages_can() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let devices = insert_devices(&server, 1);
    let package = admin.package("v1", &[], b"contents").await;
    let group = admin.group(&devices, &[package], "exact_match,v1").await;
    let path = format!("/api/v1/groups/{group}");
    admin.delete(&path).await.error(409);
    assert_eq!(admin.show_group(group).await["packages"], json!([package]));
    change(&admin, group, json!({ "add": [], "remove": devices })).await;
    assert_eq!(admin.delete(&path).await.ok(), json!({}));
    admin.get(&path).await.error(404);
    admin.delete(&path).await.error(404);
    // The package is there and free.
    admin.show_package(package).await;
    admin.delete(&format!("/api/v1/packages/{package}")).await.ok();
    // Its identifier is never given to another group.
    assert!(admin.group(&[], &[], "no_update,").await > group);
}

#[tokio::test]
async fn devices_are_added_first_and_then_removed() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let [a, b, c] = insert_devices(&server, 3)[..] else { panic!("three devices") };
    let group = admin.group(&[], &[], "no_update,").await;
    assert_eq!(change(&admin, group, json!({ "add": [b, a], "remove": [] })).await, json!([a, b]));
    assert_eq!(admin.get(&format!("/api/v1/devices/{a}")).await.ok()["group"], group);
    assert_eq!(change(&admin, group, json!({ "add": [c], "remove": [a] })).await, json!([b, c]));
    // A device in both is unassigned in the end.
    assert_eq!(change(&admin, group, json!({ "add": [a], "remove": [a, b] })).await, json!([c]));
    assert_eq!(admin.get(&format!("/api/v1/devices/{a}")).await.ok()["group"], json!(null));
    assert_eq!(change(&admin, group, json!({ "add": [], "remove": [] })).await, json!([c]));
    assert_eq!(change(&admin, group, json!({ "add": [a.to_string()], "remove": [c.to_string()] })).await, json!([a]));
}

#[tokio::test]
async fn a_conflict_in_a_change_of_devices_leaves_everything_as_it_was() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let [a, b, c, free] = insert_devices(&server, 4)[..] else { panic!("four devices") };
    let group = admin.group(&[a, b], &[], "no_update,").await;
    let other = admin.group(&[c], &[], "no_update,").await;
    let conflicts = [
        json!({ "add": [free, 999], "remove": [] }),
        json!({ "add": [free, -1], "remove": [] }),
        json!({ "add": [free, "999"], "remove": [] }),
        // In this group already.
        json!({ "add": [free, a], "remove": [] }),
        json!({ "add": [free, c], "remove": [] }),
        json!({ "add": [free, free], "remove": [] }),
        json!({ "add": [free, free.to_string()], "remove": [] }),
        // Adding comes first: what is to be removed is still there.
        json!({ "add": [a], "remove": [a] }),
        json!({ "add": [free], "remove": [a, c] }),
        json!({ "add": [], "remove": [a, 999] }),
        json!({ "add": [], "remove": [a, free] }),
        json!({ "add": [], "remove": [a, a] }),
        json!({ "add": [free], "remove": [free, free] }),
    ];
    for conflict in conflicts {
        assert_change_refused(&admin, group, conflict, 409).await;
    }
    assert_change_refused(&admin, other + 1, json!({ "add": [free], "remove": [] }), 404).await;
}

#[tokio::test]
async fn a_change_of_devices_needs_both_arrays_and_nothing_else() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let devices = insert_devices(&server, 1);
    let group = admin.group(&[], &[], "no_update,").await;
    let bodies = [
        json!({}),
        json!({ "add": devices }),
        json!({ "remove": [] }),
        json!({ "add": devices, "remove": null }),
        json!({ "add": devices, "remove": {} }),
        json!({ "add": devices[0], "remove": [] }),
        json!({ "add": devices, "remove": [], "replace": [] }),
        json!({ "add": ["one"], "remove": [] }),
        json!({ "add": [""], "remove": [] }),
        json!({ "add": ["+1"], "remove": [] }),
        json!({ "add": [1.5], "remove": [] }),
        json!({ "add": [true], "remove": [] }),
        json!({ "add": [null], "remove": [] }),
        json!({ "add": [u64::MAX], "remove": [] }),
        json!([devices, []]),
    ];
    for body in bodies {
        assert_change_refused(&admin, group, body, 400).await;
    }
}

#[tokio::test]
async fn of_many_who_add_one_device_at_once_one_wins() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = insert_devices(&server, 1)[0];
    let mut groups = Vec::new();
    for _ in 0..8 {
        groups.push(admin.group(&[], &[], "no_update,").await);
    }
    let changes = (0..40).map(|number| {
        let path = format!("/api/v1/groups/{}/devices", groups[number % groups.len()]);
        let admin = &admin;
        async move { admin.patch(&path, json!({ "add": [device], "remove": [] })).await.status }
    });
    let statuses = join_all(changes).await;
    let winner = statuses.iter().position(|&status| status == 200).expect("one wins");
    assert!(statuses.iter().enumerate().all(|(number, &status)| number == winner || status == 409), "{statuses:?}");

    let winner = groups[winner % groups.len()];
    assert_eq!(admin.get(&format!("/api/v1/devices/{device}")).await.ok()["group"], winner);
    for group in groups {
        let expected = if group == winner { json!([device]) } else { json!([]) };
        assert_eq!(admin.show_group(group).await["devices"], expected);
    }
}

#[tokio::test]
async fn all_that_was_acknowledged_to_many_writers_is_there_after_a_restart() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let writers = (0..200).map(|number| {
        let admin = &admin;
        async move { admin.post("/api/v1/groups", json!({ "number": number })).await.ok() }
    });
    let mut created = join_all(writers).await;
    server.restart().await;
    created.sort_by_key(|group| group["id"].as_i64());
    assert_eq!(server.admin().await.get("/api/v1/groups").await.ok(), Value::Array(created));
}

#[tokio::test]
async fn packages_replace_those_before_and_keep_their_order() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut packages = Vec::new();
    for version in ["v1", "v2", "v3"] {
        packages.push(admin.package(version, &[], version.as_bytes()).await);
    }
    let [a, b, c] = packages[..] else { panic!("three packages") };
    let group = admin.group(&[], &[], "no_update,").await;
    let path = format!("/api/v1/groups/{group}/package");
    for (sent, kept) in [
        (vec![c, a, b], vec![c, a, b]),
        (vec![b], vec![b]),
        (vec![b, a, b, b, c, a], vec![b, a, c]),
        (vec![], vec![]),
        (vec![a, c], vec![a, c]),
    ] {
        assert_eq!(admin.post(&path, json!({ "packages": sent })).await.ok(), json!({}));
        assert_eq!(admin.show_group(group).await["packages"], json!(kept));
        assert_eq!(admin.get("/api/v1/groups").await.ok()[0]["packages"], json!(kept));
    }
    // A package that does not exist changes nothing.
    for sent in [json!([b, 999]), json!([999]), json!([b, -1])] {
        admin.post(&path, json!({ "packages": sent })).await.error(404);
        assert_eq!(admin.show_group(group).await["packages"], json!([a, c]));
    }
    for body in [
        json!({}),
        json!({ "packages": a }),
        json!({ "packages": null }),
        json!({ "packages": ["one"] }),
        json!({ "packages": [1.5] }),
        json!({ "packages": [b], "more": 1 }),
        json!([[b]]),
    ] {
        admin.post(&path, body).await.error(400);
        assert_eq!(admin.show_group(group).await["packages"], json!([a, c]));
    }
}

#[tokio::test]
async fn a_policy_is_a_name_a_comma_and_an_argument() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    let path = format!("/api/v1/groups/{group}/policy");
    for policy in
        ["exact_match,v1", "exact_match,v1,with,commas", "exact_match, v1 ", "exact_match,größe", "no_update,"]
    {
        assert_eq!(admin.post(&path, json!({ "policy": policy })).await.ok(), json!({}));
        assert_eq!(admin.show_group(group).await["policy"], policy);
    }
    admin.post(&path, json!({ "policy": "exact_match,v1" })).await.ok();
    let refused = ["", ",", "no_update", "exact_match", "exact_match,", "exact_match, ", "newest,", "Exact_Match,v1"];
    let bodies = refused.map(|policy| json!({ "policy": policy })).into_iter().chain([
        json!({}),
        json!({ "policy": null }),
        json!({ "policy": 1 }),
        json!({ "policy": "no_update,", "more": 1 }),
        json!(["no_update,"]),
    ]);
    for body in bodies {
        admin.post(&path, body.clone()).await.error(400);
        assert_eq!(admin.show_group(group).await["policy"], "exact_match,v1", "{body}");
    }
}

#[tokio::test]
async fn groups_survive_a_restart() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let devices = insert_devices(&server, 2);
    let (a, b) = (admin.package("v1", &[], b"a").await, admin.package("v2", &[], b"b").await);
    admin.group(&devices, &[b, a], "exact_match,v1,x").await;
    admin.post("/api/v1/groups", json!({ "nested": { "a": [1] } })).await.ok();
    let before = admin.get("/api/v1/groups").await.ok();
    server.restart().await;
    assert_eq!(server.admin().await.get("/api/v1/groups").await.ok(), before);
}
