//! How the cost of an update check grows with the fleet: measured, and drawn.
//!
//! Each point is a server of its own with data of its own, and every device of it has been heard, so that memory is as full as it
//! gets. All points of a row are measured in turn, and the middle of their rounds counts: what is written now and then of
//! devices that were heard is not among that, as it is in few rounds. With 100,000 devices what is known of one is in no cache of
//! the processor any more when it comes again, which costs some memory accesses.

mod drawing;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::copy::Copy;
use crate::fleet::{Fleet, SIZE, Size};
use crate::load::{self, Request};
use crate::process::Server;
use crate::replies::{Pace, ROUND};
use crate::table::{Row, median, microseconds};
use drawing::{Panel, draw};

const ROUNDS: usize = 9;
/// So much more the most expensive may cost than the cheapest, where the cost must not grow.
const RATIO: f64 = 1.15;
/// For the README.
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/growth.svg");

/// What grows, and the fleets with more and more of it.
struct Axis {
    name: &'static str,
    sizes: Vec<(usize, Size)>,
    may_grow: bool,
}

fn axes() -> [Axis; 3] {
    let sizes = |counts: [usize; 4], size: fn(usize) -> Size| counts.map(|count| (count, size(count))).into();
    [
        Axis {
            name: "devices",
            sizes: sizes([100, 1_000, 10_000, 100_000], |devices| Size { devices, ..SIZE }),
            may_grow: false,
        },
        Axis {
            name: "packages in each group",
            sizes: sizes([1, 10, 100, 500], |packages_of_group| Size { packages_of_group, groups: 4, ..SIZE }),
            may_grow: true,
        },
        Axis {
            name: "groups",
            sizes: sizes([1, 10, 100, 1_000], |groups| Size { groups, packages_of_group: 4, ..SIZE }),
            may_grow: false,
        },
    ]
}

/// All of it; `draws`: the README's picture is made anew.
pub fn of_checks(fleet: &Fleet, draws: bool) -> Vec<Row> {
    let (mut rows, mut panels) = (Vec::new(), Vec::new());
    for axis in axes() {
        eprintln!("  {}", axis.name);
        let paces = measure(fleet, &axis);
        let counts = || axis.sizes.iter().map(|(count, _)| *count);
        for (count, Pace { per_second, processor }) in counts().zip(&paces) {
            let time = microseconds(Duration::from_secs_f64(*processor));
            rows.push(Row::new(format!("update check, {count} {}", axis.name), format!("{per_second:.0}/s, {time}")));
        }
        let times = || paces.iter().map(|pace| pace.processor);
        let ratio = times().fold(0.0, f64::max) / times().fold(f64::INFINITY, f64::min);
        let row = Row { ratio: Some(ratio), ..Row::new("  the dearest, of the cheapest", "") };
        rows.push(if axis.may_grow { row } else { row.target(format!("≤ {RATIO}"), ratio <= RATIO) });
        let points = counts().zip(paces.iter().map(|pace| 1.0 / pace.processor)).collect();
        panels.push(Panel { name: axis.name, points });
    }
    if draws {
        std::fs::write(Path::new(PICTURE), draw(&panels)).unwrap();
    }
    rows
}

/// A server with a fleet of some size, and the checks of its devices that get an update.
struct Subject {
    server: Server,
    requests: Arc<[Request]>,
    _data: Copy,
}

fn measure(fleet: &Fleet, axis: &Axis) -> Vec<Pace> {
    let copies: Vec<(Copy, Size)> = axis.sizes.iter().map(|(_, size)| (Copy::with_size(fleet, *size), *size)).collect();
    let subjects: Vec<Subject> = copies
        .into_iter()
        .map(|(copy, size)| {
            let server = Server::tender(&copy.data());
            load::each_once(server.address, &fleet.checks_of(size, false).into(), 204);
            let requests = fleet.checks_of(size, true).into();
            load::each_once(server.address, &requests, 200);
            Subject { server, requests, _data: copy }
        })
        .collect();
    let mut rounds: Vec<Vec<Pace>> = subjects.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (subject, paces) in subjects.iter().zip(&mut rounds) {
            let Subject { server, requests, .. } = subject;
            paces.push(Pace::of(server, || load::for_a_while(server.address, requests, 200, ROUND)));
        }
    }
    let middle = |paces: &[Pace], value: fn(&Pace) -> f64| median(paces.iter().map(value).collect());
    rounds
        .iter()
        .map(|paces| Pace {
            per_second: middle(paces, |pace| pace.per_second),
            processor: middle(paces, |pace| pace.processor),
        })
        .collect()
}
