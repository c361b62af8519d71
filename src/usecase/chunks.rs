//! The pieces of an upload as they come from the network, gathered into chunks that are handed on.

use bytes::{Bytes, BytesMut};

/// How long a chunk is.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that may wait for whoever takes them.
pub const WAITING_CHUNKS: usize = 2;
/// Chunks that may be in use: one is gathered, others wait to be written and to be hashed, and one of each is just that.
const CHUNKS: usize = 1 + (WAITING_CHUNKS + 1) * 2;

/// Gathers pieces in memory that is used again. To copy them is cheaper than to keep them: then each piece would need memory
/// that is new to the process, and the thread behind would be woken for each.
#[derive(Debug, Default)]
pub struct Chunks {
    buffers: [BytesMut; CHUNKS],
    current: usize,
}

impl Chunks {
    /// Takes as much off the piece as fits. Returns the chunk if it is full; `None` when nothing of the piece is left.
    pub fn add(&mut self, piece: &mut Bytes) -> Option<Bytes> {
        let buffer = &mut self.buffers[self.current];
        if buffer.is_empty() {
            // This takes up the memory of the chunk before, if nobody has that any more.
            buffer.reserve(CHUNK_BYTES);
        }
        let fitting = piece.len().min(CHUNK_BYTES - buffer.len());
        buffer.extend_from_slice(&piece.split_to(fitting));
        if buffer.len() < CHUNK_BYTES { None } else { self.rest() }
    }

    /// What was gathered and is not a whole chunk, if there is anything.
    pub fn rest(&mut self) -> Option<Bytes> {
        let chunk = self.buffers[self.current].split().freeze();
        self.current = (self.current + 1) % CHUNKS;
        (!chunk.is_empty()).then_some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Each is some megabytes.
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn chunks_are_the_pieces_in_a_row(
            lengths in prop::collection::vec(0..3 * CHUNK_BYTES, 0..12),
            kept in 0..2 * CHUNKS,
        ) {
            let whole: Vec<u8> = (0..lengths.iter().sum::<usize>()).map(|number| (number * 31 / 128) as u8).collect();
            let mut left = Bytes::from(whole.clone());
            let (mut chunks, mut gathered, mut in_use) = (Chunks::default(), Vec::new(), std::collections::VecDeque::new());
            for length in lengths {
                let mut piece = left.split_to(length);
                while let Some(chunk) = chunks.add(&mut piece) {
                    prop_assert_eq!(chunk.len(), CHUNK_BYTES);
                    // What somebody still has is not written over.
                    in_use.push_back(chunk);
                    while in_use.len() > kept {
                        gathered.extend_from_slice(&in_use.pop_front().unwrap());
                    }
                }
                prop_assert!(piece.is_empty());
            }
            in_use.into_iter().chain(chunks.rest()).for_each(|chunk| gathered.extend_from_slice(&chunk));
            prop_assert!(chunks.rest().is_none());
            prop_assert!(gathered == whole);
        }
    }
}
