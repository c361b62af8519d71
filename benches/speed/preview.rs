//! How long it takes to preview what a policy would mean for a large group.

use std::time::Duration;

use serde_json::{Value, json};

use crate::copy::{LARGE_GROUP as DEVICES, with_large_group};
use crate::fleet::{Fleet, PACKAGES_OF_GROUP};
use crate::load::{self, Request};
use crate::process::Server;
use crate::table::{Row, mebibytes, median, milliseconds};

const ROUNDS: usize = 7;
const LIMIT: Duration = Duration::from_secs(1);

/// A group of 100,000 devices at all the versions of its chain of packages, on a copy of the fleet's data.
pub fn of_large_group(fleet: &Fleet) -> Vec<Row> {
    let (copy, group) = with_large_group(fleet);
    let server = Server::tender(&copy.data());
    let policy = json!({ "policy": format!("exact_match,v{PACKAGES_OF_GROUP}") });
    let authorization = fleet.operator();
    let path = format!("/api/tender/v1/groups/{group}/preview");
    let request = Request::post(&path, &authorization, &serde_json::to_vec(&policy).unwrap());
    server.forget_peak();
    let before = server.resident();
    let times = (0..ROUNDS).map(|_| {
        let (reply, elapsed) = load::once(server.address, &request, 200);
        assert_counts(&serde_json::from_slice(&reply).unwrap());
        elapsed.as_secs_f64()
    });
    let time = Duration::from_secs_f64(median(times.collect()));
    vec![
        Row::new(format!("preview of {DEVICES} devices"), milliseconds(time))
            .target(format!("≤ {} ms", LIMIT.as_millis()), time <= LIMIT),
        Row::new("  memory for it, at its most", mebibytes(server.peak().saturating_sub(before))),
    ]
}

/// All devices are counted, and in each way some.
fn assert_counts(preview: &Value) {
    let sum = |devices: &Value| -> u64 {
        devices.as_array().unwrap().iter().map(|some| some["devices"].as_u64().unwrap()).sum()
    };
    let up_to_date = preview["up_to_date"]["devices"].as_u64().unwrap();
    let counts = [sum(&preview["paths"]), sum(&preview["blocked"]), up_to_date];
    assert!(counts.iter().all(|count| *count > 0) && counts.iter().sum::<u64>() == DEVICES as u64, "{preview}");
    assert_eq!(preview["paths"].as_array().unwrap().len(), PACKAGES_OF_GROUP);
}
