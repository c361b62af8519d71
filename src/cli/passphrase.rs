//! The passphrase of a backup. It is never on the command line, which everybody on the machine can read.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use zeroize::Zeroizing;

use crate::auth::Secret;
use crate::config::backup_passphrase;

/// Where the passphrase is.
#[derive(Args)]
pub(super) struct PassphraseOption {
    /// File with the passphrase; TENDER_BACKUP_PASSPHRASE gives it directly, and without either it is asked for
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseOption {
    /// The passphrase, if one is given.
    pub(super) fn given(&self) -> anyhow::Result<Option<Secret>> {
        Ok(backup_passphrase(self.passphrase_file.as_deref())?)
    }

    /// The passphrase, which is asked for if none is given; for a new one twice.
    pub(super) fn given_or_asked(&self, is_new: bool) -> anyhow::Result<Secret> {
        if let Some(given) = self.given()? {
            return Ok(given);
        }
        let ask = |prompt: &str| rpassword::prompt_password(prompt).map(Zeroizing::new);
        let asked = ask("Passphrase of the backup: ")
            .context("no terminal to ask for the passphrase on: use --passphrase-file or TENDER_BACKUP_PASSPHRASE")?;
        if is_new && *ask("The same again: ")? != *asked {
            bail!("the two passphrases are not the same");
        }
        Secret::parse(&asked).context("the passphrase is empty")
    }
}
