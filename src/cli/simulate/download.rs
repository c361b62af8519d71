//! One download: received in chunks that are hashed and thrown away, resumed after a broken
//! connection, and compared with the SHA-256 the server promised.
//!
//! What is done with a verified package is the device's business.

use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, ETAG, HeaderName, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest, Sha256};

use super::failure::{Failure, FailureKind, Operation};

/// How often one download may go on after a broken connection before it counts as failed.
const MAX_RESUMPTIONS: u32 = 8;
const FIRST_RESUMPTION_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_RESUMPTION_PAUSE: Duration = Duration::from_secs(5);

/// A download that is complete and has the SHA-256 the server promised.
#[derive(Debug)]
pub struct Download {
    pub length_bytes: u64,
    /// How often it went on in the middle after a broken connection.
    pub resumptions: u32,
}

/// Downloads `uri`, going on where a broken connection left off, and compares its SHA-256 with
/// `promised_sha256` (hexadecimal). The bytes are thrown away; `received` is told the length of
/// each chunk.
///
/// # Errors
/// When the connection breaks too often, the server refuses, or the SHA-256 differs.
pub async fn download(
    http: &reqwest::Client,
    uri: &Url,
    promised_sha256: &str,
    received: impl Fn(u64),
) -> Result<Download, Failure> {
    let mut partial = PartialDownload::default();
    for attempt in 0..=MAX_RESUMPTIONS {
        if attempt > 0 {
            tokio::time::sleep(resumption_pause(attempt)).await;
        }
        match partial.receive_rest(http, uri, &received).await? {
            Reception::Complete => return partial.verify(promised_sha256),
            Reception::Broken(failure) if attempt == MAX_RESUMPTIONS => return Err(failure),
            Reception::Broken(_) => {}
            Reception::StartOver => partial.start_over(),
        }
    }
    Err(Failure::unusable(Operation::Download, "the server gives no range of the package that fits"))
}

/// How one request of a download ended.
enum Reception {
    Complete,
    Broken(Failure),
    /// What was received so far is of no use.
    StartOver,
}

impl Reception {
    fn broken(error: &reqwest::Error) -> Self {
        Reception::Broken(Failure::transport(Operation::Download, error))
    }
}

/// What the answer to a request for the rest of a package means.
#[derive(Debug, PartialEq, Eq)]
enum Continuation {
    /// The body goes on where the last one broke off.
    Append,
    /// The body is the whole package.
    FromTheStart,
    /// The body is of no use; ask again, for the whole package.
    StartOver,
    Refused,
}

fn continuation(status: StatusCode, received_bytes: u64, range_start: Option<u64>) -> Continuation {
    let asked_for_range = received_bytes > 0;
    match status {
        StatusCode::OK => Continuation::FromTheStart,
        StatusCode::PARTIAL_CONTENT if asked_for_range && range_start == Some(received_bytes) => Continuation::Append,
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if asked_for_range => Continuation::StartOver,
        _ => Continuation::Refused,
    }
}

/// The first byte's position in a `Content-Range` such as `bytes 100-199/200`.
fn content_range_start(content_range: &str) -> Option<u64> {
    let range = content_range.strip_prefix("bytes ")?;
    let (start, _) = range.split_once('-')?;
    start.trim().parse().ok()
}

/// `If-Range` takes no weak entity tag: a weak one does not promise the same bytes.
fn is_strong(entity_tag: &str) -> bool {
    entity_tag.starts_with('"')
}

fn resumption_pause(attempt: u32) -> Duration {
    let growth = 2_u32.saturating_pow(attempt.saturating_sub(1));
    FIRST_RESUMPTION_PAUSE.saturating_mul(growth).min(LONGEST_RESUMPTION_PAUSE)
}

/// What is known of a package that is not downloaded completely: its hash so far, not its bytes.
#[derive(Default)]
struct PartialDownload {
    hasher: Sha256,
    received_bytes: u64,
    entity_tag: Option<String>,
    resumptions: u32,
}

impl PartialDownload {
    /// Makes one request for what is missing, and hashes what comes.
    async fn receive_rest(
        &mut self,
        http: &reqwest::Client,
        uri: &Url,
        received: &impl Fn(u64),
    ) -> Result<Reception, Failure> {
        let mut request = http.get(uri.clone());
        if self.received_bytes > 0 {
            request = request.header(RANGE, format!("bytes={}-", self.received_bytes));
            if let Some(entity_tag) = &self.entity_tag {
                request = request.header(IF_RANGE, entity_tag);
            }
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Ok(Reception::broken(&error)),
        };
        let range_start = header(&response, CONTENT_RANGE).and_then(content_range_start);
        match continuation(response.status(), self.received_bytes, range_start) {
            Continuation::Append => self.resumptions += 1,
            Continuation::FromTheStart => {
                self.start_over();
                self.entity_tag = header(&response, ETAG).filter(|entity_tag| is_strong(entity_tag)).map(str::to_owned);
            }
            Continuation::StartOver => return Ok(Reception::StartOver),
            Continuation::Refused => {
                return Err(Failure::status(Operation::Download, response).await);
            }
        }
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    self.append(&chunk);
                    received(chunk.len() as u64);
                }
                Ok(None) => return Ok(Reception::Complete),
                Err(error) => return Ok(Reception::broken(&error)),
            }
        }
    }

    fn append(&mut self, chunk: &[u8]) {
        self.hasher.update(chunk);
        self.received_bytes += chunk.len() as u64;
    }

    fn start_over(&mut self) {
        self.hasher = Sha256::new();
        self.received_bytes = 0;
        self.entity_tag = None;
    }

    fn verify(self, promised_sha256: &str) -> Result<Download, Failure> {
        let sha256 = format!("{:x}", self.hasher.finalize());
        if !sha256.eq_ignore_ascii_case(promised_sha256) {
            let detail = format!("promised {promised_sha256}, received {sha256} ({} bytes)", self.received_bytes);
            return Err(Failure::new(Operation::Download, FailureKind::HashMismatch, detail));
        }
        Ok(Download { length_bytes: self.received_bytes, resumptions: self.resumptions })
    }
}

fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_fits_is_appended() {
        let answer = continuation(StatusCode::PARTIAL_CONTENT, 100, Some(100));
        assert_eq!(answer, Continuation::Append);
    }

    #[test]
    fn the_whole_package_starts_from_the_start_even_if_a_range_was_asked_for() {
        for received_bytes in [0, 100] {
            let answer = continuation(StatusCode::OK, received_bytes, None);
            assert_eq!(answer, Continuation::FromTheStart);
        }
    }

    #[test]
    fn a_range_that_does_not_fit_starts_over() {
        for range_start in [None, Some(0), Some(99), Some(101)] {
            let answer = continuation(StatusCode::PARTIAL_CONTENT, 100, range_start);
            assert_eq!(answer, Continuation::StartOver);
        }
        let answer = continuation(StatusCode::RANGE_NOT_SATISFIABLE, 100, None);
        assert_eq!(answer, Continuation::StartOver);
    }

    #[test]
    fn a_range_nobody_asked_for_is_refused() {
        for status in [StatusCode::PARTIAL_CONTENT, StatusCode::RANGE_NOT_SATISFIABLE, StatusCode::NOT_FOUND] {
            assert_eq!(continuation(status, 0, Some(0)), Continuation::Refused);
        }
    }

    #[test]
    fn the_start_of_a_content_range_is_read() {
        assert_eq!(content_range_start("bytes 100-199/200"), Some(100));
        assert_eq!(content_range_start("bytes 100-199/*"), Some(100));
        assert_eq!(content_range_start("bytes */200"), None);
        assert_eq!(content_range_start("items 1-2/3"), None);
    }

    #[test]
    fn pauses_between_resumptions_grow_up_to_a_limit() {
        assert_eq!(resumption_pause(1), Duration::from_millis(100));
        assert_eq!(resumption_pause(3), Duration::from_millis(400));
        assert_eq!(resumption_pause(u32::MAX), LONGEST_RESUMPTION_PAUSE);
    }

    #[test]
    fn a_hash_that_differs_fails() {
        let mut partial = PartialDownload::default();
        partial.append(b"not what was promised");
        let failure = partial.verify(&"0".repeat(64)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::HashMismatch);
    }
}
