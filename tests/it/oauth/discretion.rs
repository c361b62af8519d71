//! Secrets are shown once, to whoever made them, and to nobody else.

use std::fs;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tender::auth::Credential;
use tender::store::clients;
use tender::usecase::manage_clients::ClientSecret;

use crate::harness::client::{Client, GRANT, INTROSPECT, REVOKE, TOKEN};
use crate::harness::process::{ServerProcess, files_below, run};
use crate::harness::{TestServer, eventually};

/// What the hash of a secret looks like to people: a few bytes of it, however they are separated.
fn hash_in_hex(secret: &str) -> String {
    Sha256::digest(secret).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn no_secret_and_no_token_is_in_the_files_or_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| command.args(["--log", "trace"])).await;
    let tender = |arguments: &[&str]| {
        let output = run(folder.path(), [&["client"], arguments, &["--data-dir", "data"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let secret: Value = serde_json::from_slice(&output.stdout).unwrap();
        Client::new(&server.url, secret["client_id"].as_str().unwrap(), secret["client_secret"].as_str().unwrap())
    };
    let old = tender(&["create", "ci", "--scope", "rdfm_admin_ro"]);
    let old_token = old.token().await;
    let client = tender(&["rotate-secret", "ci"]);
    let token = client.token().await;
    // Secrets in wrong fields as well.
    let wrong = Client::new(&server.url, &client.secret, &client.id);
    for path in [TOKEN, INTROSPECT, REVOKE] {
        old.by_header(path, &[GRANT]).await.oauth_error(401, "invalid_client");
    }
    wrong.by_body(TOKEN, &[GRANT]).await.oauth_error(401, "invalid_client");
    client.by_header(TOKEN, &[GRANT, ("scope", &client.secret)]).await.oauth_error(400, "invalid_scope");
    client.by_header(TOKEN, &[("grant_type", &client.secret)]).await.oauth_error(400, "unsupported_grant_type");
    client.revoke(&client.secret).await.ok();
    client.revoke(&token).await.ok();

    let files = files_below(&folder.path().join("data"));
    assert!(files.iter().any(|file| file.ends_with("tender.sqlite")), "{files:?}");
    // What the server says comes after its reply.
    eventually("the log has the last deed", || server.log().contains("token.revoke: done")).await;
    let log = server.log();
    assert!(log.contains("token.revoke: done") && log.contains("token.grant: denied"), "{log}");
    for secret in [&old.secret, &client.secret, &old_token, &token] {
        for file in &files {
            assert!(!contains(&fs::read(file).unwrap(), secret), "{}", file.display());
        }
        assert!(!log.contains(secret.as_str()) && !log.contains(&hash_in_hex(secret)), "{log}");
    }
}

#[tokio::test]
async fn secrets_do_not_show_in_what_programmers_print() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let store = server.beside().store;
    let stored = store.read(clients::list).await.unwrap();
    store.close().await;
    assert!(format!("{stored:?}").contains("CredentialHash(…)"), "{stored:?}");
    let secret = ClientSecret { id: client.id, secret: Credential::generate().unwrap() };
    assert!(!format!("{secret:?}").contains(secret.secret.reveal()));
    // No row of the audit log has the hash either.
    let database = server.database();
    let found: i64 = database
        .query_row(
            "SELECT count(*) FROM audit_log WHERE instr(detail || target || actor, ?1)",
            [hash_in_hex(&client.secret)],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(found, 0);
}
