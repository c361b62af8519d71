//! A backup is made, also while the server runs: whatever its database names is in it.
//!
//! Packages are copied first and the database last, so that no copy of a file has to be held on to. What was published meanwhile is
//! copied then; if a file is gone that the copy of the database names, it was removed since, and the database is copied anew.
//! Packages that were removed after they were copied are in the backup and nobody's, which a restore passes over.

use std::collections::HashSet;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::auth::age::Sealer;
use crate::auth::{Keys, Secret};
use crate::domain::{Damage, Package, PackageId, Timestamp};
use crate::store::backup::{
    BackupFile, BackupSource, BackupWriter, DamagedPackage, EntryName, FORMAT, Header, PackageCopy, Scratch, SecretFile,
};
use crate::store::{DataFolder, Examination, Look, PackageFolder, StoreError, Verdict, directory_of, facts, packages};

/// How many rows are in memory at once.
const PAGE: u32 = 100;
/// What is written at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackUpError {
    /// What is to be backed up cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The backup cannot be written.
    #[error("cannot write the backup: {0}")]
    Output(#[from] io::Error),
    /// Without the right secret no device would be let in after a restore.
    #[error(
        "the server works with a secret that this command does not have: give it the same RDFM_JWT_SECRET or secret file"
    )]
    OtherSecret,
    /// It was told to stop.
    #[error("the backup was broken off")]
    Stopped,
}

/// What is to be backed up, and how.
pub struct BackupOrder<'a> {
    /// Where everything is.
    pub folder: &'a DataFolder,
    /// The secret, if it is not in the data folder.
    pub secret: Option<&'a Secret>,
    /// Whether the package files are in it.
    pub with_packages: bool,
    /// What it is encrypted with; `None`: not at all.
    pub passphrase: Option<&'a Secret>,
    /// The date that it gets.
    pub created: Timestamp,
    /// The version of this program.
    pub program: &'a str,
    /// Whether to go on; asked before each piece of a package.
    pub goes_on: &'a dyn Fn() -> bool,
}

/// What is in a backup that was made.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// How many packages.
    pub packages: u64,
    /// What was wrong with some of them.
    pub damaged: Vec<DamagedPackage>,
    /// How long the backup is.
    pub bytes: u64,
}

impl BackupOrder<'_> {
    /// Makes a backup in a file, which is there only when it is complete and on disk. Beside it is a copy of the database as long
    /// as this takes. Blocks.
    pub fn write_file(&self, place: &Path) -> Result<BackupReport, BackUpError> {
        let file = BackupFile::create(place)?;
        fail_point!("backup.file-made");
        let parent = directory_of(place);
        let (file, mut report) = self.write(file, parent)?;
        report.bytes = file.finish()?;
        Ok(report)
    }

    /// Makes a backup in a stream. In `scratch` is a copy of the database as long as this takes. Blocks.
    pub fn write<W: Write>(&self, output: W, scratch: &Path) -> Result<(W, BackupReport), BackUpError> {
        // Before anything is written.
        let secrets = self.secrets()?;
        let output = BufWriter::with_capacity(PIECE_BYTES, output);
        let (output, report) = match self.passphrase {
            None => self.write_archive(output, scratch, secrets)?,
            Some(passphrase) => {
                let (sealer, report) = self.write_archive(Sealer::new(output, passphrase)?, scratch, secrets)?;
                (sealer.finish()?, report)
            }
        };
        Ok((output.into_inner().map_err(io::IntoInnerError::into_error)?, report))
    }

    fn write_archive<W: Write>(
        &self,
        output: W,
        scratch: &Path,
        secrets: Vec<SecretFile>,
    ) -> Result<(W, BackupReport), BackUpError> {
        let source = BackupSource::open(self.folder.database())?;
        let header = Header {
            format: FORMAT,
            program: self.program.to_owned(),
            schema: source.now().schema_version()?,
            created: self.created.rfc3339(),
            has_packages: self.with_packages,
        };
        let mut copying = Copying {
            folder: PackageFolder::at(self.folder.packages()),
            writer: BackupWriter::begin(output, &header)?,
            seen: HashSet::new(),
            report: BackupReport::default(),
            goes_on: self.goes_on,
        };
        let database =
            if self.with_packages { copying.copy_packages(&source, scratch)? } else { source.copy(scratch)? };
        fail_point!("backup.database-copied");
        let Copying { mut writer, mut report, .. } = copying;
        if let Some(owner) = source.now().read(|connection| facts::find(connection, facts::INSTALLATION))? {
            writer.add(&EntryName::Owner, owner.len() as u64, &owner[..])?;
        }
        for (name, bytes) in secrets {
            writer.add(&EntryName::Secret(name), bytes.len() as u64, &bytes[..])?;
        }
        let (length, file) = database.open()?;
        writer.add(&EntryName::Database, length, file)?;
        let (output, contents) = writer.finish()?;
        fail_point!("backup.written");
        report.damaged = contents.damaged;
        Ok((output, report))
    }

    /// The secrets, with the one that tokens are signed with as it counts.
    fn secrets(&self) -> Result<Vec<SecretFile>, BackUpError> {
        let mut secrets = self.folder.secret_files()?;
        let name = DataFolder::token_secret_name();
        if let Some(given) = self.secret {
            secrets.retain(|(known, _)| known != name);
            secrets.push((name.to_owned(), Zeroizing::new(given.reveal().as_bytes().to_vec())));
        }
        let effective = secrets
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, bytes)| Secret::parse(str::from_utf8(bytes).ok()?.trim_end()).ok());
        let check = Examination::open(self.folder.database())?
            .read(|connection| facts::find(connection, facts::SECRET_CHECK))?;
        if check.is_some_and(|check| effective.is_none_or(|secret| Keys::new(&secret).check().0 != check[..])) {
            return Err(BackUpError::OtherSecret);
        }
        Ok(secrets)
    }
}

/// A backup that is being made.
struct Copying<'a, W: Write> {
    folder: PackageFolder,
    writer: BackupWriter<W>,
    /// Packages that are in it, or cannot be.
    seen: HashSet<PackageId>,
    report: BackupReport,
    goes_on: &'a dyn Fn() -> bool,
}

/// What is read until it is to go on no more.
struct Stoppable<'a, R> {
    inner: R,
    goes_on: &'a dyn Fn() -> bool,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.goes_on)() { self.inner.read(buffer) } else { Err(io::Error::other("told to stop")) }
    }
}

/// What became of the file of a package.
enum Copied {
    /// It is in the backup, whole or not.
    Done,
    /// There is no file.
    Missing,
}

impl<W: Write> Copying<'_, W> {
    /// Copies all packages that a copy of the database names, and returns that.
    fn copy_packages(&mut self, source: &BackupSource, scratch: &Path) -> Result<Scratch, BackUpError> {
        loop {
            // What is missing here is judged below.
            self.copy_new(source.now(), |_| Ok(true))?;
            let database = source.copy(scratch)?;
            let is_removed = |id| Ok(source.now().read(|connection| packages::find(connection, id))?.is_none());
            if self.copy_new(&Examination::open(database.path())?, is_removed)? {
                return Ok(database);
            }
        }
    }

    /// Copies the packages of a database that were not seen before. Where a file is missing, `is_removed` tells whether that is
    /// because the package was removed; `false` if there was one of these.
    fn copy_new(
        &mut self,
        database: &Examination,
        is_removed: impl Fn(PackageId) -> Result<bool, StoreError>,
    ) -> Result<bool, BackUpError> {
        let (mut last, mut is_complete) = (PackageId(0), true);
        loop {
            let page = database.read(|connection| packages::page(connection, last, PAGE))?;
            for package in &page {
                last = package.id;
                if self.seen.contains(&package.id) {
                    continue;
                }
                match self.copy(package)? {
                    Copied::Done => {}
                    Copied::Missing if is_removed(package.id)? => {
                        is_complete = false;
                        continue;
                    }
                    Copied::Missing => self.note(package, &Damage::Missing),
                }
                self.seen.insert(package.id);
            }
            if page.len() < PAGE as usize {
                return Ok(is_complete);
            }
        }
    }

    fn copy(&mut self, package: &Package) -> Result<Copied, BackUpError> {
        if !(self.goes_on)() {
            return Err(BackUpError::Stopped);
        }
        let damage = match self.folder.look(package)? {
            Look::Judged(Verdict { damage: Some(Damage::Missing), .. }) => return Ok(Copied::Missing),
            Look::Judged(Verdict { damage, .. }) => damage,
            Look::Complete(inspection) => {
                let mut copy = PackageCopy::new(package, inspection);
                let name = EntryName::Package(package.description.directory().cloned(), package.uuid);
                let source = Stoppable { inner: &mut copy, goes_on: self.goes_on };
                match self.writer.add(&name, package.length_bytes, source) {
                    Err(_) if !(self.goes_on)() => return Err(BackUpError::Stopped),
                    added => added?,
                }
                fail_point!("backup.package-copied");
                copy.damage()
            }
        };
        match damage {
            Some(damage) => self.note(package, &damage),
            None => self.report.packages += 1,
        }
        Ok(Copied::Done)
    }

    fn note(&mut self, package: &Package, damage: &Damage) {
        self.writer.note_damaged(DamagedPackage { package: package.id, detail: damage.to_string() });
    }
}
