//! What many tests ask of replies.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Asserts that an object has exactly these fields; a field more breaks clients that load replies strictly.
#[track_caller]
pub fn assert_fields(value: &Value, expected: &[&str]) {
    let mut fields: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    fields.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fields, expected);
}

/// Reads a date as seconds since 1970, and asserts that it is written as the API writes dates.
#[track_caller]
pub fn date(value: &Value) -> Duration {
    let text = value.as_str().unwrap_or_else(|| panic!("not a date: {value}"));
    let time = httpdate::parse_http_date(text).unwrap();
    assert_eq!(httpdate::fmt_http_date(time), text);
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// The SHA-256 of some bytes, as the API writes it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many bytes that do not repeat soon.
pub fn contents(length: u32) -> Vec<u8> {
    (0..length).map(|position| (position.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Waits until something that the server does after its reply is done.
pub async fn eventually(what: &str, mut is_done: impl FnMut() -> bool) {
    let waiting = async {
        while !is_done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("never happened: {what}"));
}
