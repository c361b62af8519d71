//! Stored packages stay whole, and somebody knows when they don't.

mod check;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Operator, TestServer};

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

/// Changes one byte in the middle of a file.
fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}
