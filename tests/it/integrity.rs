//! Stored packages stay whole, and somebody knows when they don't.

mod away;
mod check;
mod healing;
mod scrub;
mod sweep;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::harness::raw::PATIENCE;
use crate::harness::{Operator, Reply, TestServer};

/// A package of a test: its identifier, and its file.
struct Stored {
    id: i64,
    uuid: String,
    path: PathBuf,
}

impl Stored {
    /// Uploads a package that brings this version.
    async fn upload(server: &TestServer, admin: &Operator, version: &str, contents: &[u8]) -> Self {
        let id = admin.package(version, &[], contents).await;
        let shown = admin.show_package(id).await;
        let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap().to_owned();
        let path = server.data().join("packages").join(&uuid);
        Self { id, uuid, path }
    }

    fn truncate(&self) {
        let file = fs::OpenOptions::new().write(true).open(&self.path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
    }

    fn flip_a_byte(&self) {
        flip_a_byte(&self.path);
    }

    fn delete(&self) {
        fs::remove_file(&self.path).unwrap();
    }
}

impl Stored {
    /// What the list says about it.
    async fn standing(&self, admin: &Operator) -> Value {
        let page = admin.get(&format!("/api/tender/v1/packages?limit=1&after={}", self.id - 1)).await.ok();
        assert_eq!(page["packages"][0]["id"], self.id, "{page}");
        page["packages"][0].clone()
    }

    /// Waits until the list says that it is in this state.
    async fn becomes(&self, admin: &Operator, state: &str) -> Value {
        let waiting = async {
            loop {
                let standing = self.standing(admin).await;
                if standing["state"] == state {
                    return standing;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never became {state}"))
    }

    async fn download(&self, server: &TestServer) -> Reply {
        server.anonymous().get(&format!("/local_storage/{}", self.uuid)).await
    }
}

/// Changes one byte in the middle of a file.
fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
