//! Moving in: an empty installation takes over what a reference server's database and package folder hold, so that its
//! devices notice nothing. All of it appears in one transaction, or nothing does.

mod report;
mod translate;

use std::collections::HashSet;
use std::mem;
use std::path::PathBuf;

pub use self::report::{Finding, Report, Severity};
use self::translate::{ReferencePackage, Translation, translate};
use super::room::{Refusal, Room};
use super::sweep::sweep;
use crate::domain::{Artifact, Damage, Deed, Package, Sha256Digest, StorageLimits, Timestamp};
use crate::store::reference::{self, ReferenceFile, ReferenceFiles};
use crate::store::take_over::{self, Contents};
use crate::store::{PackageFolder, PublishedFile, StagedFile, Store, StoreError, audit};

/// Where the reference server keeps its data.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Its database.
    pub database: PathBuf,
    /// The folder of its package files.
    pub packages: PathBuf,
}

/// What became of it.
#[derive(Debug, thiserror::Error)]
pub enum MoveInError {
    /// This installation is used already.
    #[error("this installation is not empty, it has {0}: choose another --data-dir")]
    Occupied(String),
    /// The packages do not fit.
    #[error("{0}")]
    NoRoom(Refusal),
    /// The store failed, here or there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is in the reference's database, and what is known about its package files.
pub struct Survey {
    translation: Translation,
    files: ReferenceFiles,
    report: Report,
}

impl Survey {
    /// Looks at everything but the bytes of package files; changes nothing. `now` stands for dates that are not there. Blocks.
    pub fn of(reference: &Reference, now: Timestamp) -> Result<Self, StoreError> {
        let rows = reference::read(&reference.database)?;
        let files = ReferenceFiles::open(&reference.packages)?;
        let mut report = Report::default();
        let translation = translate(&rows, now, &mut report);
        let mut survey = Self { translation, files, report };
        for package in mem::take(&mut survey.translation.packages) {
            match find(&survey.files, &package)? {
                Ok(file) => {
                    survey.report.bytes += file.length_bytes;
                    survey.translation.packages.push(package);
                }
                Err(damage) => survey.report.add(Severity::Damage, subject(&package), damage),
            }
        }
        survey.count();
        Ok(survey)
    }

    /// What is known so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads all package files and compares them with what the database says; changes nothing. Blocks.
    pub fn verify(mut self) -> Result<Report, StoreError> {
        for package in mem::take(&mut self.translation.packages) {
            match find(&self.files, &package)? {
                Ok(file) => {
                    let length_bytes = file.length_bytes;
                    match other_contents(&package, file.sha256()?) {
                        None => self.translation.packages.push(package),
                        Some(damage) => self.lose(&package, length_bytes, &damage),
                    }
                }
                Err(damage) => self.report.add(Severity::Damage, subject(&package), damage),
            }
        }
        self.settle();
        Ok(self.report)
    }

    /// Takes everything over into an empty store whose package folder is claimed. Nothing is there unless all of it is; with
    /// `skip_damaged` that is all but what is damaged. Nothing is done if the report refuses that.
    pub async fn take_over(
        mut self,
        store: &Store,
        folder: &PackageFolder,
        skip_damaged: bool,
        deed: Deed,
    ) -> Result<Report, MoveInError> {
        if self.report.refusal(skip_damaged).is_some() {
            return Ok(self.report);
        }
        refuse_occupied(&store.read(take_over::occupants).await?)?;
        // What a try before this one was cut off in takes room.
        sweep(store, folder).await?;
        let room = Room::new(store.clone(), folder.clone(), StorageLimits::default());
        let _promise = room.admit_many(self.report.bytes).await?.map_err(MoveInError::NoRoom)?;

        let mut staged = Vec::new();
        for package in mem::take(&mut self.translation.packages) {
            let (package, file) = stage(self.files.clone(), folder.clone(), package).await?;
            match file {
                Ok(file) => match other_contents(&package, file.sha256()) {
                    None => {
                        let artifact = self.artifact(&package, &file).await?;
                        staged.push((stored(&package, &file), artifact, file));
                        self.translation.packages.push(package);
                    }
                    Some(damage) => self.lose(&package, file.length_bytes(), &damage),
                },
                Err(damage) => self.report.add(Severity::Damage, subject(&package), damage),
            }
        }
        self.settle();
        if self.report.refusal(skip_damaged).is_some() {
            return Ok(self.report);
        }
        let Self { translation: Translation { groups, devices, registrations, .. }, report, .. } = self;
        let contents = Contents { packages: publish(staged).await?, groups, devices, registrations };
        let entry = deed.done("reference").with(report.summary());
        let taking = store.write(move |tx| {
            // Looked at once more, inside the transaction: a command beside this one may have been quicker.
            let occupants = take_over::insert(tx, contents)?;
            refuse_occupied(&occupants)?;
            Ok::<_, MoveInError>(audit::append(tx, &entry)?)
        });
        taking.await?;
        Ok(report)
    }

    /// What the package says about itself, as if it were uploaded here.
    async fn artifact(
        &mut self,
        package: &ReferencePackage,
        file: &StagedFile,
    ) -> Result<Option<Artifact>, StoreError> {
        match file.examine().await? {
            Ok(contents) => Ok(contents.artifact),
            // Its bytes are what they were: devices shall get what they got.
            Err(flaw) => {
                let sentence = format!("would not be taken as an upload: {flaw}");
                self.report.add(Severity::Change, subject(package), sentence);
                Ok(None)
            }
        }
    }

    fn lose(&mut self, package: &ReferencePackage, length_bytes: u64, damage: &Damage) {
        self.report.bytes -= length_bytes;
        self.report.add(Severity::Damage, subject(package), damage.to_string());
    }

    /// Takes the packages that are not taken over from their groups, and counts what there is.
    fn settle(&mut self) {
        let there: HashSet<_> = self.translation.packages.iter().map(|package| package.id).collect();
        for group in &mut self.translation.groups {
            let (kept, lost): (Vec<_>, Vec<_>) =
                group.packages.iter().copied().partition(|package| there.contains(package));
            group.packages = kept;
            for package in lost {
                let sentence = format!("does not have package {package} any more");
                self.report.add(Severity::Change, format!("group {}", group.id), sentence);
            }
        }
        self.count();
    }

    fn count(&mut self) {
        self.report.groups = self.translation.groups.len();
        self.report.packages = self.translation.packages.len();
        self.report.devices = self.translation.devices.len();
        self.report.registrations = self.translation.registrations.len();
    }
}

/// Says that an installation is not empty.
pub fn refuse_occupied(occupants: &[String]) -> Result<(), MoveInError> {
    if occupants.is_empty() { Ok(()) } else { Err(MoveInError::Occupied(occupants.join(", "))) }
}

fn subject(package: &ReferencePackage) -> String {
    format!("package {}", package.id)
}

/// The file of a package, or why it cannot be taken.
fn find(files: &ReferenceFiles, package: &ReferencePackage) -> Result<Result<ReferenceFile, String>, StoreError> {
    let found = files.find(&package.file_name, package.file_directory.as_deref())?;
    Ok(match found {
        None => Err(format!("its file {} is not there", package.file_name)),
        Some(file) if file.length_bytes == 0 => Err("the file is empty".to_owned()),
        Some(file) => Ok(file),
    })
}

fn other_contents(package: &ReferencePackage, found: Sha256Digest) -> Option<Damage> {
    (found != package.sha256).then_some(Damage::Hash { found })
}

/// Copies the file of a package beside the packages.
async fn stage(
    files: ReferenceFiles,
    folder: PackageFolder,
    package: ReferencePackage,
) -> Result<(ReferencePackage, Result<StagedFile, String>), StoreError> {
    let copying = tokio::task::spawn_blocking(move || {
        let file = match find(&files, &package)? {
            Ok(file) => Ok(file.copy_into(&folder, package.uuid)?),
            Err(damage) => Err(damage),
        };
        Ok((package, file))
    });
    copying.await.map_err(|_| StoreError::Abandoned)?
}

fn stored(package: &ReferencePackage, file: &StagedFile) -> Package {
    let ReferencePackage { id, created, sha256, uuid, description, .. } = package;
    Package {
        id: *id,
        created: *created,
        sha256: *sha256,
        length_bytes: file.length_bytes(),
        uuid: *uuid,
        description: description.clone(),
    }
}

/// Moves all files among the packages.
async fn publish(
    staged: Vec<(Package, Option<Artifact>, StagedFile)>,
) -> Result<Vec<(Package, Option<Artifact>, PublishedFile)>, StoreError> {
    let moving = tokio::task::spawn_blocking(move || {
        let publish = |(package, artifact, file): (Package, _, StagedFile)| {
            let published = file.publish(package.description.directory())?;
            Ok((package, artifact, published))
        };
        staged.into_iter().map(publish).collect()
    });
    moving.await.map_err(|_| StoreError::Abandoned)?
}
