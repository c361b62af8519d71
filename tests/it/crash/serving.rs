//! A server at work dies at each fail point.

use std::path::PathBuf;
use std::slice;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::matrix::{Work, deaths};
use super::site::{Site, assert_sound};
use super::workers::{Died, Publisher, Registrar, Resumer, TokenHolder, Worker};
use crate::harness::client::Client;
use crate::harness::process::{ServerProcess, package_files_below, run};
use crate::harness::{Browser, Operator, PASSWORD, eventually, form, metadata, sha256};

impl Worker {
    /// Does this work, with what has to be done before it.
    async fn act(&mut self, work: Work, operator: &Operator) -> Result<(), Died> {
        match (work, self) {
            (Work::Publish, Self::Publisher(publisher)) => publisher.upload(operator).await,
            (Work::RemovePackage, Self::Publisher(publisher)) => publisher.remove(operator).await,
            (Work::BeginUpload, Self::Resumer(resumer)) => resumer.begin(operator).await,
            (Work::Append, Self::Resumer(resumer)) => resumer.append(operator).await,
            (Work::FinishUpload, Self::Resumer(resumer)) => resumer.finish(operator).await,
            (Work::DiscardUpload, Self::Resumer(resumer)) => resumer.discard(operator).await,
            (Work::Register, Self::Registrar(registrar)) => registrar.register(operator).await,
            (Work::Accept, Self::Registrar(registrar)) => registrar.accept(operator).await,
            (Work::RemoveDevice, Self::Registrar(registrar)) => registrar.remove(operator).await,
            (Work::CreateGroup, Self::Registrar(registrar)) => registrar.create_group(operator).await,
            (Work::AddDevices, Self::Registrar(registrar)) => registrar.add_devices(operator).await,
            (Work::MoveDevices, Self::Registrar(registrar)) => registrar.move_devices(operator).await,
            (Work::SetPackages, Self::Registrar(registrar)) => registrar.set_packages(operator).await,
            (Work::SetPolicy, Self::Registrar(registrar)) => registrar.set_policy(operator).await,
            (work, _) => panic!("nobody here does this: {work:?}"),
        }
    }
}

/// Has servers die at each point that these works reach, and checks after each.
async fn die_at_each(site: &Site, works: &[Work], mut worker: Worker) {
    for (way, work, death) in deaths(works) {
        let mut server = site.start_doomed(way, death).await;
        site.check(&server, slice::from_mut(&mut worker)).await;
        let operator = site.operator(&server);
        // Once or twice it may be something else's turn: what is full is emptied, what is set is taken back.
        for _ in 0..3 {
            if worker.act(work, &operator).await.is_err() {
                break;
            }
        }
        death.assert(server.status().await, way);
    }
    let server = site.start().await;
    site.check(&server, slice::from_mut(&mut worker)).await;
    worker.work(&site.operator(&server), 1).await.unwrap();
}

#[tokio::test]
async fn at_each_step_of_an_upload_by_form() {
    die_at_each(&Site::new(), &[Work::Publish], Worker::Publisher(Publisher::new("publisher"))).await;
}

#[tokio::test]
async fn at_each_step_of_a_removal() {
    die_at_each(&Site::new(), &[Work::RemovePackage], Worker::Publisher(Publisher::new("publisher"))).await;
}

#[tokio::test]
async fn at_each_step_of_an_upload_that_is_resumed() {
    let works = [Work::BeginUpload, Work::Append, Work::FinishUpload, Work::DiscardUpload];
    die_at_each(&Site::new(), &works, Worker::Resumer(Resumer::new("resumer", 1))).await;
}

/// A registrar whose package is there.
pub async fn registrar(operator: &Operator, number: u8) -> Worker {
    let contents = super::workers::contents("the base", 30_000);
    let package = operator.package("base", &[], &contents).await;
    Worker::Registrar(Box::new(Registrar::new(&format!("registrar {number}"), number, (package, sha256(&contents)))))
}

#[tokio::test]
async fn at_each_step_of_a_registration() {
    let site = Site::new();
    let worker = registrar(&site.operator(&site.start().await), 1).await;
    die_at_each(&site, &[Work::Register, Work::Accept, Work::RemoveDevice], worker).await;
}

#[tokio::test]
async fn at_each_step_of_an_assignment_and_of_a_policy() {
    let site = Site::new();
    let server = site.start().await;
    let operator = site.operator(&server);
    let mut worker = registrar(&operator, 1).await;
    for _ in 0..2 {
        worker.act(Work::Accept, &operator).await.unwrap();
    }
    drop(server);
    die_at_each(&site, &[Work::AddDevices, Work::MoveDevices, Work::SetPackages, Work::SetPolicy], worker).await;
}

#[tokio::test]
async fn at_each_step_of_a_new_group() {
    let site = Site::new();
    let mut workers = Vec::new();
    for (number, (way, work, death)) in (1..).zip(deaths(&[Work::CreateGroup])) {
        // Each has one group, so another one creates the next.
        workers.push(registrar(&site.operator(&site.start().await), number).await);
        let mut server = site.start_doomed(way, death).await;
        site.check(&server, &mut workers).await;
        let operator = site.operator(&server);
        assert!(workers.last_mut().expect("one came").act(work, &operator).await.is_err());
        death.assert(server.status().await, way);
    }
    site.check(&site.start().await, &mut workers).await;
}

#[tokio::test]
async fn at_each_step_of_the_healing_of_a_damaged_package() {
    let site = Site::new();
    let contents = super::workers::contents("whole", 50_000);
    let server = site.start().await;
    let package = site.operator(&server).package("v1", &[], &contents).await;
    let path = package_files_below(&site.data().join("packages")).remove(0);
    server.kill();
    let state = async |operator: &Operator| {
        let package = operator.get(&format!("/api/tender/v1/packages/{package}")).await.ok();
        package["state"].as_str().unwrap().to_owned()
    };
    let reaches = async |operator: &Operator, wanted: &str| {
        while state(operator).await != wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    for (way, _, death) in deaths(&[Work::Heal]) {
        std::fs::write(&path, &contents[1..]).unwrap();
        let mut server = site.start_doomed(way, death).await;
        let operator = site.operator(&server);
        reaches(&operator, "corrupt").await;
        let request = operator.upload_request(form(&metadata("v1"), Some(&contents)));
        assert!(request.send().await.is_err(), "{way}");
        death.assert(server.status().await, way);

        let found = std::fs::read(&path).unwrap();
        assert!(found == contents || found == contents[1..], "{} bytes", found.len());
        let server = site.start().await;
        let operator = site.operator(&server);
        if found == contents {
            reaches(&operator, "whole").await;
        } else {
            operator.upload(form(&metadata("v1"), Some(&contents))).await.ok();
        }
        assert_eq!(state(&operator).await, "whole");
        site.check(&server, &mut []).await;
        // The others of the same bytes would be healed with it.
        for other in operator.get("/api/v1/packages").await.ok().as_array().unwrap() {
            if other["id"] != package {
                operator.delete(&format!("/api/v1/packages/{}", other["id"])).await.ok();
            }
        }
    }
}

#[tokio::test]
async fn at_each_step_of_giving_a_token_back() {
    let site = Site::new();
    let create = ["client", "create", "ci", "--scope", "rdfm_admin_ro", "--data-dir", "data"];
    let created: serde_json::Value = serde_json::from_slice(&run(site.path(), create).stdout).unwrap();
    let client = |server: &ServerProcess| {
        let [id, secret] = ["client_id", "client_secret"].map(|name| created[name].as_str().unwrap());
        Client::new(&server.url, id, secret)
    };
    let mut holder = TokenHolder::default();
    for (way, _, death) in deaths(&[Work::GiveTokenBack]) {
        let mut server = site.start_doomed(way, death).await;
        holder.compare(&server).await;
        assert!(holder.give_back(&client(&server)).await.is_err(), "{way}");
        death.assert(server.status().await, way);
        site.check(&site.start().await, &mut []).await;
    }
    let server = site.start().await;
    holder.give_back(&client(&server)).await.unwrap();
    server.kill();
    holder.compare(&site.start().await).await;
}

/// The code that a server prints which nobody has claimed.
async fn claim_code(server: &ServerProcess) -> String {
    let code = || Some(server.log().split_once("/#claim=")?.1.lines().next()?.to_owned());
    eventually("the code is printed", || code().is_some()).await;
    code().expect("it was there a moment ago")
}

#[tokio::test]
async fn at_each_step_of_the_claim() {
    for (way, _, death) in deaths(&[Work::Claim]) {
        let site = Site::new();
        let mut server = site.start_doomed(way, death).await;
        let code = claim_code(&server).await;
        let body = json!({ "code": code, "name": "anna", "password": PASSWORD });
        let browser = Browser::new(&server.url);
        let claiming = browser.request(Method::POST, "/api/tender/v1/claim").json(&body).send().await;
        assert!(claiming.is_err(), "{way}");
        death.assert(server.status().await, way);

        let server = site.start().await;
        site.check(&server, &mut []).await;
        let mut browser = Browser::new(&server.url);
        let setup = browser.get("/api/tender/v1/session").await.ok()["setup"].clone();
        let is_claimed = way.ends_with("write.committed");
        assert_eq!(setup, if is_claimed { "done" } else { "open" }, "{way}");
        if !is_claimed {
            let code = claim_code(&server).await;
            assert_eq!(browser.claim(&code, "anna", PASSWORD).await.status, 200, "{way}");
        }
        server.kill();
        // Whatever it was: who was answered may log in.
        let server = site.start().await;
        let mut browser = Browser::new(&server.url);
        assert_eq!(browser.log_in("anna", PASSWORD).await.status, 200, "{way}");
        assert_eq!(browser.user().await.as_deref(), Some("anna"));
    }
}

/// The complete backups in a folder, and everything else there.
fn backups(folder: &std::path::Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.partition(|path| path.extension().is_some_and(|extension| extension == "tar"))
}

#[tokio::test]
async fn at_each_step_of_a_backup_that_the_server_makes() {
    let site = Site::with_arguments(&["--backup-folder", "backups", "--backup-keep", "1"]);
    let folder = site.path().join("backups");
    let finished = async || {
        let is_noted = || {
            let database = super::site::open(&site.data());
            let noted =
                database.query_row("SELECT count(*) FROM facts WHERE name = 'last_backup'", [], |row| row.get(0));
            noted == Ok(1)
        };
        eventually("a backup is noted", is_noted).await;
    };
    let server = site.start().await;
    let mut worker = Worker::Publisher(Publisher::new("publisher"));
    worker.act(Work::Publish, &site.operator(&server)).await.unwrap();
    finished().await;
    server.kill();
    for (way, _, death) in deaths(&[Work::ScheduledBackup]) {
        // It is due again, and the one before has a name of its own.
        let database = rusqlite::Connection::open(site.data().join("tender.sqlite")).unwrap();
        database.execute("DELETE FROM facts WHERE name = 'last_backup'", []).unwrap();
        drop(database);
        for path in backups(&folder).0 {
            let name = path.file_name().unwrap().to_str().unwrap();
            let (start, end) = name.split_at(name.rfind('T').unwrap() - 8);
            let older = format!("{start}2020{}", &end[4..]);
            std::fs::rename(&path, folder.join(older)).unwrap();
        }
        let mut server = site.start_doomed(way, death).await;
        death.assert(server.status().await, way);
        let (complete, _) = backups(&folder);
        assert!(!complete.is_empty(), "{way}: there is always one");
        for path in complete {
            let verified = run(site.path(), ["restore".as_ref(), path.as_os_str(), "--verify".as_ref()]);
            assert_eq!(verified.status.code(), Some(0), "{way}: {}", String::from_utf8_lossy(&verified.stderr));
        }
        let server = site.start().await;
        site.check(&server, slice::from_mut(&mut worker)).await;
        finished().await;
        let (complete, others) = backups(&folder);
        assert_eq!((complete.len(), others), (1, Vec::new()), "{way}: what was broken off is cleared away");
        server.kill();
    }
    assert_sound(&site.data());
}
