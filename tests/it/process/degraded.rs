//! A disk that is full, or that takes no more writes: devices get their updates all the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::process::{ServerProcess, create_token};
use crate::harness::raw::PATIENCE;
use crate::harness::{Device, Operator};

/// A small file system of its own. Unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts one with these arguments of `mount`; `None`, with a reason on stderr, where that may not be done.
    fn mount(arguments: impl FnOnce(&Path) -> Vec<String>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { folder };
        fs::create_dir(disk.root()).unwrap();
        let mounted = Command::new("mount").args(arguments(disk.folder.path())).arg(disk.root()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(disk),
            failed => {
                eprintln!("skipped: no file system can be mounted here: {failed:?}");
                None
            }
        }
    }

    /// The file system's root.
    fn root(&self) -> PathBuf {
        self.folder.path().join("disk")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It may never have been mounted.
        let _ = Command::new("umount").arg("--lazy").arg(self.root()).output();
    }
}

/// A server on the disk, with a device in a group that has an update for it.
struct Fleet {
    server: ServerProcess,
    operator: Operator,
    device: Device,
    contents: Vec<u8>,
}

impl Fleet {
    async fn on(disk: &SmallDisk) -> Self {
        let server =
            ServerProcess::start_with(&disk.root(), |command| command.args(["--storage-reserve", "1MiB"])).await;
        let operator = server.operator(&create_token(&disk.root()));
        let mut device = server.device("00:11:22:33:44:55");
        assert_eq!(device.authorize().await.status, 401);
        operator.accept(&device).await;
        assert_eq!(device.authorize().await.status, 200);
        let contents = vec![7; 1_000_000];
        let package = operator.package("v1", &[], &contents).await;
        operator.group(&[1], &[package], "exact_match,v1").await;
        Self { server, operator, device, contents }
    }

    /// Whether the server says this of itself.
    async fn has_concern(&self, name: &str) -> bool {
        let status: Value = self.operator.get("/api/tender/v1/status").await.ok();
        status["concerns"].as_array().unwrap().iter().any(|concern| concern["name"] == name)
    }

    /// What load balancers are told.
    async fn readiness(&self) -> String {
        let reply = self.server.anonymous().get("/health/ready").await.ok();
        reply["status"].as_str().unwrap().to_owned()
    }

    /// Whoever needs no write is served.
    async fn serves_devices(&mut self) {
        assert_eq!(self.device.authorize().await.status, 200);
        let offer: Value = self.device.check().await.ok();
        assert_eq!(self.device.download(&offer).await, self.contents);
        self.operator.get("/api/v1/devices").await.ok();
        // A device that nobody knows waits as always: any other status would have it ask again at once.
        let mut unknown = self.server.device("00:11:22:33:44:66");
        assert_eq!(unknown.authorize().await.status, 401);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_until_there_is_room_again() {
    let Some(disk) = SmallDisk::mount(|_| ["-t", "tmpfs", "-o", "size=24m", "tmpfs"].map(str::to_owned).to_vec())
    else {
        return;
    };
    let mut fleet = Fleet::on(&disk).await;
    let filler = disk.root().join("filler");
    // As much as fits: the last write is cut short.
    fs::write(&filler, vec![0; 32 << 20]).unwrap_err();

    fleet.serves_devices().await;
    let sentence =
        fleet.operator.upload(crate::harness::form(&crate::harness::metadata("v2"), Some(b"x"))).await.error(507);
    assert!(sentence.contains("0 bytes are free"), "{sentence}");
    // The database's journal may have room of its own for a while; a large write has none.
    let large = json!({ "text": "x".repeat(1_500_000) });
    let mut refused = 0;
    for _ in 0..8 {
        let reply = fleet.operator.post("/api/v1/groups", large.clone()).await;
        if reply.status == 507 {
            assert!(reply.error(507).contains("disk is full"));
            refused += 1;
        }
    }
    assert!(refused > 0);
    fleet.serves_devices().await;
    assert!(fleet.has_concern("no_room").await && fleet.has_concern("writes_fail").await);
    assert_eq!(fleet.readiness().await, "degraded");

    fs::remove_file(&filler).unwrap();
    // Nobody has to ask for a write before it is noticed.
    let recovering = async {
        while fleet.has_concern("writes_fail").await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, recovering).await.expect("it recovers by itself");
    assert!(!fleet.has_concern("no_room").await);
    fleet.operator.post("/api/v1/groups", json!({})).await.ok();
    fleet.operator.package("v2", &[], b"contents").await;
    fleet.serves_devices().await;
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_any_more_still_serves_devices() {
    let image = |folder: &Path| {
        let image = folder.join("image");
        fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
        let made = Command::new("mke2fs")
            .args(["-q", "-t", "ext4"])
            .arg(&image)
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .status();
        assert!(made.unwrap().success());
        vec!["-o".to_owned(), "loop".to_owned(), image.display().to_string()]
    };
    let Some(disk) = SmallDisk::mount(image) else { return };
    let mut fleet = Fleet::on(&disk).await;
    // What the kernel does when the flash fails: from now on nothing is written.
    let aborted = Command::new("mount").args(["-o", "remount,abort"]).arg(disk.root()).status().unwrap();
    assert!(aborted.success());

    fleet.serves_devices().await;
    for (path, body) in [("/api/v1/groups", json!({})), ("/api/v1/groups/1/policy", json!({ "policy": "no_update," }))]
    {
        let sentence = fleet.operator.post(path, body).await.error(503);
        assert!(sentence.contains("cannot be written"), "{sentence}");
    }
    let upload = crate::harness::form(&crate::harness::metadata("v2"), Some(b"x"));
    assert_eq!(fleet.operator.upload(upload).await.status, 503);
    assert!(fleet.has_concern("writes_fail").await);
    assert_eq!(fleet.readiness().await, "degraded");
    fleet.serves_devices().await;
}
