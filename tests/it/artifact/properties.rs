//! Whatever the bytes, reading them ends soon and never says less than what a package is.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use ruzstd::decoding::StreamingDecoder;
use tender::domain::ArtifactKind;

use super::examination::examined;
use super::hostile::mend_checksum;
use super::{kinds, position_of};
use crate::harness::artifact::{Blueprint, artifact, artifact_files, header_files, tar};

/// The bytes with some of them changed.
fn changed(mut bytes: Vec<u8>, changes: &[(Index, u8)]) -> Vec<u8> {
    for (position, byte) in changes {
        *position.get_mut(&mut bytes) = *byte;
    }
    bytes
}

/// Makes headers valid again, so that readers get past them. What is no header becomes other contents.
fn mended(mut tar: Vec<u8>) -> Vec<u8> {
    for position in (0..tar.len()).step_by(512) {
        if tar[position..].get(257..262) == Some(b"ustar") && tar.len() >= position + 512 {
            mend_checksum(&mut tar, position);
        }
    }
    tar
}

/// The contents of the payload's only file, read as a client would.
fn payload(artifact: &[u8], data_suffix: &str) -> Option<Vec<u8>> {
    let mut outer = tar::Archive::new(artifact);
    let mut entries = outer.entries().ok()?.filter_map(Result::ok);
    let data = entries.find(|entry| entry.path_bytes().starts_with(b"data/"))?;
    let data: Box<dyn Read> = match data_suffix {
        ".gz" => Box::new(MultiGzDecoder::new(data)),
        ".xz" => Box::new(XzReader::new(data, true)),
        ".zst" => Box::new(StreamingDecoder::new(data).ok()?),
        _ => Box::new(data),
    };
    let mut inner = tar::Archive::new(data);
    let mut file = inner.entries().ok()?.next()?.ok()?;
    let mut contents = Vec::new();
    file.read_to_end(&mut contents).ok()?;
    Some(contents)
}

const IMAGE: &[u8] = b"an image that is a little longer than a tar header's padding would hide";

/// An artifact with [`IMAGE`].
fn image(data_suffix: &'static str) -> Vec<u8> {
    let blueprint = Blueprint::of_root_file_system("v2", &["dummy"], IMAGE);
    Blueprint { header_suffix: data_suffix, data_suffix, ..blueprint }.bytes()
}

#[test]
fn every_changed_byte_of_a_payload_is_noticed() {
    let whole = image("");
    let data = position_of(&whole, "data/0000.tar") + 1024;
    assert_eq!(&whole[data..data + IMAGE.len()], IMAGE);
    for position in data..data + IMAGE.len() {
        let mut package = whole.clone();
        package[position] ^= 1;
        let sentence = examined(&package).unwrap_err();
        assert!(sentence.contains("data/0000/root.img"), "{sentence}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn arbitrary_bytes_have_kinds(bytes in vec(any::<u8>(), 0..3000)) {
        prop_assert_eq!(kinds(&bytes), [ArtifactKind::Nonstandard]);
        prop_assert_eq!(kinds(&tar(&artifact_files(&bytes, false))), [ArtifactKind::Nonstandard]);
        prop_assert_eq!(kinds(&tar(&artifact_files(&bytes, true))), [ArtifactKind::Nonstandard]);
    }

    #[test]
    fn no_change_makes_a_single_file_of_a_root_file_system(
        compressed in any::<bool>(),
        changes in vec((any::<Index>(), any::<u8>()), 1..6),
        cut in 0_usize..2000,
    ) {
        let mut package = changed(artifact(&["rootfs-image"], compressed), &changes);
        prop_assert!(!kinds(&package).contains(&ArtifactKind::SingleFile));
        package = mended(package);
        package.truncate(package.len() - cut);
        prop_assert!(!kinds(&package).contains(&ArtifactKind::SingleFile));
    }

    #[test]
    fn no_change_of_a_header_hides_one_of_its_types(changes in vec((any::<Index>(), any::<u8>()), 1..4)) {
        let header = mended(changed(tar(&header_files(&["single-file", "rootfs-image"])), &changes));
        for compressed in [false, true] {
            prop_assert_ne!(kinds(&tar(&artifact_files(&header, compressed))), [ArtifactKind::SingleFile]);
        }
    }

    #[test]
    fn what_is_called_verified_has_the_payload_that_was_made(
        suffix in select(&["", ".gz", ".xz", ".zst"]),
        changes in vec((any::<Index>(), any::<u8>()), 0..4),
        is_mended in any::<bool>(),
        cut in 0_usize..3000,
    ) {
        let mut package = changed(image(suffix), &changes);
        if is_mended {
            package = mended(package);
        }
        package.truncate(package.len().saturating_sub(cut.saturating_sub(1500)));
        if let Ok(Some(artifact)) = examined(&package)
            && artifact.version == Some(3)
            && artifact.unverified.is_none()
        {
            let found = payload(&package, suffix);
            prop_assert_eq!(found.as_deref(), Some(IMAGE));
        }
    }

    #[test]
    fn arbitrary_parts_are_judged(bytes in vec(any::<u8>(), 0..2000), index in 0_usize..4) {
        // Whatever comes of it: it ends.
        let mut files = Blueprint::of_types(&["single-file"]).files();
        files[index].1 = bytes;
        let _ = examined(&tar(&files));
    }
}
