//! The package folder: packages arrive in `.uploads/`, are renamed to `<directory>/<uuid>` when they are complete, and are
//! read from there. All paths into it are joined here.
//!
//! A file gets its row only after it is where it belongs and on disk ([`StagedFile::publish`]); until the caller
//! has the row and says [`PublishedFile::keep`], dropping anything here deletes its file. Until then it is in flight, and no
//! sweep touches it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::sendfile;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::StoreError;
use super::activity::{Activity, InFlight};
use super::folder::{InstanceLock, create_private_directory, private_file, sync_directory};
use super::growing_file::GrowingFile;
use super::hashing::Hashing;
use super::restoring::forget_mark;
use super::resumable_hash::ResumableHash;
use crate::domain::{Artifact, ArtifactKinds, Flaw, Package, Sha256Digest, StorageDirectory, examine, is_artifact};

/// Uploads in flight. Beside the packages, so that it is on their file system and a rename finishes an upload; a
/// [`StorageDirectory`] cannot begin with a dot.
pub(super) const UPLOADS: &str = ".uploads";

/// Uploads that can be resumed: likewise.
pub(super) const RESUMABLE: &str = ".resumable";

/// Says whose packages these are, and is locked by the server that works with them.
pub const OWNER: &str = ".tender";

/// What a server finds when it wants to work with a package folder.
#[derive(Debug)]
pub enum Claim {
    /// It is this installation's, and locked for as long as this is kept.
    Ours(InstanceLock),
    /// Another server works with it.
    InUse,
    /// It is another installation's.
    OtherInstallation,
    /// It holds packages, and nothing says whose they are.
    UnknownPackages,
    /// It should hold packages, and there is nothing in it: probably its file system is not mounted.
    Away,
}

/// How far apart bytes are that tell whether those between them are in memory: less than what is read and forgotten at once.
const SAMPLE_DISTANCE_BYTES: usize = 32 * 1024;

/// Artifacts that are looked at at once: each may take a processor, and some 40 MiB of memory if it is compressed for that.
const JUDGING: usize = 2;

/// The files in a package folder.
#[derive(Debug, Default)]
pub struct FolderFiles {
    /// Of uploads that go on, or were broken off.
    pub unfinished: Vec<PathBuf>,
    /// Of uploads that can be resumed.
    pub resumable: Vec<PathBuf>,
    /// All others: packages, and what somebody else has put there.
    pub stored: Vec<PathBuf>,
}

/// The folder of the stored packages.
#[derive(Debug, Clone)]
pub struct PackageFolder {
    root: Arc<Path>,
    judging: Arc<Semaphore>,
    activity: Arc<Activity>,
}

/// Files that may be what broken-off uploads and removals left: whether they are is known once it is known which packages
/// there are.
#[derive(Debug)]
pub struct Leftovers {
    files: FolderFiles,
    in_flight: HashSet<Uuid>,
}

/// What a sweep has deleted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// How many files.
    pub files: u64,
    /// How many bytes they had.
    pub bytes: u64,
}

impl PackageFolder {
    /// Takes the folder, making what is missing.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        create_private_directory(&root.join(UPLOADS))?;
        Ok(Self::at(root))
    }

    /// Takes the folder as it is, to look at it.
    pub fn at(root: &Path) -> Self {
        Self { root: root.into(), judging: Arc::new(Semaphore::new(JUDGING)), activity: Arc::default() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Begins a file for an upload. Blocks.
    pub fn begin_upload(&self) -> Result<Upload, StoreError> {
        self.begin_upload_as(Uuid::new_v4())
    }

    /// Begins a file that is to be the package of this name. Blocks.
    pub(super) fn begin_upload_as(&self, uuid: Uuid) -> Result<Upload, StoreError> {
        let in_flight = InFlight::begin(&self.activity, uuid);
        let path = self.unfinished_path(uuid);
        let failed = |error| StoreError::file(&path, error);
        let hash = Hashing::begin(ResumableHash::new()).map_err(failed)?;
        let file = private_file().create_new(true).open(&path).map_err(failed)?;
        let (file, unfinished) = (GrowingFile::new(file, 0), DeleteOnDrop(Some(path)));
        fail_point!("publish.file-made");
        Ok(Upload { folder: self.clone(), uuid, file, unfinished, hash, in_flight })
    }

    /// Where the file of a package belongs.
    pub fn path_of(&self, package: &Package) -> PathBuf {
        self.path(package.description.directory(), package.uuid)
    }

    /// Lends a package's open file to a download.
    pub(super) fn lend(&self, uuid: Uuid, file: File) -> PackageFile {
        PackageFile(Arc::new(LentFile { file, uuid, activity: self.activity.clone() }))
    }

    /// A number that grows with each piece that a download or an upload moves: whoever works in the background looks at it
    /// twice to see whether somebody is in need of the disk.
    pub fn moved_pieces(&self) -> u64 {
        self.activity.moved_pieces()
    }

    /// The packages whose file could not be read during a download, since somebody last asked.
    pub fn take_suspects(&self) -> HashSet<Uuid> {
        self.activity.take_suspects()
    }

    /// Deletes the file of a package whose row is gone. Blocks.
    pub fn remove(&self, package: &Package) -> Result<(), StoreError> {
        let path = self.path_of(package);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(path, error)),
            _ => Ok(()),
        }
    }

    /// Takes the folder for a server of this installation. Blocks.
    ///
    /// A server sweeps what its database does not know, so it must never do that to somebody else's packages. And where it
    /// has packages, an empty folder is none of its own: what it wrote there would be hidden once the right one is mounted.
    /// Only somebody who knows that they are lost can say otherwise, by an empty file of the owner's name.
    pub fn claim(&self, installation: &str, has_packages: bool) -> Result<Claim, StoreError> {
        let path = self.root.join(OWNER);
        let failed = |error| StoreError::file(&path, error);
        let owner = match fs::read_to_string(&path) {
            Ok(owner) => owner.trim().to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if has_packages && self.files().stored.is_empty() {
                    return Ok(Claim::Away);
                }
                String::new()
            }
            Err(error) => return Err(failed(error)),
        };
        if !owner.is_empty() && owner != installation {
            return Ok(Claim::OtherInstallation);
        }
        if owner.is_empty() && self.files().stored.iter().any(|path| package_name(path).is_some()) {
            return Ok(Claim::UnknownPackages);
        }
        let Some(lock) = InstanceLock::take(&path)? else { return Ok(Claim::InUse) };
        if owner.is_empty() {
            fail_point!("start.packages-locked");
            fs::write(&path, installation).and_then(|()| File::open(&path)?.sync_all()).map_err(failed)?;
            sync_directory(&self.root).map_err(failed)?;
        }
        forget_mark(&self.root);
        Ok(Claim::Ours(lock))
    }

    /// Looks for what broken-off uploads and removals left. To be asked before it is asked which packages there are, so
    /// that whatever is published meanwhile is known as one or the other. Blocks.
    pub fn leftovers(&self) -> Leftovers {
        let files = self.files();
        // After the files: what is among them and still without a row is in flight now, or has its row from now on.
        let in_flight = self.activity.in_flight();
        Leftovers { files, in_flight }
    }

    /// Deletes what is left over: files in `.uploads/` that nobody writes, and files of packages and resumable uploads whose
    /// name is not in `known`.
    /// Files that are not named like packages stay. In a folder that is ours; blocks.
    pub fn sweep(&self, leftovers: Leftovers, known: &HashSet<Uuid>) -> Swept {
        let Leftovers { files: FolderFiles { unfinished, resumable, stored }, in_flight } = leftovers;
        let is_left = |path: &PathBuf| package_name(path).is_none_or(|uuid| !in_flight.contains(&uuid));
        let is_orphan = |path: &PathBuf| package_name(path).is_some_and(|uuid| !known.contains(&uuid));
        let unfinished = unfinished.into_iter().filter(is_left);
        let orphans = resumable.into_iter().chain(stored).filter(is_left).filter(is_orphan);
        unfinished
            .chain(orphans)
            .filter_map(|path| remove_leftover(&path))
            .fold(Swept::default(), |swept, bytes| Swept { files: swept.files + 1, bytes: swept.bytes + bytes })
    }

    /// All files in the folder and the directories below it, but the one that says whose it is. Blocks.
    pub fn files(&self) -> FolderFiles {
        let [uploads, resumable, owner] = [UPLOADS, RESUMABLE, OWNER].map(|name| self.root.join(name));
        let mut files = FolderFiles::default();
        for path in files_below(&self.root) {
            match path {
                path if path.starts_with(&uploads) => files.unfinished.push(path),
                path if path.starts_with(&resumable) => files.resumable.push(path),
                path if path == owner => {}
                path => files.stored.push(path),
            }
        }
        files
    }

    /// Keeps the file of a resumable upload from being swept until it has its row.
    pub(super) fn hold(&self, id: Uuid) -> InFlight {
        InFlight::begin(&self.activity, id)
    }

    /// Whether it is the folder that a server has claimed, and not the empty one below a file system that was unmounted.
    pub fn is_there(&self) -> bool {
        self.root.join(OWNER).exists()
    }

    fn unfinished_path(&self, uuid: Uuid) -> PathBuf {
        self.root.join(UPLOADS).join(uuid.to_string())
    }

    /// Says that an upload has moved a piece.
    pub(super) fn count_piece(&self) {
        self.activity.count_piece();
    }

    fn directory(&self, directory: Option<&StorageDirectory>) -> PathBuf {
        directory.map_or_else(|| self.root.to_path_buf(), |directory| self.root.join(directory.as_str()))
    }

    /// Puts the entries of a directory on disk. The directories on the way may be new: each entry must be on disk in the one
    /// above it.
    fn sync(&self, directory: Option<&StorageDirectory>) -> Result<(), StoreError> {
        let target = self.directory(directory);
        for ancestor in target.ancestors().take_while(|ancestor| ancestor.starts_with(&self.root)) {
            sync_directory(ancestor).map_err(|error| StoreError::file(ancestor, error))?;
        }
        Ok(())
    }

    fn path(&self, directory: Option<&StorageDirectory>, uuid: Uuid) -> PathBuf {
        self.directory(directory).join(uuid.to_string())
    }
}

/// The name of a package, if a file has one.
pub fn package_name(path: &Path) -> Option<Uuid> {
    Uuid::try_parse(path.file_name()?.to_str()?).ok()
}

/// All files in a directory and below it. What cannot be looked into, such as `lost+found`, is passed over.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                tracing::warn!(path = %directory.display(), %error, "passed over a directory in the package folder");
                continue;
            }
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files
}

/// Deletes a file; how long it was, if it was there to be deleted.
fn remove_leftover(path: &Path) -> Option<u64> {
    let length = path.symlink_metadata().map_or(0, |metadata| metadata.len());
    match fs::remove_file(path) {
        Ok(()) => {
            tracing::info!(path = %path.display(), bytes = length, "deleted a file that was left over");
            fail_point!("sweep.file-deleted");
            Some(length)
        }
        // Whoever it belonged to has deleted it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "could not delete what was left over");
            None
        }
    }
}

/// An upload that is being written; its hash is made on the way.
#[derive(Debug)]
pub struct Upload {
    folder: PackageFolder,
    uuid: Uuid,
    file: GrowingFile,
    unfinished: DeleteOnDrop,
    hash: Hashing,
    in_flight: InFlight,
}

impl Upload {
    /// Appends a piece. Blocks.
    pub fn write(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.file.write(&piece).map_err(|error| StoreError::file(self.unfinished.path(), error))?;
        fail_point!("publish.piece-written");
        self.hash.update(piece);
        self.folder.count_piece();
        Ok(())
    }

    /// Puts the complete file on disk. Blocks.
    pub fn finish(mut self) -> Result<StagedFile, StoreError> {
        let hashed = self.file.sync().and_then(|()| self.hash.so_far());
        let sha256 = hashed.map_err(|error| StoreError::file(self.unfinished.path(), error))?.finish();
        fail_point!("publish.file-synced");
        Ok(StagedFile {
            folder: self.folder,
            uuid: self.uuid,
            sha256,
            length_bytes: self.file.length_bytes(),
            place: Place::Unfinished(self.unfinished),
            in_flight: self.in_flight,
        })
    }
}

/// A complete upload that is on disk, but not yet among the packages.
#[derive(Debug)]
pub struct StagedFile {
    folder: PackageFolder,
    uuid: Uuid,
    sha256: Sha256Digest,
    length_bytes: u64,
    place: Place,
    in_flight: InFlight,
}

/// Where a complete upload is.
#[derive(Debug)]
enum Place {
    /// Where nothing needs it: it goes unless it is published.
    Unfinished(DeleteOnDrop),
    /// With the uploads that can be resumed: it stays until its row goes, so that publishing can be tried again.
    Resumable(PathBuf),
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::Unfinished(file) => file.path(),
            Self::Resumable(path) => path,
        }
    }
}

impl StagedFile {
    /// One that was resumed until it was complete.
    pub(super) fn resumable(folder: PackageFolder, path: PathBuf, sha256: Sha256Digest, length_bytes: u64) -> Self {
        let uuid = Uuid::new_v4();
        let in_flight = InFlight::begin(&folder.activity, uuid);
        Self { folder, uuid, sha256, length_bytes, place: Place::Resumable(path), in_flight }
    }

    /// The hash of its bytes.
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// How many bytes arrived.
    pub fn length_bytes(&self) -> u64 {
        self.length_bytes
    }

    /// What is in it. Of a file that is no artifact only the beginning is read, of an artifact everything.
    pub async fn examine(&self) -> Result<Result<Contents, Flaw>, StoreError> {
        let path = self.place.path().to_path_buf();
        if !blocking(path.clone(), is_artifact).await? {
            return Ok(Ok(Contents { kinds: ArtifactKinds::nonstandard(), artifact: None }));
        }
        let turn = self.folder.judging.clone().acquire_owned().await.map_err(|_| StoreError::Abandoned)?;
        let reading = blocking(path, move |file| {
            // For as long as it is read, also when nobody waits for the answer any more.
            let _turn = turn;
            let kinds = ArtifactKinds::read(&file)?;
            Ok(examine(&file)?.map(|artifact| Contents { kinds, artifact }))
        });
        reading.await
    }

    /// Moves the file among the packages, so that power loss cannot undo it. Blocks.
    pub fn publish(mut self, directory: Option<&StorageDirectory>) -> Result<PublishedFile, StoreError> {
        create_private_directory(&self.folder.directory(directory))?;
        fail_point!("publish.directory-made");
        let target = self.folder.path(directory, self.uuid);
        let moved = match &mut self.place {
            Place::Unfinished(file) => fs::rename(file.path(), &target).map(|()| file.disarm()),
            // File systems without links lose the chance to try again.
            Place::Resumable(path) => fs::hard_link(&*path, &target).or_else(|_| fs::rename(path, &target)),
        };
        moved.map_err(|error| StoreError::file(&target, error))?;
        fail_point!("publish.file-moved");
        let file = DeleteOnDrop(Some(target));
        self.folder.sync(directory)?;
        fail_point!("publish.directory-synced");
        let Self { folder, uuid, sha256, length_bytes, in_flight, .. } = self;
        Ok(PublishedFile { uuid, sha256, length_bytes, file, folder, _in_flight: in_flight })
    }
}

/// Reads a file on a thread that may block.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    read: impl FnOnce(File) -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let reading = tokio::task::spawn_blocking(move || {
        File::open(&path).and_then(read).map_err(|error| StoreError::file(path, error))
    });
    reading.await.map_err(|_| StoreError::Abandoned)?
}

/// What is in an upload.
#[derive(Debug, Clone)]
pub struct Contents {
    /// The kinds of its payloads, which say which scopes its upload needs.
    pub kinds: ArtifactKinds,
    /// What it says about itself; `None`: it is a plain file.
    pub artifact: Option<Artifact>,
}

/// A file among the packages that has no row yet.
#[derive(Debug)]
pub struct PublishedFile {
    /// The file's name.
    pub uuid: Uuid,
    /// The hash of its bytes.
    pub sha256: Sha256Digest,
    /// How many bytes it has.
    pub length_bytes: u64,
    file: DeleteOnDrop,
    folder: PackageFolder,
    _in_flight: InFlight,
}

impl PublishedFile {
    /// The folder that it is in.
    pub fn folder(&self) -> &PackageFolder {
        &self.folder
    }

    /// Puts the same bytes in the place of a damaged package's file, so that power loss leaves one or the other. Blocks.
    pub fn replace(&self, damaged: &Package) -> Result<(), StoreError> {
        let directory = damaged.description.directory();
        create_private_directory(&self.folder.directory(directory))?;
        let uuid = Uuid::new_v4();
        let _in_flight = InFlight::begin(&self.folder.activity, uuid);
        let path = self.folder.unfinished_path(uuid);
        let failed = |error| StoreError::file(&path, error);
        // Another name for the same bytes costs no room; some file systems have no such thing.
        let is_linked = fs::hard_link(self.file.path(), &path).is_ok();
        let mut unfinished = DeleteOnDrop(Some(path.clone()));
        if !is_linked {
            fs::copy(self.file.path(), &path).and_then(|_| File::open(&path)?.sync_all()).map_err(failed)?;
        }
        fail_point!("heal.file-linked");
        let target = self.folder.path_of(damaged);
        fs::rename(&path, &target).map_err(|error| StoreError::file(&target, error))?;
        fail_point!("heal.file-replaced");
        unfinished.disarm();
        self.folder.sync(directory)
    }

    /// The row is committed: the file stays.
    pub fn keep(mut self) {
        self.file.disarm();
    }
}

/// A stored package, open for a download. Stays readable while it is deleted.
#[derive(Debug, Clone)]
pub struct PackageFile(Arc<LentFile>);

#[derive(Debug)]
struct LentFile {
    file: File,
    uuid: Uuid,
    activity: Arc<Activity>,
}

impl PackageFile {
    /// Fills `buffer` from `offset` on. A file that cannot be read is a suspect from then on. Blocks.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let Self(lent) = self;
        lent.activity.count_piece();
        lent.file.read_exact_at(buffer, offset).inspect_err(|_| {
            lent.activity.suspect(lent.uuid);
        })
    }

    /// Reads from `offset` on what the operating system has in memory, and does not wait for the disk; how many bytes it
    /// read. 0 says that [`PackageFile::read_at`] must be asked: the bytes are not in memory or not there, or the file
    /// system cannot tell.
    pub fn read_now(&self, buffer: &mut [u8], offset: u64) -> usize {
        let Self(lent) = self;
        lent.activity.count_piece();
        preadv2(&lent.file, &mut [IoSliceMut::new(buffer)], offset, ReadWriteFlags::NOWAIT).unwrap_or(0)
    }

    /// Whether the operating system has these bytes in memory, as far as samples tell. `false` also if it cannot tell.
    pub fn is_in_memory(&self, first: u64, length: usize) -> bool {
        let end = first + length as u64;
        let samples = (first..end).step_by(SAMPLE_DISTANCE_BYTES).chain([end - 1]);
        samples.into_iter().all(|offset| {
            preadv2(&self.0.file, &mut [IoSliceMut::new(&mut [0])], offset, ReadWriteFlags::NOWAIT) == Ok(1)
        })
    }

    /// Sends bytes to a socket that does not block; how many it took. Waits for the disk unless
    /// [`PackageFile::is_in_memory`]. A file that cannot be read is a suspect from then on.
    pub fn send_now(&self, socket: impl AsFd, offset: u64, length: usize) -> io::Result<usize> {
        let Self(lent) = self;
        lent.activity.count_piece();
        match sendfile(socket, &lent.file, Some(&mut { offset }), length) {
            // The file has become shorter.
            Ok(0) => {
                lent.activity.suspect(lent.uuid);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(sent) => Ok(sent),
            Err(error) => {
                if error == Errno::IO {
                    lent.activity.suspect(lent.uuid);
                }
                Err(error.into())
            }
        }
    }
}

/// A file that is deleted unless somebody decides otherwise.
#[derive(Debug)]
struct DeleteOnDrop(Option<PathBuf>);

impl DeleteOnDrop {
    fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for DeleteOnDrop {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "could not delete an unfinished file; the next sweep will");
        }
    }
}
