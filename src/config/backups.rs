//! Backups that the server makes by itself, and what backups are encrypted with.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize};

use super::hours::local_hours;
use super::secrets::BACKUP;
use super::{ConfigError, duration, refuse};
use crate::auth::Secret;
use crate::domain::{BackupPlan, TimeZone};

/// More often would wear out flash.
const SHORTEST_PERIOD: Duration = Duration::from_secs(60);
/// So that no date is past the end of time.
const LONGEST_PERIOD: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Backups that the server makes by itself: options of `tender serve`. Field names are the keys of the file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
pub struct BackupOptions {
    /// Folder in which the server puts backups that it makes by itself [default: it makes none]
    #[arg(long, env = "TENDER_BACKUP_FOLDER", value_name = "DIR")]
    backup_folder: Option<PathBuf>,
    /// How long after the last backup the server makes another [default: 1day]
    #[arg(long, env = "TENDER_BACKUP_EVERY", value_name = "DURATION")]
    backup_every: Option<String>,
    /// How many of these backups are kept [default: 7]
    #[arg(long, env = "TENDER_BACKUP_KEEP", value_name = "NUMBER")]
    backup_keep: Option<NonZeroUsize>,
    /// Hours of the week in which the server makes backups, such as "02:00-05:00" [default: always]
    #[arg(long, env = "TENDER_BACKUP_HOURS", value_name = "HOURS")]
    backup_hours: Option<String>,
    /// Leave the package files out of these backups
    #[arg(long, env = "TENDER_BACKUP_WITHOUT_PACKAGES", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new())]
    backup_without_packages: Option<bool>,
    /// File with the passphrase that these backups are encrypted with; TENDER_BACKUP_PASSPHRASE gives it directly
    #[arg(long, env = "TENDER_BACKUP_PASSPHRASE_FILE", value_name = "FILE")]
    backup_passphrase_file: Option<PathBuf>,
}

/// What backups the server makes by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct BackupConfig {
    /// When, where and how many.
    pub plan: BackupPlan,
    /// What they are encrypted with; `None`: not at all.
    pub passphrase: Option<Secret>,
}

impl BackupConfig {
    /// Makes sense of the options; `None`: no backups.
    pub(super) fn resolve(
        options: BackupOptions,
        file: BackupOptions,
        zone: &TimeZone,
    ) -> Result<Option<Self>, ConfigError> {
        let (option, key) = (options.backup_passphrase_file.clone(), file.backup_passphrase_file.clone());
        let options = options.or(file);
        let Some(folder) = options.backup_folder else {
            return match options.backup_every.is_some() || options.backup_keep.is_some() {
                true => refuse("backup_every and backup_keep need a backup_folder: say where backups are to be put"),
                false => Ok(None),
            };
        };
        let every = options.backup_every.as_deref();
        let every = every.map_or(Ok(BackupPlan::DEFAULT_EVERY), |text| duration("backup_every", text))?;
        if !(SHORTEST_PERIOD..=LONGEST_PERIOD).contains(&every) {
            return refuse("backup_every must be at least 1min, and at most 100 years");
        }
        let hours = options.backup_hours.as_deref();
        let plan = BackupPlan {
            folder,
            every,
            keep: options.backup_keep.unwrap_or(BackupPlan::DEFAULT_KEEP),
            hours: hours.map(|text| local_hours("backup_hours", text, zone)).transpose()?,
            with_packages: !options.backup_without_packages.unwrap_or(false),
        };
        Ok(Some(Self { plan, passphrase: BACKUP.resolve(option.as_deref(), key.as_deref())? }))
    }
}

impl BackupOptions {
    /// These, and where something is left out, `other`'s.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            backup_folder: self.backup_folder.or(other.backup_folder),
            backup_every: self.backup_every.or(other.backup_every),
            backup_keep: self.backup_keep.or(other.backup_keep),
            backup_hours: self.backup_hours.or(other.backup_hours),
            backup_without_packages: self.backup_without_packages.or(other.backup_without_packages),
            backup_passphrase_file: self.backup_passphrase_file.or(other.backup_passphrase_file),
        }
    }
}

/// The passphrase of a command: from this file, or else from the variable; `None`: neither is given.
pub fn backup_passphrase(file: Option<&Path>) -> Result<Option<Secret>, ConfigError> {
    match file {
        // On a command line that names a file, the variable is for another command.
        Some(file) => BACKUP.read(file).map(Some),
        None => BACKUP.resolve(None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Option<BackupPlan>, ConfigError> {
        let options: BackupOptions = toml::from_str(text).unwrap();
        let resolved = BackupConfig::resolve(options, BackupOptions::default(), &TimeZone::UTC)?;
        Ok(resolved.map(|config| config.plan))
    }

    #[test]
    fn a_folder_is_enough_and_the_rest_needs_one() {
        assert_eq!(resolve("").unwrap(), None);
        let plan = resolve("backup_folder = \"/backups\"").unwrap().unwrap();
        assert_eq!((plan.every, plan.keep.get(), plan.with_packages), (Duration::from_secs(86_400), 7, true));
        let text = "backup_folder = \"/b\"\nbackup_every = \"6h\"\nbackup_keep = 3\nbackup_hours = \"02:00-04:00\"\nbackup_without_packages = true";
        let plan = resolve(text).unwrap().unwrap();
        assert_eq!((plan.every, plan.keep.get(), plan.with_packages), (Duration::from_secs(21_600), 3, false));
        assert!(plan.hours.is_some());
        for wrong in ["backup_every = \"1h\"", "backup_keep = 2"] {
            assert!(resolve(wrong).unwrap_err().to_string().contains("backup_folder"), "{wrong}");
        }
        for wrong in ["backup_every = \"often\"", "backup_every = \"1s\"", "backup_hours = \"noon\""] {
            assert!(resolve(&format!("backup_folder = \"/b\"\n{wrong}")).is_err(), "{wrong}");
        }
    }
}
