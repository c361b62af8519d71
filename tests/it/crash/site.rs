//! An installation that dies again and again, and the check that follows each death.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use super::workers::Worker;
use crate::harness::process::{ServerProcess, create_token, files_below, run, tender};
use crate::harness::{Operator, sha256};

/// How a process dies at a fail point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Death {
    /// By SIGKILL.
    Kill,
    /// By SIGABRT.
    Abort,
    /// By its own exit, without any of its own lines after that.
    Exit,
}

impl Death {
    pub const ALL: [Self; 3] = [Self::Kill, Self::Abort, Self::Exit];

    /// Has a process that is not started yet die this way when it reaches the end of `way`, as `src/fail_point.rs` has it.
    pub fn arm(self, command: &mut Command, way: &str) {
        let name = match self {
            Self::Kill => "kill",
            Self::Abort => "abort",
            Self::Exit => "exit",
        };
        command.env("TENDER_FAIL_POINT", format!("{way}={name}"));
    }

    /// It was this death that a process died.
    pub fn assert(self, status: ExitStatus, way: &str) {
        let is_this = match self {
            Self::Kill => status.signal() == Some(9),
            Self::Abort => status.signal() == Some(6),
            Self::Exit => status.code() == Some(86),
        };
        assert!(is_this, "{way} was not reached, or did not end it by {self:?}: {status}");
    }
}

/// An installation in a folder of its own.
pub struct Site {
    folder: TempDir,
    token: String,
    /// More arguments for the server.
    arguments: Vec<String>,
}

impl Site {
    pub fn new() -> Self {
        Self::with_arguments(&[])
    }

    /// One whose server gets more arguments.
    pub fn with_arguments(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Self { arguments, ..Self::in_folder(tempfile::tempdir().unwrap()) }
    }

    /// The one whose data are in this folder, if there are any.
    pub fn in_folder(folder: TempDir) -> Self {
        let token = create_token(folder.path());
        Self { folder, token, arguments: Vec::new() }
    }

    /// What is in the data folder `data`.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn serve(&self) -> Command {
        let mut command = tender(self.path());
        command.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]).args(&self.arguments);
        command
    }

    /// A server that goes on to live.
    pub async fn start(&self) -> ServerProcess {
        ServerProcess::launch(self.serve()).await
    }

    /// A server that will die; it may do so before it serves.
    pub async fn start_doomed(&self, way: &str, death: Death) -> ServerProcess {
        let mut command = self.serve();
        death.arm(&mut command, way);
        ServerProcess::launch_doubtful(command).await.0
    }

    /// Somebody who may do everything.
    pub fn operator(&self, server: &ServerProcess) -> Operator {
        server.operator(&self.token)
    }

    /// **What must be true after each restart**, whatever died, and where. `server` has just been started again.
    pub async fn check(&self, server: &ServerProcess, workers: &mut [Worker]) {
        let operator = self.operator(server);
        let found = Found::ask(&operator).await;
        assert_sound(&self.data());
        assert_audited(&self.data(), &found);
        found.assert_no_stray_files(&self.data());
        found.assert_downloads(server).await;
        let check = run(self.path(), ["check", "--deep", "--data-dir", "data"]);
        let said = [check.stdout, check.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(check.status.code(), Some(0), "{said:?}");
        for worker in workers {
            worker.compare(&found, server).await;
        }
    }
}

/// SQLite finds nothing wrong with the database of a data folder.
pub fn assert_sound(data: &Path) {
    let database = open(data);
    let faults = |pragma: &str| {
        let mut statement = database.prepare(pragma).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(faults("PRAGMA integrity_check"), [rusqlite::types::Value::Text("ok".to_owned())]);
    assert_eq!(faults("PRAGMA foreign_key_check"), []);
}

/// The database of a data folder, for looking.
pub fn open(data: &Path) -> Connection {
    Connection::open_with_flags(data.join("tender.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// What is there is what the audit log says was made and not taken away, and nothing else is.
fn assert_audited(data: &Path, found: &Found) {
    let database = open(data);
    let targets = |action: &str| -> BTreeSet<String> {
        let mut statement =
            database.prepare("SELECT target FROM audit_log WHERE action = ?1 AND outcome = 'done'").unwrap();
        let rows = statement.query_map([action], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    for (kind, made, taken, there) in [
        ("package", "package.upload", "package.delete", &found.packages),
        ("device", "device.accept", "device.remove", &found.devices),
        ("group", "group.create", "group.delete", &found.groups),
    ] {
        let there: BTreeSet<_> = there.iter().map(|thing| format!("{kind}/{}", thing["id"])).collect();
        let noted: BTreeSet<_> = targets(made).difference(&targets(taken)).cloned().collect();
        assert_eq!(there, noted);
    }
}

/// What a server says it has.
pub struct Found {
    pub packages: Vec<Value>,
    pub uploads: Vec<Value>,
    pub devices: Vec<Value>,
    pub pending: Vec<Value>,
    pub groups: Vec<Value>,
}

impl Found {
    async fn ask(operator: &Operator) -> Self {
        let list = async |path| operator.get(path).await.ok().as_array().unwrap().clone();
        Self {
            packages: list("/api/v1/packages").await,
            uploads: list("/api/tender/v1/uploads").await,
            devices: list("/api/v1/devices").await,
            pending: list("/api/v1/auth/pending").await,
            groups: list("/api/v1/groups").await,
        }
    }

    /// The packages of a worker, whose versions begin with its name: their hashes by their identifiers.
    pub fn packages_of(&self, name: &str) -> BTreeMap<i64, String> {
        let start = format!("{name} ");
        let own = self.packages.iter().filter(|package| version(package).starts_with(&start));
        own.map(|package| (id(package), package["sha256"].as_str().unwrap().to_owned())).collect()
    }

    /// The identifier of the package of this version.
    pub fn package(&self, wanted: &str) -> Option<i64> {
        self.packages.iter().find(|package| version(package) == wanted).map(id)
    }

    /// Each package is downloaded with the hash that it has.
    async fn assert_downloads(&self, server: &ServerProcess) {
        let anonymous = server.anonymous();
        for package in &self.packages {
            let uuid = package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap();
            let reply = anonymous.get(&format!("/local_storage/{uuid}")).await;
            assert_eq!(reply.status, 200, "{package}");
            assert_eq!(package["sha256"], sha256(&reply.body), "{package}");
        }
    }

    /// Each package and each upload has its file, and there are no others.
    fn assert_no_stray_files(&self, data: &Path) {
        let packages = self.packages.iter().map(|package| {
            let metadata = &package["metadata"];
            let directory = metadata["rdfm.storage.local.directory"].as_str().unwrap_or_default();
            Path::new(directory).join(metadata["rdfm.storage.local.uuid"].as_str().unwrap())
        });
        let uploads = self.uploads.iter().map(|upload| Path::new(".resumable").join(upload["id"].as_str().unwrap()));
        let expected: BTreeSet<PathBuf> = packages.chain(uploads).chain([".tender".into()]).collect();
        let root = data.join("packages");
        let there = files_below(&root).into_iter().map(|path| path.strip_prefix(&root).unwrap().to_owned());
        assert_eq!(there.collect::<BTreeSet<_>>(), expected);
        let others = files_below(data).into_iter().filter(|path| !path.starts_with(&root));
        for path in others {
            let name = path.file_name().unwrap().to_str().unwrap();
            let is_known =
                name.starts_with("tender.") || name == "jwt-secret" || path.starts_with(data.join("snapshots"));
            assert!(is_known && !name.ends_with(".part"), "{}", path.display());
        }
    }
}

fn id(thing: &Value) -> i64 {
    thing["id"].as_i64().unwrap()
}

fn version(package: &Value) -> &str {
    package["metadata"]["rdfm.software.version"].as_str().unwrap()
}
