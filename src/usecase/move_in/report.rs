//! What comes of moving in, for people: what is taken over, and everything that is not as it was.

use crate::domain::ByteSize;

/// How much something weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is taken over as long as it is so.
    Obstacle,
    /// Something is lost; nothing is taken over unless somebody says that it may be.
    Damage,
    /// It is taken over, and is not quite what it was.
    Change,
    /// It stays where it is, and devices do not need it.
    Left,
}

impl Severity {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Obstacle => "obstacle",
            Self::Damage => "damage",
            Self::Change => "change",
            Self::Left => "left",
        }
    }
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// What it is about, such as `package 3`.
    pub subject: String,
    /// A sentence without its end.
    pub sentence: String,
}

/// What is, or would be, taken over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The version of the reference's schema, in its own words.
    pub revision: Option<String>,
    /// How many devices.
    pub devices: usize,
    /// Of these, how many have no key that can be used.
    pub devices_without_key: usize,
    /// How many groups.
    pub groups: usize,
    /// How many packages.
    pub packages: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many registrations that wait.
    pub registrations: usize,
    /// What a person should know, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    pub(super) fn add(&mut self, severity: Severity, subject: impl Into<String>, sentence: impl Into<String>) {
        let finding = Finding { severity, subject: subject.into(), sentence: sentence.into() };
        let place = self.findings.partition_point(|other| other.severity <= severity);
        self.findings.insert(place, finding);
    }

    fn has(&self, severity: Severity) -> bool {
        self.findings.iter().any(|finding| finding.severity == severity)
    }

    /// Why nothing can be taken over; `None` if it can. What is damaged does not matter if it may be skipped.
    pub fn refusal(&self, skip_damaged: bool) -> Option<&'static str> {
        if self.has(Severity::Obstacle) {
            Some("nothing is taken over: mend what stands in the way, in the reference server, and try again")
        } else if self.has(Severity::Damage) && !skip_damaged {
            Some("nothing is taken over: restore what is damaged, or go on without it by --skip-damaged")
        } else {
            None
        }
    }

    /// What is taken over, in numbers.
    pub fn summary(&self) -> String {
        format!(
            "{} devices, {} groups, {} packages ({}), {} registrations",
            self.devices,
            self.groups,
            self.packages,
            ByteSize::from_bytes(self.bytes),
            self.registrations
        )
    }
}
