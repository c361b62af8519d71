//! What a download passes on its way out: the cap on downloads at once, and the rates.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use uuid::Uuid;

use super::limiter::{Allowance, Client, Limiter};
use super::queue::{Busy, Place, Queue};
use crate::clock::Clock;
use crate::domain::downloads::{DownloadCap, DownloadLimits, RateSchedule};
use crate::http::error::ApiError;
use crate::http::range::ByteRange;
use crate::usecase::setting::Setting;

/// When a client comes again for which there was no place.
const COME_AGAIN: Duration = Duration::from_secs(10);

/// How much is downloaded at once.
pub struct Downloads {
    limiter: Arc<Limiter>,
    queue: Setting<Option<Arc<Queue>>>,
}

impl Downloads {
    /// Within these limits; `clock` says which of them hold.
    pub fn new(limits: DownloadLimits, clock: Clock) -> Self {
        Self { limiter: Limiter::new(limits.rates, clock), queue: Setting::new(limits.cap.map(Queue::new)) }
    }

    /// From now on within other limits. Downloads that go on keep their places, and have the new rates.
    pub fn set_limits(&self, limits: DownloadLimits) {
        self.limiter.set_schedule(limits.rates);
        match (self.queue.get(), limits.cap) {
            (Some(queue), Some(cap)) => queue.set_cap(cap),
            (Some(queue), None) => {
                self.queue.set(None);
                queue.set_cap(DownloadCap::LIFTED);
            }
            (None, cap) => self.queue.set(cap.map(Queue::new)),
        }
    }

    /// Which rates hold when.
    pub fn rates(&self) -> Arc<RateSchedule> {
        self.limiter.schedule()
    }

    /// How many requests wait for a place.
    pub fn waiting(&self) -> usize {
        self.queue.get().map_or(0, |queue| queue.waiting())
    }

    /// Waits for a place, if there is a cap, for the bytes of `range` of a package that has so many.
    ///
    /// 503 if there is none and will not be soon.
    pub async fn begin(
        &self,
        client: Client,
        package: Uuid,
        range: ByteRange,
        length: u64,
    ) -> Result<Passage, ApiError> {
        let place = match self.queue.get() {
            None => None,
            Some(queue) => Some(queue.place(client, package).await.map_err(|Busy| {
                ApiError::Busy("as many packages are being downloaded as may be at once", COME_AGAIN)
            })?),
        };
        let allowance = Allowance::new(self.limiter.clone(), client);
        let left = range.length();
        Ok(Passage { allowance, place, left, reaches_the_end: range.last + 1 == length })
    }
}

/// One download on its way out.
pub struct Passage {
    allowance: Allowance,
    place: Option<Place>,
    /// How many bytes it has not been allowed yet.
    left: u64,
    /// Whether the package ends where the range does.
    reaches_the_end: bool,
}

impl Passage {
    /// Lets so many bytes go at once, if nothing limits them.
    pub fn try_take(&mut self, bytes: u64) -> bool {
        let is_free = !self.allowance.is_limited();
        if is_free {
            self.took(bytes);
        }
        is_free
    }

    /// Waits until more bytes may go: how many, at least one and at most `wanted`, which is not nothing.
    pub fn poll_take(&mut self, wanted: u64, context: &mut Context<'_>) -> Poll<u64> {
        let taken = ready!(self.allowance.poll_take(wanted, context));
        self.took(taken);
        Poll::Ready(taken)
    }

    fn took(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        if let Some(place) = &mut self.place
            && self.left == 0
            && self.reaches_the_end
        {
            place.complete();
        }
    }
}
