//! How long to wait before something that failed is tried again.

use std::time::Duration;

/// Twice as long after each failure, up to a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// The limit.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait after so many failures in a row: between half of it and all, as `random` says, so that many who failed
    /// together do not come again together.
    pub fn delay(self, failures: u32, random: u32) -> Duration {
        let half = self.nominal(failures) / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// About how long has been waited when so many attempts in a row have failed.
    pub fn waited(self, failures: u32) -> Duration {
        let rising = (1..failures).take_while(|failure| self.nominal(*failure) < self.longest).count();
        let rising = u32::try_from(rising).unwrap_or(u32::MAX);
        let risen: Duration = (1..=rising).map(|failure| self.nominal(failure)).sum();
        risen.saturating_add(self.longest.saturating_mul(failures.saturating_sub(1 + rising)))
    }

    fn nominal(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);
    const BACKOFF: Backoff = Backoff { first: SECOND, longest: HOUR };

    #[test]
    fn it_doubles_up_to_the_limit_and_varies() {
        let seconds = |failures, random| BACKOFF.delay(failures, random).as_secs_f64();
        for (failures, longest) in [(1, 1.0), (2, 2.0), (11, 1024.0), (13, 3600.0), (u32::MAX, 3600.0)] {
            assert_eq!((seconds(failures, 0), seconds(failures, u32::MAX)), (longest / 2.0, longest));
        }
    }

    #[test]
    fn what_was_waited_adds_up() {
        for (failures, seconds) in [(0, 0), (1, 0), (2, 1), (3, 3), (13, 4095), (14, 4095 + 3600)] {
            assert_eq!(BACKOFF.waited(failures).as_secs(), seconds, "{failures}");
        }
        assert!(BACKOFF.waited(u32::MAX) > Duration::from_secs(366 * 24 * 3600));
    }
}
