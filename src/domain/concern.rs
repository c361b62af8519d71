//! What a person has to know about the server itself, as opposed to devices: it goes on, and something is wrong.

use std::fmt;

use super::{ByteSize, Timestamp};

/// Something that is wrong with the server. As text: a sentence for people, with what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// Nothing can be written: the last attempt failed, and all since this moment.
    WritesFail {
        /// When it began.
        since: Timestamp,
    },
    /// The folder of the packages is not there.
    PackagesAway,
    /// So little room is left that nothing can be uploaded.
    NoRoom {
        /// What is free.
        free: ByteSize,
        /// What is kept back.
        reserve: ByteSize,
    },
    /// Packages are not offered because of their files.
    DamagedPackages {
        /// How many files are not what was uploaded.
        corrupt: u64,
        /// How many are not there.
        missing: u64,
    },
    /// A webhook does not take its events.
    WebhookFails {
        /// When it began.
        since: Timestamp,
    },
    /// The server cannot make its backups.
    BackupsFail {
        /// When it began.
        since: Timestamp,
    },
    /// Nobody has set the machine's clock.
    ClockUnset,
    /// Everybody may do everything.
    AuthenticationOff,
}

impl Concern {
    /// The name of every one of them.
    pub const NAMES: [&str; 8] = [
        "writes_fail",
        "packages_away",
        "no_room",
        "damaged_packages",
        "webhook_fails",
        "backups_fail",
        "clock_unset",
        "authentication_off",
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        Self::NAMES[match self {
            Self::WritesFail { .. } => 0,
            Self::PackagesAway => 1,
            Self::NoRoom { .. } => 2,
            Self::DamagedPackages { .. } => 3,
            Self::WebhookFails { .. } => 4,
            Self::BackupsFail { .. } => 5,
            Self::ClockUnset => 6,
            Self::AuthenticationOff => 7,
        }]
    }
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WritesFail { .. } => f.write_str(
                "the disk takes no writes, so nothing can be changed; devices still get their updates: see the log, and \
                 make room or replace the disk",
            ),
            Self::PackagesAway => {
                f.write_str("the package folder is not there, so nothing is delivered: mount its file system")
            }
            Self::NoRoom { free, reserve } => write!(
                f,
                "{free} are free and {reserve} are kept back, so nothing can be uploaded: delete packages that are not \
                 needed"
            ),
            Self::DamagedPackages { corrupt, missing } => write!(
                f,
                "{corrupt} packages are corrupt and {missing} missing, and not offered: upload them again or restore their \
                 files"
            ),
            Self::WebhookFails { .. } => f.write_str(
                "a webhook does not take its events, which wait for it: /api/tender/v1/webhooks says why, and `tender \
                 webhook test` tries it",
            ),
            Self::BackupsFail { .. } => f.write_str(
                "the server cannot make its backups: see the log for the reason, and look at the folder that they are put in",
            ),
            Self::ClockUnset => f.write_str("the machine's clock is not set; dates go on from the latest one known"),
            Self::AuthenticationOff => {
                f.write_str("authentication is off: everybody who reaches this server may do everything")
            }
        }
    }
}
