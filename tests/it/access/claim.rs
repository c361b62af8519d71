//! The first run: one person, once, with the code that the server printed.

use std::time::Duration;

use serde_json::{Value, json};
use tender::domain::Role;
use tender::store::users;

use crate::harness::{PASSWORD, TestServer};

#[tokio::test]
async fn whoever_has_the_code_becomes_the_first_administrator() {
    let server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    let mut browser = server.browser();
    assert_eq!(
        browser.get("/api/tender/v1/session").await.ok(),
        json!({ "setup": "open", "authentication": true, "user": null })
    );

    let claimed = browser.claim(&code, "Anna", PASSWORD).await.ok();
    assert_eq!(
        claimed,
        json!({ "setup": "done", "authentication": true, "user": { "name": "anna", "role": "admin" } })
    );
    // In at once, and with all that an administrator may do.
    browser.post("/api/v1/groups", json!({})).await.ok();
    assert_eq!(server.browser().log_in("anna", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn the_way_is_closed_for_good_once_it_was_taken() {
    let mut server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    server.browser().claim(&code, "anna", PASSWORD).await.ok();
    let late = server.browser().claim(&code, "bert", PASSWORD).await.error(410);
    assert!(late.contains("log in"), "{late}");
    let noted = server.admin().await.get("/api/tender/v1/audit?action=claim").await.ok();
    let outcomes: Vec<_> = noted["entries"].as_array().unwrap().iter().map(|entry| entry["outcome"].clone()).collect();
    assert_eq!(outcomes, ["refused", "done"]);
    server.restart().await;
    assert_eq!(server.claim_code(), None);
    server.browser().claim(&code, "bert", PASSWORD).await.error(410);
    let session = server.browser().get("/api/tender/v1/session").await.ok();
    assert_eq!(session["setup"], "done");
    assert_eq!(server.rows("users"), 1);
}

#[tokio::test]
async fn of_many_at_once_one_gets_in() {
    let server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    let claiming = (0..8).map(|number| {
        let (mut browser, code) = (server.browser(), code.clone());
        tokio::spawn(async move { browser.claim(&code, &format!("user{number}"), PASSWORD).await.status })
    });
    let mut statuses = Vec::new();
    for claim in claiming.collect::<Vec<_>>() {
        statuses.push(claim.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410, 410, 410, 410, 410, 410, 410]);
    assert_eq!(server.rows("users"), 1);
}

#[tokio::test]
async fn a_code_ends_after_half_an_hour_and_a_restart_makes_another() {
    let mut server = TestServer::start().await;
    let first = server.claim_code().unwrap();
    server.time.advance(Duration::from_secs(30 * 60 - 1));
    assert_eq!(server.browser().get("/api/tender/v1/session").await.ok()["setup"], "open");
    server.time.advance(Duration::from_secs(1));
    assert_eq!(server.browser().get("/api/tender/v1/session").await.ok()["setup"], "expired");
    let ended = server.browser().claim(&first, "anna", PASSWORD).await.error(410);
    assert!(ended.contains("restart"), "{ended}");

    server.restart().await;
    let second = server.claim_code().unwrap();
    assert_ne!(first, second);
    server.browser().claim(&first, "anna", PASSWORD).await.error(403);
    server.browser().claim(&second, "anna", PASSWORD).await.ok();
}

#[tokio::test]
async fn a_refused_claim_leaves_the_way_open() {
    let server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    let mut browser = server.browser();
    for wrong in ["", "code", &code[1..], &code.to_lowercase()] {
        browser.claim(wrong, "anna", PASSWORD).await.error(403);
    }
    for (name, password) in [("", PASSWORD), ("a b", PASSWORD), ("anna", "short"), ("anna", "password123")] {
        let sentence = browser.claim(&code, name, password).await.error(400);
        assert!(!sentence.contains(&code) && !sentence.contains("password123"), "{sentence}");
    }
    let half: [Value; 3] = [json!({ "code": code }), json!({ "code": 1, "name": 2, "password": 3 }), json!([])];
    for body in half {
        browser.post("/api/tender/v1/claim", body).await.error(400);
    }
    assert_eq!(server.rows("users"), 0);
    browser.claim(&code, "anna", PASSWORD).await.ok();
}

#[tokio::test]
async fn an_administrator_added_beside_the_server_closes_the_way() {
    let server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    // A viewer could not let anybody else in.
    server.add_user("viewer", Role::Viewer).await;
    assert_eq!(server.browser().get("/api/tender/v1/session").await.ok()["setup"], "open");
    server.add_user("admin", Role::Admin).await;
    server.browser().claim(&code, "anna", PASSWORD).await.error(410);
}

#[tokio::test]
async fn a_name_that_is_taken_leaves_the_way_open() {
    let server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    server.add_user("bert", Role::Viewer).await;
    let mut browser = server.browser();
    let taken = browser.claim(&code, "Bert", PASSWORD).await.error(409);
    assert!(taken.contains("name"), "{taken}");
    // On the command line as well.
    let store = server.beside().store;
    let bert = store.read(|connection| users::find(connection, &"bert".parse().unwrap())).await.unwrap().unwrap();
    let adding = store.write(move |tx| users::add(tx, &bert.name, Role::Admin, &bert.password_hash));
    assert_eq!(adding.await.unwrap(), None);
    store.close().await;
    assert_eq!(browser.get("/api/tender/v1/session").await.ok()["setup"], "open");
    browser.claim(&code, "anna", PASSWORD).await.ok();
}
