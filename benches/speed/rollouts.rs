//! What rollouts cost: the update check with all of a rollout's settings, and the start with many attempts under way.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::params;
use serde_json::json;

use crate::copy::{Copy, LARGE_GROUP, with_large_group};
use crate::fleet::{DEVICES, Fleet, PACKAGES_OF_GROUP};
use crate::load::{self, Request};
use crate::process::Server;
use crate::replies::{CHECK_ROUNDS, Pace, ROUND, against};
use crate::table::{Row, median, milliseconds};

/// At most so much of the processor time of a check without a rollout.
const CHECK_RATIO: f64 = 1.2;
const STARTS: usize = 5;
const START_LIMIT: Duration = Duration::from_millis(300);

/// Checks of devices that are being updated, in groups with all settings and in groups with none.
pub fn checks(fleet: &Fleet) -> Vec<Row> {
    let copy = Copy::of(fleet);
    // No setting holds anybody back: whoever waits is done with sooner.
    let rollout = "INSERT INTO group_rollouts (group_id, hours, time_zone, max_failures, halt_percent, halt_devices, max_parallel,
             first_devices)
         SELECT id, 'mon-fri 00:00-24:00; sat,sun 00:00-24:00', 'Europe/Berlin', 3, 50, 10, ?1, ?1 FROM groups";
    copy.database().execute(rollout, [DEVICES]).unwrap();
    let servers = [Server::tender(&copy.data()), Server::tender(&fleet.data())];
    let requests: Arc<[Request]> = fleet.checks(true).into();
    for server in &servers {
        load::each_once(server.address, &requests, 200);
    }
    let pairs: Vec<_> = (0..CHECK_ROUNDS)
        .map(|_| {
            [&servers[0], &servers[1]]
                .map(|server| Pace::of(server, || load::for_a_while(server.address, &requests, 200, ROUND)))
        })
        .collect();
    let [paces, times] = against("update check, all settings of a rollout", "none", &pairs);
    let is_met = times.ratio.is_some_and(|ratio| ratio <= CHECK_RATIO);
    vec![paces, times.target(format!("≤ {CHECK_RATIO}"), is_met)]
}

/// The start with 100,000 more devices, with and without an attempt of each.
pub fn starts(fleet: &Fleet) -> Vec<Row> {
    let (copy, group) = with_large_group(fleet);
    let start = || {
        let times = (0..STARTS).map(|_| Server::tender(&copy.data()).started_in.as_secs_f64()).collect();
        Duration::from_secs_f64(median(times))
    };
    let without = start();
    let path: Vec<usize> = (1..=PACKAGES_OF_GROUP).collect();
    let attempts =
        "INSERT INTO attempts (device_id, group_id, package_id, length_bytes, from_version, to_version, target, path,
             offered_at, offers, fetched_bytes, sent_bytes)
         SELECT id, ?1, 1, 1000000, 'v0', 'v1', ?2, ?3, unixepoch(), 1, 0, 0 FROM devices WHERE group_id = ?1";
    let target = format!("v{PACKAGES_OF_GROUP}");
    copy.database().execute(attempts, params![group, target, json!(path).to_string()]).unwrap();
    let with = start();
    vec![
        Row::new(format!("start with {LARGE_GROUP} more devices, all being updated"), milliseconds(with))
            .against(format!("none {}", milliseconds(without)), with.as_secs_f64() / without.as_secs_f64())
            .target(format!("≤ {} ms", START_LIMIT.as_millis()), with <= START_LIMIT),
    ]
}
