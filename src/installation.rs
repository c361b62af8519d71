//! One installation, opened: the data folder, its database and the keys made from its secret. What every command that
//! works on stored data begins with, whether or not the server runs.

use crate::auth::{Keys, Secret};
use crate::clock::Clock;
use crate::config::StorageConfig;
use crate::store::{DataFolder, PackageFolder, Store, StoreError, facts};

/// Why an installation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No random bytes for a secret.
    #[error("cannot make a secret: {0}")]
    Random(#[from] getrandom::Error),
    /// The secret is not the one that the server works with.
    #[error(
        "the server of this data folder works with another secret: give this command the same RDFM_JWT_SECRET or secret file"
    )]
    OtherSecret,
    /// Package files are there, but no database that knows them.
    #[error(
        "the package folder {0} has packages that this new database does not know, and would delete: choose another folder"
    )]
    UnknownPackages(std::path::PathBuf),
}

/// An open installation.
pub struct Installation {
    /// The database.
    pub store: Store,
    /// The keys.
    pub keys: Keys,
    /// The package files.
    pub packages: PackageFolder,
}

impl Installation {
    /// Makes the folders of an installation.
    pub fn folder(config: &StorageConfig) -> Result<DataFolder, StoreError> {
        DataFolder::create(config.data_folder.clone(), config.database.clone(), config.packages.clone())
    }

    /// Opens an installation; makes the database and the secret if they are missing. Blocks.
    pub fn open(folder: &DataFolder, given: Option<&Secret>, clock: Clock) -> Result<Self, InstallationError> {
        folder.exclusively(|| {
            let secret = match given {
                Some(secret) => secret.clone(),
                None => stored_or_new_secret(folder)?,
            };
            let packages = PackageFolder::open(folder.packages())?;
            if !folder.database().exists() && packages.has_packages()? {
                return Err(InstallationError::UnknownPackages(folder.packages().to_owned()));
            }
            let store = Store::open(folder.database(), clock)?;
            Ok(Self { store, keys: Keys::new(&secret), packages })
        })
    }

    /// For the server: its secret is the one that counts from now on.
    pub async fn adopt_secret(&self) -> Result<(), StoreError> {
        let check = self.keys.check().0;
        match self.stored_secret_check().await? {
            Some(stored) if stored == check => return Ok(()),
            Some(_) => {
                tracing::warn!("the secret is another one than before: tokens that it signed are not valid any more");
            }
            None => {}
        }
        self.store.write(move |tx| facts::put(tx, facts::SECRET_CHECK, &check)).await
    }

    /// For commands beside the server: what they sign must be what the server accepts.
    pub async fn require_same_secret(&self) -> Result<(), InstallationError> {
        match self.stored_secret_check().await? {
            Some(stored) if stored != self.keys.check().0 => Err(InstallationError::OtherSecret),
            _ => Ok(()),
        }
    }

    async fn stored_secret_check(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(|connection| facts::find(connection, facts::SECRET_CHECK)).await
    }
}

fn stored_or_new_secret(folder: &DataFolder) -> Result<Secret, InstallationError> {
    let stored = folder.read_secret()?.and_then(|text| Secret::parse(&text).ok());
    if let Some(secret) = stored {
        return Ok(secret);
    }
    let secret = Secret::generate()?;
    folder.write_secret(secret.reveal())?;
    Ok(secret)
}
