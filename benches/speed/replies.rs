//! How fast replies come: update checks, authorizations, the device list, and the first reply after the start.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::fleet::{Fleet, SignedMessages};
use crate::load::{self, Load, Request};
use crate::process::{Server, own_processor_time};
use crate::table::{Row, mebibytes, median, microseconds, milliseconds};
use crate::writes::Commits;

pub const ROUND: Duration = Duration::from_secs(1);
pub const CHECK_ROUNDS: usize = 12;
const AUTHORIZATION_ROUNDS: usize = 5;
const LIST_ROUNDS: usize = 7;
const STARTS: usize = 9;
const CHECK_RATIO: f64 = 0.7;
/// At least so many of the bare verifications of the same signatures.
const AUTHORIZATION_RATIO: f64 = 0.5;
const START_LIMIT: Duration = Duration::from_millis(100);
/// How often what a poll tells is written, at most.
const COMMIT_INTERVAL: f64 = 30.0;

/// Update checks against a bare route, and the commits meanwhile.
pub fn update_checks(fleet: &Fleet) -> Vec<Row> {
    let ours = Server::tender(&fleet.data());
    let kinds = [("update found", true, 200), ("nothing to update", false, 204)];
    let kinds = kinds.map(|(name, finds_update, status)| {
        let requests: Arc<[Request]> = fleet.checks(finds_update).into();
        // Every device is known and every plan compiled before anything counts.
        load::each_once(ours.address, &requests, status);
        (name, requests, status)
    });
    let begin = Instant::now();
    let commits = Commits::watch(&fleet.database());
    let mut rows = Vec::new();
    for (name, requests, status) in kinds {
        rows.extend(update_check(name, &ours, &requests, status));
    }
    let (commits, seconds) = (commits.count(), begin.elapsed().as_secs_f64());
    let allowed = (seconds / COMMIT_INTERVAL).ceil();
    rows.push(
        Row::new("commits while the fleet polls", format!("{commits} in {seconds:.0} s"))
            .target(format!("≤ {allowed}"), commits as f64 <= allowed),
    );
    rows
}

fn update_check(name: &str, ours: &Server, requests: &Arc<[Request]>, status: u16) -> [Row; 2] {
    let (reply, _) = load::once(ours.address, &requests[0], status);
    let bare = Server::bare_route(&String::from_utf8(reply).unwrap());
    let pairs = (0..CHECK_ROUNDS).map(|_| {
        [ours, &bare].map(|server| Pace::of(server, || load::for_a_while(server.address, requests, status, ROUND)))
    });
    let [paces, times] = against(&format!("update check, {name}"), "bare warp route", &pairs.collect::<Vec<_>>());
    let is_met = paces.ratio.is_some_and(|ratio| ratio >= CHECK_RATIO);
    [paces.target(format!("≥ {CHECK_RATIO}"), is_met), times]
}

/// How one side did in one round.
pub struct Pace {
    pub per_second: f64,
    /// Seconds of processor time for one.
    pub processor: f64,
}

impl Pace {
    /// Of a server under a load.
    pub fn of(server: &Server, load: impl FnOnce() -> Load) -> Self {
        let before = server.processor_time();
        let load = load();
        let used = server.processor_time() - before;
        Self { per_second: load.per_second(), processor: used.as_secs_f64() / load.answered as f64 }
    }
}

/// The lines of rounds that were run in turn: how many there were in a second, and what one cost.
pub fn against(name: &str, yardstick: &str, pairs: &[[Pace; 2]]) -> [Row; 2] {
    let middle = |value: &dyn Fn(&[Pace; 2]) -> f64| median(pairs.iter().map(value).collect());
    let each = |seconds| microseconds(Duration::from_secs_f64(seconds));
    [
        Row::new(name, format!("{:.0}/s", middle(&|pair| pair[0].per_second))).against(
            format!("{yardstick} {:.0}/s", middle(&|pair| pair[1].per_second)),
            middle(&|pair| pair[0].per_second / pair[1].per_second),
        ),
        Row::new("  processor time of one", each(middle(&|pair| pair[0].processor)))
            .against(each(middle(&|pair| pair[1].processor)), middle(&|pair| pair[0].processor / pair[1].processor)),
    ]
}

/// Authorizations against the arithmetic in them.
pub fn authorizations(fleet: &Fleet) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    [&fleet.small_key, &fleet.large_key].into_iter().flat_map(|key| authorization(&server, key)).collect()
}

fn authorization(server: &Server, key: &SignedMessages) -> [Row; 2] {
    let requests: Arc<[Request]> = key.requests().into();
    load::each_once(server.address, &requests, 200);
    let pairs = (0..AUTHORIZATION_ROUNDS).map(|_| {
        let ours = Pace::of(server, || load::for_a_while(server.address, &requests, 200, ROUND));
        [ours, bare_verifications(key)]
    });
    let name = format!("authorization, {} bit key", key.bits);
    let [paces, times] = against(&name, "bare rsa verification", &pairs.collect::<Vec<_>>());
    let is_met = paces.ratio.is_some_and(|ratio| ratio >= AUTHORIZATION_RATIO);
    [paces.target(format!("≥ {AUTHORIZATION_RATIO}"), is_met), times]
}

fn bare_verifications(key: &SignedMessages) -> Pace {
    let verify = key.verifier();
    let done = AtomicUsize::new(0);
    let (begin, used_before) = (Instant::now(), own_processor_time());
    thread::scope(|scope| {
        for _ in 0..available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while begin.elapsed() < ROUND {
                    verify(done.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
    });
    let done = done.into_inner() as f64;
    let used = own_processor_time() - used_before;
    Pace { per_second: done / begin.elapsed().as_secs_f64(), processor: used.as_secs_f64() / done }
}

/// A device as the list has it.
#[derive(Serialize, Deserialize)]
struct ListedDevice {
    id: i64,
    name: String,
    mac_address: String,
    capabilities: BTreeMap<String, bool>,
    metadata: BTreeMap<String, String>,
    group: Option<i64>,
    last_access: Option<String>,
    public_key: Option<String>,
}

/// The device list against writing the same from memory.
pub fn device_list(fleet: &Fleet) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    let request = fleet.device_list();
    let (mut ours, mut from_memory, mut ratios, mut bytes) = (vec![], vec![], vec![], 0);
    for _ in 0..LIST_ROUNDS {
        let (list, elapsed) = load::once(server.address, &request, 200);
        let devices: Vec<ListedDevice> = serde_json::from_slice(&list).unwrap();
        let begin = Instant::now();
        let written = black_box(serde_json::to_vec(black_box(&devices)).unwrap());
        from_memory.push(begin.elapsed().as_secs_f64());
        assert!(written == list, "the yardstick writes something else");
        ours.push(elapsed.as_secs_f64());
        ratios.push(ours.last().unwrap() / from_memory.last().unwrap());
        bytes = list.len() as u64;
    }
    let median_time = |times| milliseconds(Duration::from_secs_f64(median(times)));
    vec![
        Row::new(format!("device list, {}", mebibytes(bytes)), median_time(ours))
            .against(format!("serde_json from memory {}", median_time(from_memory)), median(ratios)),
    ]
}

/// From nothing to the first answer.
pub fn starts(fleet: &Fleet) -> Vec<Row> {
    let times = (0..STARTS).map(|_| Server::tender(&fleet.data()).started_in.as_secs_f64()).collect();
    let time = Duration::from_secs_f64(median(times));
    vec![
        Row::new("start to first answer", milliseconds(time))
            .target(format!("≤ {} ms", START_LIMIT.as_millis()), time <= START_LIMIT),
    ]
}
