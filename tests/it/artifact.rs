//! Which scopes an upload needs, read from the package; and that nobody gets one past the reader.

mod examination;
mod hostile;
mod properties;
mod uploads;

use std::cell::Cell;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

use tender::domain::{ArtifactKind, ArtifactKinds, Scopes, examine};
use tender::store::{PackageFolder, StoreError};

use crate::harness::artifact::{Blueprint, artifact, artifact_files, gzip, header_files, tar};
use crate::harness::contents;

/// How much may be read of any package.
const READ_LIMIT_BYTES: usize = 6 * 1024 * 1024;

const SINGLE_FILE: &[ArtifactKind] = &[ArtifactKind::SingleFile];
const ROOTFS_IMAGE: &[ArtifactKind] = &[ArtifactKind::RootfsImage];
const NONSTANDARD: &[ArtifactKind] = &[ArtifactKind::Nonstandard];

/// Counts what is read, and can fail.
struct Watched<P> {
    package: P,
    read_bytes: usize,
    fails_after_bytes: usize,
    is_interrupted: Cell<bool>,
}

impl<P> Watched<P> {
    fn new(package: P) -> Self {
        Self { package, read_bytes: 0, fails_after_bytes: usize::MAX, is_interrupted: Cell::new(false) }
    }
}

impl<P: Read> Read for Watched<P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.is_interrupted.replace(!self.is_interrupted.get()) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        if self.read_bytes >= self.fails_after_bytes {
            return Err(io::Error::other("the disk is broken"));
        }
        let length = self.package.read(buffer)?;
        self.read_bytes += length;
        Ok(length)
    }
}

impl<P: Seek> Seek for Watched<P> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.package.seek(position)
    }
}

/// The kinds of a package, and that finding out did not cost too much.
#[track_caller]
fn kinds_of(package: impl Read + Seek) -> Vec<ArtifactKind> {
    let mut watched = Watched::new(package);
    let kinds = ArtifactKinds::read(&mut watched).unwrap();
    assert!(watched.read_bytes < READ_LIMIT_BYTES, "{} bytes were read", watched.read_bytes);
    assert!(!kinds.scopes().is_empty());
    kinds.iter().collect()
}

#[track_caller]
fn kinds(package: &[u8]) -> Vec<ArtifactKind> {
    kinds_of(Cursor::new(package))
}

/// A package whose header has this `header-info`.
fn with_header_info(header_info: &str) -> Vec<u8> {
    let mut header = header_files(&["single-file"]);
    header[0].1 = header_info.as_bytes().to_vec();
    tar(&artifact_files(&tar(&header), false))
}

/// Where the tar header of a file is.
fn position_of(package: &[u8], name: &str) -> usize {
    let name = [name.as_bytes(), b"\0"].concat();
    (0..package.len()).step_by(512).find(|position| package[*position..].starts_with(&name)).unwrap()
}

#[test]
fn artifact_payload_types_say_which_scopes_are_needed() {
    let cases: [(&[&str], &str); 9] = [
        (&["single-file"], "rdfm_upload_single_file"),
        (&["rootfs-image"], "rdfm_upload_rootfs_image"),
        (&["delta-rootfs-image"], "rdfm_upload_rootfs_image"),
        (&["zephyr-image"], "rdfm_upload_nonstandard_artifact"),
        (&[], "rdfm_upload_nonstandard_artifact"),
        (&["Single-File"], "rdfm_upload_nonstandard_artifact"),
        (&["single-file "], "rdfm_upload_nonstandard_artifact"),
        (&["rootfs-image", "single-file", "delta-rootfs-image"], "rdfm_upload_single_file rdfm_upload_rootfs_image"),
        (&["docker", "rootfs-image"], "rdfm_upload_rootfs_image rdfm_upload_nonstandard_artifact"),
    ];
    for (types, scopes) in cases {
        for compressed in [false, true] {
            let kinds = ArtifactKinds::read(Cursor::new(artifact(types, compressed))).unwrap();
            assert_eq!(kinds.scopes(), Scopes::parse(scopes).unwrap(), "{types:?}");
        }
    }
}

#[test]
fn a_package_is_read_from_its_beginning() {
    let mut package = Cursor::new(artifact(&["single-file"], false));
    package.set_position(700);
    assert_eq!(kinds_of(&mut package), SINGLE_FILE);
}

#[test]
fn what_is_no_artifact_is_nonstandard() {
    let mut ext4 = vec![0; 64 * 1024];
    ext4[0x438..0x43a].copy_from_slice(&[0x53, 0xef]);
    let artifact = artifact(&["single-file"], false);
    let files = [
        Vec::new(),
        b"contents".to_vec(),
        contents(100_000),
        ext4,
        tar(&Vec::new()),
        tar(&header_files(&["single-file"])),
        gzip(&artifact),
        tar(&vec![("artifact.rdfm".to_owned(), artifact.clone())]),
        [&[0; 512][..], &artifact].concat(),
        artifact[512..].to_vec(),
    ];
    for file in files {
        assert_eq!(kinds(&file), NONSTANDARD);
    }
}

#[test]
fn a_signed_artifact_and_every_compression_of_its_data_are_known() {
    let mut files = artifact_files(&tar(&header_files(&["single-file"])), true);
    files.insert(2, ("manifest.sig".to_owned(), b"signature".to_vec()));
    for name in ["data/0000.tar", "data/0000.tar.gz", "data/0000.tar.xz", "data/0000.tar.zst"] {
        files[4].0 = name.to_owned();
        assert_eq!(kinds(&tar(&files)), SINGLE_FILE, "{name}");
    }
}

#[test]
fn what_is_in_the_header_beside_the_types_does_not_matter() {
    let mut header = header_files(&["single-file"]);
    header.push(("scripts/ArtifactInstall_Enter_00".to_owned(), contents(100_000)));
    assert_eq!(kinds(&tar(&artifact_files(&tar(&header), true))), SINGLE_FILE);
    let info = r#" {"artifact_depends":null, "payloads": [{"more":[{}],"type":"single-file"}] ,"a":1,"a":2} "#;
    assert_eq!(kinds(&with_header_info(info)), SINGLE_FILE);
}

#[test]
fn an_artifact_that_is_cut_anywhere_is_never_another() {
    for compressed in [false, true] {
        let whole = artifact(&["single-file"], compressed);
        // What follows the last block of a file marks the end, and may be missing.
        let complete = whole.len() - 1024;
        let data = position_of(&whole, "data/0000.tar");
        for length in 0..whole.len() {
            let kinds = kinds(&whole[..length]);
            // Between two files a cut does not show, and the header is there already.
            let is_known = kinds == SINGLE_FILE && (length == data || length >= complete);
            assert!(is_known || kinds == NONSTANDARD, "{length}: {kinds:?}");
        }
    }
}

#[test]
fn a_package_that_cannot_be_read_is_an_error_wherever_that_shows() {
    for compressed in [false, true] {
        let package = artifact(&["single-file"], compressed);
        let mut watched = Watched::new(Cursor::new(&package));
        ArtifactKinds::read(&mut watched).unwrap();
        for fails_after_bytes in 0..watched.read_bytes {
            let watched = Watched { fails_after_bytes, ..Watched::new(Cursor::new(&package)) };
            let error = ArtifactKinds::read(watched).unwrap_err();
            assert_eq!(error.to_string(), "the disk is broken");
        }
    }
}

#[test]
fn a_disk_that_fails_is_no_flaw_of_an_artifact() {
    let package = Blueprint::of_root_file_system("v2", &["dummy"], &contents(200_000)).bytes();
    for fails_after_bytes in (0..=package.len()).step_by(1000).chain([package.len()]) {
        let watched = Watched { fails_after_bytes, ..Watched::new(Cursor::new(&package)) };
        assert_eq!(examine(watched).unwrap_err().to_string(), "the disk is broken", "{fails_after_bytes}");
    }
    assert!(examine(Watched::new(Cursor::new(&package))).unwrap().is_ok());
}

#[tokio::test]
async fn a_complete_upload_says_what_kinds_of_payload_it_brings() {
    let place = tempfile::tempdir().unwrap();
    let folder = PackageFolder::open(place.path()).unwrap();
    let (single_file, image) = (artifact(&["single-file"], true), artifact(&["rootfs-image"], false));
    let cases = [
        (&single_file[..], ArtifactKind::SingleFile),
        (&image[..], ArtifactKind::RootfsImage),
        (b"contents", ArtifactKind::Nonstandard),
    ];
    for (contents, kind) in cases {
        let mut upload = folder.begin_upload().unwrap();
        contents.chunks(1000).for_each(|piece| upload.write(piece.to_vec().into()).unwrap());
        let staged = upload.finish().unwrap();
        assert_eq!(staged.examine().await.unwrap().unwrap().kinds.iter().collect::<Vec<_>>(), [kind]);
        // It is still all there to be published.
        let published = staged.publish(None).unwrap();
        let path = folder.root().join(published.uuid.to_string());
        assert_eq!(std::fs::read(path).unwrap(), contents);
    }

    let staged = folder.begin_upload().unwrap().finish().unwrap();
    std::fs::remove_dir_all(folder.root()).unwrap();
    let error = staged.examine().await.unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
}
