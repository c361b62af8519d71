//! The time, injectable. Nothing else in the program asks the operating system for it.
//!
//! A gateway may have no battery: it starts in 1970 and jumps to today when it reaches a time server. So there are two
//! times here. [`Clock::now`] is for dates that are stored and shown: the wall clock, but never earlier than any date
//! it has seen. [`Clock::steady`] is for short-lived tokens: it starts at the wall clock and then only counts, so that a
//! jump does not end them all at once.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// What [`Clock::now`] counts on from where the wall clock is behind.
    latest: Arc<Mutex<Mark>>,
    /// What [`Clock::steady`] counts on from.
    start: Arc<Mutex<Mark>>,
}

/// What a clock showed when its source had counted so long.
#[derive(Clone, Copy)]
struct Mark {
    shown: Timestamp,
    elapsed: Duration,
}

impl Mark {
    fn count_on(self, elapsed: Duration) -> Timestamp {
        self.shown.saturating_add(elapsed.saturating_sub(self.elapsed))
    }
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
        let mark = Mark { shown: unix_seconds(source.wall()).max(EARLIEST), elapsed: source.elapsed() };
        Self { source, latest: Arc::new(Mutex::new(mark)), start: Arc::new(Mutex::new(mark)) }
    }

    /// Says that it is not earlier than `latest_known`, the latest date that earlier runs stored. For the start, before
    /// any time was asked for.
    pub fn start_not_before(&self, latest_known: Timestamp) {
        let elapsed = self.source.elapsed();
        for mark in [&self.latest, &self.start] {
            let mut mark = lock(mark);
            if latest_known > mark.count_on(elapsed) {
                *mark = Mark { shown: latest_known, elapsed };
            }
        }
    }

    /// The date, for storing and showing; never earlier than one it gave before, and going on while the wall clock is
    /// behind that.
    pub fn now(&self) -> Timestamp {
        let (wall, elapsed) = (unix_seconds(self.source.wall()), self.source.elapsed());
        let mut latest = lock(&self.latest);
        let counted = latest.count_on(elapsed);
        if wall > counted {
            *latest = Mark { shown: wall, elapsed };
        }
        wall.max(counted)
    }

    /// Seconds that pass evenly, on about the same scale as [`Clock::now`], for tokens that live some minutes.
    pub fn steady(&self) -> Timestamp {
        lock(&self.start).count_on(self.source.elapsed())
    }

    /// What the wall clock shows, right or wrong and finer than dates are stored: for the log, which others read beside theirs.
    pub fn wall(&self) -> SystemTime {
        self.source.wall()
    }

    /// Time since an arbitrary moment, as finely as the machine counts, for how long something takes.
    pub fn elapsed(&self) -> Duration {
        self.source.elapsed()
    }

    /// The date, if anybody knows it: nobody does before the wall clock is set. For what depends on the hour of the day.
    pub fn known_date(&self) -> Option<Timestamp> {
        (!self.is_unset()).then(|| self.now())
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
        let mut time = lock(&self.0);
        time.0 += duration;
        time.1 += duration;
    }

    /// Somebody sets the wall clock: no time passes.
    pub fn set_wall(&self, wall: SystemTime) {
        lock(&self.0).0 = wall;
    }
}

impl Source for ManualTime {
    fn wall(&self) -> SystemTime {
        lock(&self.0).0
    }

    fn elapsed(&self) -> Duration {
        lock(&self.0).1
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked here is a plain value: no panic leaves it half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(clock.is_unset() && clock.known_date().is_none());
        assert_eq!((clock.now(), clock.steady()), (EARLIEST, EARLIEST));
        time.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), EARLIEST.saturating_add(Duration::from_secs(5)));
        time.set_wall(SystemTime::UNIX_EPOCH + YEAR_2027);
        assert_eq!(clock.now().unix_seconds(), 1_800_000_000);
        assert_eq!(clock.steady(), EARLIEST.saturating_add(Duration::from_secs(5)));
        assert_eq!(clock.known_date(), Some(clock.now()));
    }

    #[test]
    fn dates_never_go_back_nor_stand_still() {
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH + YEAR_2027);
        let before = clock.now();
        time.set_wall(SystemTime::UNIX_EPOCH);
        assert_eq!(clock.now(), before);
        time.advance(Duration::from_secs(3));
        assert_eq!(clock.now(), before.saturating_add(Duration::from_secs(3)));
        let restarted = Clock::new(Arc::new(time));
        restarted.start_not_before(before);
        assert_eq!((restarted.now(), restarted.steady()), (before, before));
    }
}
