//! Where everything is in a bundle. Each header is the one that is made here, to the byte: a reader compares and does not
//! interpret, so that there is nothing in a bundle that two readers could see in two ways.

use tar::{EntryType, Header};

use super::Sha256Digest;

/// What tars are made of.
pub const BLOCK_BYTES: usize = 512;
/// The first entry.
pub const MANIFEST: &str = "manifest.json";
/// The second entry: the public key and the signature, as they are.
pub const SIGNATURE: &str = "manifest.sig";
/// Of these together.
pub const SIGNATURE_BYTES: usize = 32 + 64;
/// How long a manifest may be: it is in memory.
pub const MANIFEST_LIMIT_BYTES: u64 = 4 << 20;
/// What follows the last entry.
pub const END: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

/// The name of the entry of the package at this place of the manifest.
pub fn package_entry(place: usize, sha256: Sha256Digest) -> String {
    format!("packages/{:04}-{sha256}", place + 1)
}

/// The header of an entry.
pub fn entry_header(name: &str, length_bytes: u64) -> [u8; BLOCK_BYTES] {
    let mut header = Header::new_gnu();
    header.set_path(name).expect("the names of entries are short, and no paths out of the tar");
    header.set_size(length_bytes);
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    *header.as_bytes()
}

/// The length that a header says; `None` if it says none.
pub fn entry_length(header: &[u8; BLOCK_BYTES]) -> Option<u64> {
    Header::from_byte_slice(header).entry_size().ok()
}

/// How many zeros follow an entry of this length.
pub fn padding_bytes(length_bytes: u64) -> usize {
    let block = BLOCK_BYTES as u64;
    usize::try_from(length_bytes.next_multiple_of(block) - length_bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_they_are_made_of() {
        for length in [0, 1, 511, 512, 513, 5 << 30, 20 << 30] {
            let header = entry_header(&package_entry(9_999, Sha256Digest([255; 32])), length);
            assert_eq!(entry_length(&header), Some(length));
            assert_eq!((length + padding_bytes(length) as u64) % 512, 0);
        }
    }
}
