//! The bytes of a package on their way to a client.

use futures_util::{Stream, StreamExt, stream};

use crate::http::range::ByteRange;
use crate::store::PackageFile;

/// How much is read at once.
const CHUNK_BYTES: u64 = 128 * 1024;
/// How many chunks are read before the client has taken the one before.
const CHUNKS_AHEAD: usize = 2;

/// The bytes of a range, read on threads that may block, a little ahead of the client.
pub fn chunks(
    file: PackageFile,
    range: ByteRange,
) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + Sync {
    let end = range.first + range.length();
    let mut next = range.first;
    let offsets = std::iter::from_fn(move || {
        let offset = next;
        next = end.min(offset + CHUNK_BYTES);
        (offset < end).then_some((offset, (next - offset) as usize))
    });
    let read = move |(offset, length)| {
        let file = file.clone();
        let reading = tokio::task::spawn_blocking(move || file.read_at(offset, length));
        async move {
            let chunk = reading.await.map_err(std::io::Error::other).flatten();
            chunk.inspect_err(|error| tracing::error!(%error, offset, "reading a package failed"))
        }
    };
    stream::iter(offsets).map(read).buffered(CHUNKS_AHEAD)
}
