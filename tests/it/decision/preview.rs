//! What a policy and packages would mean for a group.

use serde_json::{Value, json};
use tender::domain::downloads::Rates;
use tender::domain::{ByteSize, Scope};

use crate::harness::{TestServer, assert_fields};

#[tokio::test]
async fn devices_are_counted_by_path_and_by_what_is_in_their_way() {
    let server = TestServer::start_with(|config| {
        config.downloads.rates.usual = Rates { total: Some(ByteSize::from_bytes(1024)), device: None };
    })
    .await;
    let admin = server.admin().await;
    let first = admin.package("v1", &[("requires:rdfm.software.version", "v0")], &[b'x'; 1000]).await;
    let last = admin.package("v2", &[("requires:rdfm.software.version", "v1")], &[b'x'; 3000]).await;
    let mut ids = Vec::new();
    // Two go all the way, one has half of it before it, one is there, one runs something else, one is another type.
    for (number, (version, device_type)) in
        [("v0", "dummy"), ("v1", "dummy"), ("v0", "dummy"), ("v2", "dummy"), ("v9", "dummy"), ("v0", "camera")]
            .into_iter()
            .enumerate()
    {
        let mut device = server.accepted_device(&format!("00:11:22:33:44:{number:02x}")).await;
        device.report("rdfm.software.version", version);
        device.report("rdfm.hardware.devtype", device_type);
        device.check().await;
        ids.push(admin.device_id(&device).await);
    }
    let group = admin.group(&ids, &[first], "no_update,").await;
    let looker = server.operator(Scope::ReadOnly).await;
    let before = (admin.show_group(group).await, server.rows("audit_log"));
    let path = format!("/api/tender/v1/groups/{group}/preview");
    let body = json!({ "policy": "exact_match,v2", "packages": [first, last, first] });
    let preview = looker.post(&path, body).await.ok();
    assert_fields(
        &preview,
        &[
            "target",
            "devices",
            "paths",
            "up_to_date",
            "without_target",
            "blocked",
            "undecided",
            "unreported",
            "bytes",
            "first_step_bytes",
            "time",
        ],
    );
    assert_eq!((&preview["target"], &preview["devices"]), (&json!("v2"), &json!(6)));
    assert_eq!(
        preview["paths"],
        json!([
            { "packages": [first, last], "devices": 2, "examples": [ids[0], ids[2]], "bytes": 8000, "first_step_bytes": 2000 },
            { "packages": [last], "devices": 1, "examples": [ids[1]], "bytes": 3000, "first_step_bytes": 3000 },
        ])
    );
    assert_eq!(preview["up_to_date"], json!({ "devices": 1, "examples": [ids[3]] }));
    let blocked: Vec<_> = preview["blocked"].as_array().unwrap().iter().map(|blocked| &blocked["examples"]).collect();
    assert_eq!(blocked, [&json!([ids[4]]), &json!([ids[5]])]);
    assert_eq!(
        preview["blocked"][0]["packages"][1]["sentence"],
        format!("Package {last} (v2) is for devices that report version = v1; this one reports v9.")
    );
    assert_eq!((&preview["bytes"], &preview["first_step_bytes"]), (&json!(11000), &json!(5000)));
    assert_eq!(preview["time"], json!({ "seconds": 11, "depends_on_hours": false }));

    // What is not given is as it is.
    let as_it_is = looker.post(&path, json!({})).await.ok();
    assert_eq!((&as_it_is["target"], &as_it_is["without_target"]["devices"]), (&Value::Null, &json!(6)));
    let without_last = looker.post(&path, json!({ "policy": "exact_match,v1" })).await.ok();
    assert_eq!(without_last["paths"][0]["packages"], json!([first]));
    assert_eq!((admin.show_group(group).await, server.rows("audit_log")), before, "nothing was changed");
}

#[tokio::test]
async fn what_cannot_be_previewed_is_refused_in_the_words_of_the_change() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let group = admin.group(&[], &[], "no_update,").await;
    let preview =
        async |group: i64, body: Value| admin.post(&format!("/api/tender/v1/groups/{group}/preview"), body).await;
    let set = admin.post(&format!("/api/v1/groups/{group}/package"), json!({ "packages": [99] })).await.error(404);
    assert_eq!(preview(group, json!({ "packages": [99] })).await.error(404), set);
    let set = admin.post("/api/v1/groups/99/package", json!({ "packages": [] })).await.error(404);
    assert_eq!(preview(99, json!({})).await.error(404), set);
    let set = admin.post(&format!("/api/v1/groups/{group}/policy"), json!({ "policy": "newest," })).await.error(400);
    assert_eq!(preview(group, json!({ "policy": "newest," })).await.error(400), set);
    for body in [json!([]), json!({ "packages": ["x"] }), json!({ "colour": "red" }), json!({ "policy": 1 })] {
        preview(group, body).await.error(400);
    }
    let empty = preview(group, json!({})).await.ok();
    assert_eq!((&empty["devices"], &empty["time"]["seconds"]), (&json!(0), &Value::Null));
}
