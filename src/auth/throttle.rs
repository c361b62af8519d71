//! Slowing down those who guess: after some failures each further attempt waits longer, and after more the door is shut for a
//! while. Counts in memory; a restart forgets.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::Timestamp;

/// How patient a [`Throttle`] is.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// So many failures are free.
    pub free: u32,
    /// The wait after the next one; it doubles with each further.
    pub first_delay: Duration,
    /// The longest wait.
    pub longest_delay: Duration,
    /// From so many failures on the door is shut; `None`: never.
    pub lock_at: Option<u32>,
    /// How long it is shut, and how long after the last failure all are forgotten.
    pub lock: Duration,
}

/// What an attempt has to expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may be made, after this wait.
    After(Duration),
    /// The door is shut for so long.
    Locked(Duration),
}

impl Admission {
    /// How long to wait in any case.
    pub fn wait(self) -> Duration {
        match self {
            Self::After(wait) | Self::Locked(wait) => wait,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Record {
    failures: u32,
    last: Timestamp,
}

/// Counts failures by key: a name, an address.
#[derive(Debug)]
pub struct Throttle<K> {
    patience: Patience,
    capacity: usize,
    records: Mutex<HashMap<K, Record>>,
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// One that remembers at most `capacity` keys; of more, those that failed longest ago are forgotten.
    pub fn new(patience: Patience, capacity: usize) -> Self {
        Self { patience, capacity, records: Mutex::default() }
    }

    /// An attempt begins. It counts as a failure until [`Throttle::forgive`] says otherwise, so that attempts made at the
    /// same time don't all wait as if they were the first. While the door is shut nothing is counted. `now` is the steady
    /// time.
    pub fn begin(&self, key: &K, now: Timestamp) -> Admission {
        let mut records = self.records();
        let failures = match records.get(key) {
            Some(record) if now < record.last.saturating_add(self.patience.lock) => record.failures,
            _ => 0,
        };
        if let (Some(record), Some(lock_at)) = (records.get(key), self.patience.lock_at)
            && failures >= lock_at
        {
            return Admission::Locked(now.until(record.last.saturating_add(self.patience.lock)));
        }
        if records.len() >= self.capacity && !records.contains_key(key) {
            self.make_room(&mut records, now);
        }
        records.insert(key.clone(), Record { failures: failures.saturating_add(1), last: now });
        Admission::After(self.delay(failures))
    }

    /// For how long the door is shut; `None` if it is open. Counts nothing.
    pub fn shut_for(&self, key: &K, now: Timestamp) -> Option<Duration> {
        let lock_at = self.patience.lock_at?;
        let record = self.records().get(key).copied().filter(|record| record.failures >= lock_at)?;
        let opens = record.last.saturating_add(self.patience.lock);
        (now < opens).then(|| now.until(opens))
    }

    /// The attempt was no failure after all.
    pub fn forgive(&self, key: &K) {
        let mut records = self.records();
        if let Some(record) = records.get_mut(key) {
            record.failures = record.failures.saturating_sub(1);
            if record.failures == 0 {
                records.remove(key);
            }
        }
    }

    /// Whoever this is has proven it: nothing is held against them.
    pub fn forget(&self, key: &K) {
        self.records().remove(key);
    }

    fn delay(&self, failures: u32) -> Duration {
        let Some(surplus) = failures.checked_sub(self.patience.free) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(surplus).unwrap_or(u32::MAX);
        self.patience.first_delay.saturating_mul(factor).min(self.patience.longest_delay)
    }

    /// Forgets what is over, and if that is not enough a tenth of the rest.
    fn make_room(&self, records: &mut HashMap<K, Record>, now: Timestamp) {
        records.retain(|_, record| now < record.last.saturating_add(self.patience.lock));
        if records.len() < self.capacity {
            return;
        }
        let mut by_age: Vec<_> = records.iter().map(|(key, record)| (record.last, key.clone())).collect();
        by_age.sort_unstable_by_key(|(last, _)| *last);
        for (_, key) in by_age.iter().take(self.capacity.div_ceil(10)) {
            records.remove(key);
        }
    }

    fn records(&self) -> MutexGuard<'_, HashMap<K, Record>> {
        // What is locked here are plain values: no panic leaves them half changed.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What counts as one address: a host on IPv4, a /64 network on IPv6, from which one host can have any address.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        free: 2,
        first_delay: Duration::from_millis(500),
        longest_delay: Duration::from_secs(3),
        lock_at: Some(7),
        lock: Duration::from_secs(900),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn delays_grow_and_end_in_a_lock_that_ends_by_itself() {
        let throttle = Throttle::new(PATIENCE, 100);
        let delays: Vec<_> = (0..7).map(|second| throttle.begin(&"anna", at(second))).collect();
        let expected = [0, 0, 500, 1000, 2000, 3000, 3000];
        assert_eq!(delays, expected.map(|delay| Admission::After(Duration::from_millis(delay))));
        assert_eq!(throttle.begin(&"anna", at(7)), Admission::Locked(Duration::from_secs(899)));
        assert_eq!(
            throttle.begin(&"anna", at(905)),
            Admission::Locked(Duration::from_secs(1)),
            "asking prolongs nothing"
        );
        assert_eq!(throttle.shut_for(&"anna", at(905)), Some(Duration::from_secs(1)));
        assert_eq!((throttle.shut_for(&"anna", at(906)), throttle.shut_for(&"bert", at(7))), (None, None));
        assert_eq!(throttle.begin(&"bert", at(7)), Admission::After(Duration::ZERO));
        assert_eq!(throttle.begin(&"anna", at(906)), Admission::After(Duration::ZERO));
    }

    #[test]
    fn successes_are_not_held_against_anybody() {
        let throttle = Throttle::new(PATIENCE, 100);
        for _ in 0..100 {
            assert_eq!(throttle.begin(&1, at(0)), Admission::After(Duration::ZERO));
            throttle.forgive(&1);
        }
        for _ in 0..5 {
            throttle.begin(&1, at(0));
        }
        throttle.forget(&1);
        assert_eq!(throttle.begin(&1, at(0)), Admission::After(Duration::ZERO));
    }

    #[test]
    fn memory_is_bounded_and_the_latest_are_remembered() {
        let throttle = Throttle::new(PATIENCE, 100);
        for key in 0..1000 {
            for _ in 0..3 {
                throttle.begin(&key, at(key));
            }
        }
        assert!(throttle.records().len() <= 100);
        assert_eq!(throttle.begin(&999, at(1000)), Admission::After(Duration::from_secs(1)));
    }

    #[test]
    fn one_host_has_one_address() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("10.0.0.7"), "10.0.0.7");
        assert_eq!(network("::ffff:10.0.0.7"), "10.0.0.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn without_a_lock_the_wait_stays_the_longest() {
        let throttle = Throttle::new(Patience { lock_at: None, ..PATIENCE }, 100);
        for _ in 0..1000 {
            throttle.begin(&1, at(0));
        }
        assert_eq!(throttle.begin(&1, at(0)), Admission::After(Duration::from_secs(3)));
    }
}
