//! The bundle as a file: a tar that is compressed with gzip. Everything that goes in passes the [`Redactor`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::redact::Redactor;

/// The folder that the bundle unpacks to.
const FOLDER: &str = "tender-diagnosis";

/// A bundle that is being made.
pub(super) struct Bundle {
    archive: tar::Builder<GzEncoder<File>>,
    redactor: Redactor,
}

impl Bundle {
    /// Begins one at a path where nothing is. It is for its owner alone to read.
    pub(super) fn create(path: &Path, redactor: Redactor) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { archive: tar::Builder::new(GzEncoder::new(file, Compression::default())), redactor })
    }

    /// Adds what was found out, or why that was not possible.
    pub(super) fn add(&mut self, name: &str, found: Result<Value, String>) -> io::Result<()> {
        let found = found.unwrap_or_else(|error| json!({ "error": error }));
        self.add_text(name, &format!("{found:#}\n"))
    }

    /// Adds a text.
    pub(super) fn add_text(&mut self, name: &str, text: &str) -> io::Result<()> {
        let text = self.redactor.clean(text);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        self.archive.append_data(&mut header, format!("{FOLDER}/{name}"), text.as_bytes())
    }

    /// Writes its end, and has it on disk.
    pub(super) fn finish(self) -> io::Result<()> {
        self.archive.into_inner()?.finish()?.sync_all()
    }
}
