//! How downloads share what there is: the bytes of a second, and the places for those that go on at once.
//!
//! Time is passed in, counted from any fixed moment. Who waits is told apart by numbers that are given out here; waking somebody
//! up is for others.

mod places;
mod rates;
mod share;

pub use places::{DownloadCap, Entry, Places, Released};
pub use rates::{RateSchedule, Rates};
pub use share::FairShare;

/// How much may be downloaded at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DownloadLimits {
    /// In a second.
    pub rates: RateSchedule,
    /// At the same time; `None`: any number.
    pub cap: Option<DownloadCap>,
}
