//! Databases as they were before upgrades: each is taken before the schema is migrated, and can be put back.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OpenFlags};

use super::folder::{
    DataFolder, create_private_directory, directory_of, names, private_file, sync_directory, with_suffix,
};
use super::{Examination, InstanceLock, StoreError, schema, space};
use crate::domain::ByteSize;

/// How many are kept: the one before the last upgrade, and the one before that.
const KEPT: usize = 2;
/// Room beyond the database twice over: for its copy, and for indexes that are new.
const SPARE_BYTES: u64 = 16 << 20;
const SUFFIX: &str = ".sqlite";
const SCHEMA: &str = "-schema-";

/// Why there is no snapshot, or none is put back.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotRefused {
    /// The migration may not be begun.
    #[error(
        "the database is to be upgraded, and there is no room for a copy of it: {free} are free and {needed} are needed in {}: \
         make room and start again", folder.display()
    )]
    NoRoom {
        /// Where.
        folder: PathBuf,
        /// What is free.
        free: ByteSize,
        /// What is needed.
        needed: ByteSize,
    },
    /// Nothing can be put back.
    #[error("there is no database from before an upgrade in {0}")]
    None(PathBuf),
    /// The database was not upgraded since, or is back already: what was replaced then must not be replaced by it.
    #[error(
        "there is no upgrade to roll back: the database {0} has the schema from before it. Start the tender from before the \
         upgrade"
    )]
    NotUpgraded(PathBuf),
    /// A server runs.
    #[error("a tender is running on the data folder {0}: stop it first")]
    Running(PathBuf),
    /// Another command works with the database.
    #[error("another process works with the database {0}: end it first")]
    InUse(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A database as it was before an upgrade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it is.
    pub path: PathBuf,
    /// The version of its schema.
    pub schema: u32,
    /// They are numbered: clocks may be wrong.
    number: u32,
}

impl Snapshot {
    fn parse(path: PathBuf) -> Option<Self> {
        let (number, schema) = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.split_once(SCHEMA)?;
        let (number, schema) = (number.parse().ok()?, schema.parse().ok()?);
        Some(Self { path, schema, number })
    }

    /// When it was taken, by the clock of that time.
    pub fn taken(&self) -> Result<SystemTime, StoreError> {
        let modified = self.path.metadata().and_then(|metadata| metadata.modified());
        modified.map_err(|error| StoreError::file(&self.path, error))
    }
}

impl DataFolder {
    /// The snapshots, the oldest first. Blocks, as everything here does.
    pub fn list_snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        let entries = match fs::read_dir(self.snapshots()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::file(self.snapshots(), error)),
        };
        let mut snapshots: Vec<_> = entries.flatten().filter_map(|entry| Snapshot::parse(entry.path())).collect();
        snapshots.sort_unstable_by_key(|snapshot| snapshot.number);
        Ok(snapshots)
    }

    /// Copies the database, if it is older than this program and is about to be migrated. Call inside
    /// [`DataFolder::exclusively`].
    pub fn snapshot_before_upgrade(&self) -> Result<Option<Snapshot>, SnapshotRefused> {
        if !self.database().exists() {
            return Ok(None);
        }
        let Some(schema) = schema::version_to_migrate(self.database())? else { return Ok(None) };
        let folder = self.snapshots();
        create_private_directory(&folder)?;
        self.require_room(&folder)?;
        let known = self.list_snapshots()?;
        let number = known.last().map_or(1, |last| last.number.saturating_add(1));
        let path = folder.join(format!("{number:04}{SCHEMA}{schema}{SUFFIX}"));
        let unfinished = with_suffix(&path, names::UNFINISHED_SUFFIX);
        let failed = |error| StoreError::file(&path, error);
        let file = private_file().create(true).truncate(true).open(&unfinished).map_err(failed)?;
        fail_point!("migrate.snapshot-file-made");
        schema::copy_file_into(self.database(), &unfinished)?;
        fail_point!("migrate.snapshot-copied");
        let finishing = file.sync_all().and_then(|()| fs::rename(&unfinished, &path));
        fail_point!("migrate.snapshot-named");
        finishing.and_then(|()| sync_directory(&folder)).and_then(|()| sync_directory(self.root())).map_err(failed)?;
        for old in known.iter().rev().skip(KEPT - 1) {
            fs::remove_file(&old.path).map_err(|error| StoreError::file(&old.path, error))?;
            fail_point!("migrate.snapshot-deleted");
        }
        tracing::info!(path = %path.display(), schema, "kept the database as it was before its upgrade");
        Ok(Some(Snapshot { path, schema, number }))
    }

    fn require_room(&self, folder: &Path) -> Result<(), SnapshotRefused> {
        let length = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let database = length(self.database()) + length(&self.beside_database("-wal"));
        let needed = database * 2 + SPARE_BYTES;
        let free = space::of(folder)?.free_bytes;
        if free < needed {
            let [free, needed] = [free, needed].map(ByteSize::from_bytes);
            return Err(SnapshotRefused::NoRoom { folder: folder.to_owned(), free, needed });
        }
        Ok(())
    }
}

/// A rollback that was looked into and not done.
pub struct Rollback {
    folder: DataFolder,
    /// What is put back.
    pub snapshot: Snapshot,
    _locks: [InstanceLock; 2],
}

impl Rollback {
    /// Takes the latest snapshot. No server may run, nor begin to as long as this is kept.
    pub fn begin(folder: &DataFolder) -> Result<Self, SnapshotRefused> {
        let snapshot = folder.list_snapshots()?.pop().ok_or_else(|| SnapshotRefused::None(folder.snapshots()))?;
        let locks = folder.lock_instance()?.ok_or_else(|| SnapshotRefused::Running(folder.root().to_owned()))?;
        if Examination::open(folder.database())?.schema_version()? <= snapshot.schema {
            return Err(SnapshotRefused::NotUpgraded(folder.database().to_owned()));
        }
        Ok(Self { folder: folder.clone(), snapshot, _locks: locks })
    }

    /// The database that would be put back, and the one that it would replace.
    pub fn databases(&self) -> Result<[Examination; 2], StoreError> {
        Ok([Examination::open(&self.snapshot.path)?, Examination::open(self.folder.database())?])
    }

    /// Puts the snapshot in the database's place; returns where the one is now that it has replaced. Killed at any moment, one or the
    /// other is there.
    pub fn commit(self) -> Result<PathBuf, SnapshotRefused> {
        let database = self.folder.database();
        let failed = |error| StoreError::file(database, error);
        let unfinished = self.folder.beside_database(names::ROLLBACK_SUFFIX);
        fs::copy(&self.snapshot.path, &unfinished).map_err(failed)?;
        fail_point!("rollback.copied");
        schema::forget_uploads(&unfinished)?;
        File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
        // What is in the log belongs to the database that goes: it must not be found beside the one that comes.
        merge_log(database)?;
        fail_point!("rollback.log-merged");
        if names::DATABASE_COMPANIONS.iter().any(|companion| self.folder.beside_database(companion).exists()) {
            return Err(SnapshotRefused::InUse(database.to_owned()));
        }
        let replaced = self.folder.beside_database(names::REPLACED_SUFFIX);
        keep(database, &replaced).map_err(failed)?;
        fail_point!("rollback.kept");
        let parent = directory_of(database);
        let replacing = sync_directory(parent).and_then(|()| fs::rename(&unfinished, database));
        fail_point!("rollback.replaced");
        replacing.and_then(|()| sync_directory(parent)).map_err(failed)?;
        Ok(replaced)
    }
}

/// Gives a database a second name, under which it stays.
fn keep(database: &Path, replaced: &Path) -> io::Result<()> {
    match fs::remove_file(replaced) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // File systems without links need the room.
    fs::hard_link(database, replaced).or_else(|_| {
        fs::copy(database, replaced)?;
        File::open(replaced)?.sync_all()
    })
}

/// Writes what is in a database's log into the database, whatever its schema is; the log goes with the last connection.
fn merge_log(database: &Path) -> Result<(), StoreError> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Things of one kind, as a snapshot and the database have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// What they are, in the plural.
    pub kind: &'static str,
    /// How many are in the database alone: a rollback loses them.
    pub lost: u64,
    /// How many are in the snapshot alone: they were deleted since, and a rollback brings them back.
    pub revived: u64,
}

/// How a snapshot and a database differ in what people have made.
pub fn differences(snapshot: &Examination, database: &Examination) -> Result<Vec<Difference>, StoreError> {
    ["devices", "groups", "packages", "users"]
        .into_iter()
        .map(|kind| {
            let (before, now) = (identifiers(snapshot, kind)?, identifiers(database, kind)?);
            let [lost, revived] = [now.difference(&before).count(), before.difference(&now).count()];
            Ok(Difference { kind, lost: lost as u64, revived: revived as u64 })
        })
        .collect()
}

/// The identifiers in a table, which are never used again; none if an early schema lacks it.
fn identifiers(database: &Examination, table: &str) -> Result<HashSet<i64>, StoreError> {
    database.read(|connection| {
        if !connection.table_exists(None, table)? {
            return Ok(HashSet::new());
        }
        let mut statement = connection.prepare(&format!("SELECT id FROM {table}"))?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    })
}
