//! Files that go from the operating system's memory to the network without being copied on the way (sendfile(2)).
//!
//! hyper sends bytes, and knows no files. So the body of a download gives it [`Segments::push`]'s placeholder, as long as the
//! piece of the file that is meant, and notes that piece in the connection's [`Segments`]. hyper writes what bodies give it in
//! order and without copying it; [`SendfileSocket`], to which it writes, knows the placeholder by its address, and sends the
//! next of the noted pieces in its place.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::store::PackageFile;

/// The longest segment.
pub const SEGMENT_BYTES: usize = 1 << 20;
/// How much is handed to the operating system at once: what it has in memory is looked up before each.
const PIECE_BYTES: usize = 256 * 1024;

/// What stands for files. Nobody reads or writes it, so that none of it is ever resident.
static PLACEHOLDER: LazyLock<Bytes> = LazyLock::new(|| vec![0; SEGMENT_BYTES].into());

fn is_placeholder(bytes: &[u8]) -> bool {
    let begin = PLACEHOLDER.as_ptr().addr();
    !bytes.is_empty() && (begin..begin + SEGMENT_BYTES).contains(&bytes.as_ptr().addr())
}

/// The pieces of files that a connection's placeholders stand for, in order. Clones are the same.
#[derive(Clone, Default)]
pub struct Segments(Arc<Mutex<VecDeque<Segment>>>);

/// Is told which bytes of a file have been handed to the operating system.
pub type Meter = Arc<dyn Fn(Range<u64>) + Send + Sync>;

struct Segment {
    file: PackageFile,
    /// What is still to be sent.
    rest: Range<u64>,
    meter: Option<Meter>,
}

impl Segments {
    /// Appends a piece of a file, of [`SEGMENT_BYTES`] at most, and gives what a body must send for it, once and as it is.
    pub fn push(&self, file: PackageFile, piece: Range<u64>, meter: Option<Meter>) -> Bytes {
        let length = usize::try_from(piece.end - piece.start).unwrap_or(SEGMENT_BYTES);
        let placeholder = PLACEHOLDER.slice(..length);
        self.lock().push_back(Segment { file, rest: piece, meter });
        placeholder
    }

    /// The next piece: its file and what is still to be sent of it.
    fn next(&self) -> io::Result<(PackageFile, Range<u64>)> {
        let segments = self.lock();
        let Segment { file, rest, .. } =
            segments.front().ok_or_else(|| io::Error::other("a placeholder without a file"))?;
        Ok((file.clone(), rest.clone()))
    }

    /// So many bytes of the next piece are sent.
    fn advance(&self, bytes: usize) {
        let mut segments = self.lock();
        let Some(segment) = segments.front_mut() else { return };
        let sent = segment.rest.start..segment.rest.start + bytes as u64;
        segment.rest.start = sent.end;
        if let Some(meter) = &segment.meter {
            meter(sent);
        }
        if segment.rest.is_empty() {
            segments.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Segment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that sends files in the place of placeholders.
pub struct SendfileSocket {
    socket: TcpStream,
    segments: Segments,
    /// The next piece, on its way from the disk.
    reading: Option<JoinHandle<io::Result<()>>>,
}

impl SendfileSocket {
    /// Sends `segments` on `socket`.
    pub fn new(socket: TcpStream, segments: Segments) -> Self {
        Self { socket, segments, reading: None }
    }

    /// Sends more of the next segment.
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (file, rest) = self.segments.next()?;
        let length = usize::try_from(rest.end - rest.start).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        loop {
            ready!(self.socket.poll_write_ready(context))?;
            // Not before the socket takes something: until then it could be forgotten again.
            ready!(self.poll_in_memory(context, &file, rest.start, length))?;
            let sending = || file.send_now(&self.socket, rest.start, length);
            match self.socket.try_io(Interest::WRITABLE, sending) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    self.segments.advance(*sent.as_ref().unwrap_or(&0));
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Waits until the operating system has these bytes in memory, so that sending them does not wait for the disk.
    fn poll_in_memory(
        &mut self,
        context: &mut Context<'_>,
        file: &PackageFile,
        first: u64,
        length: usize,
    ) -> Poll<io::Result<()>> {
        if self.reading.is_none() {
            if file.is_in_memory(first, length) {
                return Poll::Ready(Ok(()));
            }
            let file = file.clone();
            self.reading = Some(spawn_blocking(move || file.read_at(&mut vec![0; length], first)));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(())) };
        let read = ready!(Pin::new(reading).poll(context)).map_err(io::Error::other).flatten();
        self.reading = None;
        if let Err(error) = &read {
            tracing::error!(%error, offset = first, "reading a package failed");
        }
        Poll::Ready(read)
    }
}

impl AsyncRead for SendfileSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for SendfileSocket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if is_placeholder(bytes) {
            return self.poll_send(context);
        }
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = slices.iter().position(|slice| is_placeholder(slice)) else {
            return Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        };
        let before = &slices[..first];
        if before.iter().all(|slice| slice.is_empty()) {
            return self.poll_send(context);
        }
        loop {
            ready!(self.socket.poll_write_ready(context))?;
            let sending = || {
                // More follows at once: the head of a reply is no packet of its own.
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                Ok(sendmsg(&self.socket, before, &mut SendAncillaryBuffer::default(), flags)?)
            };
            match self.socket.try_io(Interest::WRITABLE, sending) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        // Otherwise hyper would copy placeholders.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
