//! The rates, kept: who wants to send waits here until some bytes may go.
//!
//! Who may send what is decided by [`FairShare`]; here is only the waiting. One task for all who wait looks after them, as often
//! as there is something to give, and wakes exactly those who get something. It ends when nobody wants anything any more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::domain::downloads::{FairShare, RateSchedule};

/// Who downloads, as far as links that are public can tell: the client's address.
pub type Client = Option<IpAddr>;

/// How long nobody is looked after at least, as timers cost something, and at most, as others may have come.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How often devices that want nothing any more are forgotten.
const CLEARING_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps downloads to their rates.
pub struct Limiter {
    /// Whether there is any rate at any time: all that a download without one costs is to look at this.
    is_on: AtomicBool,
    clock: Clock,
    origin: Instant,
    state: Mutex<State>,
}

struct State {
    schedule: Arc<RateSchedule>,
    share: FairShare<Client>,
    /// Those who wait, or have not come for what they were given, by number.
    turns: HashMap<u64, Turn>,
    /// Whether the task is there that looks after those who wait.
    is_tended: bool,
}

enum Turn {
    Waiting(Waker),
    /// May send so many bytes.
    Come(u64),
}

impl Limiter {
    /// For the rates of a schedule, which follows `clock`.
    pub fn new(schedule: RateSchedule, clock: Clock) -> Arc<Self> {
        let share = FairShare::new(schedule.rates(|| clock.known_date()), Duration::ZERO);
        Arc::new(Self {
            is_on: AtomicBool::new(!schedule.is_unlimited()),
            clock,
            origin: Instant::now(),
            state: Mutex::new(State { schedule: Arc::new(schedule), share, turns: HashMap::new(), is_tended: false }),
        })
    }

    /// Which rates hold when.
    pub fn schedule(&self) -> Arc<RateSchedule> {
        self.lock().schedule.clone()
    }

    /// From now on other rates hold, also for the downloads that go on.
    pub fn set_schedule(&self, schedule: RateSchedule) {
        // Whoever waits is looked after soon, by the new rates.
        let mut state = self.lock();
        self.is_on.store(!schedule.is_unlimited(), Ordering::Relaxed);
        state.schedule = Arc::new(schedule);
    }

    /// Whether there is any rate at any time.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Lets who waits under `ticket` have what may be sent now, or wait on: how many bytes, at least one and at most `wanted`.
    /// Without a ticket it queues up for one.
    fn poll(
        self: &Arc<Self>,
        ticket: &mut Option<u64>,
        client: Client,
        wanted: u64,
        context: &mut Context<'_>,
    ) -> Poll<u64> {
        let mut state = self.lock();
        let own = *ticket.get_or_insert_with(|| {
            let own = state.share.want(client, wanted, self.elapsed());
            state.turns.insert(own, Turn::Waiting(context.waker().clone()));
            own
        });
        let woken = state.give(self);
        let given = match state.turns.get_mut(&own) {
            Some(Turn::Come(bytes)) => Some(*bytes),
            Some(Turn::Waiting(waker)) => {
                waker.clone_from(context.waker());
                None
            }
            // Not in the queue any more, and nothing to wait for.
            None => Some(wanted),
        };
        if given.is_some() {
            state.turns.remove(&own);
            *ticket = None;
        }
        if !std::mem::replace(&mut state.is_tended, true) {
            tokio::spawn(tend(self.clone()));
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
        given.map_or(Poll::Pending, |bytes| Poll::Ready(bytes.min(wanted)))
    }

    fn give_up(&self, ticket: u64, client: Client) {
        let mut state = self.lock();
        let turn = state.turns.remove(&ticket);
        if matches!(turn, Some(Turn::Waiting(_))) {
            state.share.give_up(client, ticket, self.elapsed());
        }
        // What a waker does when it goes is its own business.
        drop(state);
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
    /// Gives what may be sent now: whom to wake.
    fn give(&mut self, limiter: &Limiter) -> Vec<Waker> {
        let (rates, now) = (self.schedule.rates(|| limiter.clock.known_date()), limiter.elapsed());
        if rates != self.share.rates() {
            self.share.set_rates(rates, now);
        }
        let mut woken = Vec::new();
        for (ticket, bytes) in self.share.give(now) {
            if let Some(Turn::Waiting(waker)) = self.turns.insert(ticket, Turn::Come(bytes)) {
                woken.push(waker);
            }
        }
        woken
    }
}

/// Looks after those who wait, until nobody wants anything.
async fn tend(limiter: Arc<Limiter>) {
    let (mut pause, mut cleared) = (SHORTEST_PAUSE, limiter.elapsed());
    loop {
        sleep(pause).await;
        let mut state = limiter.lock();
        let woken = state.give(&limiter);
        let now = limiter.elapsed();
        if now >= cleared + CLEARING_INTERVAL {
            cleared = now;
            if state.share.forget_idle(now) {
                state.is_tended = false;
                return;
            }
        }
        let next = state.share.next_gift().map_or(LONGEST_PAUSE, |next| next.saturating_sub(now));
        pause = next.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

/// One download's share of the rates.
pub struct Allowance {
    limiter: Arc<Limiter>,
    client: Client,
    /// The number under which it waits.
    ticket: Option<u64>,
}

impl Allowance {
    /// For a download of this client.
    pub fn new(limiter: Arc<Limiter>, client: Client) -> Self {
        Self { limiter, client, ticket: None }
    }

    /// Whether there is anything to wait for, now or later.
    pub fn is_limited(&self) -> bool {
        self.limiter.is_on()
    }

    /// Waits until bytes may go: how many, at least one and at most `wanted`, which is not nothing.
    pub fn poll_take(&mut self, wanted: u64, context: &mut Context<'_>) -> Poll<u64> {
        if !self.limiter.is_on() && self.ticket.is_none() {
            return Poll::Ready(wanted);
        }
        self.limiter.poll(&mut self.ticket, self.client, wanted, context)
    }
}

impl Drop for Allowance {
    /// Leaves the queue.
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.limiter.give_up(ticket, self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    use futures_util::FutureExt;

    use super::*;
    use crate::domain::ByteSize;
    use crate::domain::downloads::Rates;

    const KIBIBYTE: u64 = 1024;

    fn schedule(total: u64) -> RateSchedule {
        let total = Some(ByteSize::from_bytes(total)).filter(|rate| rate.bytes() > 0);
        RateSchedule { usual: Rates { total, device: None }, hours: Vec::new() }
    }

    fn limiter(total: u64) -> Arc<Limiter> {
        Limiter::new(schedule(total), Clock::manual(SystemTime::UNIX_EPOCH).0)
    }

    fn allowance(limiter: &Arc<Limiter>, client: u8) -> Allowance {
        Allowance::new(limiter.clone(), Some(Ipv4Addr::new(127, 0, 0, client).into()))
    }

    async fn take(allowance: &mut Allowance, wanted: u64) -> u64 {
        poll_fn(|context| allowance.poll_take(wanted, context)).await
    }

    #[tokio::test(start_paused = true)]
    async fn rates_hold_for_those_who_wait() {
        let limiter = limiter(64 * KIBIBYTE);
        let begin = Instant::now();
        let mut allowance = allowance(&limiter, 1);
        let mut taken = 0;
        while taken < 640 * KIBIBYTE {
            taken += take(&mut allowance, 128 * KIBIBYTE).await;
        }
        assert!((9.5..10.2).contains(&begin.elapsed().as_secs_f64()), "{:?}", begin.elapsed());
        // The bucket is empty now: this would take a while.
        assert!(take(&mut allowance, 100 * KIBIBYTE).now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn other_rates_hold_at_once_also_for_those_who_wait() {
        let limiter = limiter(64 * KIBIBYTE);
        let mut allowance = allowance(&limiter, 1);
        while take(&mut allowance, 128 * KIBIBYTE).now_or_never().is_some() {}
        limiter.set_schedule(schedule(0));
        let begin = Instant::now();
        assert!(!allowance.is_limited());
        take(&mut allowance, 128 * KIBIBYTE).await;
        assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
        assert_eq!(take(&mut allowance, 1 << 40).await, 1 << 40);

        limiter.set_schedule(schedule(KIBIBYTE));
        while take(&mut allowance, 128 * KIBIBYTE).now_or_never().is_some() {}
        let begin = Instant::now();
        assert!(take(&mut allowance, 128 * KIBIBYTE).await < 128 * KIBIBYTE);
        assert!(begin.elapsed() > Duration::from_millis(4), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_left_of_those_who_are_gone() {
        let limiter = limiter(64 * KIBIBYTE);
        let mut waiting: Vec<_> = (0..100).map(|client| allowance(&limiter, client)).collect();
        for allowance in &mut waiting {
            let _ = take(allowance, 128 * KIBIBYTE).now_or_never();
        }
        assert!(limiter.lock().is_tended && limiter.lock().turns.len() > 90);
        drop(waiting);
        assert!(limiter.lock().turns.is_empty());
        sleep(Duration::from_secs(3)).await;
        let mut state = limiter.lock();
        assert!(!state.is_tended && state.share.forget_idle(Duration::ZERO));
    }
}
