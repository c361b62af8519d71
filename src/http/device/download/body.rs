//! The bytes of a package on their way to a client.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use tokio::task::{JoinHandle, spawn_blocking};
use warp::reply::{Reply, Response};

use super::passage::Passage;
use crate::http::range::ByteRange;
use crate::http::sendfile::{Meter, SEGMENT_BYTES, Segments};
use crate::store::PackageFile;

/// What is no longer is copied, if it is in memory: that takes less than having the operating system send it.
const COPY_BYTES: u64 = 32 * 1024;
/// How much is read at once where the operating system cannot send files. A client that takes it slowly has as much in memory.
const READ_BYTES: usize = 128 * 1024;

/// A reply with the bytes of a range: sent by the operating system with `segments`, the connection's own, else read. A short one
/// that is in memory is there at once; the rest follows as the client takes it and `passage` lets it.
pub fn of(
    file: &PackageFile,
    range: ByteRange,
    mut passage: Passage,
    segments: Option<Segments>,
    meter: Option<Meter>,
) -> Response {
    let (next, end) = (range.first, range.first + range.length());
    if let Some(bytes) = copied(file, range, &mut passage) {
        if let Some(meter) = meter {
            meter(next..end);
        }
        return Response::new(bytes.into());
    }
    let rest = Rest { file: file.clone(), next, end, passage, meter };
    match segments {
        Some(segments) => warp::reply::stream(SentSegments { rest, segments }).into_response(),
        None => warp::reply::stream(ReadPieces { rest, reading: None }).into_response(),
    }
}

/// All of a range, if it is short, in memory, and may go.
fn copied(file: &PackageFile, range: ByteRange, passage: &mut Passage) -> Option<Bytes> {
    let length = usize::try_from(range.length()).ok().filter(|_| range.length() <= COPY_BYTES)?;
    let mut bytes = vec![0; length];
    (file.read_now(&mut bytes, range.first) == length && passage.try_take(range.length())).then(|| bytes.into())
}

/// What is left of a range.
struct Rest {
    file: PackageFile,
    /// Offset of the next byte.
    next: u64,
    /// Offset behind the last one.
    end: u64,
    passage: Passage,
    meter: Option<Meter>,
}

impl Rest {
    /// Waits until more bytes may go: how many, at most `most`; none at the end.
    fn poll_take(&mut self, most: usize, context: &mut Context<'_>) -> Poll<u64> {
        match (self.end - self.next).min(most as u64) {
            0 => Poll::Ready(0),
            wanted => self.passage.poll_take(wanted, context),
        }
    }
}

/// A range, segment by segment, each when the one before is on its way and it may go.
struct SentSegments {
    rest: Rest,
    segments: Segments,
}

impl Stream for SentSegments {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { rest, segments } = &mut *self;
        let allowed = ready!(rest.poll_take(SEGMENT_BYTES, context));
        if allowed == 0 {
            return Poll::Ready(None);
        }
        let segment = segments.push(rest.file.clone(), rest.next..rest.next + allowed, rest.meter.clone());
        rest.next += allowed;
        Poll::Ready(Some(Ok(segment)))
    }
}

/// A range, piece by piece, each read when the one before is on its way and it may go.
struct ReadPieces {
    rest: Rest,
    /// The next piece, on its way from the disk.
    reading: Option<JoinHandle<io::Result<Vec<u8>>>>,
}

impl ReadPieces {
    fn give(&mut self, piece: Vec<u8>) -> Poll<Option<io::Result<Bytes>>> {
        let begin = self.rest.next;
        self.rest.next += piece.len() as u64;
        if let Some(meter) = &self.rest.meter {
            meter(begin..self.rest.next);
        }
        Poll::Ready(Some(Ok(piece.into())))
    }
}

impl Stream for ReadPieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let reading = match self.reading.take() {
            Some(reading) => reading,
            None => {
                let length = match usize::try_from(ready!(self.rest.poll_take(READ_BYTES, context))) {
                    Ok(0) => return Poll::Ready(None),
                    length => length.unwrap_or(READ_BYTES),
                };
                let (file, offset) = (self.rest.file.clone(), self.rest.next);
                let mut piece = vec![0; length];
                let read = file.read_now(&mut piece, offset);
                if read == length {
                    return self.give(piece);
                }
                // The rest is not in memory.
                spawn_blocking(move || file.read_at(&mut piece[read..], offset + read as u64).map(|()| piece))
            }
        };
        let reading = self.reading.insert(reading);
        let read = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
        self.reading = None;
        match read {
            Ok(piece) => self.give(piece),
            Err(error) => {
                tracing::error!(%error, offset = self.rest.next, "reading a package failed");
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}
