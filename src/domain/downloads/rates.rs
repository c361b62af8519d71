//! How much may be downloaded in a second, by the hours of the week.

use crate::domain::{ByteSize, LocalHours, Timestamp};

/// How much may be downloaded in a second; `None`: any amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// By all devices together.
    pub total: Option<ByteSize>,
    /// By one of them.
    pub device: Option<ByteSize>,
}

impl Rates {
    /// The lowest rate there is: a download needs some bytes to be one.
    pub const LOWEST: ByteSize = ByteSize::from_bytes(1024);
}

/// Which rates hold when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RateSchedule {
    /// Those that hold at all other times.
    pub usual: Rates,
    /// Those that hold in some hours: the first that fits.
    pub hours: Vec<(LocalHours, Rates)>,
}

impl RateSchedule {
    /// Whether no rate ever holds.
    pub fn is_unlimited(&self) -> bool {
        self.usual == Rates::default() && self.hours.iter().all(|(_, rates)| *rates == Rates::default())
    }

    /// The rates at a date, which is only asked for if it matters. Where nobody knows it, hours do not count.
    pub fn rates(&self, date: impl FnOnce() -> Option<Timestamp>) -> Rates {
        if self.hours.is_empty() {
            return self.usual;
        }
        let fitting = date().and_then(|date| self.hours.iter().find(|(hours, _)| hours.contains(date)));
        fitting.map_or(self.usual, |(_, rates)| *rates)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Hours, TimeZone};

    fn rates(total: u64) -> Rates {
        Rates { total: Some(ByteSize::from_bytes(total)), device: None }
    }

    #[test]
    fn the_first_hours_that_fit_count() {
        let at = |text: &str, total| (text.parse::<Hours>().unwrap().local(TimeZone::UTC), rates(total));
        let hours = vec![at("mon-fri 08:00-18:00", 2000), at("08:00-20:00", 3000)];
        let schedule = RateSchedule { usual: rates(1000), hours };
        // 2027-01-15, a Friday, 08:00.
        let friday = 1_800_000_000;
        for (seconds, expected) in [(-1, 1000), (0, 2000), (36_000, 3000), (43_200, 1000), (86_400, 3000)] {
            let date = Timestamp::from_unix_seconds(friday + seconds);
            assert_eq!(schedule.rates(|| Some(date)), rates(expected), "{seconds}");
        }
        assert_eq!(schedule.rates(|| None), rates(1000));
    }

    #[test]
    fn only_what_never_limits_is_unlimited() {
        let always = "00:00-24:00".parse::<Hours>().unwrap().local(TimeZone::UTC);
        let schedule = |usual, then| RateSchedule { usual, hours: vec![(always.clone(), then)] };
        assert!(RateSchedule::default().is_unlimited());
        assert!(schedule(Rates::default(), Rates::default()).is_unlimited());
        assert!(!schedule(rates(1000), Rates::default()).is_unlimited());
        assert!(!schedule(Rates::default(), rates(1000)).is_unlimited());
    }
}
