//! `tender diagnose`: what is in the bundle, and above all what is not.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use rusqlite::Connection;
use serde_json::{Value, json};
use tender::domain::Role;

use crate::harness::process::{ServerProcess, assert_refused, create_token, run, tender};

/// The files of a bundle.
fn unpack(path: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let name = path.strip_prefix("tender-diagnosis/").unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        files.insert(name, text);
    }
    files
}

fn json_of(files: &BTreeMap<String, String>, name: &str) -> Value {
    serde_json::from_str(&files[name]).unwrap_or_else(|_| panic!("{name}: {}", files[name]))
}

const NAMES: [&str; 11] = [
    "about.txt",
    "attempts.json",
    "audit.json",
    "check.json",
    "configuration.json",
    "database.json",
    "devices.json",
    "files.txt",
    "machine.txt",
    "metrics.txt",
    "status.json",
];

/// Secrets of every kind that a server may be given, each with a mark of its own.
const PLANTED: [&str; 8] = [
    "planted-jwt-secret",
    "planted-oauth-secret",
    "cGxhbnRlZC13ZWJob29rLXNlY3JldC1vbmU",
    "cGxhbnRlZC13ZWJob29rLXNlY3JldC10d28",
    "planted-webhook-path",
    "planted-webhook-query",
    "planted-idp-query",
    "planted-target",
];

/// Has a command find all that in its configuration.
fn plant(folder: &Path, command: &mut Command) {
    let file = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let one = file("one", &format!("whsec_{}=\n", PLANTED[2]));
    let two = file("two", &format!("whsec_{}=\n", PLANTED[3]));
    let config = format!(
        "webhook = \"http://127.0.0.1:9/{}\"\nwebhook_secret_file = \"{one}\"\n\
         [[webhooks]]\nurl = \"http://127.0.0.1:9/?key={}\"\nsecret_file = \"{two}\"\nevents = [\"group.*\"]\n",
        PLANTED[4], PLANTED[5]
    );
    command.env("TENDER_CONFIG", file("tender.toml", &config));
    command.env("RDFM_JWT_SECRET", PLANTED[0]);
    command.env("RDFM_OAUTH_URL", format!("http://127.0.0.1:9/introspect?key={}", PLANTED[6]));
    command.env("RDFM_OAUTH_CLIENT_ID", "tender").env("RDFM_OAUTH_CLIENT_SEC", PLANTED[1]);
    command.env("TENDER_SILENT_AFTER", "2h");
}

fn assert_success(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test]
async fn the_bundle_of_a_server_that_runs_has_what_helps_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| {
        plant(folder.path(), command);
        command.args(["--metrics-listen", "127.0.0.1:0"])
    })
    .await;
    let mut command = tender(folder.path());
    command.env("RDFM_JWT_SECRET", PLANTED[0]);
    command.args(["token", "create", "--data-dir", "data", "--name", "tests", "--scope", "rdfm_admin_rw"]);
    let token = assert_success(&command.output().unwrap()).trim().to_owned();
    let admin = server.operator(&token);
    let mut device = server.device("00:11:22:33:44:55");
    device.authorize().await;
    admin.accept(&device).await;
    device.authorize().await;
    admin.package("v1", &[], b"contents of a package").await;
    let mut client = tender(folder.path());
    client.env("RDFM_JWT_SECRET", PLANTED[0]);
    client.args(["client", "create", "nightly", "--data-dir", "data", "--scope", "rdfm_admin_ro"]);
    let client: Value = serde_json::from_str(&assert_success(&client.output().unwrap())).unwrap();
    let mut user = tender(folder.path());
    user.env("RDFM_JWT_SECRET", PLANTED[0]);
    user.args(["user", "add", "anna", "--data-dir", "data", "--role", Role::Admin.name(), "--password-stdin"]);
    let password = "planted-password-of-anna";
    fs::write(folder.path().join("password"), password).unwrap();
    assert_success(&user.stdin(File::open(folder.path().join("password")).unwrap()).output().unwrap());
    let mut browser = crate::harness::Browser::new(&server.url);
    browser.log_in("anna", password).await.ok();

    // Somebody put secrets where none belong.
    let database = Connection::open(folder.path().join("data/tender.sqlite")).unwrap();
    let planted = "INSERT INTO audit_log (at, actor_kind, actor, action, target, outcome, detail)
        VALUES (1, 'token', ?1, 'group.policy', 'group/1', 'failed', ?2)";
    let hash: String = database.query_row("SELECT password_hash FROM users", [], |row| row.get(0)).unwrap();
    let key = "-----BEGIN PRIVATE KEY-----\nplanted-private-key\n-----END PRIVATE KEY-----";
    database.execute(planted, (PLANTED[0], format!("{token} {hash} http://anna:{}@host/", PLANTED[7]))).unwrap();
    fs::write(folder.path().join("data/key.pem"), key).unwrap();

    let bundle = folder.path().join("bundle.tar.gz");
    let mut command = tender(folder.path());
    plant(folder.path(), &mut command);
    command.args(["diagnose", "bundle.tar.gz", "--data-dir", "data", "--server", &server.url]);
    let output = command.env("TENDER_TOKEN", &token).output().unwrap();
    let printed = assert_success(&output);
    let files = unpack(&bundle);
    assert_eq!(files.keys().collect::<Vec<_>>(), NAMES);
    for name in NAMES.iter().filter(|name| **name != "about.txt") {
        assert!(printed.contains(name), "it is not said that {name} is in it: {printed}");
    }
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);

    let session: Vec<u8> = database.query_row("SELECT token_hash FROM sessions", [], |row| row.get(0)).unwrap();
    let session: String = session.iter().map(|byte| format!("{byte:02x}")).collect();
    let device_token = device.token.clone().unwrap();
    let cookie = browser.cookies.values().next().expect("a session").clone();
    let mut secrets = PLANTED.to_vec();
    secrets.extend([&*token, &*device_token, &*session, &*cookie, &*hash, password, "planted-private-key"]);
    secrets.extend(["contents of a package", client["client_secret"].as_str().unwrap()]);
    for (name, text) in &files {
        for secret in &secrets {
            assert!(!text.contains(secret), "{secret} is in {name}: {text}");
        }
    }

    let configuration = json_of(&files, "configuration.json");
    assert_eq!(configuration["silent_after"], "2h");
    assert_eq!(configuration["webhook"], "http://127.0.0.1:9/[hidden]");
    assert_eq!(configuration["webhooks"][0]["events"], json!(["group.*"]));
    assert_eq!(json_of(&files, "status.json")["status"]["packages"]["whole"], 1);
    assert!(files["metrics.txt"].contains("tender_update_checks_total"), "{}", files["metrics.txt"]);
    let stored = json_of(&files, "database.json");
    assert_eq!((&stored["faults"], &stored["rows"]["packages"]), (&json!([]), &json!(1)));
    assert!(stored["properties"]["user_version"].as_u64().unwrap() > 0);
    assert_eq!(json_of(&files, "check.json")["findings"], json!([]));
    assert_eq!(json_of(&files, "devices.json")[0]["mac_address"], "00:11:22:33:44:55");
    assert!(files["audit.json"].contains("device.accept"), "{}", files["audit.json"]);
    assert!(files["files.txt"].contains("tender.sqlite") && files["machine.txt"].contains("== /proc/meminfo"));
}

#[tokio::test]
async fn what_is_broken_is_told_and_does_not_keep_the_bundle_from_being_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(folder.path()).await;
    create_token(folder.path());
    server.signal("TERM");
    server.ended().await;
    let path = folder.path().join("data/tender.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    let damaged = 4096.min(bytes.len() / 2);
    bytes[damaged..].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let diagnose =
        |file: &str| run(folder.path(), ["diagnose", file, "--data-dir", "data", "--server", "http://127.0.0.1:1"]);
    assert_success(&diagnose("damaged"));
    let files = unpack(&folder.path().join("damaged"));
    assert_eq!(files.keys().collect::<Vec<_>>(), NAMES);
    assert_ne!(json_of(&files, "database.json")["faults"], json!([]));
    assert!(json_of(&files, "status.json")["error"].as_str().unwrap().contains("cannot ask"));
    assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is changed");

    fs::write(&path, "no database").unwrap();
    assert_success(&diagnose("foreign"));
    fs::remove_file(&path).unwrap();
    assert_success(&diagnose("gone"));
    assert!(unpack(&folder.path().join("gone"))["database.json"].contains("error"));

    assert!(assert_refused(&diagnose("gone"), 1).contains("gone"), "nothing is overwritten");
    fs::remove_dir_all(folder.path().join("data")).unwrap();
    assert!(assert_refused(&diagnose("nothing"), 1).contains("no tender has worked"));
    assert!(!folder.path().join("nothing").exists());
}
