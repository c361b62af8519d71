//! Bytes that come in pieces, as they do from a network or a pipe.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// How many bytes at the beginning of an input say how the rest is cut.
const CUTS: usize = 3;

/// The rest of an input, and the lengths of its pieces, which come again and again.
#[derive(Clone, Copy)]
pub struct Pieces<'a> {
    pub bytes: &'a [u8],
    lengths: [usize; CUTS],
}

impl<'a> Pieces<'a> {
    /// Takes the lengths off an input. `None`: it is too short.
    pub fn of(input: &'a [u8]) -> Option<Self> {
        let (cuts, bytes) = input.split_first_chunk::<CUTS>()?;
        // Short pieces, or all that there is.
        let length = |cut: u8| if cut == u8::MAX { usize::MAX } else { usize::from(cut) + 1 };
        Some(Self { bytes, lengths: cuts.map(length) })
    }

    /// Other bytes, cut in the same way.
    pub fn with<'b>(self, bytes: &'b [u8]) -> Pieces<'b> {
        Pieces { bytes, lengths: self.lengths }
    }

    /// The pieces, in order.
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        self.lengths.into_iter().cycle().map_while(move |length| {
            let (piece, left) = rest.split_at(length.min(rest.len()));
            rest = left;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// A file of which each read gives the next piece, or as much of it as is wanted.
    pub fn file(self) -> PiecewiseFile<'a> {
        PiecewiseFile { file: Cursor::new(self.bytes), lengths: self.lengths, reads: 0 }
    }
}

/// See [`Pieces::file`].
pub struct PiecewiseFile<'a> {
    file: Cursor<&'a [u8]>,
    lengths: [usize; CUTS],
    reads: usize,
}

impl Read for PiecewiseFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.lengths[self.reads % CUTS].min(buffer.len());
        self.reads += 1;
        self.file.read(&mut buffer[..length])
    }
}

impl Seek for PiecewiseFile<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}
