//! Bundles: packages and groups carried from one installation to another, and what is refused on the way.

mod journey;
mod refusals;
mod tampering;

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Operator;
use crate::harness::process::{ServerProcess, create_token, run, tender};

/// A server in a process of its own, with an administrator and a folder for what is carried.
struct Site {
    folder: TempDir,
    server: Option<ServerProcess>,
    token: String,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = create_token(folder.path());
        let mut site = Self { folder, server: None, token };
        site.serve().await;
        site
    }

    async fn serve(&mut self) {
        self.server = Some(ServerProcess::start(self.folder.path()).await);
    }

    /// Stops in order.
    async fn stop(&mut self) {
        let mut server = self.server.take().expect("a server that runs");
        server.signal("TERM");
        assert_eq!(server.ended().await, Some(0));
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn url(&self) -> &str {
        &self.server.as_ref().expect("a server that runs").url
    }

    fn admin(&self) -> Operator {
        Operator::new(self.url(), self.token.clone())
    }

    /// `tender bundle …` on the data folder.
    fn bundle(&self, arguments: &[&str]) -> Output {
        run(self.path(), [&["bundle"][..], arguments, &["--data-dir", "data"]].concat())
    }

    /// The same, which must succeed; what it printed.
    fn bundled(&self, arguments: &[&str]) -> String {
        let output = self.bundle(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Makes a key, and returns what others know it by.
    fn make_key(&self) -> String {
        self.bundled(&["key", "generate"])
    }

    fn trust(&self, key: &str) {
        self.bundled(&["trust", "add", key, "--name", "the depot"]);
    }

    /// Makes a bundle of a group.
    fn export(&self, group: i64) -> PathBuf {
        self.bundled(&["export", "--group", &group.to_string(), "site.bundle"]);
        self.path().join("site.bundle")
    }

    /// `tender bundle import` by the server.
    fn import(&self, bundle: &Path, more: &[&str]) -> Output {
        let bundle = bundle.to_str().unwrap();
        let mut command = tender(self.path());
        command.env("TENDER_TOKEN", &self.token);
        command.args(["bundle", "import", "--json", "--server", self.url(), bundle]).args(more).output().unwrap()
    }

    /// The same, which must succeed; the report.
    fn imported(&self, bundle: &Path, more: &[&str]) -> Value {
        let output = self.import(bundle, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same, which must fail; why.
    fn refused(&self, bundle: &Path, more: &[&str]) -> String {
        let output = self.import(bundle, more);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Nothing has come.
    async fn assert_is_empty(&self) {
        let admin = self.admin();
        for path in ["/api/v1/packages", "/api/v1/groups"] {
            assert_eq!(admin.get(path).await.ok(), serde_json::json!([]), "{path}");
        }
        let files = crate::harness::process::package_files_below(&self.path().join("data/packages"));
        assert!(files.is_empty(), "{files:?}");
    }
}

/// Two sites, of which the second trusts the first, and a bundle of a group with two packages.
async fn depot_and_plant() -> (Site, Site, PathBuf) {
    let (depot, plant) = (Site::start().await, Site::start().await);
    plant.trust(&depot.make_key());
    let admin = depot.admin();
    let first = admin.package("v1", &[("rdfm.storage.directory", "images")], &b"first".repeat(1000)).await;
    let second = admin.package("v2", &[("requires:rdfm.software.version", "v1")], b"second").await;
    let group = admin.group(&[], &[second, first], "exact_match,v2").await;
    let metadata = serde_json::json!({ "description": "line 1" });
    admin.put(&format!("/api/tender/v1/groups/{group}/metadata"), metadata).await.ok();
    let bundle = depot.export(group);
    (depot, plant, bundle)
}
