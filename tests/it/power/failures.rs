//! Disks that fail at any call: whoever asked is told so or has what was asked for, nothing is spoiled, and the server goes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use reqwest::Method;
use rustix::io::Errno;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::disk::{self, Disk, Luck, Tree};
use super::faults::Fault;
use super::lab::{Lab, Observation, claim_code, observe};
use super::log::{self, Call};
use super::random::Random;
use super::replay::{self, Revival};
use crate::harness::process::ServerProcess;
use crate::harness::{Browser, Device, Operator, PASSWORD, Reply, contents, form, metadata};
use crate::uploads;

/// How many failures the usual test run tries.
const SAMPLE: usize = 14;
/// How many are tried at once.
const AT_ONCE: usize = 4;

/// All calls that a disk may fail at.
const CALLS: &[Call] = &[
    Call::Truncate,
    Call::Write,
    Call::Sync,
    Call::SyncDirectory,
    Call::Rename,
    Call::Link,
    Call::Unlink,
    Call::MakeDirectory,
    Call::Allocate,
    Call::Open,
];

/// What fails, and how.
const TROUBLES: [(&[Call], Errno, bool); 7] = [
    (CALLS, Errno::IO, false),
    (CALLS, Errno::IO, true),
    (CALLS, Errno::NOSPC, false),
    (CALLS, Errno::NOSPC, true),
    (CALLS, Errno::DQUOT, true),
    (&[Call::Open], Errno::MFILE, false),
    (&[Call::Open], Errno::MFILE, true),
];

/// What is done while the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Publish,
    PublishAgain,
    BeginUpload,
    Append,
    Finish,
    Discard,
    RemovePackage,
    MakeGroup,
    Assign,
    SetPolicy,
    Accept,
    Claim,
    Download,
    Check,
}

const ACTS: [Act; 14] = [
    Act::Publish,
    Act::PublishAgain,
    Act::BeginUpload,
    Act::Append,
    Act::Finish,
    Act::Discard,
    Act::RemovePackage,
    Act::MakeGroup,
    Act::Assign,
    Act::SetPolicy,
    Act::Accept,
    Act::Claim,
    Act::Download,
    Act::Check,
];

/// An installation in which all of that can be done.
struct Site {
    tree: Tree,
    token: String,
    /// Accepted, and assigned to the group.
    device: Device,
    /// Waits to be accepted.
    stranger: Device,
    group: i64,
    /// Where what the group has is downloaded.
    address: String,
    /// Its bytes are not what they were, and the server knows.
    damaged: Vec<u8>,
    /// Nobody needs it.
    package: i64,
    /// Some of it has come, and all.
    begun: String,
    complete: String,
}

impl Site {
    async fn new() -> Self {
        let lab = Lab::new();
        let token = lab.create_token();
        let server = lab.serve().await;
        let operator = server.operator(&token);
        let [mut device, mut stranger] =
            ["00:11:22:33:44:55", "00:11:22:33:44:66"].map(|address| server.device(address));
        device.authorize().await.error(401);
        operator.accept(&device).await;
        device.authorize().await.ok();
        stranger.authorize().await.error(401);
        let offered = operator.package("v1", &[("rdfm.storage.directory", "site a")], &contents(40_000)).await;
        let group = operator.group(&[operator.device_id(&device).await], &[offered], "exact_match,v1").await;
        let shown = operator.show_package(offered).await;
        let address =
            format!("/local_storage/site a/{}", shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
        let package = operator.package("v3", &[], &contents(30_000)).await;
        let damaged = contents(20_000);
        let spoiled = operator.package("v4", &[], &damaged).await;
        let about = [("filename", "image.img"), ("rdfm.software.version", "v2"), ("rdfm.hardware.devtype", "dummy")];
        let begun = uploads::begin_with(&operator, 60_000, &about).await;
        assert_eq!(uploads::append(&operator, &begun, 0, &contents(25_000)).await.status, 204);
        let complete = uploads::begin_with(&operator, 10_000, &about).await;
        assert_eq!(uploads::append(&operator, &complete, 0, &contents(10_000)).await.status, 204);
        let shown = operator.show_package(spoiled).await;
        let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
        std::fs::remove_file(lab.root().join("data/packages").join(uuid)).unwrap();
        server.kill();
        // The start finds out that one is missing.
        let server = lab.serve().await;
        let operator = server.operator(&token);
        let is_known = async || {
            let page = operator.get("/api/tender/v1/packages?limit=50").await.ok();
            page["packages"].as_array().unwrap().iter().any(|package| package["state"] == "missing")
        };
        while !is_known().await {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        server.kill();
        Self {
            tree: disk::read_tree(&lab.root()),
            token,
            device,
            stranger,
            group,
            address,
            damaged,
            package,
            begun,
            complete,
        }
    }

    async fn act(&self, act: Act, server: &ServerProcess) -> Reply {
        let operator = server.operator(&self.token);
        let group = format!("/api/v1/groups/{}", self.group);
        match act {
            Act::Publish => {
                let more = [metadata("v5"), vec![("rdfm.storage.directory", "site b/images")]].concat();
                operator.upload(form(&more, Some(&contents(50_000)))).await
            }
            Act::PublishAgain => operator.upload(form(&metadata("v4"), Some(&self.damaged))).await,
            Act::BeginUpload => {
                let request = uploads::request(&operator, Method::POST, "/api/tender/v1/uploads");
                operator.send(request.header("Upload-Length", 1_000)).await
            }
            Act::Append => uploads::append(&operator, &self.begun, 25_000, &contents(60_000)[25_000..]).await,
            Act::Finish => uploads::finish(&operator, &self.complete, &metadata("v2")).await,
            Act::Discard => operator.send(uploads::request(&operator, Method::DELETE, &self.begun)).await,
            Act::RemovePackage => operator.delete(&format!("/api/v1/packages/{}", self.package)).await,
            Act::MakeGroup => operator.post("/api/v1/groups", json!({ "name": "another" })).await,
            Act::Assign => operator.post(&format!("{group}/package"), json!({ "packages": [self.package] })).await,
            Act::SetPolicy => operator.post(&format!("{group}/policy"), json!({ "policy": "no_update," })).await,
            Act::Accept => {
                let body = json!({
                    "mac_address": self.stranger.mac_address, "public_key": self.stranger.public_key_pem()
                });
                operator.post("/api/v1/auth/register", body).await
            }
            Act::Claim => {
                let code = claim_code(server).await;
                Browser::new(&server.url).claim(&code, "anna", PASSWORD).await
            }
            Act::Download => operator.get(&self.address).await,
            Act::Check => {
                let request = server.anonymous().request(Method::POST, "/api/v1/update/check");
                let token = self.device.token.as_deref().unwrap();
                let request = request.header("Authorization", format!("Bearer token={token}"));
                operator.send(request.json(&self.device.metadata)).await
            }
        }
    }

    async fn lab(&self) -> Lab {
        let mut lab = Lab::prepared(async |root| disk::write_tree(&self.tree, root)).await;
        lab.acknowledged("what was there");
        lab
    }

    /// How many calls there are to fail at.
    async fn calls(&self, act: Act, calls: &'static [Call]) -> u32 {
        let lab = self.lab().await;
        let server = lab.serve().await;
        let never = Fault { calls, first: u32::MAX, goes_on: false, error: Errno::IO, is_partial: false, path: "" };
        lab.faults().set(&never);
        let reply = self.act(act, &server).await;
        assert!(reply.status < 400, "{act:?}: {reply:?}");
        lab.faults().seen()
    }
}

/// What is tried.
#[derive(Debug, Clone, Copy)]
struct Trial {
    act: Act,
    fault: Fault,
    seed: u64,
}

/// The audit log also has what was refused.
fn without_log(mut observation: Observation) -> Observation {
    observation.remove("audit_log");
    observation
}

impl Trial {
    async fn run(self, site: &Site) {
        let mut lab = site.lab().await;
        let (server, before) = (lab.serve().await, without_log(observe(&lab.root().join("data"))));
        lab.faults().set(&self.fault);
        let reply = site.act(self.act, &server).await;
        let has_failed = lab.faults().failed() > 0;
        lab.faults().clear();
        self.judge(&reply, has_failed);
        let data = lab.root().join("data");
        if reply.status >= 400 {
            let doubtful = self.fault.calls.contains(&Call::Sync);
            let after = without_log(observe(&data));
            // What could not be put on disk may be there all the same; then all of it must be.
            assert!(doubtful || after == before, "{self:?}: refused, and done all the same");
            self.revive(&lab, Luck::All, None, &site.token).await;
        } else {
            lab.acknowledged("acknowledged while the disk failed");
            self.revive(&lab, Luck::None, lab.steps.last().map(|(_, seen)| seen), &site.token).await;
        }
        self.recovers(&mut lab, &server, site).await;
        drop(server);
        for luck in [Luck::None, Luck::Any] {
            self.revive(&lab, luck, lab.steps.last().map(|(_, seen)| seen), &site.token).await;
        }
    }

    /// The answer is the one that was asked for, or says what is wrong.
    fn judge(&self, reply: &Reply, has_failed: bool) {
        if reply.status < 400 {
            return;
        }
        assert!(has_failed, "{self:?}: {reply:?}");
        let expected: &[u16] = match self.fault.error {
            // Of a quota, and of a sync for which there is no room, SQLite only tells that the disk takes nothing.
            Errno::NOSPC | Errno::DQUOT => &[503, 507],
            _ => &[503],
        };
        assert!(
            expected.contains(&reply.status),
            "{self:?}: {} {}",
            reply.status,
            String::from_utf8_lossy(&reply.body)
        );
    }

    /// Without a restart, everything works again.
    async fn recovers(&self, lab: &mut Lab, server: &ServerProcess, site: &Site) {
        let operator: Operator = server.operator(&site.token);
        operator.post("/api/v1/groups", json!({ "name": "afterwards" })).await.ok();
        operator.package("v9", &[("rdfm.storage.directory", "site c")], &contents(3_000)).await;
        operator.get("/api/v1/devices").await.ok();
        assert_eq!(site.act(Act::Download, server).await.status, 200, "{self:?}");
        let again = site.act(self.act, server).await.status;
        assert!(again < 500, "{self:?}: {again} when it was tried again");
        assert_eq!(server.anonymous().get("/health/ready").await.ok()["status"], "ready");
        lab.acknowledged("the disk works again");
    }

    /// The power goes now: what is there then is whole, and has what was acknowledged.
    async fn revive(&self, lab: &Lab, luck: Luck, expected: Option<&Observation>, token: &str) {
        let mut disk = lab.fresh();
        log::read(&lab.log()).iter().for_each(|record| disk.apply(record));
        self.revive_from(&disk, luck, expected, token).await;
    }

    /// The power goes from this disk.
    async fn revive_from(&self, disk: &Disk, luck: Luck, expected: Option<&Observation>, token: &str) {
        let tree = disk.after(luck, &mut Random::new(self.seed));
        let allowed = expected.map(|seen| ("all that was acknowledged".to_owned(), seen.clone()));
        let what = format!("{self:?}, then {luck:?}");
        let mut revival = Revival::of(&tree, what, 1, allowed.into_iter().collect());
        revival.damaged = 1;
        revival.assert_is_as_acknowledged(token).await;
    }
}

async fn trials(site: &Site) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut random = Random::new(replay::seed());
    // One of them alone, for whoever looks for a fault.
    let only = std::env::var("TENDER_POWER_ACT").ok();
    for act in ACTS.into_iter().filter(|act| only.as_ref().is_none_or(|only| *only == format!("{act:?}"))) {
        let (all, opened) = (site.calls(act, CALLS).await, site.calls(act, &[Call::Open]).await);
        for (calls, error, goes_on) in TROUBLES {
            for first in 1..=if calls == CALLS { all } else { opened } {
                let is_partial = error != Errno::IO && random.bool();
                let fault = Fault { calls, first, goes_on, error, is_partial, path: "" };
                trials.push(Trial { act, fault, seed: random.number() });
            }
        }
    }
    trials
}

async fn try_all(sample: Option<usize>) {
    let (begun, site) = (Instant::now(), Arc::new(Site::new().await));
    let all = trials(&site).await;
    let count = all.len();
    let chosen = match sample {
        Some(size) => Random::new(replay::seed()).sample(all, size),
        None => all,
    };
    println!("{} of {count} failures, seed {} (TENDER_POWER_SEED)", chosen.len(), replay::seed());
    let (places, mut tasks, tried) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new(), chosen.len());
    for trial in chosen {
        let (site, place) = (site.clone(), places.clone().acquire_owned().await.unwrap());
        tasks.spawn(async move {
            let begun = Instant::now();
            let result = tokio::spawn(async move { trial.run(&site).await }).await;
            if std::env::var_os("TENDER_POWER_ACT").is_some() {
                println!("{:?} of {:?}: {:?}", trial.fault.first, trial.act, begun.elapsed());
            }
            drop(place);
            result.is_err().then_some(trial)
        });
    }
    let failed: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    for trial in &failed {
        println!("failed: {trial:?}");
    }
    assert_eq!(failed.len(), 0, "of {tried}");
    println!("{tried} failures were survived in {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_at_a_call_spoils_nothing() {
    try_all(Some(SAMPLE)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "has every call fail in every way, which takes minutes"]
async fn a_disk_that_fails_at_any_call_spoils_nothing() {
    try_all(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_which_nobody_knows_whether_it_is_on_disk_keeps_its_file() {
    let site = Site::new().await;
    for act in [Act::Publish, Act::Finish] {
        let lab = site.lab().await;
        let server = lab.serve().await;
        let fault =
            Fault { calls: &[Call::Sync], first: 1, goes_on: true, error: Errno::IO, is_partial: false, path: "-wal" };
        lab.faults().set(&fault);
        let (trial, begun) = (Trial { act, fault, seed: replay::seed() }, log::read(&lab.log()).len());
        site.act(act, &server).await.error(503);
        let (records, mut disk, mut is_in_doubt) = (log::read(&lab.log()), lab.fresh(), false);
        for (position, record) in records.iter().enumerate() {
            disk.apply(record);
            is_in_doubt |= position >= begun && record.call == Call::LostSync;
            if is_in_doubt && record.call != Call::Socket {
                // The commit is in the journal, as far as whoever opens it now can tell.
                trial.revive_from(&disk, Luck::All, None, &site.token).await;
            }
        }
        assert!(is_in_doubt);
        // Then the disk works again, and what was refused is decided by the next commit: it did not happen.
        lab.faults().clear();
        server.operator(&site.token).post("/api/v1/groups", json!({})).await.ok();
        let is_gone = || {
            let now = disk::read_tree(&lab.root().join("data/packages"));
            let is_new = |path: &PathBuf| !site.tree.contains_key(&Path::new("data/packages").join(path));
            now.iter().all(|(path, contents)| contents.is_none() || !is_new(path))
        };
        crate::harness::eventually("what was refused is cleared away", is_gone).await;
    }
}
