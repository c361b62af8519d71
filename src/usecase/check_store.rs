//! Rows and files are compared: whether each package has its file, what else there is, and whether the database is sound.
//!
//! Nothing is changed, so that this runs beside the server; and nothing of a file stays in memory.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::domain::{Damage, Package, PackageId};
use crate::store::{Examination, FolderFiles, Look, PackageFolder, StoreError, Verdict, package_name, packages};

/// How many rows are in memory at once.
const PAGE: u32 = 100;

/// How closely files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Whether they are there, and how long they are.
    Length,
    /// Their bytes, all of them.
    Hash,
}

/// What kind of thing was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// A package has no file.
    Missing,
    /// A package's file has another length than was uploaded.
    Length,
    /// A package's file has other bytes than were uploaded, or cannot be read.
    Hash,
    /// A file is no package's: legal, and swept at night if it is named like one.
    Unowned,
    /// A file of an upload that goes on or was broken off: legal, and swept at night.
    Unfinished,
    /// The database is damaged.
    Database,
}

impl FindingKind {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Length => "length",
            Self::Hash => "hash",
            Self::Unowned => "unowned",
            Self::Unfinished => "unfinished",
            Self::Database => "database",
        }
    }

    /// Whether somebody has to do something about it.
    pub const fn is_fault(self) -> bool {
        !matches!(self, Self::Unowned | Self::Unfinished)
    }
}

/// Something that was found.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The package that it is about, if it is about one.
    pub package: Option<PackageId>,
    /// The file that it is about.
    pub path: PathBuf,
    /// More about it, for people.
    pub detail: String,
}

/// What a check has shown.
#[derive(Debug, Default)]
pub struct Report {
    /// How many packages there are.
    pub packages: u64,
    /// How many bytes their files have by right.
    pub bytes: u64,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nobody has to do anything.
    pub fn is_ok(&self) -> bool {
        !self.findings.iter().any(|finding| finding.kind.is_fault())
    }

    fn note(&mut self, kind: FindingKind, package: Option<PackageId>, path: PathBuf, detail: impl Into<String>) {
        self.findings.push(Finding { kind, package, path, detail: detail.into() });
    }
}

/// Compares the database at `database` with the files in `folder`. Blocks.
pub fn check_store(database: &Path, folder: &PackageFolder, depth: Depth) -> Result<Report, StoreError> {
    let mut report = Report::default();
    // Before the rows: a file that is published meanwhile is not seen, rather than seen without its row.
    let FolderFiles { unfinished, resumable, stored } = folder.files();
    let mut examination = Examination::open(database)?;
    for fault in examination.faults()? {
        report.note(FindingKind::Database, None, database.to_owned(), fault);
    }
    if report.is_ok() {
        examination.refuse_foreign()?;
    }
    match check_packages(&examination, folder, depth, &mut report) {
        Ok(owned) => {
            for path in stored.into_iter().filter(|path| !owned.contains(path)) {
                let detail = match package_name(&path) {
                    Some(_) => "no package has this file",
                    None => "this file is not named like a package",
                };
                report.note(FindingKind::Unowned, None, path, detail);
            }
        }
        Err(error @ StoreError::Database(_)) => {
            let detail = format!("the packages cannot be read: {error}");
            report.note(FindingKind::Database, None, database.to_owned(), detail);
        }
        Err(error) => return Err(error),
    }
    for path in unfinished.into_iter().chain(resumable) {
        report.note(FindingKind::Unfinished, None, path, "an upload that goes on, or was broken off");
    }
    Ok(report)
}

/// Looks at the file of each package; returns where they all belong.
fn check_packages(
    examination: &Examination,
    folder: &PackageFolder,
    depth: Depth,
    report: &mut Report,
) -> Result<HashSet<PathBuf>, StoreError> {
    let mut owned = HashSet::new();
    let mut last = PackageId(0);
    loop {
        let page = examination.read(|connection| packages::page(connection, last, PAGE))?;
        for package in &page {
            last = package.id;
            report.packages += 1;
            report.bytes += package.length_bytes;
            owned.insert(folder.path_of(package));
            if let Some((kind, detail)) = fault_of(folder, package, depth) {
                // It may have been deleted since the page was read.
                if examination.read(|connection| packages::find(connection, package.id))?.is_some() {
                    report.note(kind, Some(package.id), folder.path_of(package), detail);
                }
            }
        }
        if page.len() < PAGE as usize {
            return Ok(owned);
        }
    }
}

fn fault_of(folder: &PackageFolder, package: &Package, depth: Depth) -> Option<(FindingKind, String)> {
    let verdict = match depth {
        Depth::Length => folder.glance(package),
        Depth::Hash => folder.look(package).map(|look| match look {
            Look::Judged(verdict) => verdict,
            Look::Complete(inspection) => inspection.finish(),
        }),
    };
    match verdict {
        Ok(Verdict { damage: None, .. }) => None,
        Ok(Verdict { damage: Some(damage), .. }) => Some((kind_of(&damage), damage.to_string())),
        Err(error @ StoreError::PackagesAway(_)) => Some((FindingKind::Missing, error.to_string())),
        Err(error) => Some((FindingKind::Hash, format!("the file cannot be looked at: {error}"))),
    }
}

fn kind_of(damage: &Damage) -> FindingKind {
    match damage {
        Damage::Missing => FindingKind::Missing,
        Damage::Length { .. } => FindingKind::Length,
        Damage::Hash { .. } | Damage::Unreadable(_) => FindingKind::Hash,
    }
}
