//! Power that goes while commands work: upgrades, backups, restores and rotations end as they were before or as they are after.

use std::collections::BTreeSet;
use std::path::Path;

use rustix::io::Errno;

use super::disk::{Disk, Luck, write_tree};
use super::faults::Fault;
use super::lab::{Lab, Observation, observe};
use super::log::{self, Call};
use super::random::Random;
use super::replay::{self, Revival, survive};
use crate::harness::contents;
use crate::harness::process::{assert_refused, run};
use crate::store::upgrade;

/// How many power cuts the usual test run tries of each story.
const SAMPLE: usize = 15;

fn succeed(folder: &Path, words: &[&str]) {
    let output = run(folder, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn upgraded() -> Lab {
    let prepare = async |root: &Path| {
        std::fs::create_dir(root.join("data")).unwrap();
        // Its packages are lost, and somebody has said so.
        std::fs::create_dir(root.join("data/packages")).unwrap();
        std::fs::write(root.join("data/packages/.tender"), "").unwrap();
        drop(upgrade::make(&root.join("data/tender.sqlite"), 7));
    };
    let mut lab = Lab::prepared(prepare).await;
    let mut server = lab.serve().await;
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    lab.acknowledged("the database was upgraded");
    lab
}

async fn upgrade_survives(sample: Option<usize>) {
    let lab = upgraded().await;
    let mut expected = lab.steps[0].1.clone();
    let snapshots = expected.remove("files").expect("a snapshot");
    assert!(snapshots.iter().any(|file| file.starts_with("snapshots/0001-schema-7.sqlite")), "{snapshots:?}");
    survive(&lab, sample, |revival| {
        let expected = expected.clone();
        async move {
            revival.serve().await.kill();
            let mut found = observe(&revival.root().join("data"));
            let files = found.remove("files").unwrap_or_default();
            assert_eq!(found, expected);
            let has_snapshot = files.iter().any(|file| file.starts_with("snapshots/0001-schema-7.sqlite"));
            assert!(has_snapshot, "it was upgraded, and is not kept as it was");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_survives_power_cuts() {
    upgrade_survives(Some(SAMPLE)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tries all power cuts, which takes minutes"]
async fn an_upgrade_survives_every_power_cut() {
    upgrade_survives(None).await;
}

/// A disk on which an upgrade was rolled back, and what was there before and after, without files.
async fn rolled_back() -> (Lab, [Observation; 2]) {
    let upgraded = upgraded().await;
    let rows = |root: &Path| {
        let mut seen = observe(&root.join("data"));
        seen.remove("files");
        seen
    };
    let after = rows(&upgraded.root());
    let server = upgraded.serve().await;
    server.operator(&upgraded.create_token()).group(&[], &[], "no_update,").await;
    server.kill();
    let tree = super::disk::read_tree(&upgraded.root());
    let mut lab = Lab::prepared(async |root| write_tree(&tree, root)).await;
    let before = rows(&lab.root());
    assert_ne!(before, after);
    lab.succeed(["rollback", "--data-dir", "data", "--yes"]);
    lab.acknowledged("rolled back");
    (lab, [before, after])
}

async fn rollback_survives(sample: Option<usize>) {
    let (lab, states) = rolled_back().await;
    survive(&lab, sample, |revival| {
        let [before, after] = states.clone();
        async move {
            // It upgrades what was rolled back once more, whatever there is of it.
            revival.serve().await.kill();
            let mut found = observe(&revival.root().join("data"));
            found.remove("files");
            let is_as_before = revival.acknowledged == 0 && found == before;
            assert!(is_as_before || found == after, "{found:?} instead of {after:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_survives_power_cuts() {
    rollback_survives(Some(SAMPLE)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tries all power cuts, which takes minutes"]
async fn a_rollback_survives_every_power_cut() {
    rollback_survives(None).await;
}

async fn backed_up() -> Lab {
    let source = Lab::new();
    let token = source.create_token();
    let server = source.serve().await;
    let operator = server.operator(&token);
    operator.package("v1", &[("rdfm.storage.directory", "site a/images")], &contents(40_000)).await;
    operator.package("v2", &[], &contents(20_000)).await;
    drop(server);
    let tree = super::disk::read_tree(&source.root());
    let mut lab = Lab::prepared(async |root| write_tree(&tree, root)).await;
    for name in ["backed up", "backed up again"] {
        lab.succeed(["backup", "b.tar", "--data-dir", "data"]);
        lab.acknowledged(name);
    }
    lab.succeed(["restore", "b.tar", "--data-dir", "other"]);
    lab.acknowledged("restored");
    lab
}

async fn backups_survive(sample: Option<usize>) {
    let lab = backed_up().await;
    let restored = observe(&lab.root().join("other"));
    survive(&lab, sample, |revival| {
        let restored = restored.clone();
        async move { assert_backup_is_good(&revival, &restored) }
    })
    .await;
}

fn assert_backup_is_good(revival: &Revival, restored: &Observation) {
    let root = revival.root();
    succeed(root, &["check", "--deep", "--data-dir", "data"]);
    if !root.join("b.tar").exists() {
        assert_eq!(revival.acknowledged, 0, "the backup was acknowledged");
        return;
    }
    succeed(root, &["restore", "b.tar", "--verify"]);
    let other = root.join("other");
    let is_complete = other.join("tender.sqlite").exists() && !other.join(".restoring").exists();
    assert!(is_complete || revival.acknowledged < 3, "the restore was acknowledged");
    if !is_complete {
        succeed(root, &["restore", "b.tar", "--data-dir", "other"]);
    }
    let mut found = observe(&other);
    // The mark of the packages means nothing by itself, and goes at the next start.
    if let Some(files) = found.get_mut("files") {
        files.retain(|file| !file.starts_with("packages/.restoring"));
    }
    for (kind, rows) in restored {
        assert_eq!(found.get(kind), Some(rows), "{kind}");
    }
    succeed(root, &["check", "--deep", "--data-dir", "other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_and_restores_survive_power_cuts() {
    backups_survive(Some(SAMPLE)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tries all power cuts, which takes minutes"]
async fn backups_and_restores_survive_every_power_cut() {
    backups_survive(None).await;
}

#[tokio::test]
async fn without_room_for_it_a_backup_leaves_the_last_one_and_a_restore_restores_nothing() {
    let lab = Lab::new();
    let server = lab.serve().await;
    let operator = server.operator(&lab.create_token());
    operator.package("v1", &[("rdfm.storage.directory", "site a/images")], &contents(400_000)).await;
    let backup = ["backup", "b.tar", "--data-dir", "data"];
    let restore = ["restore", "b.tar", "--data-dir", "other"];
    lab.succeed(backup);
    let last = std::fs::read(lab.root().join("b.tar")).unwrap();
    for (words, path, first) in
        [(backup, "b.tar", 1), (backup, "b.tar", 3), (restore, "other", 1), (restore, "other", 2)]
    {
        let calls = &[Call::Write];
        lab.faults().set(&Fault { calls, first, goes_on: true, error: Errno::NOSPC, is_partial: true, path });
        let output = lab.run(words);
        assert!(lab.faults().failed() > 0, "{words:?} writes no {first} times");
        lab.faults().clear();
        let said = assert_refused(&output, 1);
        assert!(said.contains("No space left on device"), "{said}");
        assert!(std::fs::read(lab.root().join("b.tar")).unwrap() == last, "{words:?}");
        let names = names_in(&lab.root()).into_iter().filter(|name| name != "other").collect::<BTreeSet<_>>();
        assert_eq!(names, ["b.tar", "data"].map(str::to_owned).into(), "{words:?}");
        assert!(!lab.root().join("other/tender.sqlite").exists(), "{words:?}");
    }
    lab.succeed(backup);
    lab.succeed(restore);
    lab.succeed(["check", "--deep", "--data-dir", "other"]);
}

fn names_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn folders_that_are_made_on_the_way_are_on_disk() {
    let lab = Lab::new();
    let place = ["--local-package-dir", "far/away/packages", "--db-connstring", "sqlite:///rows/of/tender.sqlite"];
    let server = lab.serve_with(&place).await;
    let token = lab.succeed(
        [&["token", "create", "--data-dir", "data", "--name", "tests", "--scope", "rdfm_admin_rw"][..], &place[2..]]
            .concat(),
    );
    server.operator(&token).package("v1", &[("rdfm.storage.directory", "site a")], &contents(1_000)).await;
    let mut disk: Disk = lab.fresh();
    log::read(&lab.log()).iter().for_each(|record| disk.apply(record));
    let tree = disk.after(Luck::None, &mut Random::new(replay::seed()));
    for folder in
        ["data/secrets/jwt-secret", "far/away/packages/site a", "rows/of/tender.sqlite", "rows/of/tender.sqlite-wal"]
    {
        assert!(tree.contains_key(Path::new(folder)), "{folder}: {:?}", tree.keys());
    }
    assert!(tree.keys().any(|path| path.starts_with("far/away/packages/site a") && path.components().count() == 5));
}
