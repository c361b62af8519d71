//! Sessions: cookies that open what their user may open, for a while.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{AUTHORIZATION, ORIGIN, SET_COOKIE};
use serde_json::json;
use tender::domain::Role;
use tender::store::users;

use crate::harness::{Browser, PASSWORD, TestServer};

const HOUR: Duration = Duration::from_secs(60 * 60);
const SESSION: &str = "/api/tender/v1/session";

#[tokio::test]
async fn a_login_opens_what_the_role_may_do() {
    let server = TestServer::start().await;
    let mut admin = server.logged_in("anna", Role::Admin).await;
    let mut viewer = server.logged_in("bert", Role::Viewer).await;
    for browser in [&mut admin, &mut viewer] {
        browser.get("/api/v1/devices").await.ok();
        browser.get("/api/tender/v1/audit").await.ok();
    }
    admin.post("/api/v1/groups", json!({})).await.ok();
    let refusal = viewer.post("/api/v1/groups", json!({})).await.error(403);
    assert!(refusal.contains("rdfm_create_group"), "{refusal}");
    assert_eq!((admin.user().await.unwrap(), viewer.user().await.unwrap()), ("anna".into(), "bert".into()));
}

#[tokio::test]
async fn names_are_read_in_any_case_and_passwords_are_not() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    server.browser().log_in("ANNA", PASSWORD).await.ok();
    server.browser().log_in("anna", &PASSWORD.to_uppercase()).await.error(401);
    server.browser().log_in("anna", &format!("{PASSWORD} ")).await.error(401);
}

#[tokio::test]
async fn cookies_are_kept_from_scripts_and_other_sites() {
    let server = TestServer::start_with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    server.add_user("anna", Role::Admin).await;
    let mut browser = server.browser();
    let login = json!({ "name": "anna", "password": PASSWORD });
    let request = browser.request(Method::POST, SESSION).json(&login);
    let reply = browser.send(request).await;
    let cookies = |reply: &crate::harness::Reply| -> Vec<String> {
        reply.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap().to_owned()).collect()
    };
    let [session, mark] = cookies(&reply).try_into().unwrap();
    assert!(session.starts_with("tender-session=") && session.contains("; Path=/;"), "{session}");
    assert!(mark.starts_with("tender-browser=") && mark.contains("; Path=/api/tender/v1/session;"), "{mark}");
    for cookie in [session, mark] {
        assert!(cookie.contains("; HttpOnly; SameSite=Strict") && !cookie.contains("Secure"), "{cookie}");
    }

    // Behind a proxy that takes TLS off: the browser's own connection is encrypted.
    let mut browser = server.browser();
    let request = browser.request(Method::POST, SESSION).header("X-Forwarded-Proto", "https").json(&login);
    let reply = browser.send(request).await;
    let [session, mark] = cookies(&reply).try_into().unwrap();
    assert!(session.starts_with("__Host-tender-session=") && session.ends_with("; Secure"), "{session}");
    assert!(mark.starts_with("__Secure-tender-browser=") && mark.ends_with("; Secure"), "{mark}");
    let request = browser.request(Method::GET, "/api/v1/groups").header("X-Forwarded-Proto", "https");
    browser.send(request).await.ok();
    // On an encrypted connection a cookie that an unencrypted page could have set is worth nothing.
    let value = browser.cookies.remove("__Host-tender-session").unwrap();
    browser.cookies.insert("tender-session".to_owned(), value);
    let request = browser.request(Method::GET, "/api/v1/groups").header("X-Forwarded-Proto", "https");
    browser.send(request).await.error(401);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_at_last_in_any_case() {
    let mut server = TestServer::start().await;
    let mut idle = server.logged_in("anna", Role::Admin).await;
    let mut used = server.logged_in("bert", Role::Admin).await;
    server.time.advance(12 * HOUR - Duration::from_secs(1));
    assert!(used.user().await.is_some());
    server.time.advance(Duration::from_secs(1));
    assert_eq!(idle.user().await, None);
    idle.get("/api/v1/groups").await.error(401);
    // Use is noted, also over a restart.
    server.restart().await;
    used.follow(server.url());
    for _ in 0..15 {
        assert!(used.user().await.is_some());
        server.time.advance(10 * HOUR);
    }
    assert!(used.user().await.is_some(), "6.75 days");
    server.time.advance(6 * HOUR);
    assert_eq!(used.user().await, None, "7 days");
}

#[tokio::test]
async fn an_open_page_writes_its_use_once_in_a_while() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    let seen = || {
        let query = "SELECT last_seen_at FROM sessions";
        server.database().query_row(query, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let first = seen();
    server.time.advance(Duration::from_secs(14 * 60));
    browser.get("/api/v1/groups").await.ok();
    assert_eq!(seen(), first);
    server.time.advance(Duration::from_secs(60));
    browser.get("/api/v1/groups").await.ok();
    assert_eq!(seen(), first + 15 * 60);
}

#[tokio::test]
async fn a_use_that_cannot_be_noted_is_no_reason_to_refuse() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    let full = "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT raise(ABORT, 'the disk is full'); END";
    server.database().execute_batch(full).unwrap();
    server.time.advance(Duration::from_secs(15 * 60));
    browser.get("/api/v1/groups").await.ok();
}

#[tokio::test]
async fn logging_out_ends_the_session_on_the_server() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    let mut elsewhere = server.browser();
    elsewhere.log_in("anna", PASSWORD).await.ok();
    let mut thief = browser.clone();
    browser.delete(SESSION).await.ok();
    assert!(!browser.cookies.contains_key("tender-session"));
    thief.get("/api/v1/groups").await.error(401);
    assert_eq!(elsewhere.user().await.as_deref(), Some("anna"));
    browser.delete(SESSION).await.error(401);

    browser.log_in("anna", PASSWORD).await.ok();
    browser.delete("/api/tender/v1/sessions").await.ok();
    elsewhere.get("/api/v1/groups").await.error(401);
    assert_eq!(server.rows("sessions"), 0);
}

#[tokio::test]
async fn a_new_password_ends_all_other_sessions() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Viewer).await;
    let mut elsewhere = server.browser();
    elsewhere.log_in("anna", PASSWORD).await.ok();
    let stolen = browser.clone();
    let path = "/api/tender/v1/session/password";
    browser.post(path, json!({ "current": "wrong horse", "new": "another good one" })).await.error(401);
    browser.post(path, json!({ "current": PASSWORD, "new": "short" })).await.error(400);
    browser.post(path, json!({ "current": PASSWORD })).await.error(400);
    browser.post(path, json!({ "current": PASSWORD, "new": "another good one" })).await.ok();
    assert_eq!(browser.user().await.as_deref(), Some("anna"));
    for mut ended in [elsewhere, stolen] {
        ended.get("/api/v1/groups").await.error(401);
    }
    server.browser().log_in("anna", PASSWORD).await.error(401);
    server.browser().log_in("anna", "another good one").await.ok();
}

#[tokio::test]
async fn sessions_of_users_who_are_barred_demoted_or_gone_open_nothing_more() {
    let server = TestServer::start().await;
    server.add_user("root", Role::Admin).await;
    let mut disabled = server.logged_in("disabled", Role::Admin).await;
    let mut removed = server.logged_in("removed", Role::Admin).await;
    let mut demoted = server.logged_in("demoted", Role::Admin).await;
    let mut reset = server.logged_in("reset", Role::Admin).await;
    let store = server.beside().store;
    let root = store.read(|connection| users::find(connection, &"root".parse().unwrap())).await.unwrap().unwrap();
    let changing = store.write(move |tx| {
        let name = |text: &str| text.parse().unwrap();
        users::disable(tx, &name("disabled"))?;
        users::remove(tx, &name("removed"))?;
        users::set_role(tx, &name("demoted"), Role::Viewer)?;
        users::set_password(tx, &name("reset"), &root.password_hash)
    });
    changing.await.unwrap();
    for browser in [&mut disabled, &mut removed, &mut reset] {
        browser.get("/api/v1/groups").await.error(401);
        browser.post("/api/v1/groups", json!({})).await.error(401);
        assert_eq!(browser.user().await, None);
    }
    demoted.get("/api/v1/groups").await.ok();
    demoted.post("/api/v1/groups", json!({})).await.error(403);
    disabled.log_in("disabled", PASSWORD).await.error(401);
    store.write(|tx| users::enable(tx, &"disabled".parse().unwrap())).await.unwrap();
    disabled.log_in("disabled", PASSWORD).await.ok();
    store.close().await;
}

/// What an evil page can make a browser send: the cookie, and what the browser adds.
fn from_page(browser: &Browser, method: Method, path: &str, headers: &[(&str, &str)]) -> reqwest::RequestBuilder {
    headers
        .iter()
        .fold(browser.request_from_nowhere(method, path), |request, (name, value)| request.header(*name, *value))
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    let host = server.url().strip_prefix("http://").unwrap().to_owned();
    let elsewhere = format!("http://{}", host.replace("127.0.0.1", "127.0.0.2"));
    let other_port = "http://127.0.0.1:1".to_owned();
    let evil: [&[(&str, &str)]; 9] = [
        &[],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", &elsewhere)],
        &[("origin", &other_port)],
        &[("sec-fetch-site", "cross-site"), ("origin", server.url())],
        &[("sec-fetch-site", "same-site"), ("origin", server.url())],
        &[("sec-fetch-site", "none"), ("origin", server.url())],
    ];
    for headers in evil {
        let request = from_page(&browser, Method::POST, "/api/v1/groups", headers).json(&json!({}));
        browser.send(request).await.error(403);
        let request = from_page(&browser, Method::DELETE, SESSION, headers);
        browser.send(request).await.error(403);
    }
    assert_eq!(server.rows("groups"), 0);
    let noted = browser.get("/api/tender/v1/audit?outcome=denied&actor=anna").await.ok();
    assert_eq!(noted["entries"].as_array().unwrap().len(), 2 * evil.len());
    // Logging in is a change as well: nobody shall work in an account that is not theirs.
    for headers in &evil[1..] {
        let login = json!({ "name": "anna", "password": PASSWORD });
        let request = from_page(&server.browser(), Method::POST, SESSION, headers).json(&login);
        browser.send(request).await.error(403);
    }

    let own = server.url().to_owned();
    let good: [&[(&str, &str)]; 3] = [
        &[("origin", &own)],
        &[("sec-fetch-site", "same-origin"), ("origin", &own)],
        &[("sec-fetch-site", "same-origin")],
    ];
    for headers in good {
        let request = from_page(&browser, Method::POST, "/api/v1/groups", headers).json(&json!({}));
        browser.send(request).await.ok();
    }
    // Looking needs no proof: other sites cannot read the answer, and the cookie is not sent along from their pages.
    browser.get("/api/v1/groups").await.ok();
    // A token is no cookie: no browser adds it by itself.
    let token = server.admin().await;
    let request = token.request(Method::POST, "/api/v1/groups").header(ORIGIN, "http://evil.example");
    token.send(request.json(&json!({}))).await.ok();
}

#[tokio::test]
async fn a_page_behind_a_proxy_is_known_by_the_address_in_the_browser() {
    let server =
        TestServer::start_with(|config| config.public_url = Some("https://updates.example/tender".into())).await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    for (origin, status) in [
        ("https://updates.example", 200),
        ("https://UPDATES.example", 200),
        ("https://evil.example", 403),
        ("https://updates.example.evil.example", 403),
    ] {
        let headers = [("origin", origin)];
        let request = from_page(&browser, Method::POST, "/api/v1/groups", &headers).json(&json!({}));
        assert_eq!(browser.send(request).await.status, status, "{origin}");
    }
}

#[tokio::test]
async fn a_header_decides_before_a_cookie() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    for header in ["Bearer token=garbage", "Basic YTpi", ""] {
        let request = browser.request(Method::GET, "/api/v1/groups").header(AUTHORIZATION, header);
        browser.send(request).await.error(401);
    }
    for cookies in ["", "x", "tender-session", "tender-browser"] {
        let mut other = server.browser();
        let mark = browser.cookies["tender-browser"].clone();
        other
            .cookies
            .insert("tender-session".to_owned(), if cookies == "tender-browser" { mark } else { cookies.into() });
        other.get("/api/v1/groups").await.error(401);
    }
}

#[tokio::test]
async fn one_user_has_a_bounded_number_of_sessions() {
    let server = TestServer::start().await;
    let mut first = server.logged_in("anna", Role::Admin).await;
    for _ in 0..32 {
        server.time.advance(Duration::from_secs(1));
        server.browser().log_in("anna", PASSWORD).await.ok();
    }
    assert_eq!(server.rows("sessions"), 32);
    assert_eq!(first.user().await, None, "the one that was not used for the longest time");
}

#[tokio::test]
async fn logging_in_again_ends_the_browsers_session_before() {
    let server = TestServer::start().await;
    let mut browser = server.logged_in("anna", Role::Admin).await;
    let mut before = browser.clone();
    browser.log_in("anna", PASSWORD).await.ok();
    before.get("/api/v1/groups").await.error(401);
    browser.get("/api/v1/groups").await.ok();
    assert_eq!(server.rows("sessions"), 1);
}
