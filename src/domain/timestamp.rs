//! A point in time, in whole seconds: the precision of the API's dates and of the device tokens.

use std::time::{Duration, SystemTime};

use humantime::{format_rfc3339_seconds, parse_rfc3339_weak};

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From POSIX seconds.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds)
    }

    /// As POSIX seconds.
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }

    /// This moment, `duration` later; the last representable moment if that is past it.
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// This moment, `duration` earlier; the first representable moment if that is before it.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)))
    }

    /// Reads a date in UTC as databases write it: `2023-08-17 10:41:08.123456`, with `T` and `Z` or without; fractions of a
    /// second do not count. `None`: it is no such date.
    pub fn parse_utc(text: &str) -> Option<Self> {
        let since_epoch = parse_rfc3339_weak(text.trim()).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        i64::try_from(since_epoch.as_secs()).ok().map(Self)
    }

    /// As people and programs read it: `2027-01-15T08:00:00Z` (RFC 3339).
    pub fn rfc3339(self) -> String {
        format_rfc3339_seconds(SystemTime::from(self)).to_string()
    }

    /// How many seconds it is from this moment to `other`; negative if that is earlier.
    pub fn seconds_until(self, other: Self) -> i64 {
        other.0.saturating_sub(self.0)
    }

    /// How long it is from this moment to `later`; nothing if that is not later.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

impl From<Timestamp> for SystemTime {
    /// Moments before 1970 become 1970: no stored date is earlier.
    fn from(timestamp: Timestamp) -> Self {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(timestamp.0).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_databases_are_read() {
        for text in
            ["2023-08-17 10:41:08.000000", "2023-08-17 10:41:08", "2023-08-17T10:41:08.9Z", " 2023-08-17T10:41:08 "]
        {
            assert_eq!(Timestamp::parse_utc(text), Some(Timestamp(1_692_268_868)), "{text:?}");
        }
        for text in ["", "yesterday", "2023-08-17", "2023-13-17 10:41:08", "1692268868"] {
            assert_eq!(Timestamp::parse_utc(text), None, "{text:?}");
        }
    }
}
