//! A disk of its own for the program, the shim around that, and how to tell what is on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::disk::{self, Disk};
use super::faults::Faults;
use super::log;
use crate::harness::process::{ServerProcess, tender};
use crate::harness::{eventually, sha256};

const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/power/shim.c");
/// What a person or a program would miss; what the server writes for itself is not among it.
const TABLES: [&str; 15] = [
    "access_tokens",
    "audit_log",
    "clients",
    "device_rows",
    "group_identities",
    "group_packages",
    "group_rollouts",
    "groups",
    "packages",
    "registrations",
    "revoked_tokens",
    "session_rows",
    "trusted_signers",
    "uploads",
    "users",
];

/// The shim, which is compiled once.
fn shim() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("power-shim-{}.so", std::process::id()));
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
            .arg(&library)
            .args([SHIM, "-ldl", "-lpthread"])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        library
    })
}

/// Has a command run with the shim. It syncs nothing: whether a file is on a disk is what the tests decide.
pub fn with_shim<'a>(command: &'a mut Command, root: &Path) -> &'a mut Command {
    command.env("LD_PRELOAD", shim()).env("POWER_ROOT", root).env("POWER_SKIP_SYNCS", "1")
}

/// What is on a disk, as far as somebody would miss it: rows by their table, and files.
pub type Observation = BTreeMap<String, BTreeSet<String>>;

/// A disk for the program, and what it has done to it.
pub struct Lab {
    folder: TempDir,
    /// What was on the disk at the beginning.
    before: Disk,
    /// What was on the disk after each step, with the name of the step.
    pub steps: Vec<(String, Observation)>,
}

impl Lab {
    /// An empty disk.
    pub fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    /// A disk on which is what `prepare` puts there.
    pub async fn prepared(prepare: impl AsyncFnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("disk")).unwrap();
        prepare(&folder.path().join("disk")).await;
        Self::on(folder)
    }

    fn on(folder: TempDir) -> Self {
        let root = folder.path().join("disk");
        fs::create_dir_all(&root).unwrap();
        fs::write(folder.path().join("log"), "").unwrap();
        Faults::create(&folder.path().join("faults"));
        let before = Disk::of(&root);
        Self { folder, before, steps: Vec::new() }
    }

    /// The disk as it was at the beginning.
    pub fn fresh(&self) -> Disk {
        self.before.clone()
    }

    /// Where the disk is.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// What fails.
    pub fn faults(&self) -> Faults {
        Faults::of(&self.folder.path().join("faults"))
    }

    /// A command on this disk; what it does is written down.
    pub fn command<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Command {
        let mut command = tender(&self.root());
        command.args(words);
        with_shim(&mut command, &self.root())
            .env("POWER_LOG", self.log())
            .env("POWER_FAULTS", self.folder.path().join("faults"));
        command
    }

    /// Runs a command to its end.
    pub fn run<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Output {
        self.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
    }

    /// The same with one that must succeed; what it printed.
    pub fn succeed<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Makes a token that may do everything.
    pub fn create_token(&self) -> String {
        self.succeed(["token", "create", "--data-dir", "data", "--name", "tests", "--scope", "rdfm_admin_rw"])
    }

    /// A server on this disk.
    pub async fn serve(&self) -> ServerProcess {
        self.serve_with(&[]).await
    }

    /// A server with more arguments.
    pub async fn serve_with(&self, more: &[&str]) -> ServerProcess {
        let words = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0", "--scrub-rate", "off"];
        ServerProcess::launch(self.command([&words, more].concat())).await
    }

    /// A step is over, and was acknowledged.
    pub fn acknowledged(&mut self, name: &str) {
        log::mark(&self.log(), self.steps.len());
        self.steps.push((name.to_owned(), observe(&self.root().join("data"))));
    }
}

/// The code that the server prints after it has begun to serve.
pub async fn claim_code(server: &ServerProcess) -> String {
    let code = || Some(server.log().lines().find_map(|line| line.split_once("#claim="))?.1.trim().to_owned());
    eventually("a code is printed", || code().is_some()).await;
    code().unwrap_or_default()
}

/// Looks at a data folder with which nobody works at the moment.
pub fn observe(data: &Path) -> Observation {
    let (mut seen, mut rows) = (Observation::new(), BTreeSet::new());
    if let Some(database) = copy_of_database(data) {
        for table in TABLES {
            seen.insert(table.to_owned(), rows_in(&database.1, table).unwrap_or_default());
        }
        rows = names_of_packages(&database.1);
        uploads(&database.1, data, &mut seen);
    }
    let name = |path: &Path| path.strip_prefix(data).unwrap().display().to_string();
    for (path, contents) in if data.exists() { disk::read_tree(data) } else { disk::Tree::new() } {
        let (path, Some(contents)) = (data.join(path), contents) else { continue };
        let is_seen = ["secrets", "snapshots"].iter().any(|kind| path.starts_with(data.join(kind)));
        // A file without a row is cleared away at the next start.
        let is_package = path.file_name().is_some_and(|name| rows.contains(name.to_str().unwrap()));
        let is_passing = path.extension().is_some_and(|end| end == "part");
        if (is_seen || is_package) && !is_passing {
            seen.entry("files".to_owned()).or_default().insert(format!("{} {}", name(&path), sha256(&contents)));
        }
    }
    seen
}

/// What is acknowledged of uploads is in their files.
fn uploads(database: &Connection, data: &Path, seen: &mut Observation) {
    let Ok(mut statement) = database.prepare("SELECT id, offset_bytes FROM uploads") else { return };
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, usize>(1)?))).unwrap();
    for (id, offset) in rows.map(Result::unwrap) {
        let contents = fs::read(data.join("packages/.resumable").join(&id)).unwrap_or_default();
        let acknowledged = contents.get(..offset).map_or_else(|| "short".to_owned(), sha256);
        seen.entry("uploads".to_owned()).or_default().insert(format!("{id} {acknowledged}"));
    }
}

/// A copy, so that nothing is changed by looking. It must be sound.
fn copy_of_database(data: &Path) -> Option<(TempDir, Connection)> {
    let copy = tempfile::tempdir().unwrap();
    fs::copy(data.join("tender.sqlite"), copy.path().join("tender.sqlite")).ok()?;
    // There may be none.
    let _ = fs::copy(data.join("tender.sqlite-wal"), copy.path().join("tender.sqlite-wal"));
    let connection = Connection::open(copy.path().join("tender.sqlite")).unwrap();
    let faults = rows_of(&connection, "PRAGMA integrity_check").unwrap();
    assert_eq!(faults, BTreeSet::from([format!("{:?}", [Value::Text("ok".into())])]));
    assert_eq!(rows_of(&connection, "PRAGMA foreign_key_check").unwrap(), BTreeSet::new());
    Some((copy, connection))
}

/// The names of the files that have a row.
fn names_of_packages(database: &Connection) -> BTreeSet<String> {
    let Ok(mut statement) = database.prepare("SELECT uuid FROM packages") else { return BTreeSet::new() };
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn rows_in(connection: &Connection, table: &str) -> rusqlite::Result<BTreeSet<String>> {
    let sql = match table {
        // What devices report may be lost, and when somebody was seen.
        "device_rows" => "SELECT id, mac_address, name, public_key, group_id FROM devices".to_owned(),
        "session_rows" => "SELECT token_hash, user_id FROM sessions".to_owned(),
        "registrations" => "SELECT mac_address, public_key, rejected_at FROM registrations".to_owned(),
        table => format!("SELECT * FROM {table}"),
    };
    rows_of(connection, &sql)
}

fn rows_of(connection: &Connection, sql: &str) -> rusqlite::Result<BTreeSet<String>> {
    let mut statement = connection.prepare(sql)?;
    let count = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values: rusqlite::Result<Vec<Value>> = (0..count).map(|column| row.get(column)).collect();
        Ok(format!("{:?}", values?))
    })?;
    rows.collect()
}
