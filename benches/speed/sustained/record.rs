//! What happens under the load: how long replies took, how much there was of everything, and what went wrong.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;

/// How many errors are printed; all are counted.
const SHOWN_ERRORS: usize = 20;

/// Written by all that make the load.
pub struct Record(Mutex<Notes>);

/// What was noted.
pub struct Notes {
    /// How long update checks took, in microseconds: connecting included.
    pub checks: Histogram<u64>,
    /// Those since the last look.
    pub latest_checks: Histogram<u64>,
    /// How long devices waited for tokens, in microseconds.
    pub authorizations: Histogram<u64>,
    pub downloads: usize,
    pub downloaded_bytes: u64,
    pub uploads: usize,
    pub uploaded_bytes: u64,
    /// What the open page heard, and how often it fetched what it shows.
    pub heard: usize,
    pub fetches: usize,
    /// Whatever is not as it should be, since the very beginning.
    pub errors: usize,
}

impl Notes {
    fn new(errors: usize) -> Self {
        let [checks, latest_checks, authorizations] = [(); 3].map(|()| Histogram::new(3).unwrap());
        Self {
            checks,
            latest_checks,
            authorizations,
            downloads: 0,
            downloaded_bytes: 0,
            uploads: 0,
            uploaded_bytes: 0,
            heard: 0,
            fetches: 0,
            errors,
        }
    }
}

impl Record {
    pub fn new() -> Self {
        Self(Mutex::new(Notes::new(0)))
    }

    /// What was noted since this was asked last. Errors are counted on.
    pub fn take(&self) -> Notes {
        let mut notes = self.notes();
        let errors = notes.errors;
        std::mem::replace(&mut notes, Notes::new(errors))
    }

    pub fn check(&self, elapsed: Duration) {
        let mut notes = self.notes();
        notes.checks.saturating_record(elapsed.as_micros() as u64);
        notes.latest_checks.saturating_record(elapsed.as_micros() as u64);
    }

    pub fn authorization(&self, elapsed: Duration) {
        self.notes().authorizations.saturating_record(elapsed.as_micros() as u64);
    }

    pub fn download(&self, bytes: u64) {
        let mut notes = self.notes();
        notes.downloads += 1;
        notes.downloaded_bytes += bytes;
    }

    pub fn upload(&self, bytes: u64) {
        let mut notes = self.notes();
        notes.uploads += 1;
        notes.uploaded_bytes += bytes;
    }

    pub fn heard(&self) {
        self.notes().heard += 1;
    }

    pub fn fetch(&self) {
        self.notes().fetches += 1;
    }

    pub fn error(&self, error: impl Display) {
        let mut notes = self.notes();
        notes.errors += 1;
        if notes.errors <= SHOWN_ERRORS {
            eprintln!("  ERROR: {error}");
        }
    }

    pub fn notes(&self) -> MutexGuard<'_, Notes> {
        // Counts are plain assignments.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many percent of them took no longer.
pub fn percentile(times: &Histogram<u64>, percent: f64) -> Duration {
    Duration::from_micros(times.value_at_percentile(percent))
}
