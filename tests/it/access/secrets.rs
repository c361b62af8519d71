//! Secrets are nowhere but with their holders.

use serde_json::json;
use tender::domain::Role;
use tender::store::users;

use crate::harness::process::files_below;
use crate::harness::{PASSWORD, TestServer};

/// The files of the data folder that hold this text, the secret's own file apart.
fn files_with(server: &TestServer, text: &str) -> Vec<std::path::PathBuf> {
    let mut files = files_below(&server.data());
    files.retain(|path| {
        let contents = std::fs::read(path).unwrap();
        contents.windows(text.len()).any(|window| window == text.as_bytes())
    });
    files
}

#[tokio::test]
async fn the_data_folder_holds_no_password_cookie_or_code() {
    let mut server = TestServer::start().await;
    let code = server.claim_code().unwrap();
    let mut browser = server.browser();
    browser.claim(&code, "anna", PASSWORD).await.ok();
    let path = "/api/tender/v1/session/password";
    browser.post(path, json!({ "current": PASSWORD, "new": "another good one" })).await.ok();
    browser.post(path, json!({ "current": 1_234_567_890, "new": "surplus secret" })).await.error(400);
    let cookies: Vec<_> = browser.cookies.values().cloned().collect();
    let token = server.admin().await.token;
    server.stop().await;
    let secrets = [code.as_str(), PASSWORD, "another good one", "1234567890", "surplus secret", &token];
    for secret in secrets.into_iter().chain(cookies.iter().map(String::as_str)) {
        assert_eq!(files_with(&server, secret), Vec::<std::path::PathBuf>::new(), "{secret}");
    }
    assert!(!files_with(&server, "anna").is_empty(), "the search finds what is there");
}

#[tokio::test]
async fn the_hash_of_a_removed_users_password_is_not_left_in_free_pages() {
    let mut server = TestServer::start().await;
    server.add_user("root", Role::Admin).await;
    server.add_user("anna", Role::Admin).await;
    let store = server.beside().store;
    let anna = store.read(|connection| users::find(connection, &"anna".parse().unwrap())).await.unwrap().unwrap();
    store.write(|tx| users::remove(tx, &"anna".parse().unwrap())).await.unwrap();
    store.close().await;
    server.stop().await;
    assert_eq!(files_with(&server, anna.password_hash.as_str()), Vec::<std::path::PathBuf>::new());
}
