//! Whether stored packages are still what was uploaded, and how they are looked after.

use std::fmt;
use std::time::Duration;

use super::named::named;
use super::{ByteSize, LocalHours, Package, Sha256Digest, Timestamp};

named! {
    /// What is known about the file of a package.
    PackageState, "state":
    /// It is what was uploaded, as far as anybody has looked.
    Whole = "whole",
    /// It is there, and not what was uploaded.
    Corrupt = "corrupt",
    /// It is not there.
    Missing = "missing",
}

/// What is wrong with the file of a package. As text: a sentence without its end, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It has another length than was uploaded, in bytes.
    Length {
        /// What was uploaded.
        uploaded: u64,
        /// What is there.
        found: u64,
    },
    /// Its bytes are others than those uploaded.
    Hash {
        /// What the file's bytes have.
        found: Sha256Digest,
    },
    /// It is there and cannot be read; the operating system says why.
    Unreadable(String),
}

impl Damage {
    /// What that makes of the package.
    pub fn state(&self) -> PackageState {
        match self {
            Self::Missing => PackageState::Missing,
            Self::Length { .. } | Self::Hash { .. } | Self::Unreadable(_) => PackageState::Corrupt,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the file is not there"),
            Self::Length { uploaded, found } => write!(f, "the file has {found} bytes instead of {uploaded}"),
            Self::Hash { found } => write!(f, "the file has the SHA-256 {found}"),
            Self::Unreadable(reason) => write!(f, "the file cannot be read: {reason}"),
        }
    }
}

/// What was found to be wrong with the file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDamage {
    /// What that makes of the package.
    pub state: PackageState,
    /// What it is: a [`Damage`] as text.
    pub detail: String,
}

/// A package, and what is known to be wrong with its file.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedPackage {
    /// The package.
    pub package: Package,
    /// `None`: it is whole, as far as anybody has looked.
    pub damage: Option<FoundDamage>,
}

impl CheckedPackage {
    /// The packages that can be offered, in the same order: those that are not known to be damaged.
    pub fn offerable(packages: &[Self]) -> Vec<Package> {
        packages.iter().filter(|checked| checked.damage.is_none()).map(|checked| checked.package.clone()).collect()
    }
}

/// How stored packages are read again in the background, to find what has gone bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrubPlan {
    /// How much is read in a second; `None`: nothing is but what was damaged and has changed.
    pub rate: Option<ByteSize>,
    /// A package is read again when it was last read so long ago.
    pub every: Duration,
    /// When what is due is read; `None`: always.
    pub hours: Option<LocalHours>,
}

impl ScrubPlan {
    /// The rate at which is read unless something else is said.
    pub const DEFAULT_RATE: ByteSize = ByteSize::from_bytes(4 * 1024 * 1024);

    /// Whether what is due may be read at this date. Where nobody knows the date, hours do not count: a machine whose clock is
    /// never set would never read anything.
    pub fn reads_at(&self, date: Option<Timestamp>) -> bool {
        match (&self.hours, date) {
            (Some(hours), Some(date)) => hours.contains(date),
            (None, _) | (_, None) => true,
        }
    }
}

impl Default for ScrubPlan {
    fn default() -> Self {
        Self { rate: Some(Self::DEFAULT_RATE), every: Duration::from_secs(30 * 24 * 60 * 60), hours: None }
    }
}

/// Keeps reading down to a rate: says after each piece how long to rest.
#[derive(Debug, Default)]
pub struct Pace {
    owed: Duration,
}

impl Pace {
    /// Timers count milliseconds: a rest that is much shorter would become one that is much longer.
    const SHORTEST_REST: Duration = Duration::from_millis(10);

    /// How long to rest after having read so many bytes more, where so many may be read in a second; no rate is taken for
    /// less than one byte. The time that reading took is not counted, so the rate is never passed; short rests are saved up.
    pub fn rest_after(&mut self, bytes: u64, rate: ByteSize) -> Duration {
        self.owed += Duration::from_secs_f64(bytes as f64 / rate.bytes().max(1) as f64);
        if self.owed < Self::SHORTEST_REST { Duration::ZERO } else { std::mem::take(&mut self.owed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long the rests are after reading a megabyte many times, in pieces of so many bytes.
    fn rests(rate: u64, piece: u64, total: u64) -> Duration {
        let mut pace = Pace::default();
        (0..total / piece).map(|_| pace.rest_after(piece, ByteSize::from_bytes(rate))).sum()
    }

    #[test]
    fn a_rate_is_neither_passed_nor_missed_by_much() {
        let (mebibyte, total) = (1024 * 1024, 64 * 1024 * 1024);
        for rate in [64 * 1024, 4 * mebibyte, 100 * mebibyte] {
            for piece in [1024, 256 * 1024] {
                let (expected, actual) = (total as f64 / rate as f64, rests(rate, piece, total).as_secs_f64());
                assert!(actual > expected * 0.98 && actual < expected * 1.001, "{rate} by {piece}: {actual} s");
            }
        }
    }

    #[test]
    fn rests_are_long_enough_for_a_timer_or_none() {
        let (mut pace, rate) = (Pace::default(), ByteSize::from_bytes(1_000_000));
        assert_eq!(pace.rest_after(9_000, rate), Duration::ZERO);
        assert_eq!(pace.rest_after(2_000, rate), Duration::from_millis(11));
        assert_eq!(pace.rest_after(1_000_000, rate), Duration::from_secs(1));
        assert_eq!(pace.rest_after(10, ByteSize::from_bytes(0)), Duration::from_secs(10));
    }
}
