//! Places for connections: they are bounded, and nobody keeps others out by holding many.
//!
//! When all are taken, whoever comes gets the place of somebody who has not used it for a while; and whoever comes from a network
//! that holds few gets a place of one that holds very many, used or not. A gateway behind which all devices are is one network to
//! this, and so is a proxy: among themselves its connections lose only places that are not used.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::auth::throttle::network;

/// So long a connection may go without a request before its place can be given to others: enough to agree on TLS and to send a
/// head over a bad network. As long as there are places, it may for much longer.
const UNUSED_AFTER: Duration = Duration::from_secs(5);
/// One network has very many of the places if it has one in so many, and no fewer than these.
const MANY: usize = 8;
const FEWEST_OF_MANY: usize = 4;

/// The places of a server. Clones are the same.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    capacity: usize,
    /// To which the seats' times refer.
    epoch: Instant,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    taken: HashMap<u64, Arc<Seat>>,
    /// How many each network has.
    of_networks: HashMap<IpAddr, usize>,
}

/// What is known of a connection that has a place.
struct Seat {
    network: IpAddr,
    epoch: Instant,
    /// How many requests are being answered.
    requests: AtomicU32,
    /// Since when that is so, in milliseconds after the epoch.
    since: AtomicU64,
    lost: CancellationToken,
}

impl Places {
    /// So many.
    pub fn new(capacity: usize) -> Self {
        let (epoch, table, freed) = (Instant::now(), Mutex::default(), Notify::new());
        Self(Arc::new(Shared { capacity, epoch, table, freed }))
    }

    /// How many there are.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// A place for a connection of this client, which may be one that somebody else loses; `None` if it has to wait for one.
    pub fn take(&self, client: IpAddr) -> Option<Place> {
        let (network, epoch) = (network(client), self.0.epoch);
        let now = epoch.elapsed();
        let mut table = self.table();
        if table.taken.len() >= self.0.capacity {
            let loser = table.loser(network, now)?;
            if let Some(seat) = table.remove(loser) {
                seat.lost.cancel();
            }
        }
        let seat = Arc::new(Seat {
            network,
            epoch,
            requests: AtomicU32::new(0),
            since: AtomicU64::new(milliseconds(now)),
            lost: CancellationToken::new(),
        });
        let number = table.next;
        table.next += 1;
        table.taken.insert(number, seat.clone());
        *table.of_networks.entry(network).or_default() += 1;
        Some(Place { places: self.clone(), number, seat })
    }

    /// Waits until a place may have become free.
    pub async fn freed(&self) {
        self.0.freed.notified().await;
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Its parts are changed together, without anything in between that could panic.
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Whose place a newcomer of this network gets when all are taken.
    fn loser(&self, newcomer: IpAddr, now: Duration) -> Option<u64> {
        let count = |network: &IpAddr| self.of_networks.get(network).copied().unwrap_or_default();
        let own = count(&newcomer);
        let (most, largest) = self.of_networks.iter().map(|(network, count)| (*count, *network)).max()?;
        // Of those who use nothing: of the network that has most, who has used it for the longest time no more.
        let unused = self.taken.iter().filter(|(_, seat)| {
            !seat.is_used() && seat.unchanged_for(now) >= UNUSED_AFTER && count(&seat.network) >= own
        });
        if let Some((number, _)) = unused.max_by_key(|(_, seat)| (count(&seat.network), seat.unchanged_for(now))) {
            return Some(*number);
        }
        let has_very_many = most >= FEWEST_OF_MANY && most * MANY >= self.taken.len() && most > 2 * own;
        let theirs = self.taken.iter().filter(|(_, seat)| has_very_many && seat.network == largest);
        theirs.max_by_key(|(_, seat)| (!seat.is_used(), seat.unchanged_for(now))).map(|(number, _)| *number)
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Seat>> {
        let seat = self.taken.remove(&number)?;
        if let Some(count) = self.of_networks.get_mut(&seat.network) {
            *count -= 1;
            if *count == 0 {
                self.of_networks.remove(&seat.network);
            }
        }
        Some(seat)
    }
}

impl Seat {
    fn is_used(&self) -> bool {
        self.requests.load(Relaxed) > 0
    }

    /// How long ago a request began or ended.
    fn unchanged_for(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.since.load(Relaxed)))
    }

    fn change(&self) {
        self.since.store(milliseconds(self.epoch.elapsed()), Relaxed);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A connection's place, until dropped or lost to another.
pub struct Place {
    places: Places,
    number: u64,
    seat: Arc<Seat>,
}

impl Place {
    /// What tells that it is lost.
    pub fn lost(&self) -> CancellationToken {
        self.seat.lost.clone()
    }

    /// What the connection's requests note their being with.
    pub fn usage(&self) -> Usage {
        Usage(self.seat.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.places.table().remove(self.number).is_some() {
            self.places.0.freed.notify_one();
        }
    }
}

/// How a place is used.
#[derive(Clone)]
pub struct Usage(Arc<Seat>);

impl Usage {
    /// A request has come. It is being answered until what is returned is dropped.
    pub fn begin(&self) -> InUse {
        self.0.requests.fetch_add(1, Relaxed);
        self.0.change();
        InUse(self.0.clone())
    }
}

/// A request that is being answered.
pub struct InUse(Arc<Seat>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
        self.0.change();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACKER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn client(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 1, number])
    }

    /// Lets it seem so long ago that anything was asked on the connection.
    fn age(place: &mut Place, age: Duration) {
        let (now, age) = (place.seat.epoch.elapsed(), milliseconds(age));
        place.seat.since.store(milliseconds(now).saturating_sub(age), Relaxed);
    }

    fn places(capacity: usize) -> Places {
        let places = Places::new(capacity);
        // As if it had been open for an hour.
        let Some(shared) = Arc::into_inner(places.0) else { unreachable!("there is no clone") };
        let epoch = shared.epoch.checked_sub(Duration::from_secs(3600)).unwrap();
        Places(Arc::new(Shared { epoch, ..shared }))
    }

    #[test]
    fn a_place_that_is_dropped_is_free_again() {
        let places = places(2);
        let first = places.take(client(1)).unwrap();
        let _second = places.take(client(2)).unwrap();
        assert!(places.take(client(3)).is_none());
        drop(first);
        assert!(places.take(client(3)).is_some());
    }

    #[test]
    fn who_asks_for_nothing_loses_the_place_after_a_while_and_who_does_never_to_its_like() {
        let places = places(2);
        let (mut idle, mut busy) = (places.take(client(1)).unwrap(), places.take(client(2)).unwrap());
        let request = busy.usage().begin();
        age(&mut idle, UNUSED_AFTER - Duration::from_secs(1));
        age(&mut busy, 100 * UNUSED_AFTER);
        assert!(places.take(client(3)).is_none());
        age(&mut idle, UNUSED_AFTER + Duration::from_secs(1));
        let _third = places.take(client(3)).unwrap();
        assert!(idle.lost().is_cancelled() && !busy.lost().is_cancelled());
        // The place is the other's: what becomes of the one who lost it changes nothing.
        drop(idle);
        assert!(places.take(client(4)).is_none());
        drop(request);
        age(&mut busy, 2 * UNUSED_AFTER);
        assert!(places.take(client(4)).is_some());
    }

    #[test]
    fn nobody_keeps_others_out_by_taking_all_places_and_using_them() {
        let places = places(16);
        let mut held: Vec<_> = (0..16).map(|_| places.take(ATTACKER).unwrap()).collect();
        let _requests: Vec<_> = held.iter().map(|place| place.usage().begin()).collect();
        age(&mut held[7], Duration::from_secs(60));
        assert!(places.take(ATTACKER).is_none(), "who has them all gets no more");
        let _device = places.take(client(1)).unwrap();
        let lost: Vec<_> = (0..16).filter(|number| held[*number].lost().is_cancelled()).collect();
        assert_eq!(lost, [7]);
        // Devices get in as long as they have few, and neither each other's places nor that of a device that does nothing.
        let mut devices: Vec<_> = (2..9).map_while(|number| places.take(client(number))).collect();
        age(&mut devices[0], 10 * UNUSED_AFTER);
        assert_eq!(devices.len(), 7);
        assert!(places.take(ATTACKER).is_none());
        assert!(!devices[0].lost().is_cancelled());
    }

    #[test]
    fn many_addresses_of_one_network_of_ipv6_are_one() {
        let places = places(8);
        let address = |host: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]);
        let held: Vec<_> = (0..8).map(|host| places.take(address(host)).unwrap()).collect();
        assert!(places.take(address(9)).is_none());
        assert!(places.take(client(1)).is_some());
        assert_eq!(held.iter().filter(|place| place.lost().is_cancelled()).count(), 1);
    }

    #[test]
    fn memory_of_networks_ends_with_their_connections() {
        let places = places(8);
        drop((0..8).map(|number| places.take(client(number)).unwrap()).collect::<Vec<_>>());
        assert!(places.table().of_networks.is_empty());
    }
}
