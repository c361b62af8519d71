//! What is told of stored things, as JSON and as text.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;
use serde_json::{Value, json};

use crate::domain::attempt::AttemptOutcome;
use crate::store::{Examination, StoreError, attempts, audit};
use crate::usecase::check_store::Report;

/// How many attempts and entries are told at most.
const MOST: u32 = 200;
/// How many files are told at most.
const MOST_FILES: usize = 10_000;
/// How deep folders are looked into: deeper than packages are.
const DEPTH: usize = 6;

/// What was found when packages were compared with their files.
pub(super) fn check(report: &Report) -> Value {
    let findings = report.findings.iter().map(|finding| {
        let path = finding.path.display().to_string();
        json!({ "kind": finding.kind.name(), "package": finding.package, "path": path, "detail": finding.detail })
    });
    json!({ "packages": report.packages, "bytes": report.bytes, "findings": findings.collect::<Vec<_>>() })
}

/// The last attempts that failed.
pub(super) fn attempts(examination: &Examination) -> Result<Value, StoreError> {
    let mut told = Vec::new();
    for outcome in AttemptOutcome::ALL.iter().copied().filter(|outcome| outcome.is_failure()) {
        let filter = attempts::Filter { outcome: Some(outcome), ..attempts::Filter::default() };
        told.extend(examination.read(|connection| attempts::page(connection, &filter, MOST))?);
    }
    told.sort_by_key(|attempt| std::cmp::Reverse(attempt.id));
    let shown = told.iter().take(MOST as usize).map(|attempt| {
        json!({
            "id": attempt.id, "device": attempt.device, "group": attempt.step.group, "package": attempt.step.package,
            "from": *attempt.step.from_version, "to": *attempt.step.to_version, "target": *attempt.step.target,
            "offered_at": attempt.offered_at.rfc3339(), "offers": attempt.offers, "length": attempt.step.length_bytes,
            "fetched": attempt.fetched_bytes, "sent": attempt.sent_bytes,
            "ended_at": attempt.end.map(|(at, _)| at.rfc3339()), "outcome": attempt.end.map(|(_, outcome)| outcome.name()),
        })
    });
    Ok(shown.collect())
}

/// The latest entries of the audit log.
pub(super) fn audit(examination: &Examination) -> Result<Value, StoreError> {
    let entries = examination.read(|connection| audit::page(connection, &audit::Filter::default(), MOST))?;
    let shown = entries.iter().map(|record| {
        let entry = &record.entry;
        json!({
            "at": record.at.rfc3339(), "actor": entry.deed.actor.to_string(),
            "address": entry.deed.address.map(|address| address.to_string()), "action": entry.deed.action.to_string(),
            "target": entry.target, "outcome": entry.outcome.to_string(), "detail": entry.detail,
        })
    });
    Ok(shown.collect())
}

/// Names, lengths and dates of the files at and below some places, and why a place cannot be looked at.
pub(super) fn files(places: &[&Path]) -> String {
    let (mut text, mut left) = (String::new(), MOST_FILES);
    let is_below_another = |place: &&&Path| !places.iter().any(|other| **place != *other && place.starts_with(other));
    for place in places.iter().filter(is_below_another) {
        list(place, DEPTH, &mut left, &mut text);
    }
    if left == 0 {
        text.push_str("and more\n");
    }
    text
}

fn list(path: &Path, depth: usize, left: &mut usize, text: &mut String) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    // A file may be called anything, and its line is to stay one. Writing to a String does not fail.
    let name = path.display().to_string().escape_debug().to_string();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let _ = writeln!(text, "{name}: {error}");
            return;
        }
    };
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let kind = if metadata.is_dir() { "/" } else { "" };
    let _ = writeln!(text, "{:>12} {} {name}{kind}", metadata.len(), format_rfc3339_seconds(modified));
    if metadata.is_dir() && depth > 0 {
        let Ok(entries) = fs::read_dir(path) else {
            let _ = writeln!(text, "{name}: cannot be listed");
            return;
        };
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            list(&path, depth - 1, left, text);
        }
    }
}
