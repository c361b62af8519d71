//! Guessing passwords is slow, and nobody else pays for it.

use std::time::{Duration, Instant};

use serde_json::json;
use tender::domain::Role;
use tender::store::users;

use crate::harness::{Browser, Device, PASSWORD, TestServer};

const LOCK: Duration = Duration::from_secs(15 * 60);

/// Fails to log in twelve times at once; how many were told that they are wrong, and the waits that the others were told.
async fn guess(server: &TestServer, name: &'static str, address: [u8; 4]) -> (usize, Vec<String>) {
    let guesses = (0..12).map(|_| {
        let mut browser = Browser::at(server.url(), address);
        async move { browser.log_in(name, "not the password").await }
    });
    let (wrong, locked): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(guesses).await.into_iter().partition(|reply| reply.status == 401);
    for reply in &locked {
        reply.error(429);
    }
    (wrong.len(), locked.iter().map(|reply| reply.header("retry-after").to_owned()).collect())
}

#[tokio::test]
async fn many_failures_shut_the_door_for_a_while_whether_or_not_the_name_is_somebodys() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    let begun = Instant::now();
    let guessing = [guess(&server, "anna", [127, 0, 1, 1]), guess(&server, "nobody", [127, 0, 1, 2])];
    for (wrong, waits) in futures_util::future::join_all(guessing).await {
        assert_eq!((wrong, waits), (10, vec!["900".to_owned(); 2]));
    }
    // They did not all wait as if they were the first.
    assert!(begun.elapsed() > Duration::from_secs(8), "{:?}", begun.elapsed());

    // The right password does not open a door that is shut, from nowhere.
    let mut owner = Browser::at(server.url(), [127, 0, 2, 1]);
    let sentence = owner.log_in("anna", PASSWORD).await.error(429);
    assert!(sentence.contains("15m"), "{sentence}");
    server.time.advance(LOCK);
    owner.log_in("anna", PASSWORD).await.ok();
}

#[tokio::test]
async fn a_browser_that_is_known_is_let_through_while_others_guess() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    // All behind one address, as behind one NAT.
    let mut operator = server.browser();
    operator.log_in("anna", PASSWORD).await.ok();
    operator.delete("/api/tender/v1/session").await.ok();

    let mut guessing = Vec::new();
    for attempt in 0..60 {
        let mut attacker = server.browser();
        let name = if attempt < 20 { "anna".to_owned() } else { format!("user{attempt}") };
        guessing.push(tokio::spawn(async move { attacker.log_in(&name, "not the password").await.status }));
    }
    let asked = Instant::now();
    operator.log_in("anna", PASSWORD).await.ok();
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
    let mut locked = 0;
    for guess in guessing {
        locked += usize::from(guess.await.unwrap() == 429);
    }
    assert!(locked >= 10, "{locked}");
    // Without its mark the browser is like any other.
    let mut unknown = server.browser();
    unknown.log_in("anna", PASSWORD).await.error(429);
    // And a mark is good for its own user only.
    server.add_user("bert", Role::Viewer).await;
    let mut swapped = server.browser();
    swapped.cookies = operator.cookies.clone();
    server.time.advance(Duration::from_secs(1));
    assert_eq!(
        swapped.log_in("bert", PASSWORD).await.status,
        429,
        "the address is shut for names that it is not known for"
    );
}

#[tokio::test]
async fn a_shut_door_does_not_tell_by_its_notes_whose_names_there_are() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    let failing = (0..60).map(|number| {
        let mut browser = server.browser();
        async move { browser.log_in(&format!("nobody{number}"), "not the password").await.status }
    });
    let statuses = futures_util::future::join_all(failing).await;
    let wrong = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!(wrong, 50);
    let mut noted = Vec::new();
    for name in ["nobody", "anna"] {
        for _ in 0..20 {
            server.browser().log_in(name, "not the password").await.error(429);
        }
        noted.push(server.rows("audit_log"));
    }
    // Whether something was written is seen by how long the answer takes.
    assert_eq!(noted[0], noted[1]);
    let query = "SELECT count(*) FROM audit_log WHERE outcome = 'denied' AND detail = ''";
    let denied: i64 = server.database().query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(denied, 50, "each wrong password is noted");
}

#[tokio::test]
async fn of_a_crowd_some_are_told_to_come_again_and_browsers_that_are_known_are_not() {
    let server = TestServer::start().await;
    let mut operator = server.logged_in("anna", Role::Admin).await;
    let crowd = (0..200_u8).map(|number| {
        let mut browser = Browser::at(server.url(), [127, 3, 0, number % 20]);
        async move { browser.log_in(&format!("user{number}"), "not the password").await }
    });
    let (replies, known) = tokio::join!(futures_util::future::join_all(crowd), operator.log_in("anna", PASSWORD));
    known.ok();
    let busy: Vec<_> = replies.iter().filter(|reply| reply.status != 401).collect();
    assert!(!busy.is_empty());
    for reply in busy {
        assert_eq!((reply.error(429).contains("too many are logging in"), reply.header("retry-after")), (true, "1"));
    }
}

#[tokio::test]
async fn a_password_that_was_replaced_while_its_answer_was_held_up_opens_nothing() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    server.add_user("bert", Role::Viewer).await;
    for _ in 0..4 {
        server.browser().log_in("anna", "not the password").await.error(401);
    }
    // This one has to wait for a second.
    let mut late = server.browser();
    let late = tokio::spawn(async move { late.log_in("anna", PASSWORD).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let store = server.beside().store;
    let bert = store.read(|connection| users::find(connection, &"bert".parse().unwrap())).await.unwrap().unwrap();
    let hash = bert.password_hash;
    store.write(move |tx| users::set_password(tx, &"anna".parse().unwrap(), &hash)).await.unwrap();
    store.close().await;
    late.await.unwrap().error(401);
    assert_eq!(server.rows("sessions"), 0);
    let query = "SELECT count(*) FROM audit_log WHERE action = 'login' AND outcome = 'denied'";
    let denied: i64 = server.database().query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(denied, 5);
}

#[tokio::test]
async fn devices_that_fail_lock_nobody_out() {
    let server = TestServer::start().await;
    server.add_user("anna", Role::Admin).await;
    let anonymous = server.anonymous();
    let failing = (0..40).map(|_| anonymous.post("/api/v1/auth/device", json!({ "no": "signature" })));
    let first = tokio::time::timeout(Duration::from_secs(2), futures_util::future::join_all(failing));
    // Most of them still wait for their answers.
    assert!(first.await.is_err());
    let asked = Instant::now();
    server.browser().log_in("anna", PASSWORD).await.ok();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_device_that_loops_is_slowed_down_and_never_told_429() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let asked = Instant::now();
    let mut requests = 0;
    while asked.elapsed() < Duration::from_secs(4) {
        anonymous.post("/api/v1/auth/device", json!({ "no": "signature" })).await.error(400);
        requests += 1;
    }
    assert!(requests <= 11, "{requests} in 4 s");

    // Others behind the same address are answered at once.
    let asked = Instant::now();
    let mut device: Device = server.accepted_device("00:11:22:33:44:55").await;
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());

    // One that asks for tokens in a loop is slowed down as well.
    let asked = Instant::now();
    let mut requests = 0;
    while asked.elapsed() < Duration::from_secs(3) {
        assert_eq!(device.authorize().await.status, 200);
        requests += 1;
    }
    assert!(requests <= 14, "{requests} in 3 s");
}

#[tokio::test]
async fn one_key_with_many_addresses_is_no_way_to_write_much() {
    let server = TestServer::start().await;
    let device = server.device("00:11:22:33:44:55");
    let asking = (0..300).map(|number| {
        let mut body = device.authorization_body();
        body["metadata"]["rdfm.hardware.macaddr"] =
            json!(format!("00:00:00:00:{:02x}:{:02x}", number / 256, number % 256));
        let device = &device;
        async move { device.authorize_with(&body).await.status }
    });
    let all = tokio::time::timeout(Duration::from_secs(4), futures_util::future::join_all(asking));
    // Those that wait for their turn have not been answered yet.
    assert!(all.await.is_err());
    assert!(server.rows("registrations") < 40, "{}", server.rows("registrations"));
}

#[tokio::test]
async fn a_thousand_devices_behind_one_address_are_not_held_back() {
    let server = TestServer::start().await;
    let asked = Instant::now();
    let devices: Vec<Device> = (0..100).map(|number| server.device(&format!("00:00:00:00:01:{number:02x}"))).collect();
    let (pending, _) = devices.split_at(100);
    for device in pending {
        let body = serde_json::to_vec(&device.authorization_body()).unwrap();
        let request = server.anonymous().request(reqwest::Method::POST, "/api/v1/auth/device");
        let request = request.header("content-type", "application/json");
        let request = request.header("X-RDFM-Device-Signature", device.sign(&body)).body(body);
        assert_eq!(server.anonymous().send(request).await.status, 401);
    }
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    assert_eq!(server.rows("registrations"), 100);
}

#[tokio::test]
async fn devices_with_copies_of_one_key_are_not_held_back_for_each_other() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut devices: Vec<Device> =
        (0..27).map(|number| server.device(&format!("00:00:00:00:01:{number:02x}"))).collect();
    let key = devices[0].key();
    for some in devices.chunks_mut(9) {
        for device in some {
            device.set_key(key.clone());
            device.authorize().await.error(401);
            admin.accept(device).await;
        }
        // Before they are accepted, they are somebody with a key who calls itself this and that.
        server.time.advance(Duration::from_secs(61));
    }
    let asked = Instant::now();
    for device in &mut devices {
        device.authorize().await.ok();
    }
    assert!(asked.elapsed() < Duration::from_secs(6), "{:?}", asked.elapsed());
}
