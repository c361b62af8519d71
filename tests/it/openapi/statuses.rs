//! Each status that is described is one that the program really answers with: the tests have seen it, or there is a reason why they have
//! not.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::description::{SEEN, description};

/// Statuses that any operation may be answered with which reads or writes what is stored, and that are tested where they are made: not at
/// each operation.
const ANYWHERE: [(u16, &str); 1] = [(500, "the server's own fault: there is no way to cause it")];

#[test]
#[ignore = "looks at what all other tests have seen: TENDER_SEEN_STATUSES names the file that they wrote"]
fn every_described_status_was_seen() {
    let seen = std::env::var_os(SEEN).expect("the file that the other tests wrote");
    let seen = fs::read_to_string(seen).unwrap();
    let seen: BTreeSet<&str> = seen.lines().collect();
    let mut unseen = BTreeSet::new();
    for operation in description().operations() {
        for status in description().operation(&operation)["responses"].as_object().unwrap().keys() {
            let line = format!("{} {} {status}", operation.method, operation.path);
            if !seen.contains(&*line) {
                unseen.insert(line);
            }
        }
    }
    let _ = ANYWHERE;
    assert!(unseen.is_empty(), "{unseen:#?}");
}
