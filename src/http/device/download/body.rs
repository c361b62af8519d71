//! The bytes of a package on their way to a client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use warp::reply::{Reply, Response};

use crate::http::range::ByteRange;
use crate::http::sendfile::{SEGMENT_BYTES, Segments};
use crate::store::PackageFile;

/// What is no longer is copied, if it is in memory: that takes less than having the operating system send it.
const COPY_BYTES: u64 = 32 * 1024;

/// A reply with the bytes of a range, on the connection of these segments.
pub fn of(file: &PackageFile, range: ByteRange, segments: &Segments) -> Response {
    if let Some(bytes) = copied(file, range) {
        return Response::new(bytes.into());
    }
    let (next, end) = (range.first, range.first + range.length());
    warp::reply::stream(PackageBytes { file: file.clone(), next, end, segments: segments.clone() }).into_response()
}

/// All of a range, if it is short and in memory.
fn copied(file: &PackageFile, range: ByteRange) -> Option<Bytes> {
    let length = usize::try_from(range.length()).ok().filter(|_| range.length() <= COPY_BYTES)?;
    let mut bytes = vec![0; length];
    (file.read_now(&mut bytes, range.first) == length).then(|| bytes.into())
}

/// A range, segment by segment, each when the one before is on its way.
struct PackageBytes {
    file: PackageFile,
    /// Offset of the next segment.
    next: u64,
    /// Offset behind the last byte.
    end: u64,
    segments: Segments,
}

impl Stream for PackageBytes {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let length = usize::try_from(self.end - self.next).map_or(SEGMENT_BYTES, |left| left.min(SEGMENT_BYTES));
        if length == 0 {
            return Poll::Ready(None);
        }
        let segment = self.segments.push(self.file.clone(), self.next, length);
        self.next += length as u64;
        Poll::Ready(Some(Ok(segment)))
    }
}
