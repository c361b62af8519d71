use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MEBIBYTE: u64 = 1 << 20;

fn rates(total: u64, device: u64) -> Rates {
    let rate = |bytes| Some(ByteSize::from_bytes(bytes)).filter(|rate| rate.bytes() > 0);
    Rates { total: rate(total), device: rate(device) }
}

/// A device with some connections, each of which wants so much at once, again and again while the device is there.
#[derive(Debug, Clone)]
struct Client {
    connections: usize,
    wish: u64,
    /// In milliseconds from the start.
    there: std::ops::Range<u64>,
}

impl Client {
    fn new(connections: usize, wish: u64) -> Self {
        Self { connections, wish, there: 0..u64::MAX }
    }
}

/// What went out: when, to whom, and how much.
type Sent = Vec<(Duration, usize, u64)>;

/// Lets the clients download for so long; timers are late by up to `late`.
fn simulate(rates: impl Fn(Duration) -> Rates, clients: &[Client], duration: Duration, late: Duration) -> Sent {
    let mut share = FairShare::new(rates(Duration::ZERO), Duration::ZERO);
    let (mut sent, mut now) = (Sent::new(), Duration::ZERO);
    let mut owners: HashMap<u64, usize> = HashMap::new();
    let mut tickets: Vec<BTreeSet<u64>> = vec![BTreeSet::new(); clients.len()];
    while now < duration {
        if share.rates() != rates(now) {
            share.set_rates(rates(now), now);
        }
        for (number, client) in clients.iter().enumerate() {
            let own = &mut tickets[number];
            if client.there.contains(&(now.as_millis() as u64)) {
                for _ in own.len()..client.connections {
                    let ticket = share.want(number, client.wish, now);
                    own.insert(ticket);
                    owners.insert(ticket, number);
                }
            } else {
                for ticket in std::mem::take(own) {
                    share.give_up(number, ticket, now);
                }
            }
        }
        for (ticket, bytes) in share.give(now) {
            let owner = owners[&ticket];
            assert!(tickets[owner].remove(&ticket), "only who waits is given something");
            assert!(bytes > 0 && bytes <= clients[owner].wish);
            sent.push((now, owner, bytes));
        }
        let next = share.next_gift().unwrap_or(now).max(now);
        now = (next + late).clamp(now + Duration::from_micros(200), now + Duration::from_millis(50));
    }
    sent
}

fn bytes_of(sent: &Sent, owner: usize, from: Duration, to: Duration) -> u64 {
    sent.iter().filter(|(at, of, _)| *of == owner && (from..to).contains(at)).map(|(_, _, bytes)| bytes).sum()
}

/// The most that went out in any second.
fn most_in_a_second(sent: &Sent, owner: Option<usize>) -> u64 {
    let counts: Vec<_> = sent.iter().filter(|(_, of, _)| owner.is_none_or(|owner| owner == *of)).collect();
    let mut most = 0;
    let (mut begin, mut sum) = (0, 0);
    for (at, _, bytes) in &counts {
        sum += bytes;
        while counts[begin].0 + SECOND <= *at {
            sum -= counts[begin].2;
            begin += 1;
        }
        most = most.max(sum);
    }
    most
}

fn assert_about(actual: u64, expected: u64, what: &str) {
    let ratio = actual as f64 / expected as f64;
    assert!((0.97..1.03).contains(&ratio), "{what}: {actual} instead of {expected}");
}

#[test]
fn one_alone_gets_all_of_the_rate_however_it_asks() {
    for rate in [1024, 64 * 1024, 2 * MEBIBYTE, 40 * MEBIBYTE] {
        for client in [Client::new(1, 128 * 1024), Client::new(8, 128 * 1024), Client::new(3, 2000)] {
            for late in [0, 5, 20] {
                // What is asked for one after the other cannot come faster than the timer.
                if client.wish * client.connections as u64 * 50 < rate {
                    continue;
                }
                let ten = SECOND * 10;
                let sent =
                    simulate(|_| rates(rate, 0), std::slice::from_ref(&client), ten, Duration::from_millis(late));
                let total = bytes_of(&sent, 0, SECOND, ten);
                // At the lowest rates pieces are as large as a second's worth.
                let tolerance = rate / 4 + 2 * SMALLEST_PIECE;
                assert!(total.abs_diff(rate * 9) < tolerance, "{rate} {client:?} {late}: {total}");
            }
        }
    }
}

#[test]
fn two_share_equally_whatever_the_number_of_their_connections() {
    let clients = [Client::new(1, 128 * 1024), Client::new(8, 500 * 1024)];
    let sent = simulate(|_| rates(2 * MEBIBYTE, 0), &clients, SECOND * 5, Duration::from_millis(2));
    for owner in [0, 1] {
        assert_about(bytes_of(&sent, owner, SECOND, SECOND * 5), 4 * MEBIBYTE, "half of the rate");
    }
}

#[test]
fn what_one_leaves_the_others_get_and_it_does_not_catch_up() {
    // Long enough for single pieces not to matter.
    let guest = Client { there: 4000..12_000, ..Client::new(4, 128 * 1024) };
    let clients = [Client::new(1, 128 * 1024), guest, Client { there: 0..12_000, ..Client::new(1, 4096) }];
    let sent = simulate(|_| rates(MEBIBYTE, 0), &clients, SECOND * 14, Duration::ZERO);
    let (four, twelve) = (SECOND * 4, SECOND * 12);
    assert_about(bytes_of(&sent, 0, Duration::ZERO, four), 2 * MEBIBYTE, "beside one");
    for owner in [0, 1, 2] {
        assert_about(bytes_of(&sent, owner, four, twelve), 8 * MEBIBYTE / 3, "beside two");
    }
    assert_about(bytes_of(&sent, 0, twelve, SECOND * 14), 2 * MEBIBYTE, "alone");
}

#[test]
fn a_device_has_a_rate_of_its_own_and_the_others_get_the_rest() {
    // One is slowed down by its own rate alone, and four by the total.
    let clients = vec![Client::new(8, 128 * 1024); 5];
    let sent = simulate(|_| rates(0, MEBIBYTE), &clients, SECOND * 4, Duration::ZERO);
    for owner in 0..5 {
        assert_about(bytes_of(&sent, owner, SECOND, SECOND * 4), 3 * MEBIBYTE, "its rate");
    }
    let sent = simulate(|_| rates(3 * MEBIBYTE, MEBIBYTE), &clients, SECOND * 4, Duration::ZERO);
    for owner in 0..5 {
        assert_about(bytes_of(&sent, owner, SECOND, SECOND * 4), 9 * MEBIBYTE / 5, "a share of the total");
    }
    let sent = simulate(|_| rates(3 * MEBIBYTE, MEBIBYTE), &clients[..2], SECOND * 4, Duration::ZERO);
    assert_about(bytes_of(&sent, 0, SECOND, SECOND * 4), 3 * MEBIBYTE, "its rate");
}

#[test]
fn other_rates_hold_at_once_also_for_those_who_wait() {
    let edge = SECOND * 2;
    let change = |to: Rates| move |now: Duration| if now < edge { rates(MEBIBYTE, 0) } else { to };
    let client = [Client::new(2, 128 * 1024)];
    for (to, expected) in
        [(rates(4 * MEBIBYTE, 0), 4 * MEBIBYTE), (rates(64 * 1024, 0), 64 * 1024), (rates(0, 65_536), 65_536)]
    {
        let sent = simulate(change(to), &client, SECOND * 6, Duration::ZERO);
        assert_about(bytes_of(&sent, 0, SECOND / 2, edge), 3 * MEBIBYTE / 2, "before");
        assert_about(bytes_of(&sent, 0, SECOND * 3, SECOND * 6), 3 * expected, "after");
        assert!(bytes_of(&sent, 0, edge, SECOND * 3) <= expected + expected / 5, "no burst at the change");
    }
    // Those who wait for very long are let go when there is no rate any more.
    let mut share = FairShare::new(rates(1024, 1024), Duration::ZERO);
    let tickets: Vec<u64> = (0..100).map(|device| share.want(device, MEBIBYTE, Duration::ZERO)).collect();
    assert_eq!(share.give(Duration::ZERO).len(), 1);
    share.set_rates(rates(0, 0), SECOND);
    let given = share.give(SECOND);
    assert_eq!(given.len(), 99);
    assert!(given.iter().all(|(ticket, bytes)| tickets.contains(ticket) && *bytes == MEBIBYTE));
    assert_eq!(share.next_gift(), None);
}

#[test]
fn an_hour_without_downloads_is_not_made_up_for() {
    let mut share = FairShare::new(rates(MEBIBYTE, 0), Duration::ZERO);
    let later = SECOND * 3600;
    for _ in 0..100 {
        share.want("device", MEBIBYTE, later);
    }
    let at_once: u64 = share.give(later).iter().map(|(_, bytes)| bytes).sum();
    assert!(at_once <= MEBIBYTE / 10, "{at_once}");
}

#[test]
fn thousands_are_all_served_before_long() {
    let clients = vec![Client::new(1, 128 * 1024); 2000];
    let rate = 8 * MEBIBYTE;
    let sent = simulate(|_| rates(rate, 0), &clients, SECOND * 3, Duration::from_millis(1));
    let served: BTreeSet<usize> = sent.iter().map(|(_, owner, _)| *owner).collect();
    assert_eq!(served.len(), clients.len());
    let most = (0..clients.len()).map(|owner| bytes_of(&sent, owner, Duration::ZERO, SECOND * 3)).max();
    assert!(most <= Some(rate * 3 / 2000 + 2 * SMALL_PIECE), "{most:?}");
}

#[test]
fn who_came_first_does_not_wait_until_all_who_came_later_have_as_much() {
    let clients: Vec<Client> =
        (0..1000).map(|number| Client { there: number * 4..u64::MAX, ..Client::new(1, 128 * 1024) }).collect();
    let sent = simulate(|_| rates(MEBIBYTE, 0), &clients, SECOND * 13, Duration::from_millis(1));
    // Twice as long as it takes to give each a small piece.
    let served: BTreeSet<usize> = sent.iter().filter(|(at, ..)| *at > SECOND * 5).map(|(_, owner, _)| *owner).collect();
    assert_eq!(served.len(), clients.len());
}

#[test]
fn who_is_gone_is_forgotten() {
    let mut share = FairShare::new(rates(MEBIBYTE, 64 * 1024), Duration::ZERO);
    let tickets: Vec<u64> = (0..1000).map(|number| share.want(number % 10, MEBIBYTE, Duration::ZERO)).collect();
    assert!(!share.give(Duration::ZERO).is_empty());
    assert!(!share.forget_idle(SECOND * 2));
    for (number, ticket) in tickets.into_iter().enumerate() {
        share.give_up(number % 10, ticket, SECOND * 2);
    }
    assert_eq!((share.give(SECOND * 2), share.next_gift()), (Vec::new(), None));
    assert!(share.forget_idle(SECOND * 3));
    assert_eq!((share.ready.len(), share.resting.len(), share.devices.len()), (0, 0, 0));
}

fn client() -> impl Strategy<Value = Client> {
    let wish = prop_oneof![Just(2_000_u64), Just(128 * 1024), 1_u64..600_000];
    let there =
        prop_oneof![Just(0..u64::MAX), (0_u64..3000, 0_u64..3000).prop_map(|(from, length)| from..from + length)];
    (1_usize..6, wish, there).prop_map(|(connections, wish, there)| Client { connections, wish, there })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rates_are_kept_and_used(
        clients in proptest::collection::vec(client(), 1..6),
        total in prop_oneof![Just(0_u64), 4096_u64..4_000_000],
        device in prop_oneof![Just(0_u64), 4096_u64..4_000_000],
        late in 0_u64..20,
    ) {
        prop_assume!(total > 0 || device > 0);
        let duration = SECOND * 3;
        let sent = simulate(|_| rates(total, device), &clients, duration, Duration::from_millis(late));
        // In no second goes out more than a second's worth and one bucket.
        let bound = |rate: u64| rate + (rate / BUCKETS_PER_SECOND).max(SMALLEST_PIECE) + 1;
        if total > 0 {
            prop_assert!(most_in_a_second(&sent, None) <= bound(total));
        }
        for owner in 0..clients.len() {
            if device > 0 {
                prop_assert!(most_in_a_second(&sent, Some(owner)) <= bound(device));
            }
        }
        // Who is always there, and asks for enough, is given no less than its share.
        for (owner, client) in clients.iter().enumerate() {
            let share = if total > 0 { total / clients.len() as u64 } else { u64::MAX };
            let share = share.min(if device > 0 { device } else { u64::MAX });
            let is_hungry = client.there == (0..u64::MAX) && client.wish * client.connections as u64 * 20 > share;
            if is_hungry {
                let got = bytes_of(&sent, owner, SECOND, duration);
                let largest = piece(rates(total, device).total, clients.len()).min(client.wish.max(piece(rates(0, device).device, 1)));
                prop_assert!(got + 3 * largest.min(share) + share / 5 >= share * 2, "{got} of {share} a second");
            }
        }
    }
}
