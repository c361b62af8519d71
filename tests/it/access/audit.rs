//! The audit log: who did what, on what, and what came of it.

use std::time::Duration;

use serde_json::{Value, json};
use tender::domain::{AuditRetention, Role, Scope};

use crate::harness::{Browser, PASSWORD, TestServer, assert_fields};

const AUDIT: &str = "/api/tender/v1/audit";

async fn entries(browser: &mut Browser, query: &str) -> Vec<Value> {
    browser.get(&format!("{AUDIT}?{query}")).await.ok()["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn each_change_is_noted_with_who_did_it_and_from_where() {
    let server = TestServer::start().await;
    let mut anna = server.logged_in("anna", Role::Admin).await;
    let group = anna.post("/api/v1/groups", json!({})).await.ok()["id"].clone();
    anna.post(&format!("/api/v1/groups/{group}/policy"), json!({ "policy": "exact_match,v2" })).await.ok();

    let page = anna.get(AUDIT).await.ok();
    assert_eq!(page["next"], Value::Null);
    let latest = &page["entries"][0];
    assert_fields(latest, &["id", "at", "actor", "address", "action", "target", "outcome", "detail"]);
    assert_eq!(latest["at"], "2027-01-15T08:00:00Z");
    assert_eq!(latest["actor"], json!({ "kind": "user", "name": "anna" }));
    assert_eq!(latest["address"], "127.0.0.1");
    assert_eq!(latest["action"], "group.policy");
    assert_eq!(latest["target"], format!("group/{group}"));
    assert_eq!((&latest["outcome"], &latest["detail"]), (&json!("done"), &json!("exact_match,v2")));
    let actions: Vec<_> = page["entries"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["group.policy", "group.create", "login"]);
}

#[tokio::test]
async fn tokens_and_the_command_line_are_named() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.post("/api/v1/groups", json!({})).await.ok();
    let page = admin.get(AUDIT).await.ok();
    assert_eq!(page["entries"][0]["actor"], json!({ "kind": "token", "name": "somebody" }));
    assert_eq!(page["entries"][1]["action"], "token.create");
    assert_eq!(page["entries"][1]["actor"]["kind"], "command-line");
    assert_eq!(page["entries"][1]["address"], Value::Null);
    assert!(!page.to_string().contains(&admin.token));
}

#[tokio::test]
async fn what_was_not_done_is_noted_as_that() {
    let server = TestServer::start().await;
    let mut anna = server.logged_in("anna", Role::Admin).await;
    let mut bert = server.logged_in("bert", Role::Viewer).await;
    bert.post("/api/v1/groups", json!({})).await.error(403);
    anna.delete("/api/v1/groups/99").await.error(404);
    anna.post("/api/v1/groups/1/policy", json!({ "policy": "nonsense" })).await.error(400);
    let refused = entries(&mut anna, "outcome=refused").await;
    assert_eq!(refused.len(), 2);
    assert_eq!(
        (&refused[0]["action"], &refused[0]["target"]),
        (&json!("group.policy"), &json!("/api/v1/groups/1/policy"))
    );
    assert_eq!((&refused[1]["action"], &refused[1]["detail"]), (&json!("group.delete"), &json!("no such group")));
    let denied = entries(&mut anna, "outcome=denied").await;
    assert_eq!(denied.len(), 1);
    assert_eq!((&denied[0]["action"], &denied[0]["actor"]["name"]), (&json!("group.create"), &json!("bert")));
    assert!(denied[0]["detail"].as_str().unwrap().contains("rdfm_create_group"));
    // Nobody in particular who tries something is not: anybody could fill the log.
    let before = server.rows("audit_log");
    server.anonymous().post("/api/v1/groups", json!({})).await.error(401);
    server.holder_of("garbage").delete("/api/v1/groups/1").await.error(401);
    assert_eq!(server.rows("audit_log"), before);
}

#[tokio::test]
async fn logins_are_noted_and_what_was_typed_into_the_name_is_not() {
    let server = TestServer::start().await;
    let mut anna = server.logged_in("anna", Role::Admin).await;
    server.browser().log_in("anna", "wrong password").await.error(401);
    server.browser().log_in("my-secret-password", "anna").await.error(401);
    let logins = entries(&mut anna, "action=login").await;
    assert_eq!(logins.len(), 3);
    assert_eq!((&logins[0]["actor"]["kind"], &logins[0]["actor"]["name"]), (&json!("anonymous"), &json!("")));
    assert_eq!((&logins[1]["actor"]["name"], &logins[1]["outcome"]), (&json!("anna"), &json!("denied")));
    assert_eq!(logins[2]["outcome"], "done");
    anna.delete("/api/tender/v1/session").await.ok();
    anna.log_in("anna", PASSWORD).await.ok();
    assert_eq!(entries(&mut anna, "action=logout").await.len(), 1);
}

#[tokio::test]
async fn a_password_that_could_not_be_changed_is_noted_once() {
    let server = TestServer::start().await;
    let mut anna = server.logged_in("anna", Role::Admin).await;
    let body = json!({ "current": "not the password", "new": "another good one" });
    anna.post("/api/tender/v1/session/password", body).await.error(401);
    let noted = entries(&mut anna, "action=user.password").await;
    assert_eq!(noted.len(), 1, "{noted:?}");
    assert_eq!((&noted[0]["actor"]["name"], &noted[0]["outcome"]), (&json!("anna"), &json!("denied")));
    assert_eq!(noted[0]["detail"], "the current password is wrong");
}

#[tokio::test]
async fn a_script_that_is_refused_in_a_loop_does_not_fill_the_log() {
    let server = TestServer::start().await;
    let viewer = server.operator(Scope::ReadOnly).await;
    for _ in 0..30 {
        viewer.post("/api/v1/groups", json!({})).await.error(403);
    }
    let denied = || {
        let query = "SELECT count(*) FROM audit_log WHERE outcome = 'denied'";
        server.database().query_row(query, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(denied(), 20);
    server.time.advance(Duration::from_secs(10 * 60));
    viewer.post("/api/v1/groups", json!({})).await.error(403);
    assert_eq!(denied(), 21);
}

#[tokio::test]
async fn nobody_washes_out_the_log_with_small_deeds() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    for _ in 0..30 {
        assert_eq!(client.revoke(&client.token().await).await.status, 200);
    }
    server.add_user("anna", Role::Viewer).await;
    for _ in 0..25 {
        let mut browser = server.browser();
        browser.log_in("anna", PASSWORD).await.ok();
        browser.delete("/api/tender/v1/session").await.ok();
    }
    let count = |action: &str| {
        let query = "SELECT count(*) FROM audit_log WHERE action = ?1";
        server.database().query_row(query, [action], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!([count("token.revoke"), count("login"), count("logout"), count("token.grant")], [20, 20, 20, 1]);
}

#[tokio::test]
async fn pages_follow_each_other_and_filters_narrow_them() {
    let server = TestServer::start().await;
    let mut anna = server.logged_in("anna", Role::Admin).await;
    for _ in 0..5 {
        anna.post("/api/v1/groups", json!({})).await.ok();
        server.time.advance(Duration::from_secs(60));
    }
    let mut seen = Vec::new();
    let mut next = json!(i64::MAX);
    while next != Value::Null {
        let page = anna.get(&format!("{AUDIT}?limit=2&before={next}")).await.ok();
        seen.extend(page["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()));
        next = page["next"].clone();
    }
    assert_eq!(seen, (1..=6).rev().collect::<Vec<_>>());

    for (query, count) in [
        ("actor=anna", 6),
        ("actor=bert", 0),
        ("action=group.create", 5),
        ("target=group%2F3", 1),
        ("outcome=done&action=login", 1),
        ("since=2027-01-15T08:02:00Z", 3),
        ("until=2027-01-15T08:02:00Z", 3),
        ("since=2027-01-15T08:02:00Z&until=2027-01-15T08:03:00Z", 1),
    ] {
        assert_eq!(entries(&mut anna, query).await.len(), count, "{query}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "action=x", "outcome=x", "since=yesterday", "before=x", "page=2"]
    {
        anna.get(&format!("{AUDIT}?{query}")).await.error(400);
    }
}

#[tokio::test]
async fn old_entries_go_and_no_entry_is_ever_changed() {
    let mut server = TestServer::start_with(|config| {
        config.audit_retention = AuditRetention { age: Duration::from_secs(86_400), entries: 4 };
    })
    .await;
    let mut anna = server.logged_in("anna", Role::Admin).await;
    for _ in 0..5 {
        anna.post("/api/v1/groups", json!({})).await.ok();
    }
    assert_eq!(server.rows("audit_log"), 6);
    server.restart().await;
    crate::harness::eventually("the oldest go", || server.rows("audit_log") == 4).await;
    let oldest =
        || server.database().query_row("SELECT min(id) FROM audit_log", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(oldest(), 3);
    let changed = server.database().execute("UPDATE audit_log SET actor = 'bert'", []).unwrap_err().to_string();
    assert!(changed.contains("append-only"), "{changed}");

    server.time.advance(Duration::from_secs(86_401));
    server.restart().await;
    crate::harness::eventually("the old go", || server.rows("audit_log") == 0).await;
}
