//! The plan of the house, enforced: which module may know which, and what is written in which room only.
//!
//! The reading is simple but honest: comments, strings and `#[cfg(test)]` modules are taken out, what is left is split into words,
//! and paths are put together from them, nested `use` groups included.

mod reader;

use std::fs;
use std::path::{Path, PathBuf};

use reader::Source;

/// The rooms, and which rooms of the crate each may know.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("clock", &["domain"]),
    ("count", &[]),
    // It is reached by a macro, which no path leads to.
    ("fail_point", &[]),
    ("machine", &[]),
    ("auth", &["domain"]),
    ("store", &["domain", "clock", "count"]),
    ("usecase", &["domain", "auth", "count", "store"]),
    ("http", &["domain", "auth", "clock", "count", "identity_provider", "machine", "store", "usecase"]),
    ("config", &["domain", "auth"]),
    ("logging", &["clock", "config"]),
    ("certificates", &["domain", "clock", "config", "store"]),
    ("tls", &[]),
    ("outbound", &["tls"]),
    ("identity_provider", &["domain", "auth", "clock", "config", "outbound"]),
    // It looks after the queues by itself: a courier is no use case of anybody's.
    ("delivery", &["domain", "auth", "clock", "config", "outbound", "store"]),
    // What every command begins with: it opens the store with the keys, as the configuration says.
    ("installation", &["domain", "auth", "clock", "config", "store"]),
    (
        "app",
        &[
            "domain",
            "auth",
            "certificates",
            "clock",
            "config",
            "delivery",
            "http",
            "identity_provider",
            "installation",
            "store",
            "usecase",
        ],
    ),
    (
        "cli",
        &[
            "domain",
            "auth",
            "certificates",
            "clock",
            "config",
            "delivery",
            "http",
            "installation",
            "logging",
            "machine",
            "outbound",
            "service",
            "store",
            "tls",
            "usecase",
            "app",
        ],
    ),
    // Between the server and who started it.
    ("service", &["app", "config", "logging"]),
    ("main", &["cli"]),
    ("lib", &[]),
];

/// Paths from outside the crate, and the only places (files or folders under `src/`) that may use them.
const RESERVED: &[(&str, &[&str])] = &[
    ("warp", &["http/"]),
    // The fake server of the simulated fleet's tests is hyper's.
    ("hyper", &["http/serve/", "http/exchange.rs", "cli/simulate/tests.rs"]),
    ("rusqlite", &["store/"]),
    ("rusqlite_migration", &["store/"]),
    ("r2d2", &["store/"]),
    ("r2d2_sqlite", &["store/"]),
    // Configuration and commands read files that a person names.
    ("std::fs", &["store/", "config/", "cli/", "certificates/given.rs", "machine.rs"]),
    ("tokio::fs", &[]),
    (
        "tokio",
        &[
            "store/",
            "usecase/",
            "http/",
            "identity_provider/",
            "delivery/",
            "installation.rs",
            "app.rs",
            "app/",
            "service/",
            "cli/",
        ],
    ),
    ("reqwest", &["outbound.rs", "identity_provider/", "delivery/", "cli/simulate/", "cli/health.rs", "cli/remote.rs"]),
    ("rustls", &["tls.rs", "certificates/"]),
    ("tokio_rustls", &["http/serve/", "app.rs"]),
    ("rcgen", &["certificates/"]),
    ("rustls_platform_verifier", &["tls.rs"]),
    // Calls of the operating system that std lacks.
    ("rustix", &["store/", "http/sendfile.rs", "certificates/names.rs", "logging/", "machine.rs", "fail_point.rs"]),
    // What the service manager is told and hands over.
    ("sd_notify", &["service/manager.rs"]),
    ("listenfd", &["service/sockets.rs"]),
    ("argon2", &["auth/password.rs"]),
    ("rpassword", &["cli/user.rs", "cli/passphrase.rs"]),
    ("ring", &["auth/age.rs", "auth/bundle_signature.rs", "certificates/served.rs", "tls.rs"]),
    ("scrypt", &["auth/age.rs"]),
    ("if_addrs", &["cli/serve.rs", "certificates/names.rs"]),
    ("clap", &["config/", "cli/"]),
    // What hours mean is decided in one place; zones are found in another, as they may come from files.
    ("jiff", &["domain/hours", "config/hours.rs"]),
    // Files from outside are taken apart in one place, which bounds what they cost.
    ("tar", &["domain/artifact/", "domain/bundle/", "store/backup/", "cli/diagnose/"]),
    ("lzma_rust2", &["domain/artifact/"]),
    ("ruzstd", &["domain/artifact/"]),
    // What is compressed are our own pages and bundles.
    ("flate2", &["domain/artifact/", "http/assets.rs", "cli/diagnose/"]),
];

/// Words and calls, and the only places that may have them.
const RESERVED_WORDS: &[(&[&str], &[&str])] = &[
    // Clients read statuses and never decide one.
    (&["StatusCode"], &["http/", "cli/simulate/", "cli/health.rs", "cli/remote.rs"]),
    (&["SystemTime", "::", "now"], &["clock.rs", "cli/simulate/"]),
    // How long a receiver takes is for a person to read. Time-outs of connections, and what holds downloads back, run on tokio's own clock.
    (
        &["Instant", "::", "now"],
        &[
            "clock.rs",
            "http/body.rs",
            "http/connection.rs",
            "http/exchange.rs",
            "http/serve/",
            "http/device/download/",
            "cli/simulate/",
            "cli/webhook.rs",
        ],
    ),
    (&["unsafe"], &[]),
    (&["todo", "!"], &[]),
    (&["unimplemented", "!"], &[]),
    (&["panic", "!"], &[]),
    (&[".", "unwrap", "(", ")"], &[]),
];

/// Siblings that know nothing of each other.
const STRANGERS: [[&str; 2]; 3] = [["http", "device"], ["http", "management"], ["http", "oauth"]];

const MAX_LINES: usize = 600;

/// What is wrong with the file at `path`, relative to `src/`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{path} has {lines} lines, more than {MAX_LINES}"));
    }
    let source = Source::read(text);
    let is_in = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let module = module_path(path);
    let room = module.first().map_or(path.trim_end_matches(".rs"), String::as_str);
    let Some((_, known)) = ARROWS.iter().find(|(name, _)| *name == room) else {
        found.push(format!("{path} is in no room of the plan"));
        return found;
    };

    for used in source.paths() {
        let written = used.join("::");
        if let Some(inner) = absolute(&module, &used) {
            let target = inner.first().map_or("", String::as_str);
            let is_room = ARROWS.iter().any(|(name, _)| *name == target);
            if is_room && target != room && !known.contains(&target) {
                found.push(format!("{path}: {room} must not know {target}: {written}"));
            }
            let side = |path: &[String]| {
                STRANGERS.iter().position(|stranger| path.len() >= 2 && path[..2].iter().eq(stranger.iter()))
            };
            if let (Some(here), Some(there)) = (side(&module), side(&inner))
                && here != there
            {
                found.push(format!("{path}: siblings must not know each other: {written}"));
            }
        } else {
            for (reserved, places) in RESERVED {
                let is_used = written == *reserved || written.starts_with(&format!("{reserved}::"));
                if is_used && !is_in(places) {
                    found.push(format!("{path} must not use {reserved}: {written}"));
                }
            }
        }
    }
    // Tests in files of their own may fail loudly.
    if !path.ends_with("tests.rs") && !path.contains("/tests/") {
        for (words, places) in RESERVED_WORDS {
            if source.has(words) && !is_in(places) {
                found.push(format!("{path} must not have {}", words.concat()));
            }
        }
    }
    for literal in source.strings() {
        if is_sql(literal) && !is_in(&["store/"]) {
            found.push(format!("{path} must not have SQL: {literal}"));
        }
    }
    found
}

fn is_sql(text: &str) -> bool {
    let has = |words: &str| text.contains(words);
    has("SELECT ") || has("INSERT INTO ") || has("DELETE FROM ") || (has("UPDATE ") && has(" SET "))
}

/// The module that a file is: `http/device/auth.rs` is `http::device::auth`.
fn module_path(path: &str) -> Vec<String> {
    let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
    match module {
        "lib" | "main" => Vec::new(),
        _ => module.split('/').map(str::to_owned).collect(),
    }
}

/// A path as seen from the crate's root; `None` if it leads out of the crate.
fn absolute(module: &[String], used: &[String]) -> Option<Vec<String>> {
    let mut here = match used.first()?.as_str() {
        "crate" | "tender" => return Some(used[1..].to_vec()),
        "self" => return Some([module, &used[1..]].concat()),
        "super" => module.to_vec(),
        _ => return None,
    };
    let ups = used.iter().take_while(|part| *part == "super").count();
    here.truncate(here.len().saturating_sub(ups));
    Some([&here, &used[ups..]].concat())
}

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_source_file_keeps_to_the_plan() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = source_files(&root);
    assert!(files.len() > 50, "the source files were not found");
    let mut found = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        found.extend(violations(&relative, &fs::read_to_string(&file).unwrap()));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn planted_violations_are_found() {
    let planted = [
        ("domain/a.rs", "use crate::store::Store;"),
        ("domain/a.rs", "use std::{collections::HashMap, fs::File};"),
        ("domain/a.rs", "fn f() { let x: tokio::sync::Semaphore; }"),
        ("domain/a.rs", "fn f() { std::time::SystemTime::now(); }"),
        ("auth/a.rs", "use crate::{domain::Scope, http::Api};"),
        ("auth/mod.rs", "use super::store::Store;"),
        ("auth/a/b.rs", "use super::super::super::store;"),
        ("store/a.rs", "fn f() -> crate::usecase::X {}"),
        ("store/a.rs", "use warp::Filter;"),
        ("store/a.rs", "fn f() { tar::Archive::new(x) }"),
        ("usecase/a.rs", "use rusqlite::Connection;"),
        ("usecase/a.rs", "const QUERY: &str = \"SELECT 1\";"),
        ("http/a.rs", "fn f() { g(rusqlite::ErrorCode::DiskFull) }"),
        ("http/a.rs", "use crate::app::App;"),
        ("http/device/a.rs", "use super::super::management::groups;"),
        ("http/device/a.rs", "use crate::http::{error, management::{groups}};"),
        ("http/management/a.rs", "use crate::http::device::auth;"),
        ("http/oauth/a.rs", "use crate::http::management::audit;"),
        ("http/management/a.rs", "use super::super::oauth::client;"),
        ("http/a.rs", "const QUERY: &str = r#\"UPDATE devices\n SET a = 1\"#;"),
        ("usecase/a.rs", "use http::StatusCode;"),
        ("usecase/a.rs", "fn f() { x.unwrap(); }"),
        ("usecase/a.rs", "fn f() { x\n    .unwrap( ) }"),
        ("usecase/a.rs", "fn f() { panic!(\"no\") }"),
        ("usecase/a.rs", "fn f() { todo!() }"),
        ("usecase/a.rs", "fn f() { unsafe { g() } }"),
        ("usecase/a.rs", "fn f() { let now = Instant::now(); }"),
        ("config/mod.rs", "use crate::cli::run;"),
        ("attic/a.rs", ""),
        // What follows a test module, a string or a comment is read again.
        ("domain/a.rs", "#[cfg(test)]\nmod tests { fn f() { \"}\"; } }\nuse crate::store;"),
        ("domain/a.rs", "const A: char = '\"'; use crate::store; // \""),
        ("domain/a.rs", "/* /* */ */ use crate::store;"),
        ("domain/a.rs", "fn f<'a>(x: &'a str) { crate::http::x(x) }"),
    ];
    for (path, text) in planted {
        assert!(!violations(path, text).is_empty(), "{path}: {text}");
    }
    let long = "\n".repeat(MAX_LINES + 1);
    assert_eq!(violations("domain/a.rs", &long).len(), 1);
}

#[test]
fn what_is_allowed_is_no_violation() {
    let allowed = [
        ("domain/a.rs", "use super::Invalid; use crate::domain::Scope; use std::fmt;"),
        ("domain/a.rs", "// use crate::store::Store;\n/* panic!() */"),
        ("domain/a.rs", "const A: &str = \"crate::store::Store .unwrap() panic!\";"),
        ("domain/a.rs", "#[cfg(test)]\nmod tests { use crate::store::X; fn f() { x.unwrap(); { panic!(\"}\") } } }"),
        ("store/a.rs", "use rusqlite::Connection; const Q: &str = \"DELETE FROM devices\";"),
        ("http/device/a.rs", "use super::auth; use crate::http::device::update; use warp::http::StatusCode;"),
        ("http/mod.rs", "use device::auth; use management::groups;"),
        ("usecase/a.rs", "fn f() { x.unwrap_or(1); y.expect(\"is there\") }"),
        ("config/mod.rs", "fn f() -> http::Uri { x }"),
    ];
    for (path, text) in allowed {
        assert_eq!(violations(path, text), Vec::<String>::new(), "{text}");
    }
}
