//! What a run counts and measures, the progress bar, and the summary.
//!
//! Nothing in here decides what a device does next.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::failure::{Failure, FailureKind, Operation};

const REDRAW_INTERVAL: Duration = Duration::from_millis(250);
/// The operations whose latency the summary shows, in its order.
const MEASURED_OPERATIONS: [Operation; 3] = [Operation::Authorize, Operation::Check, Operation::Download];
/// Longer than any download that is worth waiting for.
const LONGEST_LATENCY: Duration = Duration::from_secs(24 * 60 * 60);
const SIGNIFICANT_DIGITS: u8 = 3;

/// Something that happened to a device, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    KeyGenerated,
    /// The first token of a device, as opposed to those that replace an expired one.
    Accepted,
    Authorized,
    AuthorizationPending,
    Checked,
    Installed,
    /// Downloaded and verified, but its version is unknown without a management token.
    VerifiedOnly,
    DownloadResumed,
}

const EVENT_KINDS: usize = Event::DownloadResumed as usize + 1;

/// The counters and measurements of one run; shared by all devices.
pub struct Report {
    devices: u32,
    started: Instant,
    events: [AtomicU64; EVENT_KINDS],
    bytes_downloaded: AtomicU64,
    failures: Mutex<BTreeMap<(Operation, FailureKind), u64>>,
    latencies: [(Operation, Mutex<Histogram<u64>>); MEASURED_OPERATIONS.len()],
    progress_bar: ProgressBar,
    hinted: AtomicBool,
}

impl Report {
    /// A report of a fleet of `devices` that starts now. The progress bar draws on stderr, and
    /// only when that is a terminal.
    pub fn new(devices: u32) -> Self {
        let style =
            ProgressStyle::with_template("{spinner} {elapsed} {msg}").expect("the template is a constant that parses");
        let progress_bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        progress_bar.set_style(style);
        Report {
            devices,
            started: Instant::now(),
            events: Default::default(),
            bytes_downloaded: AtomicU64::new(0),
            failures: Mutex::default(),
            latencies: MEASURED_OPERATIONS.map(|operation| (operation, Mutex::new(histogram()))),
            progress_bar,
            hinted: AtomicBool::new(false),
        }
    }

    /// Counts one `event`.
    pub fn count(&self, event: Event) {
        self.events[event as usize].fetch_add(1, Relaxed);
    }

    /// Counts bytes of packages, those of downloads that fail later included.
    pub fn count_downloaded(&self, bytes: u64) {
        self.bytes_downloaded.fetch_add(bytes, Relaxed);
    }

    /// Counts a failure by its kind.
    pub fn count_failure(&self, failure: &Failure) {
        *lock(&self.failures).entry((failure.operation, failure.kind)).or_default() += 1;
    }

    /// Notes how long an answer took. The latency of a failure is not one to note: it says more
    /// about the time limits of the client than about the server.
    pub fn measure(&self, operation: Operation, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        for (measured, histogram) in &self.latencies {
            if *measured == operation {
                lock(histogram).saturating_record(microseconds);
            }
        }
    }

    /// Prints a line on stderr without tearing the progress bar.
    pub fn tell(&self, line: impl fmt::Display) {
        self.progress_bar.suspend(|| eprintln!("{line}"));
    }

    /// Prints `hint` on stderr, the first time this is called.
    pub fn hint_once(&self, hint: &str) {
        if !self.hinted.swap(true, Relaxed) {
            self.tell(hint);
        }
    }

    /// Keeps the progress bar up to date until the future is dropped.
    pub async fn show_progress(&self) -> Infallible {
        let mut redraw = tokio::time::interval(REDRAW_INTERVAL);
        let mut checks_before = 0;
        let mut drawn = Instant::now();
        loop {
            redraw.tick().await;
            let checks = self.counted(Event::Checked);
            let per_second = rate(checks - checks_before, drawn.elapsed());
            (checks_before, drawn) = (checks, Instant::now());
            self.progress_bar.set_message(format!(
                "keys {} · accepted {}/{} · checks {checks} ({per_second:.0}/s) · updates {} · \
                 failures {}",
                self.counted(Event::KeyGenerated),
                self.counted(Event::Accepted),
                self.devices,
                self.counted(Event::Installed) + self.counted(Event::VerifiedOnly),
                lock(&self.failures).values().sum::<u64>(),
            ));
            self.progress_bar.tick();
        }
    }

    /// Takes the progress bar away and sums the run up.
    pub fn finish(&self) -> Summary {
        self.progress_bar.finish_and_clear();
        let percentiles = |(operation, histogram): &(Operation, Mutex<Histogram<u64>>)| {
            (*operation, Percentiles::of(&lock(histogram)))
        };
        Summary {
            devices: self.devices,
            accepted: self.counted(Event::Accepted),
            authorizations: self.counted(Event::Authorized),
            pending_answers: self.counted(Event::AuthorizationPending),
            checks: self.counted(Event::Checked),
            installed: self.counted(Event::Installed),
            verified_only: self.counted(Event::VerifiedOnly),
            bytes_downloaded: self.bytes_downloaded.load(Relaxed),
            resumed_downloads: self.counted(Event::DownloadResumed),
            failures: lock(&self.failures).clone(),
            latencies: self.latencies.each_ref().map(percentiles),
            duration: self.started.elapsed(),
        }
    }

    fn counted(&self, event: Event) -> u64 {
        self.events[event as usize].load(Relaxed)
    }
}

/// A counter is still right after a panic elsewhere, so poisoning says nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn histogram() -> Histogram<u64> {
    let longest_microseconds = LONGEST_LATENCY.as_secs() * 1_000_000;
    Histogram::new_with_bounds(1, longest_microseconds, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants a histogram takes")
}

fn rate(count: u64, duration: Duration) -> f64 {
    let seconds = duration.as_secs_f64();
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// How latencies are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    count: u64,
    p50: Duration,
    p90: Duration,
    p99: Duration,
    max: Duration,
}

impl Percentiles {
    fn of(microseconds: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_micros(microseconds.value_at_quantile(quantile));
        Percentiles {
            count: microseconds.len(),
            p50: at(0.50),
            p90: at(0.90),
            p99: at(0.99),
            max: Duration::from_micros(microseconds.max()),
        }
    }
}

/// A run summed up; displays as the text for people.
pub struct Summary {
    devices: u32,
    accepted: u64,
    authorizations: u64,
    pending_answers: u64,
    checks: u64,
    installed: u64,
    verified_only: u64,
    bytes_downloaded: u64,
    resumed_downloads: u64,
    failures: BTreeMap<(Operation, FailureKind), u64>,
    latencies: [(Operation, Percentiles); MEASURED_OPERATIONS.len()],
    duration: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks_per_second = rate(self.checks, self.duration);
        writeln!(out, "devices            {:>12}  ({} accepted)", self.devices, self.accepted)?;
        writeln!(
            out,
            "authorizations     {:>12}  ({} times not accepted yet)",
            self.authorizations, self.pending_answers
        )?;
        writeln!(out, "checks             {:>12}  ({checks_per_second:.1} per second)", self.checks)?;
        writeln!(out, "updates installed  {:>12}", self.installed)?;
        if self.verified_only > 0 {
            writeln!(
                out,
                "updates verified   {:>12}  (not installed: version unknown without --token)",
                self.verified_only
            )?;
        }
        writeln!(out, "bytes downloaded   {:>12}", self.bytes_downloaded)?;
        writeln!(out, "resumed downloads  {:>12}", self.resumed_downloads)?;
        writeln!(out, "failures           {:>12}", self.failures.values().sum::<u64>())?;
        for ((operation, kind), count) in &self.failures {
            writeln!(out, "  {count:>8} × {operation}: {kind}")?;
        }
        writeln!(out, "duration           {:>10.1} s", self.duration.as_secs_f64())?;
        writeln!(out)?;
        writeln!(out, "latency in ms {:>9} {:>10} {:>10} {:>10} {:>10}", "count", "p50", "p90", "p99", "max")?;
        for (operation, latency) in &self.latencies {
            write!(out, "  {operation:<11} {:>9}", latency.count)?;
            for duration in [latency.p50, latency.p90, latency.p99, latency.max] {
                if latency.count == 0 {
                    write!(out, " {:>10}", "-")?;
                } else {
                    write!(out, " {:>10.1}", duration.as_secs_f64() * 1000.0)?;
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_measured() {
        let mut histogram = histogram();
        for milliseconds in 1..=100 {
            histogram.saturating_record(milliseconds * 1000);
        }
        let percentiles = Percentiles::of(&histogram);
        let is_near =
            |duration: Duration, milliseconds: f64| (duration.as_secs_f64() * 1000.0 - milliseconds).abs() <= 0.1;
        assert_eq!(percentiles.count, 100);
        assert!(is_near(percentiles.p50, 50.0), "{percentiles:?}");
        assert!(is_near(percentiles.p90, 90.0), "{percentiles:?}");
        assert!(is_near(percentiles.p99, 99.0), "{percentiles:?}");
        assert!(is_near(percentiles.max, 100.0), "{percentiles:?}");
    }

    #[test]
    fn a_latency_past_every_bound_is_kept_as_the_longest() {
        let report = Report::new(1);
        report.measure(Operation::Check, Duration::MAX);
        let (_, check) = report.finish().latencies[1];
        assert_eq!(check.count, 1);
        assert!(check.max >= LONGEST_LATENCY);
    }

    #[test]
    fn the_summary_is_aligned_and_names_every_failure() {
        let report = Report::new(3);
        for _ in 0..3 {
            report.count(Event::Accepted);
            report.count(Event::Authorized);
        }
        report.count(Event::Installed);
        report.count(Event::VerifiedOnly);
        report.count_downloaded(4_194_304);
        report.measure(Operation::Download, Duration::from_millis(2));
        for _ in 0..2 {
            let kind = FailureKind::Status(503);
            report.count_failure(&Failure::new(Operation::Check, kind, "busy"));
        }
        let mut summary = report.finish();
        summary.checks = 24;
        summary.duration = Duration::from_secs(10);
        assert_eq!(
            summary.to_string(),
            "\
devices                       3  (3 accepted)
authorizations                3  (0 times not accepted yet)
checks                       24  (2.4 per second)
updates installed             1
updates verified              1  (not installed: version unknown without --token)
bytes downloaded        4194304
resumed downloads             0
failures                      2
         2 × check: HTTP status 503
duration                 10.0 s

latency in ms     count        p50        p90        p99        max
  authorize           0          -          -          -          -
  check               0          -          -          -          -
  download            1        2.0        2.0        2.0        2.0
"
        );
    }
}
