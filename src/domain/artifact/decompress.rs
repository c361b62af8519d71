//! How the tars in an artifact are compressed, and how much work that may make.

use std::fmt;
use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

/// How much all compressed tars of an artifact may have together when they are unpacked. A gigabyte of compressed nothing would
/// unpack to a thousand, and keep a small processor busy for hours; no root file system is that large.
pub(super) const UNPACKED_LIMIT_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// The contents of a tar whose name ends in `.tar` and `suffix`; `None`: it is compressed in a way that is not known here.
/// What is unpacked is taken from `left_bytes`, and reading fails with [`TooMuch`] when nothing is left.
pub(super) fn decompressed<'a>(
    contents: impl Read + 'a,
    suffix: &str,
    left_bytes: &'a mut u64,
) -> Option<Box<dyn Read + 'a>> {
    match suffix {
        "" => Some(Box::new(contents)),
        ".gz" => {
            let unpacked = MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, contents));
            Some(Box::new(Limited { unpacked, left_bytes }))
        }
        _ => None,
    }
}

/// It unpacks to more than is read here.
#[derive(Debug)]
pub(super) struct TooMuch;

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it unpacks to more than {} GiB", UNPACKED_LIMIT_BYTES / (1024 * 1024 * 1024))
    }
}

impl std::error::Error for TooMuch {}

struct Limited<'a, R> {
    unpacked: R,
    left_bytes: &'a mut u64,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.unpacked.read(buffer)?;
        *self.left_bytes = self.left_bytes.checked_sub(length as u64).ok_or_else(|| io::Error::other(TooMuch))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::domain::artifact::tape::{Tape, Trouble};

    /// A tar of one file of zeros, compressed.
    fn compressed(length_bytes: usize) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        let mut header = tar::Header::new_ustar();
        header.set_size(length_bytes as u64);
        tar.append_data(&mut header, "zeros", &vec![0; length_bytes][..]).unwrap();
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_bomb_is_not_unpacked_to_its_end() {
        let bomb = compressed(8 * 1024 * 1024);
        for (mut left, is_enough) in [(9 * 1024 * 1024, true), (4 * 1024 * 1024, false), (0, false)] {
            let before = left;
            let mut tape = Tape::new(decompressed(&bomb[..], ".gz", &mut left).unwrap(), None);
            let hash = tape.next_entry().and_then(|_| tape.hash());
            assert_eq!(hash.is_ok(), is_enough, "{hash:?}");
            assert!(is_enough || matches!(&hash, Err(Trouble::Unread(why)) if why.contains("more than 16 GiB")));
            drop(tape);
            assert!(before - left <= 9 * 1024 * 1024 && before >= left);
        }
    }

    #[test]
    fn what_is_not_compressed_makes_no_work() {
        let (mut left, mut read) = (0, Vec::new());
        decompressed(&b"as it is"[..], "", &mut left).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, b"as it is");
        assert!(decompressed(&b""[..], ".lz4", &mut left).is_none());
    }

    #[test]
    fn all_members_are_unpacked() {
        let mut members = Vec::new();
        for part in [&b"one "[..], b"two"] {
            let mut encoder = GzEncoder::new(&mut members, Compression::default());
            encoder.write_all(part).unwrap();
            encoder.finish().unwrap();
        }
        let (mut left, mut read) = (7, Vec::new());
        decompressed(&members[..], ".gz", &mut left).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!((&read[..], left), (&b"one two"[..], 0));
    }
}
