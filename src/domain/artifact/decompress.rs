//! How the tars in an artifact are compressed, and how much work that may make.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How much all compressed tars of an artifact may have together when they are unpacked. A gigabyte of compressed nothing would
/// unpack to a thousand, and keep a small processor busy for hours; no root file system is that large.
pub(super) const UNPACKED_LIMIT_BYTES: u64 = 16 * GIBIBYTE;
/// How much of what was unpacked may be needed again. The usual levels need 8 MiB, the highest that are common 32.
const WINDOW_LIMIT_BYTES: u32 = 32 * 1024 * 1024;
/// What the reader of xz needs beside that.
const XZ_OVERHEAD_KIB: u32 = 1024;

const GIBIBYTE: u64 = 1024 * 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// The contents of a tar whose name ends in `.tar` and `suffix`; `None`: it is compressed in a way that is not known here.
/// What is unpacked is taken from `left_bytes`. Reading fails with [`Unsupported`] when nothing is left, or too
/// much memory is needed.
pub(super) fn decompressed<'a>(
    contents: impl Read + 'a,
    suffix: &str,
    left_bytes: &'a mut u64,
) -> Option<Box<dyn Read + 'a>> {
    let contents = BufReader::with_capacity(BUFFER_BYTES, contents);
    let unpacked: Box<dyn Read + 'a> = match suffix {
        "" => return Some(Box::new(contents)),
        ".gz" => Box::new(MultiGzDecoder::new(contents)),
        ".xz" => Box::new(Xz(XzReader::new_mem_limit(contents, true, WINDOW_LIMIT_BYTES / 1024 + XZ_OVERHEAD_KIB))),
        ".zst" => Box::new(Zstandard::new(contents)),
        _ => return None,
    };
    Some(Box::new(Limited { unpacked, left_bytes }))
}

/// It may be right, but is not unpacked here: why.
#[derive(Debug)]
pub(super) enum Unsupported {
    Length,
    Memory,
    Method,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "there are more than {} GiB to unpack", UNPACKED_LIMIT_BYTES / GIBIBYTE),
            Self::Memory => write!(f, "unpacking takes more than {} MiB of memory", WINDOW_LIMIT_BYTES / (1024 * 1024)),
            Self::Method => f.write_str("unpacking takes a filter or a dictionary that is not known here"),
        }
    }
}

impl Error for Unsupported {}

/// xz.
struct Xz<R: Read>(XzReader<R>);

impl<R: Read> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::OutOfMemory => io::Error::other(Unsupported::Memory),
            io::ErrorKind::Unsupported => io::Error::other(Unsupported::Method),
            _ => error,
        })
    }
}

/// Zstandard: one frame after the other.
struct Zstandard<R> {
    frames: R,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Zstandard<R> {
    fn new(frames: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_LIMIT_BYTES.into());
        Self { frames, decoder, is_in_frame: false }
    }
}

impl<R: BufRead> Read for Zstandard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            let step = if self.is_in_frame && !self.decoder.is_finished() {
                self.decoder.decode_blocks(&mut self.frames, BlockDecodingStrategy::UptoBlocks(1)).map(|_| ())
            } else if self.frames.fill_buf()?.is_empty() {
                return Ok(0);
            } else {
                self.is_in_frame = true;
                self.decoder.reset(&mut self.frames)
            };
            match step {
                Ok(()) => {}
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    self.is_in_frame = false;
                    io::copy(&mut (&mut self.frames).take(length.into()), &mut io::sink())?;
                }
                Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(io::Error::other(Unsupported::Memory)),
                Err(FrameDecoderError::DictNotProvided { .. }) => return Err(io::Error::other(Unsupported::Method)),
                Err(error) => return Err(io_error(&error)),
            }
        }
        self.decoder.read(buffer)
    }
}

/// The end of the source looks like itself; what else is wrong with a frame helps nobody.
fn io_error(error: &FrameDecoderError) -> io::Error {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref().is_some_and(|error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof) {
            return io::ErrorKind::UnexpectedEof.into();
        }
        cause = error.source();
    }
    io::Error::new(io::ErrorKind::InvalidData, "corrupt Zstandard frame")
}

struct Limited<'a, R> {
    unpacked: R,
    left_bytes: &'a mut u64,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.unpacked.read(buffer)?;
        *self.left_bytes =
            self.left_bytes.checked_sub(length as u64).ok_or_else(|| io::Error::other(Unsupported::Length))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use lzma_rust2::{XzOptions, XzWriter};
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;
    use crate::domain::artifact::tape::{Tape, Trouble};

    fn gzip(contents: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(contents).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(contents: &[u8], preset: u32) -> Vec<u8> {
        let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(preset)).unwrap();
        writer.write_all(contents).unwrap();
        writer.finish().unwrap()
    }

    fn zstandard(contents: &[u8]) -> Vec<u8> {
        compress_to_vec(contents, CompressionLevel::Fastest)
    }

    fn unpacked(contents: &[u8], suffix: &str) -> io::Result<Vec<u8>> {
        let (mut left, mut read) = (UNPACKED_LIMIT_BYTES, Vec::new());
        decompressed(contents, suffix, &mut left).unwrap().read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn a_bomb_is_not_unpacked_to_its_end() {
        let length = 8 * 1024 * 1024;
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        tar.append_data(&mut header, "zeros", io::repeat(0).take(length)).unwrap();
        let tar = tar.into_inner().unwrap();
        for (bomb, suffix) in [(gzip(&tar), ".gz"), (xz(&tar, 1), ".xz"), (zstandard(&tar), ".zst")] {
            for (mut left, is_enough) in [(length + 4096, true), (length / 2, false), (0, false)] {
                let mut tape = Tape::new(decompressed(&bomb[..], suffix, &mut left).unwrap(), None);
                let hash = tape.next_entry().and_then(|_| tape.hash());
                assert_eq!(hash.is_ok(), is_enough, "{hash:?}");
                assert!(is_enough || matches!(&hash, Err(Trouble::Unread(why)) if why.contains("more than 16 GiB")));
            }
        }
    }

    #[test]
    fn what_takes_too_much_or_is_not_known_is_told_from_damage() {
        let reason = |contents: &[u8], suffix| {
            let error = unpacked(contents, suffix).unwrap_err();
            let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<Unsupported>());
            reason.map_or_else(|| format!("damaged: {error}"), Unsupported::to_string)
        };
        // The highest level has a dictionary of 64 MiB, whatever is in it.
        assert_eq!(unpacked(&xz(b"contents", 8), ".xz").unwrap(), b"contents");
        assert_eq!(reason(&xz(b"contents", 9), ".xz"), Unsupported::Memory.to_string());
        let frame = |header: &[u8]| [&0xfd2f_b528_u32.to_le_bytes()[..], header, &[1, 0, 0]].concat();
        // A window of 128 MiB; then dictionary 7.
        assert_eq!(reason(&frame(&[0, 17 << 3]), ".zst"), Unsupported::Memory.to_string());
        assert_eq!(reason(&frame(&[1, 0, 7]), ".zst"), Unsupported::Method.to_string());
        assert_eq!(unpacked(&frame(&[0, 0]), ".zst").unwrap(), b"");
    }

    #[test]
    fn what_is_cut_or_damaged_is_told_apart() {
        let contents: Vec<u8> =
            (0..20_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for (packed, suffix) in [(gzip(&contents), ".gz"), (xz(&contents, 1), ".xz"), (zstandard(&contents), ".zst")] {
            assert_eq!(unpacked(&packed, suffix).unwrap(), contents);
            for length in [1, 5, packed.len() / 2, packed.len() - 1] {
                let error = unpacked(&packed[..length], suffix).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length} bytes of {suffix}: {error}");
            }
            let error = unpacked(&[&packed[..], b"more, which is not compressed"].concat(), suffix)
                .map_or_else(|error| error.kind(), |_| io::ErrorKind::Other);
            assert_ne!(error, io::ErrorKind::UnexpectedEof, "{suffix}");
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
        let members = |pack: fn(&[u8]) -> Vec<u8>| [pack(b"one "), pack(b""), pack(b"two")].concat();
        assert_eq!(unpacked(&members(gzip), ".gz").unwrap(), b"one two");
        assert_eq!(unpacked(&members(|contents| xz(contents, 1)), ".xz").unwrap(), b"one two");
        // Zstandard has frames to be skipped, too.
        let skipped = [&0x184d_2a50_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
        let frames = [&skipped[..], &members(zstandard), &skipped].concat();
        assert_eq!(unpacked(&frames, ".zst").unwrap(), b"one two");
    }
}
