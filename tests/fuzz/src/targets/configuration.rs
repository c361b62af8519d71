//! The configuration file.

use std::fs;

use clap::{Args, Command, FromArgMatches};
use tempfile::TempDir;
use tender::config::{
    AddressOptions, BackupOptions, Config, FileOption, ServeOptions, StorageOptions, TlsOptions, WebhookOptions,
};

use super::assert_sentence;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("there is room for a file");
}

/// A file that `--config` names.
pub fn configuration(input: &[u8]) {
    FOLDER.with(|folder| {
        let path = folder.path().join("tender.toml");
        fs::write(&path, input).expect("there is room for a file");
        let words = ["tender".as_ref(), "--config".as_ref(), path.as_os_str()];
        let matches = FileOption::augment_args(Command::new("tender")).try_get_matches_from(words);
        let file = FileOption::from_arg_matches(&matches.expect("there is such an option")).expect("it names a file");
        let config = Config::new(
            StorageOptions::default(),
            &AddressOptions::default(),
            ServeOptions::default(),
            TlsOptions::default(),
            BackupOptions::default(),
            WebhookOptions::default(),
            &file,
        );
        match config {
            Ok(config) => {
                // Such as the log shows it.
                let _ = format!("{config:?}");
            }
            Err(error) => assert_sentence(&error),
        }
    });
}
