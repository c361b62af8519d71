//! SHA-256 (FIPS 180-4) that can be put down and taken up again, so that an upload goes on after a restart without being read
//! again from its beginning. The arithmetic is the `sha2` crate's.

use sha2::compress256;
use sha2::digest::generic_array::GenericArray;
use sha2::digest::generic_array::typenum::U64;

use crate::domain::Sha256Digest;

const BLOCK_BYTES: usize = 64;
/// FIPS 180-4, section 5.3.3.
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// Where hashing can go on: behind the last whole block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashState(pub [u8; 32]);

/// A hash in the making.
#[derive(Debug, Clone)]
pub struct ResumableHash {
    state: [u32; 8],
    length_bytes: u64,
    /// What has come of the block that is not whole yet.
    rest: Vec<u8>,
}

impl ResumableHash {
    /// Of nothing so far.
    pub fn new() -> Self {
        Self { state: INITIAL, length_bytes: 0, rest: Vec::with_capacity(BLOCK_BYTES) }
    }

    /// Goes on from a state that [`ResumableHash::state`] gave at this length. What came after the last whole block must be
    /// given again: that is `length_bytes % 64` bytes.
    pub fn resume(state: HashState, length_bytes: u64) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(state.0.as_chunks::<4>().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Self { state: words, length_bytes: whole_blocks(length_bytes), rest: Vec::with_capacity(BLOCK_BYTES) }
    }

    /// Where to go on later.
    pub fn state(&self) -> HashState {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        HashState(bytes)
    }

    /// Adds bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.length_bytes += bytes.len() as u64;
        if !self.rest.is_empty() {
            let missing = bytes.len().min(BLOCK_BYTES - self.rest.len());
            self.rest.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.rest.len() < BLOCK_BYTES {
                return;
            }
            compress(&mut self.state, &self.rest);
            self.rest.clear();
        }
        let (blocks, rest) = bytes.split_at(bytes.len() / BLOCK_BYTES * BLOCK_BYTES);
        compress(&mut self.state, blocks);
        self.rest.extend_from_slice(rest);
    }

    /// The hash of all bytes (FIPS 180-4, section 5.1.1).
    pub fn finish(mut self) -> Sha256Digest {
        let length_bits = self.length_bytes.wrapping_mul(8);
        let mut padding = vec![0x80];
        let zeros = (BLOCK_BYTES * 2 - 1 - 8 - self.rest.len()) % BLOCK_BYTES;
        padding.resize(1 + zeros, 0);
        padding.extend_from_slice(&length_bits.to_be_bytes());
        self.update(&padding);
        Sha256Digest(self.state().0)
    }
}

/// The length of all whole blocks in so many bytes.
pub fn whole_blocks(length_bytes: u64) -> u64 {
    length_bytes / BLOCK_BYTES as u64 * BLOCK_BYTES as u64
}

fn compress(state: &mut [u32; 8], blocks: &[u8]) {
    // A copy of each block, as the crate's type for one cannot be lent from a slice; the arithmetic takes far longer.
    const AT_ONCE: usize = 64;
    let mut copies = [GenericArray::<u8, U64>::default(); AT_ONCE];
    for blocks in blocks.chunks(AT_ONCE * BLOCK_BYTES) {
        let count = blocks.len() / BLOCK_BYTES;
        for (copy, block) in copies.iter_mut().zip(blocks.chunks_exact(BLOCK_BYTES)) {
            copy.copy_from_slice(block);
        }
        compress256(state, &copies[..count]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn it_is_sha_256_however_often_it_is_put_down(
            bytes in prop::collection::vec(any::<u8>(), 0..20_000),
            mut cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..8),
        ) {
            cuts.sort_by_key(|(cut, _)| cut.index(bytes.len() + 1));
            let mut hash = ResumableHash::new();
            let mut done = 0;
            for (cut, is_put_down) in cuts {
                let cut = cut.index(bytes.len() + 1);
                hash.update(&bytes[done..cut]);
                done = cut;
                if is_put_down {
                    hash = ResumableHash::resume(hash.state(), cut as u64);
                    hash.update(&bytes[usize::try_from(whole_blocks(cut as u64)).unwrap()..cut]);
                }
            }
            hash.update(&bytes[done..]);
            prop_assert_eq!(hash.finish().0, <[u8; 32]>::from(Sha256::digest(&bytes)));
        }
    }

    #[test]
    fn every_length_of_the_last_block_is_padded_right() {
        for length in 0..300 {
            let bytes = vec![7; length];
            let mut hash = ResumableHash::new();
            hash.update(&bytes);
            assert_eq!(hash.finish().0, <[u8; 32]>::from(Sha256::digest(&bytes)), "{length}");
        }
    }
}
