//! One installation, opened: the data folder, its database and the keys made from its secret. What every command that
//! works on stored data begins with, whether or not the server runs.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::auth::{Keys, Secret};
use crate::clock::Clock;
use crate::config::StorageConfig;
use crate::store::{
    Claim, DataFolder, InstanceLock, OWNER, PackageFolder, SnapshotRefused, Store, StoreError, facts, packages,
};

/// Why an installation cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data folder is not for whoever runs this.
    #[error(
        "the data folder {} cannot be used ({error}): the user who runs tender must be able to write there, so give that \
         user the folder and all that is in it, or choose another one (--data-dir)", folder.display()
    )]
    Forbidden {
        /// The data folder.
        folder: PathBuf,
        /// What was tried in vain.
        error: StoreError,
    },
    /// No random bytes for a secret.
    #[error("cannot make a secret: {0}")]
    Random(#[from] getrandom::Error),
    /// The secret is not the one that the server works with.
    #[error(
        "the server of this data folder works with another secret: give this command the same RDFM_JWT_SECRET or secret file"
    )]
    OtherSecret,
    /// There is no database to look at.
    #[error("no tender has worked in the data folder {0}: give the --data-dir of the server")]
    NotThere(PathBuf),
    /// The stored secret cannot be one.
    #[error("the file of the secret in {0} is damaged: restore it, or delete it to have a new one made")]
    DamagedSecret(PathBuf),
    /// No package files are there, and some should be.
    #[error(
        "the package folder {} is empty, and {packages} packages should be in it: is its file system mounted? If they are \
         lost, make an empty file {}, and start again", folder.display(), folder.join(OWNER).display()
    )]
    PackagesAway {
        /// Where they should be.
        folder: PathBuf,
        /// How many.
        packages: u64,
    },
    /// Package files are there, and nothing says whose they are.
    #[error(
        "the folder {0} holds packages that this installation does not know, and would delete: choose another folder"
    )]
    UnknownPackages(PathBuf),
    /// The package folder is another installation's.
    #[error("the package folder {0} belongs to another installation of tender: choose another folder")]
    PackagesOfAnother(PathBuf),
    /// A restore was begun here, and not completed.
    #[error("a restore into the data folder {0} was not completed: do it again, or remove the folder")]
    RestoreUnfinished(PathBuf),
    /// The database is to be upgraded, and cannot be.
    #[error(transparent)]
    Upgrade(#[from] SnapshotRefused),
    /// Another server works with the package folder.
    #[error("another tender is running on the package folder {0}: stop it first, or choose another folder")]
    PackagesInUse(PathBuf),
}

impl InstallationError {
    /// Why the data folder at `root` cannot be used.
    pub fn of_folder(root: &Path, error: StoreError) -> Self {
        if error.is_forbidden() || error.is_read_only() {
            Self::Forbidden { folder: root.to_owned(), error }
        } else {
            Self::Store(error)
        }
    }
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
    pub fn folder(config: &StorageConfig) -> Result<DataFolder, InstallationError> {
        DataFolder::create(config.data_folder.clone(), config.database.as_deref(), config.packages.clone())
            .map_err(|error| InstallationError::of_folder(&config.data_folder, error))
    }

    /// The places of an installation that is there, for commands that look without opening it: they change nothing. Blocks.
    pub fn existing_folder(config: &StorageConfig) -> Result<DataFolder, InstallationError> {
        let folder = DataFolder::at(config.data_folder.clone(), config.database.as_deref(), config.packages.clone());
        if folder.is_being_restored() {
            return Err(InstallationError::RestoreUnfinished(config.data_folder.clone()));
        }
        if folder.database().exists() {
            Ok(folder)
        } else {
            Err(InstallationError::NotThere(config.data_folder.clone()))
        }
    }

    /// The places of an installation of which something is there, be it broken: for a command that says what. Blocks.
    pub fn folder_as_it_is(config: &StorageConfig) -> Result<DataFolder, InstallationError> {
        let folder = DataFolder::at(config.data_folder.clone(), config.database.as_deref(), config.packages.clone());
        if folder.root().exists() || folder.database().exists() {
            Ok(folder)
        } else {
            Err(InstallationError::NotThere(config.data_folder.clone()))
        }
    }

    /// Opens an installation that is there: for commands that only look or take away. Blocks.
    pub fn open_existing(config: &StorageConfig, clock: Clock) -> Result<Self, InstallationError> {
        Self::existing_folder(config)?;
        Self::open(&Self::folder(config)?, config.secret.as_ref(), clock)
    }

    /// Opens an installation; makes the database and the secret if they are missing. Blocks.
    pub fn open(folder: &DataFolder, given: Option<&Secret>, clock: Clock) -> Result<Self, InstallationError> {
        let opening: Result<_, InstallationError> = folder.exclusively(|| {
            if folder.is_being_restored() {
                return Err(InstallationError::RestoreUnfinished(folder.root().to_owned()));
            }
            let secret = match given {
                Some(secret) => secret.clone(),
                None => stored_or_new_secret(folder)?,
            };
            let packages = PackageFolder::open(folder.packages())?;
            folder.snapshot_before_upgrade()?;
            let store = Store::open(folder.database(), clock)?;
            Ok(Self { store, keys: Keys::new(&secret), packages })
        });
        opening.map_err(|error| match error {
            InstallationError::Store(error) => InstallationError::of_folder(folder.root(), error),
            other => other,
        })
    }

    /// For the server: takes the package folder, as long as the returned lock is kept.
    pub async fn claim_packages(&self) -> Result<InstanceLock, InstallationError> {
        let proposed = Uuid::new_v4().to_string();
        let known =
            self.store.write(move |tx| facts::find_or_put(tx, facts::INSTALLATION, proposed.as_bytes())).await?;
        let installation = String::from_utf8_lossy(&known).into_owned();
        let known = self.store.read(packages::count).await?;
        let packages = self.packages.clone();
        let claiming = tokio::task::spawn_blocking(move || packages.claim(&installation, known > 0));
        let folder = || self.packages.root().to_owned();
        match claiming.await.map_err(|_| StoreError::Abandoned)?? {
            Claim::Ours(lock) => Ok(lock),
            Claim::InUse => Err(InstallationError::PackagesInUse(folder())),
            Claim::OtherInstallation => Err(InstallationError::PackagesOfAnother(folder())),
            Claim::Away => Err(InstallationError::PackagesAway { folder: folder(), packages: known }),
            Claim::UnknownPackages => Err(InstallationError::UnknownPackages(folder())),
        }
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
    if let Some(text) = folder.read_secret()? {
        return Secret::parse(&text).map_err(|_| InstallationError::DamagedSecret(folder.root().to_owned()));
    }
    let secret = Secret::generate()?;
    folder.write_secret(secret.reveal())?;
    Ok(secret)
}
