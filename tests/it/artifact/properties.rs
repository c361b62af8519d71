//! Whatever the bytes, reading them ends soon and never says less than what a package is.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tender::domain::ArtifactKind;

use super::hostile::mend_checksum;
use super::kinds;
use crate::harness::artifact::{artifact, artifact_files, header_files, tar};

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
}
