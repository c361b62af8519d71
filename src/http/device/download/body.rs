//! The bytes of a package on their way to a client.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use warp::reply::{Reply, Response};

use super::passage::Passage;
use crate::http::range::ByteRange;
use crate::http::sendfile::{Meter, SEGMENT_BYTES, Segments};
use crate::store::PackageFile;

/// What is no longer is copied, if it is in memory: that takes less than having the operating system send it.
const COPY_BYTES: u64 = 32 * 1024;

/// A reply with the bytes of a range, on the connection of these segments. A short one that is in memory is there at once; the
/// rest follows as the client takes it and `passage` lets it.
pub fn of(
    file: &PackageFile,
    range: ByteRange,
    mut passage: Passage,
    segments: Segments,
    meter: Option<Meter>,
) -> Response {
    let (next, end) = (range.first, range.first + range.length());
    if let Some(bytes) = copied(file, range, &mut passage) {
        if let Some(meter) = meter {
            meter(next..end);
        }
        return Response::new(bytes.into());
    }
    warp::reply::stream(PackageBytes { file: file.clone(), next, end, passage, segments, meter }).into_response()
}

/// All of a range, if it is short, in memory, and may go.
fn copied(file: &PackageFile, range: ByteRange, passage: &mut Passage) -> Option<Bytes> {
    let length = usize::try_from(range.length()).ok().filter(|_| range.length() <= COPY_BYTES)?;
    let mut bytes = vec![0; length];
    (file.read_now(&mut bytes, range.first) == length && passage.try_take(range.length())).then(|| bytes.into())
}

/// A range, segment by segment, each when the one before is on its way and it may go.
struct PackageBytes {
    file: PackageFile,
    /// Offset of the next segment.
    next: u64,
    /// Offset behind the last byte.
    end: u64,
    passage: Passage,
    segments: Segments,
    meter: Option<Meter>,
}

impl Stream for PackageBytes {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let wanted = (self.end - self.next).min(SEGMENT_BYTES as u64);
        if wanted == 0 {
            return Poll::Ready(None);
        }
        let allowed = ready!(self.passage.poll_take(wanted, context));
        let segment = self.segments.push(self.file.clone(), self.next..self.next + allowed, self.meter.clone());
        self.next += allowed;
        Poll::Ready(Some(Ok(segment)))
    }
}
