//! Backups: made while the server works, verified to the last byte, and restored on another machine as if nothing had happened.

mod crash;
mod restoring;
mod schedule;

use std::path::Path;
use std::process::Output;

use crate::harness::process::{ServerProcess, run, tender};

/// Runs a command that must succeed; what it says on stderr.
fn succeed(folder: &Path, words: &[&str]) -> String {
    let output = run(folder, words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    said
}

/// Serves a data folder at an address.
async fn serve(folder: &Path, data: &str, listen: &str) -> ServerProcess {
    let mut command = tender(folder);
    command.args(["serve", "--data-dir", data, "--listen", listen]);
    ServerProcess::launch(command).await
}

/// Runs a command that must be refused with a sentence.
fn refused(folder: &Path, words: &[&str]) -> String {
    refusal(&run(folder, words))
}

fn refusal(output: &Output) -> String {
    crate::harness::process::assert_refused(output, 1)
}

/// The names in a folder, without what a server locks and logs.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with("lock") && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    names.sort();
    names
}
