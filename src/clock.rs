//! The time, injectable. Nothing else in the program asks the operating system for it.
//!
//! A gateway may have no battery: it starts in 1970 and jumps to today when it reaches a time server. So there are two
//! times here. [`Clock::now`] is for dates that are stored and shown: the wall clock, but never earlier than any date
//! it has seen. [`Clock::steady`] is for short-lived tokens: it starts at the wall clock and then only counts, so that a
//! jump does not end them all at once.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::domain::Timestamp;

/// No clock that is right shows less: 2026-11-01T00:00:00Z, before the first release.
const EARLIEST: Timestamp = Timestamp::from_unix_seconds(1_793_491_200);

/// Where the time comes from.
trait Source: Send + Sync {
    /// What the wall clock says, right or wrong.
    fn wall(&self) -> SystemTime;
    /// Time since an arbitrary fixed moment; only ever grows.
    fn elapsed(&self) -> Duration;
}

/// The clock of one running program; clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    source: Arc<dyn Source>,
    /// POSIX seconds of the latest date seen: what [`Clock::now`] never goes below.
    floor: Arc<AtomicI64>,
    /// POSIX seconds that [`Clock::steady`] showed when the source had counted `steady_origin`.
    steady_start: Arc<AtomicI64>,
    steady_origin: Duration,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemSource(Instant::now())))
    }

    /// A clock that stands still until it is moved, for tests.
    pub fn manual(wall: SystemTime) -> (Self, ManualTime) {
        let time = ManualTime(Arc::new(Mutex::new((wall, Duration::ZERO))));
        (Self::new(Arc::new(time.clone())), time)
    }

    fn new(source: Arc<dyn Source>) -> Self {
        let start = unix_seconds(source.wall()).max(EARLIEST).unix_seconds();
        let steady_origin = source.elapsed();
        let start_at = || Arc::new(AtomicI64::new(start));
        Self { source, floor: start_at(), steady_start: start_at(), steady_origin }
    }

    /// Says that it is not earlier than `latest_known`, the latest date that earlier runs stored. For the start, before
    /// any time was asked for.
    pub fn start_not_before(&self, latest_known: Timestamp) {
        for start in [&self.floor, &self.steady_start] {
            start.fetch_max(latest_known.unix_seconds(), Ordering::Relaxed);
        }
    }

    /// The date, for storing and showing; never earlier than one it gave before.
    pub fn now(&self) -> Timestamp {
        let wall = unix_seconds(self.source.wall()).unix_seconds();
        let before = self.floor.fetch_max(wall, Ordering::Relaxed);
        Timestamp::from_unix_seconds(wall.max(before))
    }

    /// Seconds that pass evenly, on about the same scale as [`Clock::now`], for tokens that live some minutes.
    pub fn steady(&self) -> Timestamp {
        let start = Timestamp::from_unix_seconds(self.steady_start.load(Ordering::Relaxed));
        start.saturating_add(self.source.elapsed().saturating_sub(self.steady_origin))
    }

    /// Whether the wall clock shows a time that cannot be: nobody has set it yet.
    pub fn is_unset(&self) -> bool {
        unix_seconds(self.source.wall()) < EARLIEST
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish_non_exhaustive()
    }
}

struct SystemSource(Instant);

impl Source for SystemSource {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Moves a [`Clock::manual`].
#[derive(Clone)]
pub struct ManualTime(Arc<Mutex<(SystemTime, Duration)>>);

impl ManualTime {
    /// Time passes: both clocks go on.
    pub fn advance(&self, duration: Duration) {
        let mut time = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        time.0 += duration;
        time.1 += duration;
    }

    /// Somebody sets the wall clock: no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = wall;
    }
}

impl Source for ManualTime {
    fn wall(&self) -> SystemTime {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

fn unix_seconds(time: SystemTime) -> Timestamp {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Timestamp::from_unix_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_2027: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn a_jump_from_1970_moves_dates_and_not_tokens() {
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH);
        assert!(clock.is_unset());
        assert_eq!((clock.now(), clock.steady()), (EARLIEST, EARLIEST));
        time.advance(Duration::from_secs(5));
        time.set_wall(SystemTime::UNIX_EPOCH + YEAR_2027);
        assert_eq!(clock.now().unix_seconds(), 1_800_000_000);
        assert_eq!(clock.steady(), EARLIEST.saturating_add(Duration::from_secs(5)));
        assert!(!clock.is_unset());
    }

    #[test]
    fn dates_never_go_back() {
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH + YEAR_2027);
        let before = clock.now();
        time.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), before);
        let restarted = Clock::new(Arc::new(time));
        restarted.start_not_before(before);
        assert_eq!((restarted.now(), restarted.steady()), (before, before));
    }
}
