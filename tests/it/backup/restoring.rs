//! What is restored is what was backed up; what is no good backup, or has no good place to go, changes nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::json;

use super::{names, refusal, refused, serve, succeed};
use crate::harness::process::{ServerProcess, create_token, package_files_below, run, tender};
use crate::harness::raw::eventually;

const PASSPHRASE: &str = "correct horse battery staple";

#[tokio::test]
async fn a_replacement_box_goes_on_without_a_device_being_accepted_again() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let mut server = ServerProcess::start(folder.path()).await;
    let operator = server.operator(&token);
    let contents = b"version two".repeat(50_000);
    let package = operator.package("v2", &[("rdfm.storage.directory", "site a")], &contents).await;
    let mut device = server.device("00:11:22:33:44:55");
    device.authorize().await.error(401);
    operator.accept(&device).await;
    device.authorize().await.ok();
    let group = operator.post("/api/v1/groups", json!({})).await.ok()["id"].clone();
    let path = format!("/api/v1/groups/{group}");
    operator.post(&format!("{path}/package"), json!({ "packages": [package] })).await.ok();
    operator.post(&format!("{path}/policy"), json!({ "policy": "exact_match,v2" })).await.ok();
    let id = operator.device_id(&device).await;
    operator.patch(&format!("{path}/devices"), json!({ "add": [id], "remove": [] })).await.ok();
    // Offered, and not fetched yet.
    assert_eq!(device.check().await.status, 200);

    // A fleet that keeps polling, and does not hear that there is another box.
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    let report = std::fs::File::create(folder.path().join("fleet.log")).unwrap();
    let mut fleet = tender(folder.path())
        .args(["simulate", "--server", &server.url])
        .args(["--devices", "5", "--interval", "1s", "--version", "v0"])
        .stdout(Stdio::null())
        .stderr(report)
        .spawn()
        .unwrap();
    let pending = async |operator: &crate::harness::Operator| {
        operator.get("/api/v1/auth/pending").await.ok().as_array().unwrap().clone()
    };
    while pending(&operator).await.len() < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for registration in pending(&operator).await {
        operator.post("/api/v1/auth/register", registration).await.ok();
    }
    let heard = async |operator: &crate::harness::Operator, since: &str| {
        let devices = operator.get("/api/v1/devices").await.ok();
        let is_later = |device: &&serde_json::Value| device["last_access"].as_str().is_some_and(|date| date > since);
        devices.as_array().unwrap().iter().filter(is_later).count()
    };
    while heard(&operator, "").await < 6 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    // What devices reported goes to disk at an orderly end; then the box is lost, and all that is on it.
    server.signal("TERM");
    server.ended().await;
    succeed(folder.path(), &["backup", "box.tar", "--data-dir", "data"]);
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();

    let said = succeed(folder.path(), &["restore", "box.tar", "--data-dir", "data"]);
    assert!(said.lines().any(|line| line.ends_with(", 1 package")), "{said}");
    assert_eq!(names(&folder.path().join("data")), ["packages", "secrets", "tender.sqlite"]);
    let server = serve(folder.path(), "data", &address).await;
    let operator = server.operator(&token);
    // Its token from before is good, the same package waits, and the same attempt goes on.
    assert_eq!(device.check().await.status, 200);
    assert_eq!(pending(&operator).await, [] as [serde_json::Value; 0]);
    let attempts = operator.get(&format!("/api/tender/v1/devices/{id}/attempts")).await.ok();
    assert_eq!(attempts["attempts"].as_array().unwrap().len(), 1, "{attempts}");
    let file = package_files_below(&folder.path().join("data/packages/site a")).remove(0);
    assert_eq!(std::fs::read(file).unwrap(), contents);
    let status = operator.get("/api/tender/v1/status").await.ok();
    let restored = status["time"].as_str().unwrap().to_owned();
    while heard(&operator, &restored).await < 5 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(pending(&operator).await, [] as [serde_json::Value; 0]);
    fleet.kill().unwrap();
    fleet.wait().unwrap();
}

/// A folder with a data folder that has a package in a directory, one beside, and a backup of both.
async fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let server = ServerProcess::start(folder.path()).await;
    let operator = server.operator(&token);
    operator.package("v1", &[("rdfm.storage.directory", "site a")], &b"one".repeat(1000)).await;
    operator.package("v2", &[], &b"two".repeat(1000)).await;
    succeed(folder.path(), &["backup", "b.tar", "--data-dir", "data"]);
    server.kill();
    folder
}

#[tokio::test]
async fn every_byte_counts() {
    let folder = prepared().await;
    let good = std::fs::read(folder.path().join("b.tar")).unwrap();
    let verify = |bytes: &[u8]| {
        let mut archive = bytes;
        let found = tender::usecase::restore::verify(&mut archive, folder.path());
        found.map(|report| report.whole).map_err(|error| error.to_string())
    };
    assert_eq!(verify(&good), Ok(2));
    // Of the long contents a sample; of what is around them everything.
    for index in 0..good.len() {
        let is_sampled = index % 997 == 0 || index % 512 == 0 || index + 1700 > good.len();
        if is_sampled {
            let mut changed = good.clone();
            changed[index] ^= 0x10;
            assert!(verify(&changed).is_err(), "byte {index} of {}", good.len());
        }
    }
    for end in (0..good.len()).step_by(509).chain(good.len() - 3..good.len()) {
        assert!(verify(&good[..end]).is_err(), "cut at {end}");
    }
    assert!(verify(&[&good[..], b"\0"].concat()).is_err());
    assert!(verify(b"").unwrap_err().contains("not a backup"));
    assert!(verify(&b"a diary ".repeat(1000)).unwrap_err().contains("not a backup"));
    assert_eq!(names(folder.path()), ["b.tar", "data"], "nothing is left of all these looks");
}

#[tokio::test]
async fn an_expert_opens_it_with_tar_and_sqlite() {
    let folder = prepared().await;
    let unpacked = folder.path().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let tar =
        Command::new("tar").arg("-xf").arg(folder.path().join("b.tar")).arg("-C").arg(&unpacked).status().unwrap();
    assert!(tar.success());
    let expected = ["contents.json", "digest.sha256", "packages", "secrets", "tender-backup.json", "tender.sqlite"];
    assert_eq!(names(&unpacked), expected);
    let database = Connection::open(unpacked.join("tender.sqlite")).unwrap();
    let packages: i64 = database.query_row("SELECT count(*) FROM packages", [], |row| row.get(0)).unwrap();
    assert_eq!(packages, 2);
    drop(database);
    // What was unpacked by hand is a data folder, too.
    drop(serve(folder.path(), "unpacked", "127.0.0.1:0").await);
}

#[tokio::test]
async fn damaged_packages_stop_no_backup_and_are_missing_after_it() {
    let folder = prepared().await;
    let files = package_files_below(&folder.path().join("data/packages"));
    let [gone, bad]: [_; 2] = files.try_into().unwrap();
    std::fs::remove_file(&gone).unwrap();
    let mut contents = std::fs::read(&bad).unwrap();
    contents[17] ^= 1;
    std::fs::write(&bad, &contents).unwrap();
    let said = succeed(folder.path(), &["backup", "b.tar", "--data-dir", "data"]);
    assert!(said.contains("the file is not there") && said.contains("the file has the SHA-256"), "{said}");
    let said = succeed(folder.path(), &["restore", "b.tar", "--data-dir", "other"]);
    assert!(said.contains("missing until they are uploaded again: 1, 2"), "{said}");
    assert_eq!(package_files_below(&folder.path().join("other/packages")).len(), 0);
}

#[tokio::test]
async fn without_packages_they_are_missing_until_they_are_uploaded_again() {
    let folder = prepared().await;
    let token = create_token(folder.path());
    succeed(folder.path(), &["backup", "small.tar", "--without-packages", "--data-dir", "data"]);
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let said = succeed(folder.path(), &["restore", "small.tar", "--data-dir", "data"]);
    assert!(said.contains("2 packages are missing"), "{said}");
    let server = ServerProcess::start(folder.path()).await;
    let operator = server.operator(&token);
    let state = async |id: i64| operator.get(&format!("/api/tender/v1/packages/{id}")).await.ok()["state"].clone();
    while state(1).await != "missing" || state(2).await != "missing" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    operator.package("again", &[], &b"two".repeat(1000)).await;
    assert_eq!((state(1).await, state(2).await), (json!("missing"), json!("whole")));
}

#[tokio::test]
async fn a_passphrase_closes_a_backup_and_no_other_opens_it() {
    let folder = prepared().await;
    std::fs::write(folder.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
    std::fs::write(folder.path().join("wrong"), "another\n").unwrap();
    let file = ["--passphrase-file", "passphrase"];
    succeed(folder.path(), &["backup", "b.tar.age", "--data-dir", "data", file[0], file[1]]);
    let sealed = std::fs::read(folder.path().join("b.tar.age")).unwrap();
    assert!(sealed.starts_with(b"age-encryption.org/v1\n-> scrypt "));
    let secret = std::fs::read(folder.path().join("data/secrets/jwt-secret")).unwrap();
    assert!(!sealed.windows(secret.len()).any(|window| window == secret));

    let said = refused(folder.path(), &["restore", "b.tar.age", "--data-dir", "other", file[0], "wrong"]);
    assert!(said.contains("not the passphrase"), "{said}");
    let said = refused(folder.path(), &["restore", "b.tar.age", "--data-dir", "other"]);
    assert!(said.contains("no terminal to ask"), "{said}");
    std::fs::write(folder.path().join("cut.age"), &sealed[..sealed.len() - 20_000]).unwrap();
    let said = refused(folder.path(), &["restore", "cut.age", "--data-dir", "other", file[0], file[1]]);
    assert!(said.contains("damaged or cut off"), "{said}");
    assert!(!folder.path().join("other").exists());

    let said = succeed(folder.path(), &["restore", "b.tar.age", "--verify", file[0], file[1]]);
    assert!(said.contains("the backup is whole"), "{said}");
    let restore = |variable: &str| {
        let mut command = tender(folder.path());
        command.args(["restore", "b.tar.age", "--data-dir", "other"]).env("TENDER_BACKUP_PASSPHRASE", variable);
        command.output().unwrap()
    };
    assert!(refusal(&restore("another")).contains("not the passphrase"));
    assert_eq!(restore(PASSPHRASE).status.code(), Some(0));
}

#[tokio::test]
async fn nothing_is_restored_over_something() {
    let folder = prepared().await;
    let restore = |data: &str| refused(folder.path(), &["restore", "b.tar", "--data-dir", data]);
    assert!(restore("data").contains("something in"));
    std::fs::create_dir(folder.path().join("home")).unwrap();
    std::fs::write(folder.path().join("home/letter.txt"), "dear").unwrap();
    assert!(restore("home").contains("something in"));
    assert_eq!(names(&folder.path().join("home")), ["letter.txt"]);
    // Folders that an installer has made are nothing.
    for made in ["fresh/packages", "fresh/secrets"] {
        std::fs::create_dir_all(folder.path().join(made)).unwrap();
    }
    succeed(folder.path(), &["restore", "b.tar", "--data-dir", "fresh"]);

    let server = ServerProcess::start(folder.path()).await;
    let said = refused(folder.path(), &["restore", "b.tar", "--data-dir", "data"]);
    assert!(said.contains("something in"), "{said}");
    drop(server);
}

#[tokio::test]
async fn a_backup_of_a_newer_program_is_refused_and_one_of_an_older_is_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let connection = crate::store::upgrade::make(&data.join("tender.sqlite"), 3);
    succeed(folder.path(), &["backup", "old.tar", "--without-packages", "--data-dir", "data"]);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 3, "a backup migrates nothing");
    succeed(folder.path(), &["restore", "old.tar", "--data-dir", "other"]);
    let server = serve(folder.path(), "other", "127.0.0.1:0").await;
    assert_eq!(names(&folder.path().join("other/snapshots")), ["0001-schema-3.sqlite"]);
    drop(server);

    connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(refused(folder.path(), &["backup", "new.tar", "--data-dir", "data"]).contains("newer tender"));
    let mut archive = tar::Builder::new(Vec::new());
    let text = br#"{"format":1,"program":"9.9.9","schema":99,"created":"2030-01-01T00:00:00Z","has_packages":true}"#;
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    archive.append_data(&mut header, "tender-backup.json", &text[..]).unwrap();
    std::fs::write(folder.path().join("new.tar"), archive.into_inner().unwrap()).unwrap();
    let said = refused(folder.path(), &["restore", "new.tar", "--data-dir", "third"]);
    assert!(said.contains("newer tender (9.9.9)"), "{said}");
    assert!(!folder.path().join("third").exists());
}

#[tokio::test]
async fn what_others_restore_through_a_pipe_arrives() {
    let folder = prepared().await;
    let script =
        format!("'{0}' backup - --data-dir data | '{0}' restore - --data-dir other", env!("CARGO_BIN_EXE_tender"));
    let piped = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert!(piped.status.success(), "{}", String::from_utf8_lossy(&piped.stderr));
    assert_eq!(package_files_below(&folder.path().join("other/packages")).len(), 2);
    assert_eq!(run(folder.path(), ["check", "--deep", "--data-dir", "other"]).status.code(), Some(0));
    assert_eq!(names(&folder.path().join("data")), ["packages", "secrets", "tender.sqlite"]);
}

#[tokio::test]
async fn a_secret_that_is_elsewhere_comes_along_and_a_wrong_one_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [("right", "the right secret"), ("wrong", "the wrong secret")] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let given = |command: &mut Command| {
        command.args(["--jwt-secret-file", "right"]);
    };
    let server = ServerProcess::start_with(folder.path(), |command| {
        given(command);
        command
    })
    .await;
    let backup =
        |secret: &str| run(folder.path(), ["backup", "b.tar", "--data-dir", "data", "--jwt-secret-file", secret]);
    assert!(refusal(&backup("wrong")).contains("secret that this command does not have"));
    assert!(!folder.path().join("b.tar").exists());
    assert_eq!(backup("right").status.code(), Some(0));
    drop(server);
    succeed(folder.path(), &["restore", "b.tar", "--data-dir", "other"]);
    let restored = std::fs::read_to_string(folder.path().join("other/secrets/jwt-secret")).unwrap();
    assert_eq!(restored.trim_end(), "the right secret");
}

#[tokio::test]
async fn a_backup_goes_where_files_go() {
    let folder = prepared().await;
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    for place in ["folder", "/dev/null", "missing/b.tar"] {
        let output = run(folder.path(), ["backup", place, "--data-dir", "data"]);
        assert_eq!(output.status.code(), Some(1), "{place}");
    }
    assert!(!Path::new("/dev/null.part").exists());
    eventually("nothing is left", || names(folder.path()) == ["b.tar", "data", "folder"]).await;
}
