//! How passwords are looked at: equally long for everybody, in bounded memory, and kept as is best today.

use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use tender::domain::{PasswordHash, Role};
use tender::store::users;

use crate::harness::process::{ServerProcess, run};
use crate::harness::{Browser, PASSWORD, TestServer};

async fn stored_hash(server: &TestServer, name: &'static str) -> String {
    let store = server.beside().store;
    let user = store.read(|connection| users::find(connection, &name.parse().unwrap())).await.unwrap().unwrap();
    store.close().await;
    user.password_hash.as_str().to_owned()
}

#[tokio::test]
async fn a_hash_with_yesterdays_parameters_is_renewed_at_the_next_login() {
    let server = TestServer::start().await;
    let params = Params::new(1024, 1, 1, None).unwrap();
    let salt = SaltString::encode_b64(b"0123456789abcdef").unwrap();
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let old = hasher.hash_password(PASSWORD.as_bytes(), &salt).unwrap().to_string();
    let (store, hash) = (server.beside().store, PasswordHash::from_phc(old.clone()));
    store.write(move |tx| users::add(tx, &"anna".parse().unwrap(), Role::Admin, &hash)).await.unwrap();
    store.close().await;

    server.browser().log_in("anna", "not the password").await.error(401);
    assert_eq!(stored_hash(&server, "anna").await, old);
    server.browser().log_in("anna", PASSWORD).await.ok();
    let renewed = stored_hash(&server, "anna").await;
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    server.browser().log_in("anna", PASSWORD).await.ok();
    assert_eq!(stored_hash(&server, "anna").await, renewed);
}

#[tokio::test]
async fn a_no_takes_as_long_whether_the_name_is_somebodys_nobodys_or_barred() {
    let server = TestServer::start().await;
    let names = |kind: &str| (0..3).map(|number| format!("{kind}{number}")).collect::<Vec<_>>();
    for name in names("somebody").iter().chain(&names("barred")) {
        server.add_user(name, Role::Admin).await;
    }
    let store = server.beside().store;
    for name in names("barred") {
        store.write(move |tx| users::disable(tx, &name.parse().unwrap())).await.unwrap();
    }
    store.close().await;
    let kinds = ["somebody", "nobody", "barred", "no name at all "].map(names);
    let mut fastest = [Duration::MAX; 4];
    // In turn, so that whatever else this machine does slows all of them down; and not so often that they are held up.
    for round in 0..6_u8 {
        for (kind, names) in kinds.iter().enumerate() {
            let mut browser = Browser::at(server.url(), [127, 1, kind as u8, round]);
            let asked = Instant::now();
            browser.log_in(&names[usize::from(round) / 2], "not the password").await.error(401);
            fastest[kind] = fastest[kind].min(asked.elapsed());
        }
    }
    let (least, most) = (fastest.iter().min().unwrap(), fastest.iter().max().unwrap());
    assert!(*least > Duration::from_millis(10), "{fastest:?}: everybody's is hashed");
    assert!(*most < 2 * *least, "{fastest:?}");
}

#[tokio::test]
async fn many_logins_at_once_take_the_memory_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let before = server.peak_memory();
    let logins = (0..20_u8).map(|number| {
        let mut browser = Browser::at(&server.url, [127, 2, 0, number + 1]);
        tokio::spawn(async move { browser.log_in(&format!("user{number}"), PASSWORD).await.status })
    });
    for login in logins.collect::<Vec<_>>() {
        assert_eq!(login.await.unwrap(), 401);
    }
    let grown = (server.peak_memory() - before) / (1024 * 1024);
    assert!((19..60).contains(&grown), "{grown} MiB");
    assert!(run(folder.path(), ["user", "list", "--data-dir", "data"]).status.success());
}
