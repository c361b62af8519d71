//! Who may send how much next: fair among devices, and never faster than the rates.
//!
//! Each device that wants something is served by what it was given before: whoever was given least comes first (start-time fair
//! queueing; Goyal, Vin and Cheng, 1996). So what one does not want the others get at once, and how many connections it has does
//! not matter. A device that comes back does not catch up on the time that it was away, but for a tenth of a second.
//!
//! A rate is kept by a bucket that fills while nothing is sent, with what a tenth of a second brings: in any second no more goes
//! out than a second's worth and that. As nothing larger than half a bucket is given at once, a timer that is late by a twentieth
//! of a second loses nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use super::rates::Rates;
use crate::domain::ByteSize;

/// The least that is given at once, if more is wanted: also at the lowest rate no more than a second's worth.
const SMALLEST_PIECE: u64 = Rates::LOWEST.bytes();
/// What is given at once to each of very many devices: less would be mostly overhead.
const SMALL_PIECE: u64 = 4 * 1024;
/// Buckets hold what so many a second bring.
const BUCKETS_PER_SECOND: u64 = 10;
/// How long a device is remembered that wants nothing: its bucket is full long before.
const REMEMBERED: Duration = Duration::from_secs(1);

/// Those who wait to send, by device, and what each was given.
#[derive(Debug)]
pub struct FairShare<D> {
    rates: Rates,
    bucket: Bucket,
    devices: HashMap<D, Device>,
    /// The devices that may send as soon as the total lets them, by what they were given.
    ready: BTreeSet<(u64, D)>,
    /// The devices that wait for their own rate, by when it lets them.
    resting: BTreeSet<(Duration, D)>,
    /// What the device that was last served had been given: whoever comes begins there.
    level: u64,
    next_ticket: u64,
}

#[derive(Debug)]
struct Device {
    /// What it was given, in bytes, on the scale of `level`.
    given: u64,
    bucket: Bucket,
    /// Those of its connections that wait, the longest first: number, and bytes wanted.
    wishes: VecDeque<(u64, u64)>,
    /// Where it stands in `ready` or `resting`.
    standing: Standing,
    last_active: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Idle,
    Ready,
    Resting(Duration),
}

/// What a rate has brought and nobody has used.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    bytes: f64,
    counted: Duration,
}

impl Bucket {
    /// A full one.
    fn full(rate: Option<ByteSize>, now: Duration) -> Self {
        Self { bytes: rate.map_or(0.0, Self::depth), counted: now }
    }

    fn depth(rate: ByteSize) -> f64 {
        (rate.bytes() / BUCKETS_PER_SECOND).max(SMALLEST_PIECE) as f64
    }

    /// Counts what has come in up to `now`.
    fn fill(&mut self, rate: Option<ByteSize>, now: Duration) {
        if let Some(rate) = rate {
            let came = now.saturating_sub(self.counted).as_secs_f64() * rate.bytes() as f64;
            self.bytes = (self.bytes + came).min(Self::depth(rate));
        }
        self.counted = self.counted.max(now);
    }

    /// When there will be so much; a rate that is not there is no reason to wait.
    fn when(&self, rate: Option<ByteSize>, bytes: u64) -> Duration {
        match rate {
            Some(rate) if self.bytes < bytes as f64 => {
                let missing = (bytes as f64 - self.bytes) / rate.bytes().max(1) as f64;
                // Rounded up, so that it is there by then.
                self.counted + Duration::from_secs_f64(missing) + Duration::from_micros(1)
            }
            _ => self.counted,
        }
    }
}

/// The most that is given at once at this rate, if so many devices want something: each is to get something every second or so.
fn piece(rate: Option<ByteSize>, devices: usize) -> u64 {
    let Some(rate) = rate.map(ByteSize::bytes) else { return u64::MAX };
    let share = (rate / (devices.max(1) as u64)).max(SMALL_PIECE);
    share.min(rate / (2 * BUCKETS_PER_SECOND)).max(SMALLEST_PIECE)
}

impl<D: Copy + Ord + Hash> FairShare<D> {
    /// Nobody waits.
    pub fn new(rates: Rates, now: Duration) -> Self {
        Self {
            rates,
            bucket: Bucket::full(rates.total, now),
            devices: HashMap::new(),
            ready: BTreeSet::new(),
            resting: BTreeSet::new(),
            level: 0,
            next_ticket: 0,
        }
    }

    /// The rates that hold.
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// From now on other rates hold, for those who wait, too.
    pub fn set_rates(&mut self, rates: Rates, now: Duration) {
        self.bucket.fill(self.rates.total, now);
        for device in self.devices.values_mut() {
            device.bucket.fill(self.rates.device, now);
        }
        self.rates = rates;
        self.bucket.fill(rates.total, now);
        let waiting: Vec<D> = self.ready.iter().map(|(_, device)| *device).collect();
        let resting: Vec<D> = self.resting.iter().map(|(_, device)| *device).collect();
        for device in waiting.into_iter().chain(resting) {
            self.stand(device, now);
        }
    }

    /// A connection of this device wants to send so many bytes: the number under which it waits for [`FairShare::give`].
    pub fn want(&mut self, device: D, bytes: u64, now: Duration) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let known = self.devices.entry(device).or_insert_with(|| Device {
            given: self.level,
            bucket: Bucket::full(self.rates.device, now),
            wishes: VecDeque::new(),
            standing: Standing::Idle,
            last_active: now,
        });
        known.wishes.push_back((ticket, bytes));
        if known.standing == Standing::Idle {
            self.stand(device, now);
        }
        ticket
    }

    /// It does not wait any more.
    pub fn give_up(&mut self, device: D, ticket: u64, now: Duration) {
        let Some(known) = self.devices.get_mut(&device) else { return };
        known.wishes.retain(|(waiting, _)| *waiting != ticket);
        self.stand(device, now);
    }

    /// Gives what may be sent now: the numbers of those who wait no longer, and how many bytes each may send, not more than
    /// it wants.
    pub fn give(&mut self, now: Duration) -> Vec<(u64, u64)> {
        let mut given = Vec::new();
        self.bucket.fill(self.rates.total, now);
        while let Some((_, device)) = self.resting.first().copied().filter(|(until, _)| *until <= now) {
            self.stand(device, now);
        }
        let piece = self.piece();
        self.forgive(piece);
        while let Some((level, device)) = self.ready.first().copied() {
            let Some(known) = self.devices.get_mut(&device) else { break };
            let Some((ticket, wanted)) = known.wishes.front().copied() else { break };
            let bytes = wanted.min(piece);
            if self.rates.total.is_some() {
                if self.bucket.bytes < bytes as f64 {
                    break;
                }
                self.bucket.bytes -= bytes as f64;
            }
            if self.rates.device.is_some() {
                known.bucket.bytes -= bytes as f64;
            }
            known.wishes.pop_front();
            known.given = level + bytes;
            known.last_active = now;
            self.level = level;
            given.push((ticket, bytes));
            self.ready.remove(&(level, device));
            known.standing = Standing::Idle;
            self.stand(device, now);
        }
        given
    }

    /// When there will be something to give; `None` if nobody waits.
    pub fn next_gift(&self) -> Option<Duration> {
        let own = self.resting.first().map(|(until, _)| *until);
        let total = self.ready.first().and_then(|(_, device)| {
            let (_, wanted) = self.devices.get(device)?.wishes.front()?;
            Some(self.bucket.when(self.rates.total, (*wanted).min(self.piece())))
        });
        own.into_iter().chain(total).min()
    }

    /// Forgets devices that have wanted nothing for a while; whether no device is left.
    pub fn forget_idle(&mut self, now: Duration) -> bool {
        self.devices.retain(|_, device| {
            device.standing != Standing::Idle || now.saturating_sub(device.last_active) < REMEMBERED
        });
        self.devices.is_empty()
    }

    /// Where many have come since, pieces are smaller: who was given a large one before, when it was nobody else's, would wait
    /// until each of the others had as much.
    fn forgive(&mut self, piece: u64) {
        let most = self.level.saturating_add(piece);
        while let Some((given, device)) = self.ready.last().copied().filter(|(given, _)| *given > most) {
            let Some(known) = self.devices.get_mut(&device) else { break };
            known.given = most;
            self.ready.remove(&(given, device));
            self.ready.insert((most, device));
        }
    }

    /// The most that is given at once.
    fn piece(&self) -> u64 {
        let waiting = self.ready.len() + self.resting.len();
        piece(self.rates.total, waiting).min(piece(self.rates.device, 1))
    }

    /// Puts a device where it belongs.
    fn stand(&mut self, device: D, now: Duration) {
        let Some(known) = self.devices.get_mut(&device) else { return };
        match known.standing {
            Standing::Ready => {
                self.ready.remove(&(known.given, device));
            }
            Standing::Resting(until) => {
                self.resting.remove(&(until, device));
            }
            Standing::Idle => {}
        }
        known.standing = Standing::Idle;
        let Some((_, wanted)) = known.wishes.front() else { return };
        known.bucket.fill(self.rates.device, now);
        let until = known.bucket.when(self.rates.device, (*wanted).min(piece(self.rates.device, 1)));
        if until > now {
            known.standing = Standing::Resting(until);
            self.resting.insert((until, device));
        } else {
            // What it did not want while others were served is theirs; but nobody can ask again before the last piece is on its
            // way, and meanwhile somebody else may have been given some.
            let patience = self.rates.total.map_or(0.0, Bucket::depth) as u64;
            known.given = known.given.max(self.level.saturating_sub(patience));
            known.standing = Standing::Ready;
            self.ready.insert((known.given, device));
        }
    }
}

#[cfg(test)]
mod tests;
