//! Joins the description of the API, and compresses it and the files of the pages: they are in the program as they are sent.

#![allow(clippy::panic, reason = "this is how a build fails")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// The parts of the description; that of this name is the first.
const PARTS: &str = "src/http/openapi";
const FIRST_PART: &str = "openapi.json";
/// The files of the pages.
const PAGES: &str = "static";

fn main() {
    println!("cargo::rerun-if-changed={PAGES}");
    println!("cargo::rerun-if-changed={PARTS}");
    let out = PathBuf::from(variable("OUT_DIR"));
    write_compressed(&out.join("openapi.json.gz"), description().to_string().as_bytes());
    let pages = out.join(PAGES);
    // A file that is there no more shall not stay in the program.
    let _ = fs::remove_dir_all(&pages);
    compress_folder(Path::new(PAGES), &pages);
}

/// Compresses all files of a folder into another one, under the same names.
fn compress_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder for the pages");
    for entry in fs::read_dir(from).expect("the folder of the pages") {
        let path = entry.expect("a file").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            compress_folder(&path, &target);
        } else {
            write_compressed(&target, &fs::read(&path).expect("a file of the pages"));
        }
    }
}

fn write_compressed(path: &Path, contents: &[u8]) {
    let mut file = GzEncoder::new(File::create(path).expect("a file in the build's folder"), Compression::best());
    file.write_all(contents).expect("room for what is compressed");
    file.finish().expect("room for what is compressed");
}

/// All parts as one, of this version of the program.
fn description() -> Value {
    let files = fs::read_dir(PARTS).expect("the folder of the description").map(|entry| entry.expect("a file").path());
    let mut parts: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|name| name == "json")).collect();
    parts.sort_by_key(|path| (!path.ends_with(FIRST_PART), path.clone()));
    let mut whole = Value::Object(serde_json::Map::new());
    for path in parts {
        let text = fs::read(&path).expect("a part of the description");
        let part = serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        join(&mut whole, part, &path.display().to_string());
    }
    whole["info"]["version"] = variable("CARGO_PKG_VERSION").into();
    whole
}

/// Adds a part to the whole. What is in both must be an object with other fields.
fn join(whole: &mut Value, part: Value, place: &str) {
    let (Value::Object(whole), Value::Object(part)) = (whole, part) else {
        panic!("{place} is in another part of the description, too");
    };
    for (name, value) in part {
        match whole.get_mut(&name) {
            Some(there) => join(there, value, &format!("{place}: {name}")),
            None => {
                whole.insert(name, value);
            }
        }
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("a variable that cargo sets")
}
