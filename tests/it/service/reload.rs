//! SIGHUP: the configuration is read again.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::Method;
use tempfile::TempDir;

use crate::harness::process::{ServerProcess, create_token};
use crate::harness::raw::{Raw, eventually};
use crate::harness::{Operator, contents, form, metadata};

use super::manager::Manager;

/// A server with a configuration file.
struct Server {
    folder: TempDir,
    process: ServerProcess,
    reloads: usize,
}

impl Server {
    async fn start(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), file);
        let process =
            ServerProcess::start_with(folder.path(), |command| command.args(["--config", "tender.toml"])).await;
        Self { folder, process, reloads: 0 }
    }

    fn operator(&self) -> Operator {
        self.process.operator(&create_token(self.folder.path()))
    }

    /// Gives it another file, and waits until it says what has become of that: this line.
    async fn reload(&mut self, file: &str) -> String {
        write(self.folder.path(), file);
        let said = |log: &str| -> Vec<String> {
            let lines = log.lines().filter(|line| {
                line.contains("read the configuration again") || line.contains("the configuration cannot be read again")
            });
            lines.map(str::to_owned).collect()
        };
        self.process.signal("HUP");
        self.reloads += 1;
        eventually("a reload", || said(&self.process.log()).len() == self.reloads).await;
        said(&self.process.log()).pop().unwrap()
    }
}

fn write(folder: &Path, file: &str) {
    fs::write(folder.join("tender.toml"), file).unwrap();
}

#[tokio::test]
async fn rates_and_limits_change_also_for_what_goes_on() {
    let mut server = Server::start("download_rate = \"64KiB/s\"").await;
    let operator = server.operator();
    let bytes = contents(4 << 20);
    let id = operator.package("v1", &[], &bytes).await;
    let package = operator.get(&format!("/api/v1/packages/{id}")).await.ok();
    let path = format!("/local_storage/{}", package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    let mut client = Raw::to(&server.process.url).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
    assert_eq!(client.head().await, 200);

    // It would take a minute.
    let line = server.reload("download_rate = \"off\"\nmax_package_size = \"1KiB\"").await;
    assert!(line.contains("INFO") && line.ends_with("changed: download_rate, max_package_size"), "{line}");
    assert!(client.reply().await.unwrap().body == bytes, "the download was damaged");
    let refused = operator.upload(form(&metadata("v2"), Some(&[0; 1025]))).await.error(413);
    assert!(refused.contains("at most 1024 bytes"), "{refused}");

    // It limits again.
    let line = server.reload("download_rate = \"64KiB/s\"\nmax_downloads = 1").await;
    assert!(line.ends_with("changed: download_rate, max_downloads, max_package_size"), "{line}");
    let begin = Instant::now();
    let piece = operator.request(Method::GET, &path).header("Range", "bytes=0-262143");
    assert_eq!(operator.send(piece).await.body.len(), 256 << 10);
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
}

/// Has the server log something that is for `debug` only.
async fn break_off(server: &ServerProcess) {
    let mut client = Raw::to(&server.url).await;
    client.send("this is not HTTP\r\n\r\n").await;
    client.replies().await;
}

#[tokio::test]
async fn what_is_logged_changes() {
    let mut server = Server::start("").await;
    let count = |server: &Server| server.process.log().matches("a connection ended early").count();
    break_off(&server.process).await;
    let line = server.reload("log = \"debug\"").await;
    assert!(line.ends_with("changed: log"), "{line}");
    assert_eq!(count(&server), 0);
    break_off(&server.process).await;
    eventually("it is logged", || count(&server) == 1).await;
    let line = server.reload("log = \"info\"").await;
    assert!(line.ends_with("changed: log"), "{line}");
    break_off(&server.process).await;
    let line = server.reload("").await;
    assert!(line.ends_with("changed: nothing"), "{line}");
    assert_eq!(count(&server), 1);
}

#[tokio::test]
async fn a_file_that_cannot_work_changes_nothing() {
    let mut server = Server::start("max_package_size = \"1KiB\"").await;
    let operator = server.operator();
    for (file, reason) in [
        ("max_package_size = \"1GiB\"\ncolour = 1", "unknown option \"colour\""),
        ("max_package_size = \"1GiB\"\nscrub_every = \"1s\"", "scrub_every must be at least 1h"),
        ("max_package_size = ", "(line 1)"),
    ] {
        let line = server.reload(file).await;
        assert!(line.contains("ERROR") && line.contains("the old one goes on: ") && line.contains(reason), "{line}");
        assert_eq!(operator.upload(form(&metadata("v1"), Some(&[0; 1025]))).await.status, 413);
    }
    fs::remove_file(server.folder.path().join("tender.toml")).unwrap();
    server.process.signal("HUP");
    eventually("a fourth reload", || server.process.log().matches("cannot be read again").count() == 4).await;
    // The server goes on, and takes the next one that can work.
    server.reloads += 1;
    let line = server.reload("max_package_size = \"2KiB\"").await;
    assert!(line.ends_with("changed: max_package_size"), "{line}");
    operator.package("v1", &[], &[0; 1025]).await;
}

#[tokio::test]
async fn what_only_a_new_start_changes_is_named_each_time() {
    let mut server = Server::start("").await;
    let file = "max_connections = 7\npublic_url = \"http://gateway.example\"\nlisten = \"0.0.0.0:1\"";
    // Where it listens is said by a flag, which wins over the file as ever.
    for changed in ["silent_after", "nothing"] {
        let line = server.reload(&format!("silent_after = \"2h\"\n{file}")).await;
        let end = format!("changed: {changed}; public_url, max_connections: need a restart");
        assert!(line.contains("WARN") && line.ends_with(&end), "{line}");
    }
    let line = server.reload("").await;
    assert!(line.contains("INFO") && line.ends_with("changed: silent_after"), "{line}");
}

#[tokio::test]
async fn the_manager_sees_that_a_file_was_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "");
    let manager = Manager::listening_in(folder.path());
    let patience = Duration::from_secs(600);
    let server = manager.start(folder.path(), patience, &["--config", "tender.toml"]).await;
    for (file, refused) in [("colour = 1", true), ("", false)] {
        write(folder.path(), file);
        let before = manager.count("READY=1");
        server.signal("HUP");
        let ready = manager.told("READY=1", before + 1).await;
        assert_eq!(ready.contains("the configuration could not be read again: unknown option"), refused, "{ready}");
        assert!(ready.contains("STATUS=serving on "), "{ready}");
    }
    assert_eq!(manager.count("RELOADING=1"), 2);
}
