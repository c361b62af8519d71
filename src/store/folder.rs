//! The data folder: where everything is, who may use it, and the secret's file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Every name below the data folder.
pub(super) mod names {
    pub const DATABASE: &str = "tender.sqlite";
    pub const PACKAGES: &str = "packages";
    pub const SECRETS: &str = "secrets";
    pub const JWT_SECRET: &str = "jwt-secret";
    pub const AUTHORITY: &str = "authority.json";
    pub const BUNDLE_KEY: &str = "bundle-key.pem";
    pub const INSTANCE_LOCK: &str = "tender.lock";
    pub const LOCK_SUFFIX: &str = "-lock";
    /// What is not complete yet, of files that get their name when they are.
    pub const UNFINISHED_SUFFIX: &str = ".part";
    /// Databases as they were before upgrades.
    pub const SNAPSHOTS: &str = "snapshots";
    /// What a rollback has replaced.
    pub const REPLACED_SUFFIX: &str = "-replaced";
    /// What a rollback puts in the database's place.
    pub const ROLLBACK_SUFFIX: &str = "-rollback";
    /// Is there while a restore is not complete, in the data folder and in that of the packages.
    pub const RESTORING: &str = ".restoring";
    /// The database that is being restored.
    pub const RESTORING_SUFFIX: &str = "-restoring";
    /// A copy of the database that a backup is made of; what follows is unique.
    pub const SCRATCH_PREFIX: &str = ".tender-backup-";
    /// What SQLite keeps beside a database.
    pub const DATABASE_COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
}

/// The places of one installation.
#[derive(Debug, Clone)]
pub struct DataFolder {
    root: PathBuf,
    database: PathBuf,
    packages: PathBuf,
}

/// Held as long as a server runs: no second one can use the same thing.
#[derive(Debug)]
pub struct InstanceLock(#[expect(dead_code, reason = "the lock lasts as long as the open file")] File);

impl InstanceLock {
    /// Locks the file at `path`, which is made if it is missing; `None` if another process has it.
    pub(super) fn take(path: &Path) -> Result<Option<Self>, StoreError> {
        let failed = |error| StoreError::file(path, error);
        let file = private_file().create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl DataFolder {
    /// The places, whether or not anything is there. The database and the packages may be elsewhere.
    pub fn at(root: PathBuf, database: Option<&Path>, packages: Option<PathBuf>) -> Self {
        Self {
            database: Self::database_of(&root, database),
            packages: packages.unwrap_or_else(|| root.join(names::PACKAGES)),
            root,
        }
    }

    /// Makes `root` and what belongs into it. The database and the packages may be elsewhere.
    pub fn create(root: PathBuf, database: Option<&Path>, packages: Option<PathBuf>) -> Result<Self, StoreError> {
        let folder = Self::at(root, database, packages);
        create_private_directory(&folder.root)?;
        create_private_directory(&folder.secrets())?;
        if let Some(parent) = folder.database.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            create_private_directory(parent)?;
        }
        create_private_directory(&folder.packages)?;
        fail_point!("start.folders-made");
        // A data folder that was just made must not be gone after power loss, with what was acknowledged in it.
        sync_directory(&folder.root).map_err(|error| StoreError::file(&folder.root, error))?;
        // A parent that we may pass but not read cannot be synced; whoever made it so made the folder in it, too.
        let _ = sync_directory(directory_of(&folder.root));
        Ok(folder)
    }

    /// Where the database of a data folder is, if it is not `elsewhere`.
    pub fn database_of(root: &Path, elsewhere: Option<&Path>) -> PathBuf {
        elsewhere.map_or_else(|| root.join(names::DATABASE), Path::to_owned)
    }

    /// The data folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database file.
    pub fn database(&self) -> &Path {
        &self.database
    }

    /// The folder of the packages.
    pub fn packages(&self) -> &Path {
        &self.packages
    }

    /// The folder of the secrets.
    pub(super) fn secrets(&self) -> PathBuf {
        self.root.join(names::SECRETS)
    }

    /// The folder of the databases as they were before upgrades.
    pub(super) fn snapshots(&self) -> PathBuf {
        self.root.join(names::SNAPSHOTS)
    }

    /// What is there as long as a restore is not complete.
    pub(super) fn restoring(&self) -> PathBuf {
        self.root.join(names::RESTORING)
    }

    /// Whether a restore was begun here and not completed: what is here then is nothing to work with.
    pub fn is_being_restored(&self) -> bool {
        self.restoring().exists()
    }

    /// The database's path with something behind it.
    pub(super) fn beside_database(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.database, suffix)
    }

    /// Runs `setup` while no other process does: two that start at once don't both make the database and the secret.
    pub fn exclusively<T, E: From<StoreError>>(&self, setup: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let failed = |error| StoreError::file(&self.root, error);
        let root = File::open(&self.root).map_err(failed)?;
        root.lock().map_err(failed)?;
        setup()
    }

    /// Takes the data folder and the database for a server; `None` if another one has either.
    pub fn lock_instance(&self) -> Result<Option<[InstanceLock; 2]>, StoreError> {
        let beside_database = self.beside_database(names::LOCK_SUFFIX);
        let Some(folder) = InstanceLock::take(&self.root.join(names::INSTANCE_LOCK))? else { return Ok(None) };
        let Some(database) = InstanceLock::take(&beside_database)? else { return Ok(None) };
        Ok(Some([folder, database]))
    }

    /// The secret's text, if one was made. Call inside [`DataFolder::exclusively`].
    pub fn read_secret(&self) -> Result<Option<String>, StoreError> {
        self.read_private(names::JWT_SECRET)
    }

    /// Keeps the secret's text. Call inside [`DataFolder::exclusively`].
    pub fn write_secret(&self, text: &str) -> Result<(), StoreError> {
        self.write_private(names::JWT_SECRET, text)
    }

    /// What is kept of our own certificate authority, keys included, if there is one.
    pub fn read_authority(&self) -> Result<Option<String>, StoreError> {
        self.read_private(names::AUTHORITY)
    }

    /// Keeps our own certificate authority. Call inside [`DataFolder::exclusively`].
    pub fn write_authority(&self, text: &str) -> Result<(), StoreError> {
        self.write_private(names::AUTHORITY, text)
    }

    /// Where our own certificate authority is kept.
    pub fn authority_path(&self) -> PathBuf {
        self.private_path(names::AUTHORITY)
    }

    /// The private key that bundles are signed with, if one was made.
    pub fn read_bundle_key(&self) -> Result<Option<String>, StoreError> {
        self.read_private(names::BUNDLE_KEY)
    }

    /// Keeps the private key that bundles are signed with. Call inside [`DataFolder::exclusively`].
    pub fn write_bundle_key(&self, pem: &str) -> Result<(), StoreError> {
        self.write_private(names::BUNDLE_KEY, pem)
    }

    fn read_private(&self, name: &str) -> Result<Option<String>, StoreError> {
        let path = self.private_path(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::file(path, error)),
        }
    }

    /// All of the text is on disk afterwards, or what was there before.
    fn write_private(&self, name: &str, text: &str) -> Result<(), StoreError> {
        let path = self.private_path(name);
        let unfinished = with_suffix(&path, names::UNFINISHED_SUFFIX);
        let write = || {
            let mut file = private_file().create(true).truncate(true).open(&unfinished)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fail_point!("start.secret-written");
            fs::rename(&unfinished, &path)?;
            fail_point!("start.secret-named");
            sync_directory(&self.secrets())
        };
        write().map_err(|error| StoreError::file(&path, error))
    }

    fn private_path(&self, name: &str) -> PathBuf {
        self.secrets().join(name)
    }
}

/// A path with something behind its last name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.to_owned().into_os_string();
    path.push(suffix);
    path.into()
}

/// Makes a directory, and those above it, that only its owner may enter. Power loss does not undo it.
pub(super) fn create_private_directory(path: &Path) -> Result<(), StoreError> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    let failed = |error| StoreError::file(path, error);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    for made in missing {
        let parent = directory_of(made);
        match sync_directory(parent) {
            // A parent that we may pass but not read cannot be synced; whoever made it so has us make no folders there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(failed)?,
        }
    }
    Ok(())
}

/// Options for a file that only its owner may read and write.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// The directory that a file or a directory is in.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts a directory's entries on disk: without it, a renamed file can be gone after power loss.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
