//! How fast tender is and how much it takes: `cargo bench`, some fifteen minutes.
//!
//! Everything is measured with a fleet of 10,000 devices in 20 groups with 20 packages each, on the program as it is released,
//! running as a process of its own. Absolute numbers say little about another machine, so wherever there is something to
//! compare with, it is measured in the same run, in turn with ours, and the line shows the median of the ratios.
//!
//! - **update check**: replies a second on 32 connections, and the server's processor time for each, for devices that get an
//!   update and devices that get none. The yardstick is one bare warp route which parses the same body as JSON and sends the
//!   same bytes. The load generator is one thread of a third process, on the same processors: it takes its part of them from
//!   both alike, which brings the ratio of replies nearer to 1 than the ratio of processor time.
//!   And checks of groups that use all settings of a rollout, while all their devices' attempts go on, against the same checks
//!   without any: two servers, in turn.
//! - **authorization**: the same, for keys of 2048 and 4096 bits. The yardstick is the bare check of the same signatures with
//!   the `rsa` crate on as many threads as there are processors.
//! - **device list**: time from the request's first byte to the reply's last. The yardstick writes the same bytes from memory
//!   with serde_json.
//! - **preview**: what a policy would mean for a group of 100,000 devices at 21 versions, on a copy of the data.
//! - **fleet**: pages of 100 devices of 10,000 and of 100,000, searched, filtered and sorted, and the fleet in numbers.
//! - **start**: from making the process to its first answer, the database's pages being in the operating system's cache. And the
//!   same with 100,000 more devices whose attempts are under way, which are taken up.
//! - **memory**: resident memory as the kernel counts it, the program's own pages included. Peaks are the kernel's too, not
//!   samples.
//! - **writes**: commits that another connection sees while the fleet polls, and what goes to the write-ahead log when the
//!   last access of all devices is written.
//! - **downloads**: bytes a second and processor time of a GiB on 16 connections, for packages of 1 and 256 MiB, and requests a
//!   second for ranges of 2 kB (what modems ask for) and 128 kB (RAUC) behind 600 MiB of a package. The yardstick is nginx with
//!   sendfile and as many worker processes as tender has threads, so that either may use all processors. All files are in the
//!   page cache. And how much memory 64 slow downloads and 4 uploads take, all at once. Without nginx, only that.
//! - **handshakes**: a thousand devices that come at once over TLS, each with an update check: full handshakes, and sessions that
//!   go on. The yardstick is rustls with the same certificate, which answers everything with the same bytes.
//! - **power-up**: a thousand devices that come in the same second, each with a full handshake, a signature of 4096 bits and an update
//!   check, until the last has its answer; and how long the checks of others take meanwhile. And one that asks again at once
//!   whenever it is refused.
//! - **uploads**: a GiB as a form and as one piece by tus, until it is a package on disk. The yardstick is a bare hyper route that
//!   writes the same bytes to a file of the same file system and puts them on disk, without a look at them.
//!
//! - **growth**: what an update check costs with 100 to 100,000 devices, 1 to 500 packages in each group, and 1 to 1,000 groups. Of
//!   devices and groups it must not depend.
//! - **load**: a gateway's day. 10,000 devices poll each minute, each on a connection that it leaves open as HTTP clients do,
//!   and get a new token each five minutes; 64 more are updated all the time, with slow downloads whose hash is compared; two
//!   uploads go on, and their packages are removed; a page is open. No error, latency, memory, commits and writes, as the server and the
//!   kernel count them; then five minutes more without uploads, for the commits and writes that are not theirs. And start, list and
//!   search with 100,000 devices.
//!
//! Missing a target is told, and does not fail the run. After `cargo bench --`, `--upload MIB` sets the size of the upload whose
//! memory is measured, and `--only PART` leaves out the other parts: checks, growth, authorization, list, preview, fleet, start, memory,
//! writes, handshakes, power-up, uploads, load, downloads. `--minutes MINUTES` says how long the load goes on, without the first minute, in
//! which every device comes once; each minute prints a line. `--draw` makes the picture of the growth anew that the README shows.
//! `--server FILE` measures that program in place of the one that was built for it.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot measure ends there and then")]
#![allow(clippy::disallowed_methods, reason = "a benchmark waits on threads of its own, and asks for the real time")]

mod bare_route;
mod bare_sink;
mod bare_tls;
mod copy;
mod downloads;
mod fleet;
mod fleet_pages;
mod growth;
mod handshakes;
mod load;
mod memory;
mod nginx;
mod power_up;
mod preview;
mod process;
mod replies;
mod rollouts;
mod sink;
mod sustained;
mod table;
mod uploads;
mod writes;

use std::time::Instant;

use fleet::Fleet;
use table::Row;

const DEFAULT_UPLOAD_MEBIBYTES: u64 = 512;
const DEFAULT_MINUTES: u32 = 3;

struct Options {
    is_bench: bool,
    only: Option<String>,
    upload_mebibytes: u64,
    minutes: u32,
    draws: bool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, address, reply] = arguments.as_slice()
        && first == bare_route::ARGUMENT
    {
        bare_route::serve(address.parse().unwrap(), reply.clone());
        return;
    }
    if let [first, address, folder] = arguments.as_slice()
        && first == bare_sink::ARGUMENT
    {
        bare_sink::serve(address.parse().unwrap(), folder.as_ref());
        return;
    }
    if let [first, address, folder] = arguments.as_slice()
        && first == bare_tls::ARGUMENT
    {
        bare_tls::serve(address.parse().unwrap(), folder.as_ref());
        return;
    }
    let options = options(&arguments);
    if !options.is_bench {
        println!("nothing is measured by a test run: use `cargo bench`");
        return;
    }

    let begin = Instant::now();
    eprintln!("preparing a fleet of {} devices", fleet::DEVICES);
    let fleet = Fleet::prepare();
    let mut rows = Vec::new();
    let mut part = |name: &str, measure: &dyn Fn() -> Vec<Row>| {
        if options.only.as_deref().is_none_or(|only| only == name) {
            eprintln!("measuring {name}");
            rows.extend(measure());
        }
    };
    part("checks", &|| replies::update_checks(&fleet));
    part("checks", &|| rollouts::checks(&fleet));
    part("growth", &|| growth::of_checks(&fleet, options.draws));
    part("authorization", &|| replies::authorizations(&fleet));
    part("list", &|| replies::device_list(&fleet));
    part("preview", &|| preview::of_large_group(&fleet));
    part("fleet", &|| fleet_pages::of_fleets(&fleet));
    part("start", &|| replies::starts(&fleet));
    part("start", &|| rollouts::starts(&fleet));
    part("memory", &|| memory::of_fleet(&fleet));
    part("memory", &|| uploads::memory(&fleet, options.upload_mebibytes));
    part("writes", &|| writes::of_one_flush(&fleet));
    part("handshakes", &|| handshakes::of_all_devices(&fleet));
    part("power-up", &|| power_up::of_all_devices(&fleet));
    part("power-up", &|| power_up::of_a_looping_client(&fleet));
    part("uploads", &|| uploads::beside_a_bare_sink(&fleet));
    part("load", &|| sustained::of_a_gateway(&fleet, options.minutes));
    part("load", &|| fleet_pages::with_many_registered(&fleet));
    // Last, as its packages are in nobody else's way then.
    part("downloads", &|| downloads::all(&fleet));
    table::print(&rows);
    println!("\nmeasured in {:.0} s", begin.elapsed().as_secs_f64());
}

fn options(arguments: &[String]) -> Options {
    let mut options = Options {
        is_bench: false,
        only: None,
        upload_mebibytes: DEFAULT_UPLOAD_MEBIBYTES,
        minutes: DEFAULT_MINUTES,
        draws: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo says so when it runs benchmarks, and not when it tests them.
            "--bench" => options.is_bench = true,
            "--only" => options.only = arguments.next().cloned(),
            "--upload" => options.upload_mebibytes = arguments.next().and_then(|size| size.parse().ok()).unwrap(),
            "--minutes" => options.minutes = arguments.next().and_then(|minutes| minutes.parse().ok()).unwrap(),
            "--draw" => options.draws = true,
            "--server" => process::measure_program(arguments.next().unwrap().into()),
            _ => {}
        }
    }
    options
}
