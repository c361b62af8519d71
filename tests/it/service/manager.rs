//! What the service manager is told, and when. The manager is the test, with a socket as systemd has it (sd_notify(3)).

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::harness::process::{ServerProcess, assert_refused, tender};
use crate::harness::raw::eventually;

/// A service manager that writes down what it is told.
pub struct Manager {
    path: PathBuf,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    /// Listens in this folder.
    pub fn listening_in(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let messages = Arc::new(Mutex::new(Vec::new()));
        let heard = messages.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes) {
                heard.lock().unwrap().push(String::from_utf8(bytes[..length].to_vec()).unwrap());
            }
        });
        Self { path, messages }
    }

    /// Starts a server that it watches over, with more arguments, and waits until it says that it serves.
    pub async fn start(&self, folder: &Path, watchdog: Duration, more: &[&str]) -> ServerProcess {
        let microseconds = watchdog.as_micros().to_string();
        let server = ServerProcess::start_with(folder, |command| {
            command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", microseconds).args(more)
        });
        let server = server.await;
        self.told("READY=1", 1).await;
        server
    }

    /// All it was told so far; each message is several lines.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().unwrap().clone()
    }

    /// How many messages have this line.
    pub fn count(&self, line: &str) -> usize {
        self.messages().iter().filter(|message| message.lines().any(|other| other == line)).count()
    }

    /// Waits for so many messages with this line; the last of them.
    pub async fn told(&self, line: &str, times: usize) -> String {
        eventually(&format!("{times} × {line}: {:?}", self.messages()), || self.count(line) >= times).await;
        self.messages().into_iter().rfind(|message| message.lines().any(|other| other == line)).unwrap()
    }

    /// At which message this line came first.
    fn position(&self, line: &str) -> usize {
        let position = self.messages().iter().position(|message| message.lines().any(|other| other == line));
        position.unwrap_or_else(|| panic!("{line} was not told: {:?}", self.messages()))
    }
}

#[tokio::test]
async fn the_manager_follows_a_server_from_its_start_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::listening_in(folder.path());
    let mut server = manager.start(folder.path(), Duration::from_secs(1), &[]).await;
    let ready = manager.told("READY=1", 1).await;
    let address = server.url.strip_prefix("http://").unwrap();
    assert!(ready.lines().any(|line| line == format!("STATUS=serving on {address}")), "{ready}");
    server.anonymous().get("/health/ready").await.ok();
    // More time for a long start is asked for from the beginning.
    let ready = manager.position("READY=1");
    assert!(manager.messages()[0].starts_with("STATUS=starting"), "{:?}", manager.messages());
    assert!(manager.position("EXTEND_TIMEOUT_USEC=30000000") < ready);

    let before = manager.count("WATCHDOG=1");
    manager.told("WATCHDOG=1", before + 3).await;

    server.signal("HUP");
    let reloading = manager.told("RELOADING=1", 1).await;
    let moment = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
    assert!(moment.parse::<u64>().unwrap() > 0);
    manager.told("READY=1", 2).await;

    server.signal("TERM");
    let stopping = manager.told("STOPPING=1", 1).await;
    assert!(stopping.contains("STATUS=stopping"), "{stopping}");
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
    let stopping = manager.position("STOPPING=1");
    assert!(manager.messages()[stopping..].iter().any(|message| message.contains("EXTEND_TIMEOUT_USEC=")));
    assert_eq!(manager.count("READY=1"), 2);
}

#[tokio::test]
async fn the_watchdog_is_not_told_that_a_server_is_alive_whose_database_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::listening_in(folder.path());
    let server = manager.start(folder.path(), Duration::from_secs(1), &[]).await;
    let ready = manager.position("READY=1");
    eventually("a ping", || manager.messages()[ready..].iter().any(|message| message == "WATCHDOG=1\n")).await;

    // Whatever wants to write waits for this, for ten seconds.
    let database = Connection::open(folder.path().join("data/tender.sqlite")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    eventually("the server notices", || server.log().contains("the database has not answered for 500ms")).await;
    let pings = manager.count("WATCHDOG=1");
    // Devices are served all the while. This takes as long as it is waited for the writer, which is longer than the manager waits.
    server.anonymous().get("/health/live").await.ok();
    let ready = server.anonymous().get("/health/ready").await.ok();
    assert_eq!(ready["status"], "degraded");
    assert_eq!(manager.count("WATCHDOG=1"), pings, "{}", server.log());

    database.execute_batch("COMMIT").unwrap();
    manager.told("WATCHDOG=1", pings + 2).await;
    eventually("it is ready again", || probe(&server) == "ready\n").await;
}

fn probe(server: &ServerProcess) -> String {
    let output = tender(Path::new("/")).args(["health", "--url", &server.url]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let manager = Manager::listening_in(folder.path());
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("damaged")).unwrap();
    fs::write(folder.path().join("damaged/tender.sqlite"), [7; 8192]).unwrap();
    for (data, reason, advice) in [
        ("file", "the data folder file cannot be used (file: File exists", "choose another one (--data-dir)"),
        ("damaged", "cannot use the database damaged/tender.sqlite: it is damaged", "restore a backup"),
    ] {
        let mut command = tender(folder.path());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data]).env("NOTIFY_SOCKET", &manager.path);
        let line = assert_refused(&command.output().unwrap(), 1);
        assert!(line.contains(reason) && line.contains(advice), "{line}");
        let sentence = line.strip_prefix("tender: ").unwrap();
        manager.told(&format!("STATUS=failed: {sentence}"), 1).await;
    }
    assert_eq!(manager.count("READY=1"), 0);
}

#[tokio::test]
async fn a_manager_that_does_not_listen_is_complained_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start_with(folder.path(), |command| {
        command.env("NOTIFY_SOCKET", "/nowhere/notify").env("WATCHDOG_USEC", "30000")
    })
    .await;
    server.anonymous().get("/health/ready").await.ok();
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    let complaints = server.log().matches("the service manager cannot be told").count();
    assert_eq!(complaints, 1, "{}", server.log());
}
