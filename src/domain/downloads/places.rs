//! How many downloads go on at once, and in which order the others wait.
//!
//! A download is a package on its way to a device, whatever the number of its requests: a place is kept for some seconds after
//! the last one, as a modem fetches a package in thousands of small ranges. Who waits comes in the order of arrival, but
//! devices that have no place before those that have some. Who has waited for too long and is sent away keeps the place in that
//! order for a while, so that coming again is worth it.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::domain::Invalid;

/// How long a place is kept for the next request of a download that is not at its end.
const LINGER: Duration = Duration::from_secs(5);
/// How long who was sent away is expected to come again.
const EXPECTED: Duration = Duration::from_secs(60);
/// How many requests of one device may wait: more would fill the queue for others.
const MOST_OF_A_DEVICE: usize = 8;

/// How many downloads go on at once, and how many requests wait for others to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadCap {
    pub(super) downloads: usize,
    pub(super) waiting: usize,
}

impl DownloadCap {
    /// For who waits when the cap is lifted: there is a place for everybody.
    pub const LIFTED: Self = Self { downloads: usize::MAX, waiting: usize::MAX / 2 };

    /// So many downloads at once, on a server that serves so many connections. Those that download and those that wait for it
    /// leave enough of them to everybody else: devices that ask for updates must not wait with them.
    pub fn new(downloads: usize, connections: usize) -> Result<Self, Invalid> {
        let most = connections / 2;
        if !(1..=most).contains(&downloads) {
            let sentence = format!("must be 1 to {most}, half of the connections that are served at once");
            return Err(Invalid::new(sentence));
        }
        Ok(Self { downloads, waiting: (connections / 4).max(1) })
    }
}

/// The places, those who have one, and those who wait. `D` is a device, `P` a package.
#[derive(Debug)]
pub struct Places<D, P> {
    cap: DownloadCap,
    held: HashMap<(D, P), Held>,
    /// In the order of arrival.
    queue: Vec<Waiting<D, P>>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Held {
    requests: usize,
    /// When the last of them ended, if none goes on.
    left: Duration,
}

impl Held {
    fn is_kept(&self, now: Duration) -> bool {
        self.requests > 0 || now < self.left + LINGER
    }
}

#[derive(Debug)]
struct Waiting<D, P> {
    download: (D, P),
    /// Its requests that wait; none if it was sent away.
    tickets: Vec<u64>,
    /// Until when it is expected to come again, then; nothing before.
    expected: Duration,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Its download has a place.
    Admitted,
    /// It waits under this number.
    Waiting(u64),
    /// Too many wait already.
    Full,
}

/// How a request of a download ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// With the end of the package: the place is free.
    Complete,
    /// Before: more may be asked for.
    Partly,
}

impl<D: Copy + Eq + Hash, P: Copy + Eq + Hash> Places<D, P> {
    /// So many places, and so many requests that may wait for one.
    pub fn new(cap: DownloadCap) -> Self {
        Self { cap, held: HashMap::new(), queue: Vec::new(), next_ticket: 0 }
    }

    /// From now on there are so many places. Whoever has one keeps it.
    pub fn set_cap(&mut self, cap: DownloadCap) {
        self.cap = cap;
    }

    /// A request comes.
    pub fn enter(&mut self, device: D, package: P, now: Duration) -> Entry {
        let download = (device, package);
        if let Some(held) = self.held.get_mut(&download).filter(|held| held.is_kept(now)) {
            held.requests += 1;
            return Entry::Admitted;
        }
        self.expire(now);
        if self.held.len() < self.cap.downloads && !self.is_anybody_waiting() {
            self.queue.retain(|waiting| waiting.download != download);
            self.held.insert(download, Held { requests: 1, left: now });
            return Entry::Admitted;
        }
        let waiting_of = |wanted: &dyn Fn(&D) -> bool| -> usize {
            let fitting = self.queue.iter().filter(|waiting| wanted(&waiting.download.0));
            fitting.map(|waiting| waiting.tickets.len()).sum()
        };
        let of_device = waiting_of(&|other| *other == device);
        if of_device >= MOST_OF_A_DEVICE || waiting_of(&|_| true) >= self.cap.waiting {
            return Entry::Full;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        match self.queue.iter_mut().find(|waiting| waiting.download == download) {
            Some(waiting) => {
                waiting.tickets.push(ticket);
                waiting.expected = Duration::ZERO;
            }
            None => self.queue.push(Waiting { download, tickets: vec![ticket], expected: Duration::ZERO }),
        }
        Entry::Waiting(ticket)
    }

    /// A request that was admitted has ended; whether its place is free now.
    pub fn leave(&mut self, device: D, package: P, how: Released, now: Duration) -> bool {
        let download = (device, package);
        let Some(held) = self.held.get_mut(&download) else { return false };
        held.requests -= 1;
        held.left = now;
        let is_free = held.requests == 0 && how == Released::Complete;
        if is_free {
            self.held.remove(&download);
        }
        is_free
    }

    /// A request does not wait any more: its client hung up.
    pub fn give_up(&mut self, ticket: u64) {
        self.take_out(ticket);
        self.queue.retain(|waiting| !waiting.tickets.is_empty() || waiting.expected > Duration::ZERO);
    }

    /// A request has waited for too long, and is to come again.
    pub fn send_away(&mut self, ticket: u64, now: Duration) {
        if let Some(waiting) = self.take_out(ticket) {
            waiting.expected = now + EXPECTED;
        }
        // Those who do not come again shall not be remembered without end.
        if self.queue.len() > 2 * self.cap.waiting
            && let Some(oldest) = self.queue.iter().position(|waiting| waiting.tickets.is_empty())
        {
            self.queue.remove(oldest);
        }
    }

    /// Gives free places to those who wait: the numbers of the requests that are admitted now.
    pub fn admit(&mut self, now: Duration) -> Vec<u64> {
        let mut admitted = Vec::new();
        if !self.is_anybody_waiting() {
            return admitted;
        }
        self.expire(now);
        let mut places: HashMap<D, usize> = HashMap::new();
        for (device, _) in self.held.keys() {
            *places.entry(*device).or_default() += 1;
        }
        while self.held.len() < self.cap.downloads {
            let present = self.queue.iter().enumerate().filter(|(_, waiting)| !waiting.tickets.is_empty());
            let first = present.min_by_key(|(_, waiting)| places.get(&waiting.download.0).copied().unwrap_or(0));
            let Some((position, _)) = first else { break };
            let Waiting { download, tickets, .. } = self.queue.remove(position);
            *places.entry(download.0).or_default() += 1;
            self.held.insert(download, Held { requests: tickets.len(), left: now });
            admitted.extend(tickets);
        }
        admitted
    }

    /// Whether any request waits.
    pub fn is_anybody_waiting(&self) -> bool {
        self.queue.iter().any(|waiting| !waiting.tickets.is_empty())
    }

    fn take_out(&mut self, ticket: u64) -> Option<&mut Waiting<D, P>> {
        let waiting = self.queue.iter_mut().find(|waiting| waiting.tickets.contains(&ticket))?;
        waiting.tickets.retain(|other| *other != ticket);
        Some(waiting)
    }

    /// Lets go of places that were kept for long enough, and of those who did not come again.
    fn expire(&mut self, now: Duration) {
        self.held.retain(|_, held| held.is_kept(now));
        self.queue.retain(|waiting| !waiting.tickets.is_empty() || now < waiting.expected);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(1000);

    /// Places of devices `a`, `b`, … for packages 1, 2, …
    type TestPlaces = Places<char, u8>;

    fn waits(places: &mut TestPlaces, device: char, package: u8) -> u64 {
        match places.enter(device, package, START) {
            Entry::Waiting(ticket) => ticket,
            other => panic!("{device} does not wait: {other:?}"),
        }
    }

    /// `limit` places, all taken by `a`.
    fn full(limit: usize) -> TestPlaces {
        let mut places = Places::new(DownloadCap { downloads: limit, waiting: 100 });
        for package in 0..limit {
            assert_eq!(places.enter('a', package as u8, START), Entry::Admitted);
        }
        places
    }

    #[test]
    fn who_waits_is_admitted_in_the_order_of_arrival() {
        let mut places = full(1);
        let [b, c, d] = ['b', 'c', 'd'].map(|device| waits(&mut places, device, 1));
        assert!(places.admit(START).is_empty());
        places.leave('a', 0, Released::Complete, START);
        // Nobody who comes now passes those who wait.
        let e = waits(&mut places, 'e', 1);
        assert_eq!(places.admit(START), [b]);
        places.leave('b', 1, Released::Complete, START);
        places.give_up(c);
        assert_eq!(places.admit(START), [d]);
        places.leave('d', 1, Released::Complete, START);
        assert_eq!(places.admit(START), [e]);
        assert!(!places.is_anybody_waiting());
    }

    #[test]
    fn who_has_no_place_comes_before_who_has_some() {
        let mut places = full(2);
        let [a, b, first, second] =
            [('a', 5), ('b', 1), ('c', 1), ('c', 2)].map(|(device, package)| waits(&mut places, device, package));
        places.leave('a', 0, Released::Complete, START);
        assert_eq!(places.admit(START), [b]);
        places.leave('b', 1, Released::Complete, START);
        assert_eq!(places.admit(START), [first]);
        places.leave('a', 1, Released::Complete, START);
        assert_eq!(places.admit(START), [a]);
        places.leave('a', 5, Released::Complete, START);
        assert_eq!(places.admit(START), [second]);
    }

    #[test]
    fn requests_of_one_download_share_a_place_and_keep_it_for_a_while() {
        let mut places = full(1);
        let other = waits(&mut places, 'b', 1);
        // More of the same, at once or one after the other.
        for second in 0..100 {
            let now = START + SECOND * second * 4;
            assert_eq!(places.enter('a', 0, now), Entry::Admitted);
            places.leave('a', 0, Released::Partly, now);
            places.leave('a', 0, Released::Partly, now);
            assert!(places.admit(now + LINGER - SECOND).is_empty(), "{second}");
            assert_eq!(places.enter('a', 0, now), Entry::Admitted);
        }
        let now = START + SECOND * 500;
        places.leave('a', 0, Released::Partly, now);
        assert_eq!(places.admit(now + LINGER), [other]);
        let again = match places.enter('a', 0, now + LINGER) {
            Entry::Waiting(ticket) => ticket,
            other => panic!("it has lost its place: {other:?}"),
        };
        places.give_up(again);
        // Those that wait are admitted together.
        let together = [waits(&mut places, 'c', 1), waits(&mut places, 'c', 1)];
        places.leave('b', 1, Released::Complete, now);
        assert_eq!(places.admit(now), together);
        places.leave('c', 1, Released::Complete, now);
        assert_eq!(places.enter('d', 1, now), Entry::Waiting(4), "the other one goes on");
    }

    #[test]
    fn who_is_sent_away_comes_back_to_the_same_place_in_the_queue() {
        let mut places = full(1);
        let (b, c) = (waits(&mut places, 'b', 1), waits(&mut places, 'c', 1));
        places.send_away(b, START);
        // While it is away others are served.
        places.leave('a', 0, Released::Complete, START);
        assert_eq!(places.admit(START), [c]);
        let d = waits(&mut places, 'd', 1);
        let b = waits(&mut places, 'b', 1);
        places.leave('c', 1, Released::Complete, START);
        assert_eq!(places.admit(START), [b]);
        places.send_away(d, START);
        let e = match places.enter('e', 1, START + EXPECTED) {
            Entry::Waiting(ticket) => ticket,
            other => panic!("{other:?}"),
        };
        waits(&mut places, 'd', 1);
        places.leave('b', 1, Released::Complete, START + EXPECTED);
        assert_eq!(places.admit(START + EXPECTED), [e], "d came too late");
    }

    #[test]
    fn the_queue_is_bounded_for_all_and_for_each() {
        let mut places: Places<u32, u8> = Places::new(DownloadCap { downloads: 1, waiting: 20 });
        assert_eq!(places.enter(0, 0, START), Entry::Admitted);
        for package in 0..MOST_OF_A_DEVICE {
            assert!(matches!(places.enter(1, package as u8, START), Entry::Waiting(_)));
        }
        assert_eq!(places.enter(1, 100, START), Entry::Full);
        for device in 2..14 {
            assert!(matches!(places.enter(device, 0, START), Entry::Waiting(_)), "{device}");
        }
        assert_eq!(places.enter(14, 0, START), Entry::Full);
        // A download that goes on is none that waits.
        assert_eq!(places.enter(0, 0, START), Entry::Admitted);
        for device in 100..1000 {
            places.give_up(0);
            if let Entry::Waiting(ticket) = places.enter(device, 0, START) {
                places.send_away(ticket, START);
            }
        }
        assert!(places.queue.len() <= 41, "{}", places.queue.len());
        places.expire(START + EXPECTED);
        assert_eq!(places.queue.len(), 19);
    }
}
