//! What commands on stored data have in common: which data, opened and closed in order.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use clap::Args;

use crate::auth::Secret;
use crate::clock::Clock;
use crate::config::{ConfigError, FileOption, StorageConfig, StorageOptions};
use crate::installation::Installation;
use crate::store::{DataFolder, Store};

/// Which data a command works on.
#[derive(Clone, Args)]
pub(super) struct Place {
    #[command(flatten)]
    storage: StorageOptions,
    #[command(flatten)]
    file: FileOption,
}

impl Place {
    /// What the options mean.
    pub(super) fn storage_config(self) -> Result<StorageConfig, ConfigError> {
        StorageConfig::new(self.storage, &self.file)
    }

    /// The options that say which data it is.
    pub(super) fn into_options(self) -> (StorageOptions, FileOption) {
        (self.storage, self.file)
    }
}

/// What a command needs of the data that it works on.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// It must be there: a mistyped folder shall not become an installation.
    There,
    /// It is made if it is missing.
    Made,
}

/// Where data is that must be there, for a command that opens nothing and changes nothing.
pub(super) fn existing_folder(place: Place) -> anyhow::Result<DataFolder> {
    Ok(existing(place)?.0)
}

/// Where data is, whether or not it is there, and the secret if it is given.
pub(super) fn places(place: Place) -> anyhow::Result<(DataFolder, Option<Secret>)> {
    let StorageConfig { data_folder, database, packages, secret } = place.storage_config()?;
    Ok((DataFolder::at(data_folder, database.as_deref(), packages), secret))
}

/// The same of data that must be there.
pub(super) fn existing(place: Place) -> anyhow::Result<(DataFolder, Option<Secret>)> {
    let config = place.storage_config()?;
    Ok((Installation::existing_folder(&config)?, config.secret))
}

/// Opens the data, lets `work` do its work, and closes it in order.
pub(super) fn with_installation<F>(
    place: Place,
    need: Need,
    work: impl FnOnce(Installation) -> F,
) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let installation = open(place, need)?;
    let store = installation.store.clone();
    do_and_close(&store, Box::pin(work(installation)))?;
    Ok(ExitCode::SUCCESS)
}

fn open(place: Place, need: Need) -> anyhow::Result<Installation> {
    let config = place.storage_config()?;
    match need {
        Need::There => Ok(Installation::open_existing(&config, Clock::system())?),
        Need::Made => {
            let is_new = Installation::existing_folder(&config).is_err();
            let folder = Installation::folder(&config)?;
            if is_new {
                // Whoever meant another folder shall see it.
                eprintln!(
                    "tender: there was nothing in the data folder {} yet: it is a new installation",
                    folder.root().display()
                );
            }
            Ok(Installation::open(&folder, config.secret.as_ref(), Clock::system())?)
        }
    }
}

/// The work is in a box so that this is in the program once, and not for each command.
fn do_and_close(store: &Store, work: Pin<Box<dyn Future<Output = anyhow::Result<()>> + '_>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let result = work.await;
        store.close().await;
        result
    })
}
