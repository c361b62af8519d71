//! What goes on on a connection of HTTP/2. There many requests share one connection, so neither hyper nor the socket can tell
//! that nobody asks for anything any more, or that a client takes nothing of one reply.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// Replies are handed over in pieces of this size, so that one which is taken slowly is seen to move.
const PIECE_BYTES: usize = 32 * 1024;

/// The requests of one connection. Clones are the same.
#[derive(Clone)]
pub struct Activity(Arc<Requests>);

struct Requests {
    count: watch::Sender<Count>,
    replies: Mutex<Vec<Weak<Waiting>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
struct Count {
    begun: u64,
    ended: u64,
}

/// Since when a reply waits for its client to take a piece.
#[derive(Default)]
struct Waiting(Mutex<Option<Instant>>);

impl Activity {
    /// Nothing goes on yet.
    pub fn new() -> Self {
        Self(Arc::new(Requests { count: watch::Sender::default(), replies: Mutex::default() }))
    }

    /// A request begins; it ends when what is returned, or the reply made with it, is dropped.
    pub fn begin(&self) -> Request {
        self.0.count.send_modify(|count| count.begun += 1);
        Request(self.clone())
    }

    /// Waits until there was no request for so long.
    pub async fn idle(&self, limit: Duration) {
        let mut count = self.0.count.subscribe();
        loop {
            // Neither fails: the sender is ours.
            let Ok(quiet) = count.wait_for(|count| count.begun == count.ended).await.map(|count| *count) else {
                return;
            };
            if timeout(limit, count.wait_for(|count| *count != quiet)).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the client has taken nothing of one reply for so long.
    pub async fn stalled(&self, limit: Duration) {
        loop {
            sleep(limit / 4).await;
            let mut replies = self.replies();
            replies.retain(|reply| reply.strong_count() > 0);
            let waits = |reply: &Weak<Waiting>| reply.upgrade()?.since();
            if replies.iter().filter_map(waits).any(|since| since.elapsed() >= limit) {
                return;
            }
        }
    }

    fn replies(&self) -> MutexGuard<'_, Vec<Weak<Waiting>>> {
        self.0.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that goes on.
pub struct Request(Activity);

impl Request {
    /// The body of its reply, watched.
    pub fn reply<B>(self, body: B) -> Watched<B> {
        let waiting = Arc::new(Waiting::default());
        self.0.replies().push(Arc::downgrade(&waiting));
        Watched { body, rest: Bytes::new(), waiting, _request: self }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.0.count.send_modify(|count| count.ended += 1);
    }
}

/// A body in pieces that are not large, and a note whether the client takes them.
pub struct Watched<B> {
    body: B,
    /// What was given by the body and is not handed over.
    rest: Bytes,
    waiting: Arc<Waiting>,
    _request: Request,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        // Whoever asks has got rid of what it had.
        self.waiting.set(None);
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        self.waiting.set(Some(Instant::now()));
        let length = self.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
