//! Buffers that are used again: a chunk that was sent leaves its memory, which is warm in the processor's caches, to the next.
//! Allocating it anew would have the kernel clear and map its pages for each chunk.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// How much is read and sent at once.
pub const CHUNK_BYTES: usize = 128 * 1024;

/// How many buffers are kept while nobody needs them: what all threads fill at once, and some on their way.
const MOST_SPARE: usize = 8;

/// The buffers that nobody needs at the moment. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer of at least `length` bytes and at most [`CHUNK_BYTES`], with whatever is in it.
    pub fn take(&self, length: usize) -> Buffer {
        if length <= SMALL_BYTES {
            return Buffer { bytes: vec![0; length], filled: 0, home: None };
        }
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = spare.unwrap_or_else(|| vec![0; CHUNK_BYTES]);
        Buffer { bytes, filled: 0, home: Some(self.clone()) }
    }
}

/// What is so short gets memory of its own length: a slow modem must not hold a whole chunk for a small range.
const SMALL_BYTES: usize = 16 * 1024;

/// A buffer on loan.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    home: Option<Buffers>,
}

impl Buffer {
    /// Its first `length` bytes, to be filled; at most as many as were asked for.
    pub fn space(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[..length]
    }

    /// The first `length` bytes, to be sent. The memory comes back when they are.
    pub fn filled(mut self, length: usize) -> Bytes {
        self.filled = length;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = &self.home else { return };
        let mut spare = home.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MOST_SPARE {
            spare.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_it_is_sent() {
        let buffers = Buffers::default();
        let spare = || buffers.0.lock().unwrap().len();
        let mut buffer = buffers.take(CHUNK_BYTES);
        buffer.space(3).copy_from_slice(b"abc");
        let bytes = buffer.filled(3);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((&part[..], spare()), (&b"bc"[..], 0));
        drop(part);
        assert_eq!(spare(), 1);
        drop(buffers.take(CHUNK_BYTES));
        assert_eq!(spare(), 1);
    }

    #[test]
    fn few_are_kept_and_none_for_small_ranges() {
        let buffers = Buffers::default();
        let many: Vec<_> = (0..100).map(|_| buffers.take(CHUNK_BYTES)).collect();
        drop(many);
        assert_eq!(buffers.0.lock().unwrap().len(), MOST_SPARE);
        assert_eq!(buffers.take(2000).bytes.len(), 2000);
        assert_eq!(buffers.0.lock().unwrap().len(), MOST_SPARE);
    }
}
