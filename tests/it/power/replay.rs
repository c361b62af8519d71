//! Power that goes at any moment of a server's life: what was acknowledged is there when it comes back, and nothing by half.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use reqwest::Method;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::disk::{self, Disk, Luck, Tree};
use super::lab::{Lab, Observation, claim_code, observe, with_shim};
use super::log::{self, Call, Record};
use super::random::Random;
use crate::harness::process::{ServerProcess, run, tender};
use crate::harness::{Browser, Operator, PASSWORD, sha256};
use crate::uploads;

/// How many power cuts the usual test run tries of each story.
const SAMPLE: usize = 40;
/// How many are tried at once.
const AT_ONCE: usize = 4;

/// A power cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// How many calls were over.
    position: usize,
    luck: Luck,
    seed: u64,
    /// How many steps were acknowledged.
    acknowledged: usize,
}

impl Cut {
    /// What it leaves of a disk.
    fn tree(&self, disk: &Disk) -> Tree {
        let mut random = Random::new(self.seed);
        with_garbage(disk.after(self.luck, &mut random), &mut random)
    }
}

/// Power cuts at each moment; `without_doubles`: without those that leave the same as another one, which takes long to find out.
fn cuts(lab: &Lab, records: &[Record], seed: u64, without_doubles: bool) -> Vec<Cut> {
    let ends = acknowledgements(records);
    assert_eq!(ends.len(), lab.steps.len());
    let (mut random, mut known, mut cuts) = (Random::new(seed), HashSet::new(), Vec::new());
    let mut disk = lab.fresh();
    for position in 0..=records.len() {
        let acknowledged = ends.iter().filter(|end| **end < position).count();
        for luck in [Luck::None, Luck::All, Luck::Journal, Luck::Any, Luck::Any] {
            let cut = Cut { position, luck, seed: random.number(), acknowledged };
            let mut hasher = DefaultHasher::new();
            if without_doubles {
                // What is worth nothing makes no other cut.
                (disk.after(luck, &mut Random::new(cut.seed)), acknowledged).hash(&mut hasher);
            }
            if !without_doubles || known.insert(hasher.finish()) {
                cuts.push(cut);
            }
        }
        if let Some(record) = records.get(position).filter(|_| without_doubles) {
            disk.apply(record);
        }
    }
    cuts
}

fn name(record: &Record, lab: &Lab) -> String {
    let path = record.path.strip_prefix(lab.root()).unwrap_or(&record.path);
    format!("{:?} {}", record.call, path.display())
}

/// The shared memory of SQLite is in no log, and is worth nothing after a power cut: anything may be in it.
fn with_garbage(mut tree: Tree, random: &mut Random) -> Tree {
    for (path, contents) in &mut tree {
        if path.to_str().is_some_and(|path| path.ends_with("-shm"))
            && let Some(bytes) = contents
        {
            bytes.iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap());
        }
    }
    tree
}

/// Where in the log the client of each step had its answer: with the last that was sent to it, or, without a connection, when
/// the command was at its end.
fn acknowledgements(records: &[Record]) -> Vec<usize> {
    let (mut ends, mut last_sent) = (Vec::new(), None);
    for (position, record) in records.iter().enumerate() {
        match record.call {
            Call::Socket => last_sent = Some(position),
            Call::Mark => ends.push(last_sent.take().unwrap_or(position)),
            _ => {}
        }
    }
    ends
}

/// The log has all that was done: done again, it makes what is there.
fn assert_is_complete(lab: &Lab, records: &[Record]) {
    let mut disk = lab.fresh();
    for record in records {
        if record.call == Call::Map {
            assert!(record.path.to_str().unwrap().ends_with("-shm"), "{} was mapped", record.path.display());
        }
        disk.apply(record);
    }
    let without_shared_memory = |mut tree: Tree| {
        tree.retain(|path, _| !path.to_str().unwrap().ends_with("-shm"));
        tree
    };
    let replayed = without_shared_memory(disk.after(Luck::All, &mut Random::new(0)));
    let real = without_shared_memory(disk::read_tree(&lab.root()));
    assert_eq!(replayed.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    for (path, contents) in &real {
        assert!(replayed[path] == *contents, "{} is otherwise than it was written", path.display());
    }
}

/// What chance begins with.
pub fn seed() -> u64 {
    std::env::var("TENDER_POWER_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Tries power cuts: `revive` brings back what is there, and says what it finds.
pub async fn survive<R: Future<Output = ()> + Send + 'static>(
    lab: &Lab,
    sample: Option<usize>,
    revive: impl Fn(Arc<Revival>) -> R,
) {
    let seed = seed();
    let (begun, records) = (Instant::now(), log::read(&lab.log()));
    assert_is_complete(lab, &records);
    let all = cuts(lab, &records, seed, sample.is_none());
    let (count, calls) = (all.len(), records.len());
    let chosen = match sample {
        Some(size) => Random::new(seed).sample(all, size),
        None => all,
    };
    println!("{} of {count} power cuts in {calls} calls, seed {seed} (TENDER_POWER_SEED)", chosen.len());
    let (places, mut tasks, mut disk, mut done) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new(), lab.fresh(), 0);
    for cut in &chosen {
        records[done..cut.position].iter().for_each(|record| disk.apply(record));
        done = cut.position;
        let last = cut.position.checked_sub(1).map_or_else(String::new, |last| name(&records[last], lab));
        let allowed = match cut.acknowledged {
            0 => Vec::new(),
            steps => lab.steps[steps - 1..].iter().take(2).cloned().collect(),
        };
        let place = places.clone().acquire_owned().await.unwrap();
        let what = format!("power cut after call {} ({last}), {:?}, seed {}", cut.position, cut.luck, cut.seed);
        let revival = Arc::new(Revival::of(&cut.tree(&disk), what, cut.acknowledged, allowed));
        let reviving = revive(revival.clone());
        tasks.spawn(async move {
            let result = tokio::spawn(reviving).await;
            drop(place);
            result.is_err().then(|| revival.keep())
        });
        while let Some(ended) = tasks.try_join_next() {
            assert_eq!(ended.unwrap(), None);
        }
    }
    while let Some(ended) = tasks.join_next().await {
        assert_eq!(ended.unwrap(), None);
    }
    println!("{} power cuts were survived in {:?}", chosen.len(), begun.elapsed());
}

/// A disk after a power cut.
pub struct Revival {
    folder: tempfile::TempDir,
    what: String,
    /// How many steps were acknowledged.
    pub acknowledged: usize,
    /// How many packages may be damaged, as they were before.
    pub damaged: usize,
    /// What may be there: what was after the last step that was acknowledged, or after the one after it.
    allowed: Vec<(String, Observation)>,
}

impl Revival {
    /// A disk with this on it.
    pub fn of(tree: &Tree, what: String, acknowledged: usize, allowed: Vec<(String, Observation)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        disk::write_tree(tree, folder.path());
        Self { folder, what, acknowledged, damaged: 0, allowed }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// What was there is kept for whoever is to find out.
    fn keep(&self) -> String {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("power-cut");
        let _ = std::fs::remove_dir_all(&kept);
        disk::write_tree(&disk::read_tree(self.root()), &kept);
        format!("{}: see {}", self.what, kept.display())
    }

    /// A server on what is there.
    pub async fn serve(&self) -> ServerProcess {
        let mut command = tender(self.root());
        command.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0", "--scrub-rate", "off"]);
        with_shim(&mut command, self.root());
        ServerProcess::launch(command).await
    }

    /// What must be there is there, and nothing else.
    pub fn assert_nothing_is_lost(&self) -> Observation {
        let found = observe(&self.root().join("data"));
        if self.allowed.is_empty() || self.allowed.iter().any(|(_, allowed)| *allowed == found) {
            return found;
        }
        for (name, allowed) in &self.allowed {
            for (kind, rows) in allowed {
                let found = found.get(kind).cloned().unwrap_or_default();
                for row in rows.difference(&found) {
                    println!("{}: as after \"{name}\", but without {kind} {row}", self.what);
                }
                for row in found.difference(rows) {
                    println!("{}: as after \"{name}\", and with {kind} {row}", self.what);
                }
            }
        }
        panic!("{}: acknowledged, and not there", self.what);
    }

    /// A server starts, lets people in and delivers what it has; what is on the disk is what must be there, and is whole.
    pub async fn assert_is_as_acknowledged(&self, token: &str) {
        let (server, mut damaged) = (self.serve().await, 0);
        if self.acknowledged > 0 {
            damaged = deliver(&server.operator(token)).await;
        }
        server.kill();
        let found = self.assert_nothing_is_lost();
        let checked = run(self.root(), ["check", "--deep", "--data-dir", "data"]);
        let said = [&*String::from_utf8_lossy(&checked.stdout), &*String::from_utf8_lossy(&checked.stderr)].concat();
        // A row of the table, and what is known of its file.
        let uploads = found.get("uploads").map_or(0, |rows| rows.len() / 2);
        let lines =
            |word: &str| String::from_utf8_lossy(&checked.stdout).lines().filter(|line| line.contains(word)).count();
        let missing = lines("missing: ");
        assert_eq!((lines(".resumable"), lines("")), (uploads, uploads + missing), "{}: {said}", self.what);
        assert_eq!(checked.status.success(), missing == 0, "{}: {said}", self.what);
        // A file that was put back is known to be whole when it was read.
        assert!(missing <= damaged && damaged <= self.damaged, "{}: {said}", self.what);
    }
}

/// Each package that is said to be whole can be had; how many are said not to be.
async fn deliver(operator: &Operator) -> usize {
    let mut damaged = 0;
    let page = operator.get("/api/tender/v1/packages?limit=50").await.ok();
    for package in page["packages"].as_array().unwrap() {
        if package["state"] != "whole" {
            damaged += 1;
            continue;
        }
        let package = operator.show_package(package["id"].as_i64().unwrap()).await;
        let metadata = &package["metadata"];
        let uuid = metadata["rdfm.storage.local.uuid"].as_str().unwrap();
        let directory = metadata["rdfm.storage.directory"].as_str();
        let path = directory.map_or_else(|| uuid.to_owned(), |directory| format!("{directory}/{uuid}"));
        let reply = operator.get(&format!("/local_storage/{path}")).await;
        assert_eq!((reply.status, sha256(&reply.body).as_str()), (200, package["sha256"].as_str().unwrap()));
    }
    damaged
}

/// A server's life, from the first start on.
async fn life() -> (Lab, String) {
    let mut lab = Lab::new();
    let token = lab.create_token();
    lab.acknowledged("a token was made");
    let server = lab.serve().await;
    lab.acknowledged("the server was started");
    let code = claim_code(&server).await;
    Browser::new(&server.url).claim(&code, "anna", PASSWORD).await.ok();
    lab.acknowledged("the server was claimed");
    let operator = server.operator(&token);
    let mut device = server.device("00:11:22:33:44:55");
    device.authorize().await.error(401);
    lab.acknowledged("a device asked to be let in");
    operator.accept(&device).await;
    lab.acknowledged("the device was accepted");
    device.authorize().await.ok();
    let contents: Vec<u8> = crate::harness::contents(100_000);
    let package = operator.package("v1", &[("rdfm.storage.directory", "site a/images")], &contents).await;
    lab.acknowledged("a package was published");
    let group = operator.post("/api/v1/groups", json!({ "name": "g" })).await.ok()["id"].clone();
    lab.acknowledged("a group was made");
    let path = format!("/api/v1/groups/{group}");
    let id = operator.device_id(&device).await;
    operator.patch(&format!("{path}/devices"), json!({ "add": [id], "remove": [] })).await.ok();
    lab.acknowledged("the device was assigned");
    operator.post(&format!("{path}/package"), json!({ "packages": [package] })).await.ok();
    lab.acknowledged("the package was assigned");
    operator.post(&format!("{path}/policy"), json!({ "policy": "exact_match,v1" })).await.ok();
    lab.acknowledged("the policy was set");
    let server = resumed_and_killed(&mut lab, server, &token).await;
    let operator = server.operator(&token);
    operator.post(&format!("{path}/package"), json!({ "packages": [] })).await.ok();
    lab.acknowledged("the package was taken from the group");
    operator.delete(&format!("/api/v1/packages/{package}")).await.ok();
    lab.acknowledged("the package was removed");
    end(&mut lab, server, &operator).await;
    (lab, token)
}

/// An upload that goes on after the server was killed.
async fn resumed_and_killed(lab: &mut Lab, server: ServerProcess, token: &str) -> ServerProcess {
    let operator = server.operator(token);
    let contents = crate::harness::contents(50_000);
    let about = [("filename", "image.img"), ("rdfm.software.version", "v2"), ("rdfm.hardware.devtype", "dummy")];
    let upload = uploads::begin_with(&operator, contents.len(), &about).await;
    lab.acknowledged("an upload was begun");
    assert_eq!(uploads::append(&operator, &upload, 0, &contents[..20_000]).await.status, 204);
    lab.acknowledged("some of it was sent");
    server.kill();
    let server = lab.serve().await;
    lab.acknowledged("the server was killed and started");
    let operator = server.operator(token);
    assert_eq!(uploads::append(&operator, &upload, 20_000, &contents[20_000..]).await.status, 204);
    lab.acknowledged("the rest was sent");
    let metadata = [("rdfm.software.version", "v2"), ("rdfm.hardware.devtype", "dummy")];
    uploads::finish(&operator, &upload, &metadata).await.ok();
    lab.acknowledged("a package was made of it");
    server
}

/// A token goes, the server stops in order, and starts again.
async fn end(lab: &mut Lab, mut server: ServerProcess, operator: &Operator) {
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    lab.acknowledged("the server stopped");
    let listed = lab.succeed(["token", "create", "--data-dir", "data", "--name", "other", "--scope", "rdfm_admin_ro"]);
    lab.acknowledged("another token was made");
    let server = lab.serve().await;
    let other = server.operator(&listed);
    other.get("/api/v1/devices").await.ok();
    let operator = server.operator(&operator.token);
    let request = operator.request(Method::GET, "/api/v1/groups");
    operator.send(request).await.ok();
    lab.acknowledged("both are let in");
    drop(server);
    let tokens = lab.succeed(["token", "list", "--data-dir", "data"]);
    let line = tokens.lines().find(|line| line.contains("other")).expect("its line");
    let id = line.split_whitespace().next().unwrap();
    lab.succeed(["token", "revoke", "--data-dir", "data", id]);
    lab.acknowledged("the other token was revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_power_cuts() {
    let (lab, token) = life().await;
    survive(&lab, Some(SAMPLE), |revival| {
        let token = token.clone();
        async move { revival.assert_is_as_acknowledged(&token).await }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tries all power cuts, which takes minutes"]
async fn what_was_acknowledged_survives_every_power_cut() {
    let (lab, token) = life().await;
    survive(&lab, None, |revival| {
        let token = token.clone();
        async move { revival.assert_is_as_acknowledged(&token).await }
    })
    .await;
}
