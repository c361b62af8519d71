//! How downloads go: how fast, at what cost, and in how much memory.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, sleep};
use std::time::Duration;

use rusqlite::{Connection, params};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::fleet::{Fleet, PACKAGES};
use crate::process::Server;
use crate::sink::{self, Taken, Wish};
use crate::table::{Row, mebibytes, median, microseconds};
use crate::uploads;

const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE: f64 = (1 << 30) as f64;
const ROUND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 9;
const CONNECTIONS: usize = 16;
/// At least so much of nginx's throughput, for at most so much of its processor time.
const THROUGHPUT_RATIO: f64 = 0.85;
const PROCESSOR_RATIO: f64 = 1.5;
/// At least so much of nginx's requests for small ranges.
const REQUESTS_RATIO: f64 = 0.5;

const SLOW_DOWNLOADS: usize = 64;
const SLOW_LIMIT: u64 = 32 * MEBIBYTE;
/// What comes in meanwhile.
const UPLOADS: usize = 4;
const UPLOAD_MEBIBYTES: u64 = 512;
/// How a slow client reads: so much, so often, until the uploads are complete.
const SLOW_PIECE: usize = 4 * 1024;
const SLOW_PAUSE: Duration = Duration::from_millis(100);

/// The packages' lengths in MiB. Ranges are taken from the largest, from behind 600 MiB.
const SMALL: u64 = 1;
const LARGE: u64 = 256;
const LARGEST: u64 = 640;
const RANGES_FROM: u64 = 600 * MEBIBYTE;

/// Downloads beside nginx, and many slow ones.
pub fn all(fleet: &Fleet) -> Vec<Row> {
    let [small, large, largest] = [SMALL, LARGE, LARGEST].map(|length| add_package(fleet, length));
    let ours = Server::tender(&fleet.data());
    let mut rows = Vec::new();
    match Server::nginx(&fleet.data().join("packages")) {
        Some(nginx) => {
            let ranges = |length| Some((length, RANGES_FROM..LARGEST * MEBIBYTE));
            rows.extend(whole("download of 1 MiB", [&ours, &nginx], &Wish { path: small, ranges: None }));
            rows.extend(whole("download of 256 MiB", [&ours, &nginx], &Wish { path: large.clone(), ranges: None }));
            let mut flood = |name, length, is_target| {
                let wish = Wish { path: largest.clone(), ranges: ranges(length) };
                rows.extend(parts(name, [&ours, &nginx], &wish, is_target));
            };
            flood("ranges of 2 kB at 600 MiB", 2_000, true);
            flood("ranges of 128 kB at 600 MiB", 128_000, false);
        }
        None => {
            eprintln!("skipped: downloads are measured against nginx, which is not installed (Debian: nginx-light)");
        }
    }
    drop(ours);
    rows.extend(slow(fleet, &large));
    rows
}

/// A package of so many MiB in the page cache and on disk; its path.
fn add_package(fleet: &Fleet, length_mebibytes: u64) -> String {
    let id = PACKAGES as u64 + length_mebibytes;
    let uuid = uuid::Uuid::from_u128(u128::from(id)).to_string();
    // Something that is neither text nor all the same, as packages are.
    let piece: Vec<u8> = (0..MEBIBYTE).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut file = File::create(fleet.data().join("packages").join(&uuid)).unwrap();
    // The right one: the server reads its packages again while it has nothing else to do.
    let mut hash = Sha256::new();
    for _ in 0..length_mebibytes {
        file.write_all(&piece).unwrap();
        hash.update(&piece);
    }
    file.sync_all().unwrap();
    let metadata = json!({ "rdfm.software.version": "v1", "rdfm.hardware.devtype": "download" });
    let hash = hash.finalize();
    let row = params![id, hash.as_slice(), length_mebibytes * MEBIBYTE, uuid, metadata.to_string()];
    Connection::open(fleet.database())
        .unwrap()
        .execute(
            "INSERT INTO packages (id, created_at, sha256, length_bytes, uuid, metadata) \
             VALUES (?1, unixepoch(), ?2, ?3, ?4, ?5)",
            row,
        )
        .unwrap();
    format!("/local_storage/{uuid}")
}

/// How one side did in one round.
struct Pace {
    bytes_per_second: f64,
    replies_per_second: f64,
    /// Seconds of processor time.
    processor_per_gibibyte: f64,
    processor_per_reply: f64,
}

impl Pace {
    fn of(server: &Server, wish: &Wish) -> Self {
        let before = server.processor_time();
        let Taken { replies, bytes, elapsed } = sink::take(server.address, wish, CONNECTIONS, ROUND);
        let used = (server.processor_time() - before).as_secs_f64();
        Self {
            bytes_per_second: bytes as f64 / elapsed.as_secs_f64(),
            replies_per_second: replies as f64 / elapsed.as_secs_f64(),
            processor_per_gibibyte: used / (bytes as f64 / GIBIBYTE),
            processor_per_reply: used / replies as f64,
        }
    }
}

/// Both sides in turn.
fn pairs(servers: [&Server; 2], wish: &Wish) -> Vec<[Pace; 2]> {
    // The file is in the page cache and every cache is warm before anything counts.
    for server in servers {
        sink::take(server.address, wish, CONNECTIONS, ROUND / 4);
    }
    (0..ROUNDS).map(|_| servers.map(|server| Pace::of(server, wish))).collect()
}

/// A line about one value of all rounds, shown in some way.
fn row(name: &str, pairs: &[[Pace; 2]], value: fn(&Pace) -> f64, show: fn(f64) -> String) -> (Row, f64) {
    let side = |side: usize| show(median(pairs.iter().map(|pair| value(&pair[side])).collect()));
    let ratio = median(pairs.iter().map(|[ours, nginx]| value(ours) / value(nginx)).collect());
    (Row::new(name, side(0)).against(format!("nginx {}", side(1)), ratio), ratio)
}

fn whole(name: &str, servers: [&Server; 2], wish: &Wish) -> [Row; 2] {
    let pairs = pairs(servers, wish);
    let rate = |rate| format!("{:.0} MiB/s", rate / MEBIBYTE as f64);
    let (throughput, ratio) = row(name, &pairs, |pace| pace.bytes_per_second, rate);
    let (processor, processor_ratio) =
        row("  processor time of a GiB", &pairs, |pace| pace.processor_per_gibibyte, |time| format!("{time:.2} s"));
    [
        throughput.target(format!("≥ {THROUGHPUT_RATIO}"), ratio >= THROUGHPUT_RATIO),
        processor.target(format!("≤ {PROCESSOR_RATIO}"), processor_ratio <= PROCESSOR_RATIO),
    ]
}

fn parts(name: &str, servers: [&Server; 2], wish: &Wish, is_target: bool) -> [Row; 2] {
    let pairs = pairs(servers, wish);
    let (requests, ratio) = row(name, &pairs, |pace| pace.replies_per_second, |rate| format!("{rate:.0}/s"));
    let each = |seconds| microseconds(Duration::from_secs_f64(seconds));
    let (processor, _) = row("  processor time of one", &pairs, |pace| pace.processor_per_reply, each);
    let requests =
        if is_target { requests.target(format!("≥ {REQUESTS_RATIO}"), ratio >= REQUESTS_RATIO) } else { requests };
    [requests, processor]
}

/// What many slow downloads and some uploads take at once, more than the server at rest.
fn slow(fleet: &Fleet, path: &str) -> [Row; 1] {
    let server = Server::tender(&fleet.data());
    sleep(Duration::from_secs(1));
    let idle = server.resident();
    server.forget_peak();
    let wish = Wish { path: path.to_owned(), ranges: None };
    let mut clients: Vec<TcpStream> = (0..SLOW_DOWNLOADS)
        .map(|_| {
            let mut client = TcpStream::connect(server.address).unwrap();
            client.write_all(wish.request(0).0.as_bytes()).unwrap();
            client
        })
        .collect();
    thread::scope(|scope| {
        let uploading: Vec<_> =
            (0..UPLOADS).map(|_| scope.spawn(|| uploads::form(fleet, server.address, UPLOAD_MEBIBYTES))).collect();
        let mut piece = [0; SLOW_PIECE];
        while uploading.iter().any(|upload| !upload.is_finished()) {
            for client in &mut clients {
                client.read_exact(&mut piece).unwrap();
            }
            sleep(SLOW_PAUSE);
        }
    });
    let growth = server.peak().saturating_sub(idle);
    let name = format!("memory, growth by {SLOW_DOWNLOADS} slow downloads and {UPLOADS} uploads");
    let row = Row::new(name, mebibytes(growth));
    [row.target(format!("≤ {} MiB", SLOW_LIMIT / MEBIBYTE), growth <= SLOW_LIMIT)]
}
