//! How often the log hears that the provider fails: not with every request.

use std::time::Duration;

use crate::domain::Timestamp;

/// The time between two lines.
const PAUSE: Duration = Duration::from_secs(60);

/// What the log has heard and what was held back.
#[derive(Default)]
pub(super) struct Complaints {
    last: Option<Timestamp>,
    held_back: u64,
}

impl Complaints {
    /// Whether the failure at `now`, the steady time, is to be logged: then how many were held back since the last that
    /// was; `None` if it is held back as well.
    pub(super) fn admit(&mut self, now: Timestamp) -> Option<u64> {
        if self.last.is_some_and(|last| now < last.saturating_add(PAUSE)) {
            self.held_back += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_hears_of_it_once_a_minute() {
        let mut complaints = Complaints::default();
        let heard = [0, 0, 59, 60, 61, 200].map(|now| complaints.admit(Timestamp::from_unix_seconds(now)));
        assert_eq!(heard, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
