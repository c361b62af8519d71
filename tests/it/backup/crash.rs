//! Backups while packages come and go, and SIGKILL at any moment of a restore.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{names, refused, succeed};
use crate::harness::Operator;
use crate::harness::process::{ServerProcess, create_token, package_files_below, run, tender};

/// Publishes packages and deletes some of them, until it is told to stop.
async fn churn(operator: Operator, worker: usize, stop: Arc<AtomicBool>) {
    let mut kept = Vec::new();
    for number in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let contents = format!("{worker} {number}").repeat(5_000);
        kept.push(operator.package("v1", &[], contents.as_bytes()).await);
        if number % 3 > 0 {
            let oldest = kept.remove(0);
            operator.delete(&format!("/api/v1/packages/{oldest}")).await.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_names_nothing_that_it_lacks_while_packages_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let server = ServerProcess::start(folder.path()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> =
        (0..3).map(|worker| tokio::spawn(churn(server.operator(&token), worker, stop.clone()))).collect();
    let base = folder.path().to_owned();
    let backing_up = tokio::task::spawn_blocking(move || {
        for round in 0..8 {
            let said = succeed(&base, &["backup", "b.tar", "--data-dir", "data"]);
            assert!(!said.contains("not in the backup"), "round {round}: {said}");
            let said = succeed(&base, &["restore", "b.tar", "--data-dir", "other"]);
            assert!(!said.contains("missing"), "round {round}: {said}");
            let check = run(&base, ["check", "--deep", "--data-dir", "other"]);
            assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
            assert_eq!(String::from_utf8_lossy(&check.stdout), "", "no file without a row");
            std::fs::remove_dir_all(base.join("other")).unwrap();
        }
    });
    backing_up.await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.unwrap();
    }
}

/// Starts a command and kills it after a while.
async fn kill_after(folder: &Path, words: &[&str], pause: Duration) {
    let mut child = tender(folder).args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    tokio::time::sleep(pause).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn with_packages(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let server = ServerProcess::start(folder.path()).await;
    let operator = server.operator(&token);
    for number in 0..count {
        operator.package("v1", &[], &format!("{number}").repeat(400_000).into_bytes()).await;
    }
    server.kill();
    folder
}

#[tokio::test]
async fn death_in_the_middle_of_a_restore_leaves_nothing_or_a_restore_that_can_be_done_again() {
    let folder = with_packages(8).await;
    succeed(folder.path(), &["backup", "b.tar", "--data-dir", "data"]);
    let restore = ["restore", "b.tar", "--data-dir", "other"];
    let (other, mut unfinished) = (folder.path().join("other"), 0);
    for round in 0..16 {
        kill_after(folder.path(), &restore, Duration::from_millis(round * 7)).await;
        if other.join(".restoring").exists() {
            unfinished += 1;
            let serve = ["serve", "--data-dir", "other", "--listen", "127.0.0.1:0"];
            assert!(refused(folder.path(), &serve).contains("was not completed"));
            assert!(refused(folder.path(), &["backup", "x.tar", "--data-dir", "other"]).contains("was not completed"));
        } else if other.join("tender.sqlite").exists() {
            assert_eq!(run(folder.path(), ["check", "--deep", "--data-dir", "other"]).status.code(), Some(0));
            assert_eq!(package_files_below(&other.join("packages")).len(), 8);
            std::fs::remove_dir_all(&other).unwrap();
        }
    }
    assert!(unfinished > 0, "no restore was caught in the middle");
    let _ = std::fs::remove_dir_all(&other);
    std::fs::create_dir_all(other.join(".restoring")).unwrap();
    succeed(folder.path(), &restore);
    assert_eq!(package_files_below(&other.join("packages")).len(), 8);
    assert_eq!(names(&other), ["packages", "secrets", "tender.sqlite"]);
}
