//! How much memory the server takes, as the kernel counts it.

use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use crate::fleet::Fleet;
use crate::load::{self, Request};
use crate::process::Server;
use crate::table::{Row, mebibytes};

const MEBIBYTE: u64 = 1 << 20;
const IDLE_LIMIT: u64 = 10 * MEBIBYTE;
const FLEET_LIMIT: u64 = 60 * MEBIBYTE;
/// How long what follows on a start, a load or a list may go on before memory counts as settled.
const SETTLING: Duration = Duration::from_secs(1);
/// How often the whole fleet polls.
const POLLS: usize = 3;

/// At rest, with the fleet polling, and with its list.
pub fn of_fleet(fleet: &Fleet) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    sleep(SETTLING);
    let idle = server.resident();
    let start_peak = server.peak();
    let mut rows = vec![limited("memory, idle after the start", idle, IDLE_LIMIT)];
    rows.push(Row::new("  at its most during the start", mebibytes(start_peak)));

    let (found, none): (Arc<[Request]>, Arc<[Request]>) = (fleet.checks(true).into(), fleet.checks(false).into());
    server.forget_peak();
    for _ in 0..POLLS {
        load::each_once(server.address, &found, 200);
        load::each_once(server.address, &none, 204);
    }
    rows.push(limited("memory, the whole fleet polling", server.peak(), FLEET_LIMIT));

    server.forget_peak();
    load::once(server.address, &fleet.device_list(), 200);
    rows.push(Row::new("memory, during the device list", mebibytes(server.peak())));
    sleep(SETTLING);
    rows.push(Row::new("  a second later", mebibytes(server.resident())));
    rows
}

fn limited(name: &str, bytes: u64, limit: u64) -> Row {
    Row::new(name, mebibytes(bytes)).target(format!("≤ {} MiB", limit / MEBIBYTE), bytes <= limit)
}
