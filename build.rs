//! Joins the description of the API and compresses it, and builds the program again when a file of the pages is new: the
//! compiler sees changes only of those that it knows.

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

fn main() {
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed={PARTS}");
    let text = description().to_string();
    let path = Path::new(&variable("OUT_DIR")).join("openapi.json.gz");
    let mut file = GzEncoder::new(File::create(path).expect("a file for the description"), Compression::best());
    file.write_all(text.as_bytes()).expect("room for the description");
    file.finish().expect("room for the description");
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
