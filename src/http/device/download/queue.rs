//! The cap on downloads that go on at once, kept: who comes when all places are taken waits here for one.
//!
//! Who is next is decided by [`Places`]; here is only the waiting. A client that hangs up takes its request's future with it, and
//! with that its turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::limiter::Client;
use crate::domain::downloads::{DownloadCap, Entry, Places, Released};

/// How long a request waits for a place: less than the half minute after which many clients give up a server that says
/// nothing, and than the time that a server that stops gives to what has begun.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often is looked whether a place that was kept for nothing is free again, while somebody waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The places of downloads.
pub struct Queue {
    origin: Instant,
    state: Mutex<State>,
}

struct State {
    places: Places<Client, Uuid>,
    /// Those who wait, by number.
    turns: HashMap<u64, oneshot::Sender<()>>,
    /// Whether the task is there that looks for places which are free again.
    is_watched: bool,
}

/// There is no place, and will not be soon.
pub struct Busy;

impl Queue {
    /// For so many downloads at once, and so many requests that wait.
    pub fn new(cap: DownloadCap) -> Arc<Self> {
        let state = Mutex::new(State { places: Places::new(cap), turns: HashMap::new(), is_watched: false });
        Arc::new(Self { origin: Instant::now(), state })
    }

    /// From now on so many; those who have a place keep it, and those who wait are called if there are more.
    pub fn set_cap(&self, cap: DownloadCap) {
        let mut state = self.lock();
        state.places.set_cap(cap);
        state.admit(self.elapsed());
    }

    /// Waits until a download of this package by this client has a place.
    pub async fn place(self: &Arc<Self>, client: Client, package: Uuid) -> Result<Place, Busy> {
        let place = || Place { queue: self.clone(), client, package, released: Released::Partly };
        let mut turn = {
            let mut state = self.lock();
            match state.places.enter(client, package, self.elapsed()) {
                Entry::Admitted => return Ok(place()),
                Entry::Full => return Err(Busy),
                Entry::Waiting(ticket) => {
                    let (come, called) = oneshot::channel();
                    state.turns.insert(ticket, come);
                    if !std::mem::replace(&mut state.is_watched, true) {
                        tokio::spawn(watch(self.clone()));
                    }
                    Turn { queue: self.clone(), client, package, ticket: Some(ticket), called, is_sent_away: false }
                }
            }
        };
        match timeout(PATIENCE, &mut turn.called).await {
            Ok(_) => {
                turn.ticket = None;
                Ok(place())
            }
            Err(_) => {
                turn.is_sent_away = true;
                Err(Busy)
            }
        }
    }

    /// How many requests wait.
    pub fn waiting(&self) -> usize {
        self.lock().turns.len()
    }

    fn release(&self, client: Client, package: Uuid, released: Released) {
        let mut state = self.lock();
        let now = self.elapsed();
        if state.places.leave(client, package, released, now) {
            state.admit(now);
        }
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Calls those for whom there is a place.
    fn admit(&mut self, now: Duration) {
        for ticket in self.places.admit(now) {
            if let Some(come) = self.turns.remove(&ticket) {
                // Who is gone by now releases the place, as the turn ends.
                let _ = come.send(());
            }
        }
    }
}

/// Gives away places that nobody came back to, as long as somebody waits.
async fn watch(queue: Arc<Queue>) {
    loop {
        sleep(LOOK_INTERVAL).await;
        let mut state = queue.lock();
        state.admit(queue.elapsed());
        if !state.places.is_anybody_waiting() {
            state.is_watched = false;
            return;
        }
    }
}

/// A request that waits.
struct Turn {
    queue: Arc<Queue>,
    client: Client,
    package: Uuid,
    /// Its number; none when it has its place.
    ticket: Option<u64>,
    called: oneshot::Receiver<()>,
    is_sent_away: bool,
}

impl Drop for Turn {
    /// Leaves the queue, or the place that it was given in the very moment.
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.queue.lock();
        if state.turns.remove(&ticket).is_none() {
            drop(state);
            self.queue.release(self.client, self.package, Released::Complete);
        } else if self.is_sent_away {
            state.places.send_away(ticket, self.queue.elapsed());
        } else {
            state.places.give_up(ticket);
        }
    }
}

/// A place that a request has until it is dropped; its download may have it for longer.
pub struct Place {
    queue: Arc<Queue>,
    client: Client,
    package: Uuid,
    released: Released,
}

impl Place {
    /// Says that the package was sent to its end.
    pub fn complete(&mut self) {
        self.released = Released::Complete;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.release(self.client, self.package, self.released);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::pin::pin;

    use futures_util::FutureExt;

    use super::*;

    const PACKAGE: Uuid = Uuid::from_u128(1);

    fn client(number: u8) -> Client {
        Some(Ipv4Addr::new(127, 0, 0, number).into())
    }

    /// A queue of one place, and who has it.
    async fn taken() -> (Arc<Queue>, Place) {
        let queue = Queue::new(DownloadCap::new(1, 40).unwrap());
        let place = queue.place(client(1), PACKAGE).await.ok().unwrap();
        (queue, place)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_nobody_comes_back_to_is_given_away_after_some_seconds() {
        let (queue, place) = taken().await;
        let begin = Instant::now();
        drop(place);
        assert!(queue.place(client(2), PACKAGE).await.is_ok());
        assert!((4..7).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_sent_away_in_time_and_is_the_first_when_it_comes_again() {
        let (queue, mut place) = taken().await;
        let begin = Instant::now();
        assert!(queue.place(client(2), PACKAGE).await.is_err());
        assert_eq!(begin.elapsed().as_secs(), PATIENCE.as_secs());
        let mut later = pin!(queue.place(client(3), PACKAGE));
        assert!(later.as_mut().now_or_never().is_none());
        let mut again = pin!(queue.place(client(2), PACKAGE));
        assert!(again.as_mut().now_or_never().is_none());
        place.complete();
        drop(place);
        let mut place = again.now_or_never().expect("a place at once").ok().unwrap();
        assert!(later.as_mut().now_or_never().is_none());
        place.complete();
        drop(place);
        assert!(later.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_called_when_there_are_more_places() {
        let (queue, _place) = taken().await;
        let (mut second, mut third) = (pin!(queue.place(client(2), PACKAGE)), pin!(queue.place(client(3), PACKAGE)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        queue.set_cap(DownloadCap::new(2, 40).unwrap());
        let _second = second.now_or_never().expect("a place at once").ok().unwrap();
        assert!(third.as_mut().now_or_never().is_none());
        queue.set_cap(DownloadCap::LIFTED);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_gone_leaves_its_place_also_in_the_moment_in_which_it_is_called() {
        let (queue, mut place) = taken().await;
        let mut gone = Box::pin(queue.place(client(2), PACKAGE));
        let mut called = Box::pin(queue.place(client(3), PACKAGE));
        let mut last = pin!(queue.place(client(4), PACKAGE));
        assert!(gone.as_mut().now_or_never().is_none() && called.as_mut().now_or_never().is_none());
        assert!(last.as_mut().now_or_never().is_none());
        drop(gone);
        place.complete();
        drop(place);
        drop(called);
        assert!(last.now_or_never().is_some());
        assert!(queue.lock().turns.is_empty());
    }
}
