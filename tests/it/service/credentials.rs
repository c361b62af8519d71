//! Secrets that the service manager hands over (systemd.exec(5), "Credentials").

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::harness::process::{ServerProcess, assert_refused, run, tender};

/// A folder with a folder of credentials.
fn with_credentials(credentials: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    fs::create_dir(&path).unwrap();
    for (name, secret) in credentials {
        fs::write(path.join(name), secret).unwrap();
    }
    (folder, path)
}

const TOKEN: [&str; 7] = ["token", "create", "--data-dir", "data", "--name", "tests", "--scope=rdfm_admin_rw"];

#[tokio::test]
async fn the_secret_of_tokens_may_be_a_credential_and_a_variable_wins_over_it() {
    let (folder, credentials) = with_credentials(&[("jwt-secret", "handed over\n")]);
    let server =
        ServerProcess::start_with(folder.path(), |command| command.env("CREDENTIALS_DIRECTORY", &credentials)).await;
    assert!(!folder.path().join("data/secrets/jwt-secret").exists(), "no secret is made where one is given");
    // Who has the same secret signs tokens that the server accepts.
    let output = tender(folder.path()).args(TOKEN).env("RDFM_JWT_SECRET", "handed over").output().unwrap();
    let token = String::from_utf8(output.stdout).unwrap();
    server.operator(token.trim()).get("/api/v1/devices").await.ok();
    let mut other = tender(folder.path());
    other.args(TOKEN).env("RDFM_JWT_SECRET", "another").env("CREDENTIALS_DIRECTORY", &credentials);
    let line = assert_refused(&other.output().unwrap(), 1);
    assert!(line.contains("works with another secret"), "{line}");
}

#[test]
fn all_secrets_may_be_credentials_and_win_over_the_file() {
    let (folder, credentials) = with_credentials(&[("webhook-secret", "whsec_YWJj"), ("oauth-client-secret", "x")]);
    let file = "webhook = \"http://127.0.0.1:1/\"\nwebhook_secret_file = \"/nowhere\"\noauth_url = \"http://127.0.0.1:1/\"\n\
                oauth_client_id = \"tender\"\noauth_client_secret_file = \"/nowhere\"\nlisten = \"203.0.113.1:1\"";
    fs::write(folder.path().join("tender.toml"), file).unwrap();
    let serve = ["serve", "--config", "tender.toml", "--data-dir", "data"];
    // Without them the files that are not there are what is wrong; with them, only the address.
    let line = assert_refused(&run(folder.path(), serve), 2);
    assert!(line.contains("/nowhere"), "{line}");
    let mut command = tender(folder.path());
    command.args(serve).env("CREDENTIALS_DIRECTORY", &credentials);
    let line = assert_refused(&command.output().unwrap(), 1);
    assert!(line.contains("cannot listen on 203.0.113.1:1: this machine has no such address"), "{line}");

    fs::write(credentials.join("webhook-secret"), "\n").unwrap();
    let line = assert_refused(&command.output().unwrap(), 2);
    assert!(line.contains("the secret for webhooks is empty"), "{line}");
}
