//! Backups that the server makes by itself: when, where, and what they are called.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{LocalHours, Timestamp};

/// How the server makes backups by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupPlan {
    /// Where they are put.
    pub folder: PathBuf,
    /// How long after the last one another is made.
    pub every: Duration,
    /// How many are kept.
    pub keep: NonZeroUsize,
    /// When they are made; `None`: at any hour.
    pub hours: Option<LocalHours>,
    /// Whether the package files are in them.
    pub with_packages: bool,
}

impl BackupPlan {
    /// How long after the last one a backup is made unless something else is said.
    pub const DEFAULT_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
    /// How many are kept unless something else is said.
    pub const DEFAULT_KEEP: NonZeroUsize = NonZeroUsize::new(7).expect("seven is not zero");

    /// Whether it is time. `date` is what the clocks show, if anybody knows: where nobody does, hours do not count, as a machine
    /// whose clock is never set would have no backup at all.
    pub fn is_due(&self, last: Option<Timestamp>, now: Timestamp, date: Option<Timestamp>) -> bool {
        let is_old = last.is_none_or(|last| last.until(now) >= self.every);
        is_old && self.hours.as_ref().zip(date).is_none_or(|(hours, date)| hours.contains(date))
    }
}

/// The last backup that was completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupRecord {
    /// When it was begun, in POSIX seconds.
    pub unix_seconds: i64,
    /// How long it is.
    pub bytes: u64,
    /// How many packages could not be copied as they were uploaded.
    pub damaged: u64,
}

impl BackupRecord {
    /// When it was begun.
    pub fn time(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.unix_seconds)
    }
}

/// The name of a backup's file, which says whose it is and when it was made: `tender-1b4e28ba-20270115T080000Z.tar`. Those of one
/// installation are ordered as they were made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupName {
    installation: String,
    stamp: String,
    is_encrypted: bool,
}

const PREFIX: &str = "tender-";
const PLAIN: &str = ".tar";
const ENCRYPTED: &str = ".tar.age";
const INSTALLATION_DIGITS: usize = 8;
/// How a moment is written: digits where it has `0`.
const STAMP: &str = "00000000T000000Z";

impl BackupName {
    /// For a backup of this moment. `installation` is what tells installations apart: at least eight hexadecimal digits.
    pub fn new(installation: &str, at: Timestamp, is_encrypted: bool) -> Self {
        let installation = installation.chars().filter(char::is_ascii_hexdigit).take(INSTALLATION_DIGITS);
        let stamp = at.rfc3339().chars().filter(|character| !matches!(character, '-' | ':')).collect();
        Self { installation: installation.collect(), stamp, is_encrypted }
    }

    /// Reads a name; `None` if it is no backup's of this installation.
    pub fn parse(text: &str, installation: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (rest, is_encrypted) = match rest.strip_suffix(ENCRYPTED) {
            Some(rest) => (rest, true),
            None => (rest.strip_suffix(PLAIN)?, false),
        };
        let (owner, stamp) = rest.split_once('-')?;
        let fits = |(character, form): (char, char)| {
            if form == '0' { character.is_ascii_digit() } else { character == form }
        };
        let is_stamp = stamp.len() == STAMP.len() && stamp.chars().zip(STAMP.chars()).all(fits);
        let name = Self { installation: owner.to_owned(), stamp: stamp.to_owned(), is_encrypted };
        let ours = Self::new(installation, Timestamp::from_unix_seconds(0), false).installation;
        (is_stamp && owner == ours && owner.len() == INSTALLATION_DIGITS).then_some(name)
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.is_encrypted { ENCRYPTED } else { PLAIN };
        write!(f, "{PREFIX}{}-{}{suffix}", self.installation, self.stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    #[test]
    fn names_are_read_back_and_ordered_by_time() {
        let name = BackupName::new(OURS, at(1_800_000_000), false);
        assert_eq!(name.to_string(), "tender-1b4e28ba-20270115T080000Z.tar");
        let later = BackupName::new(OURS, at(1_800_000_001), true);
        assert_eq!(later.to_string(), "tender-1b4e28ba-20270115T080001Z.tar.age");
        assert!(name < later);
        for name in [name, later] {
            assert_eq!(BackupName::parse(&name.to_string(), OURS), Some(name));
        }
    }

    #[test]
    fn names_of_others_are_nobodys_business() {
        let foreign = [
            "tender-1b4e28bb-20270115T080000Z.tar",
            "tender-1b4e28ba-20270115T080000Z.tar.part",
            "tender-1b4e28ba-20270115T080000Z.tar.gz",
            "tender-1b4e28ba-2027-01-15.tar",
            "tender-1b4e28ba-before-the-move.tar",
            "tender-20270115T080000Z.tar",
            "my-tender-1b4e28ba-20270115T080000Z.tar",
            "tender-.tar",
        ];
        for name in foreign {
            assert_eq!(BackupName::parse(name, OURS), None, "{name}");
        }
        assert_eq!(BackupName::parse("tender--20270115T080000Z.tar", ""), None);
    }

    #[test]
    fn a_backup_is_due_once_in_each_period_and_in_its_hours() {
        let day = 24 * 60 * 60;
        let plan = BackupPlan {
            folder: "/backups".into(),
            every: BackupPlan::DEFAULT_EVERY,
            keep: BackupPlan::DEFAULT_KEEP,
            hours: None,
            with_packages: true,
        };
        assert!(plan.is_due(None, at(0), None));
        assert!(!plan.is_due(Some(at(5)), at(4 + day), None));
        assert!(plan.is_due(Some(at(5)), at(5 + day), None));
        // After a long time away, one.
        assert!(plan.is_due(Some(at(5)), at(50 * day), None) && !plan.is_due(Some(at(50 * day)), at(50 * day), None));
        // A clock that was set back.
        assert!(!plan.is_due(Some(at(50 * day)), at(5), None));
        let hours = LocalHours::by_name("02:00-04:00".parse().unwrap(), "Europe/Berlin").unwrap();
        let plan = BackupPlan { hours: Some(hours), ..plan };
        let (eight, two) = (at(1_800_000_000), at(1_800_000_000 - 7 * 60 * 60));
        assert!(!plan.is_due(None, eight, Some(eight)) && plan.is_due(None, two, Some(two)));
        assert!(plan.is_due(None, eight, None));
    }
}
