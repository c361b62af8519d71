//! `tender bundle export`: the file is there once it is whole.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use super::{ExportArguments, keys};
use crate::cli::counted;
use crate::cli::deed::deed;
use crate::cli::installation::{Need, with_installation};
use crate::domain::{Action, ByteSize};
use crate::installation::Installation;
use crate::store::{directory_of, sync_directory};
use crate::usecase::bundle::{Exported, export};

/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writes the bundle beside its place, and then moves it there.
pub(super) fn run(arguments: ExportArguments) -> anyhow::Result<ExitCode> {
    let ExportArguments { groups, file, place } = arguments;
    let signer = keys::signer(&Installation::existing_folder(&place.clone().storage_config()?)?)?;
    with_installation(place, Need::There, async |installation| {
        let unfinished = Unfinished::create(&file)?;
        let target = BufWriter::with_capacity(BUFFER_BYTES, unfinished.file.try_clone()?);
        let (wanted, deed): (BTreeSet<_>, _) = (groups.into_iter().collect(), deed(Action::ExportBundle));
        let Installation { store, packages, .. } = &installation;
        let Exported { manifest, length_bytes } = export(store, packages, signer, &wanted, deed, target).await?;
        unfinished.finish(&file)?;
        eprintln!(
            "tender: {} has {} and {} in {}",
            file.display(),
            counted(manifest.packages.len() as u64, "package"),
            counted(manifest.groups.len() as u64, "group"),
            ByteSize::from_bytes(length_bytes)
        );
        Ok(())
    })
}

/// A file that goes unless it is finished.
struct Unfinished {
    path: PathBuf,
    file: File,
}

impl Unfinished {
    fn create(target: &Path) -> anyhow::Result<Self> {
        let mut name = target.to_owned().into_os_string();
        name.push(".part");
        let path = PathBuf::from(name);
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file })
    }

    fn finish(self, target: &Path) -> anyhow::Result<()> {
        let place = || format!("cannot write {}", target.display());
        self.file.sync_all().with_context(place)?;
        fs::rename(&self.path, target).with_context(place)?;
        sync_directory(directory_of(target)).with_context(place)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After it was finished it is not there.
        let _ = fs::remove_file(&self.path);
    }
}
