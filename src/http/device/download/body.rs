//! The bytes of a package on their way to a client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::{JoinHandle, spawn_blocking};
use warp::reply::{Reply, Response};

use super::passage::Passage;
use crate::http::range::ByteRange;
use crate::store::PackageFile;

/// How much is read and sent at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// A reply with the bytes of a range. A short one that is in memory is there at once; the rest follows as the client takes it
/// and `passage` lets it.
pub fn of(file: &PackageFile, range: ByteRange, passage: Passage) -> Response {
    let (next, end) = (range.first, range.first + range.length());
    let mut bytes = PackageBytes { file: file.clone(), next, end, passage, allowed: 0, reading: None };
    match bytes.at_once() {
        Some(bytes) => Response::new(bytes.into()),
        None => warp::reply::stream(bytes).into_response(),
    }
}

/// Reads a range chunk by chunk, each when the one before is on its way: reading ahead is left to the operating system.
///
/// What is in its memory is copied right here, which takes some microseconds and is less than asking another thread to do it.
/// Only what must come from the disk is read on threads that may block.
struct PackageBytes {
    file: PackageFile,
    /// Offset of the next chunk.
    next: u64,
    /// Offset behind the last byte.
    end: u64,
    passage: Passage,
    /// How many bytes may go and are not on their way yet.
    allowed: usize,
    /// A chunk that comes from the disk.
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl PackageBytes {
    /// So many bytes more are on their way.
    fn move_on(&mut self, bytes: usize) {
        self.next += bytes as u64;
        self.allowed = self.allowed.saturating_sub(bytes);
    }

    /// How long the next chunk is to be; 0 at the end.
    fn chunk_length(&self) -> usize {
        usize::try_from(self.end - self.next).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES))
    }

    /// All of it, if it is one chunk, in memory, and may go.
    fn at_once(&mut self) -> Option<Bytes> {
        let length = self.chunk_length();
        if self.end - self.next > length as u64 {
            return None;
        }
        let mut chunk = vec![0; length];
        let read = self.file.read_now(&mut chunk, self.next);
        (read == length && self.passage.try_take(length as u64)).then(|| chunk.into())
    }
}

impl Stream for PackageBytes {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let (wanted, offset) = (self.chunk_length(), self.next);
        if wanted == 0 {
            return Poll::Ready(None);
        }
        if self.allowed == 0 {
            let allowed = ready!(self.passage.poll_take(wanted as u64, context));
            self.allowed = usize::try_from(allowed).unwrap_or(wanted);
        }
        let length = self.allowed.min(wanted);
        if self.reading.is_none() {
            let mut chunk = vec![0; length];
            let read = self.file.read_now(&mut chunk, offset);
            if read > 0 {
                chunk.truncate(read);
                self.move_on(read);
                return Poll::Ready(Some(Ok(chunk.into())));
            }
            let file = self.file.clone();
            self.reading = Some(spawn_blocking(move || file.read_at(&mut chunk, offset).map(|()| chunk)));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(None) };
        let chunk = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
        self.reading = None;
        match &chunk {
            Ok(chunk) => self.move_on(chunk.len()),
            Err(error) => {
                tracing::error!(%error, offset, "reading a package failed");
                // Nothing comes after an error.
                self.next = self.end;
            }
        }
        Poll::Ready(Some(chunk.map(Bytes::from)))
    }
}
