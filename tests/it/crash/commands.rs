//! A command dies at each fail point, beside a server that goes on.

use std::path::Path;
use std::process::Output;
use std::slice;

use super::matrix::{Work, deaths};
use super::site::{Death, Site, assert_sound};
use super::workers::{Publisher, TokenHolder, Worker};
use crate::harness::process::{
    ServerProcess, assert_refused, package_files_below, printed_token, run, run_to_its_end, tender,
};

/// Runs a command that dies.
fn run_doomed(folder: &Path, words: &[&str], way: &str, death: Death) {
    let mut command = tender(folder);
    command.args(words);
    death.arm(&mut command, way);
    death.assert(run_to_its_end(command).status, way);
}

/// Runs a command that must succeed.
fn succeed(folder: &Path, words: &[&str]) -> Output {
    let output = run(folder, words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn create(name: &str) -> [&str; 8] {
    ["token", "create", "--data-dir", "data", "--scope", "rdfm_admin_ro", "--name", name]
}

/// How many tokens of a name are listed in a state.
fn listed(site: &Site, name: &str, state: &str) -> usize {
    let list = String::from_utf8(succeed(site.path(), &["token", "list", "--data-dir", "data"]).stdout).unwrap();
    list.lines().filter(|line| line.ends_with(&format!("  {name}")) && line.contains(state)).count()
}

#[tokio::test]
async fn at_each_step_of_making_and_revoking_a_token() {
    let site = Site::new();
    let server = site.start().await;
    let mut holder = TokenHolder::default();
    for (number, (way, work, death)) in deaths(&[Work::CreateToken, Work::RevokeToken]).enumerate() {
        let name = format!("holder {number}");
        // It is there or not when its maker was not told so.
        let is_done = !["token.row", "token.revoked"].contains(&way);
        if work == Work::CreateToken {
            run_doomed(site.path(), &create(&name), way, death);
            assert_eq!(listed(&site, &name, "valid"), usize::from(is_done), "{way}");
        } else {
            holder.tokens.push((printed_token(&succeed(site.path(), &create(&name))), Some(true)));
            run_doomed(site.path(), &["token", "revoke", &name, "--data-dir", "data"], way, death);
            holder.note(!is_done);
            assert_eq!(listed(&site, &name, "revoked"), usize::from(is_done), "{way}");
        }
        holder.compare(&server).await;
    }
    assert_sound(&site.data());
    server.kill();
    let server = site.start().await;
    holder.compare(&server).await;
    site.check(&server, &mut []).await;
}

/// The names in a folder, without those of locks.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| !name.ends_with("lock")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn at_each_step_of_a_backup() {
    let site = Site::new();
    let server = site.start().await;
    let operator = site.operator(&server);
    let mut worker = Worker::Publisher(Publisher::new("publisher"));
    worker.work(&operator, 1).await.unwrap();
    let backup = ["backup", "b.tar", "--data-dir", "data"];
    succeed(site.path(), &backup);
    let packages = || {
        let verified = succeed(site.path(), &["restore", "b.tar", "--verify"]);
        let said = String::from_utf8(verified.stderr).unwrap();
        said.trim().rsplit(' ').nth(1).unwrap().parse::<usize>().unwrap()
    };
    let mut before = packages();
    for (way, _, death) in deaths(&[Work::Backup]) {
        worker.work(&operator, 1).await.unwrap();
        let now = package_files_below(&site.data().join("packages")).len();
        run_doomed(site.path(), &backup, way, death);
        let is_new = way == "backup.file-named";
        assert_eq!(packages(), if is_new { now } else { before }, "{way}: the one before, or the new one");
        if is_new {
            before = now;
        }
    }
    succeed(site.path(), &backup);
    assert_eq!(names(site.path()), ["b.tar", "data"], "what was broken off is cleared away");
    site.check(&server, slice::from_mut(&mut worker)).await;
}

#[tokio::test]
async fn at_each_step_of_a_restore() {
    let site = Site::new();
    let server = site.start().await;
    let mut worker = Worker::Publisher(Publisher::new("publisher"));
    for _ in 0..2 {
        worker.work(&site.operator(&server), 1).await.unwrap();
    }
    let data = site.data();
    succeed(site.path(), &["backup", "b.tar", "--data-dir", "data"]);
    server.kill();
    let restore = ["restore", "b.tar", "--data-dir", "data"];
    for (way, work, death) in deaths(&[Work::Restore, Work::RestoreAgain]) {
        std::fs::remove_dir_all(&data).unwrap();
        if work == Work::RestoreAgain {
            run_doomed(site.path(), &restore, "restore.packages-moved", Death::Kill);
        }
        run_doomed(site.path(), &restore, way, death);
        if way == "restore.unmarked" {
            assert!(!data.join(".restoring").exists(), "it is done");
        } else {
            // Nobody takes what is there for an installation.
            if data.join(".restoring").exists() {
                let serve = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"];
                assert!(assert_refused(&run(site.path(), serve), 1).contains("was not completed"), "{way}");
            } else {
                assert!(!data.join("tender.sqlite").exists(), "{way}");
            }
            succeed(site.path(), &restore);
        }
        let server: ServerProcess = site.start().await;
        site.check(&server, slice::from_mut(&mut worker)).await;
        server.kill();
        let left = names(&data.join("packages"));
        assert!(!left.contains(&".restoring".to_owned()), "{way}: {left:?}");
    }
}
