//! What a gateway has to bear, for a long time: a fleet that polls, downloads and uploads that go on, and an open page.
//!
//! The server is a process of its own, and what is said of memory, processor time and writes is the server's alone. The
//! load is made by two threads of this process, one for the polls and one for all else, and one for each upload. Requests for
//! tokens are signed beforehand, as devices do that on processors of their own; the server checks each signature.

mod data;
mod device;
mod page;
mod record;
mod update;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use tokio::runtime::Builder;

use crate::fleet::{DEVICES, Fleet, PACKAGES_OF_GROUP};
use crate::load::{self, Request};
use crate::process::Server;
use crate::table::{Row, mebibytes, milliseconds};
use crate::uploads::{Manner, Upload, delete};
use device::Device;
use record::{Notes, Record, percentile};

const MEBIBYTE: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_secs(60);
/// How often each device polls.
const PERIOD: Duration = MINUTE;
/// Until every device has come once, nothing counts but errors.
const WARM_UP: Duration = MINUTE;
/// After that it goes on without uploads for so long: their commits and bytes would be among those that polls cause.
const MINUTES_WITHOUT_UPLOADS: u32 = 5;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(1);

const DOWNLOADS: usize = 64;
const DOWNLOAD_MEBIBYTES: u64 = 16;
const SHORTEST_DOWNLOAD: Duration = MINUTE;

const UPLOAD_MEBIBYTES: u64 = 32;
/// 2 MiB/s.
const UPLOAD_REST: Duration = Duration::from_millis(500);
/// Of the resumable one.
const PIECE_MEBIBYTES: u64 = 8;

const CHECK_LIMIT: Duration = Duration::from_millis(50);
const COMMITS_LIMIT: f64 = 3.0;
/// At most so much memory in the last third of the time, of that in the first.
const MEMORY_RATIO: f64 = 1.05;

/// The load for so many minutes.
pub fn of_a_gateway(fleet: &Fleet, minutes: u32) -> Vec<Row> {
    eprintln!("  signing the requests for tokens");
    let authorizations = data::authorizations(fleet, DEVICES + DOWNLOADS);
    let copy = data::prepare(fleet, DOWNLOADS, DOWNLOAD_MEBIBYTES);
    let server = Server::tender(&copy.data());
    let devices = (0..).zip(authorizations);
    let mut devices =
        devices.map(|(number, request)| Device::new(number, server.address, data::reports(number), request));

    let [form, pieces] = [Manner::Form, Manner::Resumable { piece_mebibytes: PIECE_MEBIBYTES }];
    let uploads = [form, pieces].map(|manner| Upload { manner, size_mebibytes: UPLOAD_MEBIBYTES, rest: UPLOAD_REST });
    // One for what is timed, one for the rest.
    let [polls, transfers] =
        [(); 2].map(|()| Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    let record = Arc::new(Record::new());
    let mut random = ChaCha20Rng::seed_from_u64(1);
    for device in devices.by_ref().take(DEVICES) {
        let phase = PERIOD.mul_f64(f64::from(random.next_u32()) / f64::from(u32::MAX));
        polls.spawn(device.poll(phase, PERIOD, record.clone()));
    }
    let duration = MINUTE * minutes;
    // No device comes to the end of its chain of packages before the time is up.
    let whole = WARM_UP + duration + MINUTE * MINUTES_WITHOUT_UPLOADS;
    let download_time = (whole / (PACKAGES_OF_GROUP as u32 - 1)).max(SHORTEST_DOWNLOAD);
    for (number, device) in (0..).zip(devices) {
        let phase = download_time * number / DOWNLOADS as u32;
        transfers.spawn(device.update(phase, download_time, record.clone()));
    }
    transfers.spawn(page::look(server.address, fleet.operator(), record.clone()));
    let is_over = AtomicBool::new(false);
    let loaded = scope(|scope| {
        for upload in uploads {
            let (server, record, is_over) = (&server, &record, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    upload_once(upload, fleet, server, record);
                }
            });
        }
        eprintln!("  letting every device come once");
        sleep(WARM_UP);
        let loaded = watch(fleet, &server, &record, minutes);
        is_over.store(true, Ordering::Relaxed);
        loaded
    });
    eprintln!("  going on without uploads");
    let without_uploads = watch(fleet, &server, &record, MINUTES_WITHOUT_UPLOADS);
    polls.shutdown_background();
    transfers.shutdown_background();
    report(&loaded, &without_uploads, minutes)
}

/// Whatever goes wrong is a panic there, and an error here.
fn upload_once(upload: Upload, fleet: &Fleet, server: &Server, record: &Record) {
    let once = || delete(fleet, server.address, upload.send(fleet, server.address));
    match catch_unwind(AssertUnwindSafe(once)) {
        Ok(()) => record.upload(upload.size_mebibytes * MEBIBYTE),
        Err(_) => {
            record.error("an upload");
            sleep(LOOK);
        }
    }
}

/// How often the server has committed since its start.
fn commits(fleet: &Fleet, server: &Server) -> u64 {
    let (page, _) = load::once(server.address, &Request::get("/metrics", &fleet.operator()), 200);
    let page = String::from_utf8(page).unwrap();
    let count = page.lines().find_map(|line| line.strip_prefix("tender_database_commits_total ")).unwrap();
    count.parse().unwrap()
}

/// What was seen of the server, and by its clients.
struct Watched {
    notes: Notes,
    /// Resident memory, at each look.
    memory: Vec<u64>,
    commits: u64,
    written_bytes: u64,
    processor: Duration,
    elapsed: Duration,
}

/// Looks at the server for so many minutes, and says each minute how it does.
fn watch(fleet: &Fleet, server: &Server, record: &Record, minutes: u32) -> Watched {
    record.take();
    let begin = Instant::now();
    let state = |commits| (commits, server.written(), server.processor_time());
    let first = state(commits(fleet, server));
    let (mut before, mut memory) = (first, Vec::new());
    for minute in 1..=minutes {
        let end = MINUTE * minute;
        while begin.elapsed() < end {
            sleep(LOOK.min(end.saturating_sub(begin.elapsed())));
            memory.push(server.resident());
        }
        let commits = catch_unwind(AssertUnwindSafe(|| commits(fleet, server))).unwrap_or_else(|_| {
            record.error("the metrics");
            before.0
        });
        let now = state(commits);
        let mut notes = record.notes();
        eprintln!(
            "  minute {minute} of {minutes}: {} checks, p99 {}; {} errors; memory {}; {} commits, {} written; {:.0} % of a processor",
            notes.latest_checks.len(),
            milliseconds(percentile(&notes.latest_checks, 99.0)),
            notes.errors,
            mebibytes(memory.last().copied().unwrap_or_default()),
            now.0 - before.0,
            mebibytes(now.1 - before.1),
            (now.2 - before.2).as_secs_f64() / MINUTE.as_secs_f64() * 100.0,
        );
        notes.latest_checks.reset();
        before = now;
    }
    Watched {
        notes: record.take(),
        memory,
        commits: before.0 - first.0,
        written_bytes: before.1 - first.1,
        processor: before.2 - first.2,
        elapsed: begin.elapsed(),
    }
}

fn report(watched: &Watched, without_uploads: &Watched, minutes: u32) -> Vec<Row> {
    let (notes, seconds) = (&watched.notes, watched.elapsed.as_secs_f64());
    let errors = without_uploads.notes.errors;
    let an_hour = |watched: &Watched| {
        let bytes = watched.written_bytes as f64 / watched.elapsed.as_secs_f64() * 3600.0;
        format!("{}/h", mebibytes(bytes as u64))
    };
    let p99 = percentile(&notes.checks, 99.0);
    let third = watched.memory.len() / 3;
    let mean = |samples: &[u64]| samples.iter().sum::<u64>() / samples.len() as u64;
    let (first, last) = (mean(&watched.memory[..third]), mean(&watched.memory[watched.memory.len() - third..]));
    let growth = last as f64 / first as f64;
    let a_minute = |watched: &Watched| watched.commits as f64 / watched.elapsed.as_secs_f64() * 60.0;
    let rows = [
        Row::new(format!("load of {minutes} min: {DEVICES} devices, {DOWNLOADS} downloads, 2 uploads, a page"), ""),
        Row::new("  errors", errors.to_string()).target("0", errors == 0),
        Row::new("  update checks", format!("{} ({:.0}/s)", notes.checks.len(), notes.checks.len() as f64 / seconds)),
        Row::new("    half of them, connecting included", milliseconds(percentile(&notes.checks, 50.0))),
        Row::new("    99 % of them", milliseconds(p99))
            .target(format!("< {} ms", CHECK_LIMIT.as_millis()), p99 < CHECK_LIMIT),
        Row::new("    the slowest", milliseconds(percentile(&notes.checks, 100.0))),
        Row::new(
            format!("  {} tokens, 99 % of them", notes.authorizations.len()),
            milliseconds(percentile(&notes.authorizations, 99.0)),
        ),
        Row::new("  downloads, hash compared", format!("{} ({})", notes.downloads, mebibytes(notes.downloaded_bytes))),
        Row::new("  uploads", format!("{} ({})", notes.uploads, mebibytes(notes.uploaded_bytes))),
        Row::new("  news and fetches of the page", format!("{}, {}", notes.heard, notes.fetches)),
        Row::new("  memory, last third of the time", mebibytes(last))
            .against(format!("first third {}", mebibytes(first)), growth)
            .target(format!("≤ {MEMORY_RATIO}"), growth <= MEMORY_RATIO),
        Row::new("    at its most", mebibytes(watched.memory.iter().copied().max().unwrap_or_default())),
        Row::new("  commits a minute", format!("{:.1}", a_minute(watched))),
        Row::new("    without uploads", format!("{:.1}", a_minute(without_uploads)))
            .target(format!("≤ {COMMITS_LIMIT}"), a_minute(without_uploads) <= COMMITS_LIMIT),
        Row::new("  written to disk", an_hour(watched)),
        Row::new("    without uploads", an_hour(without_uploads)),
        Row::new(
            "  processor time",
            format!("{:.0} % of one", watched.processor.as_secs_f64() / watched.elapsed.as_secs_f64() * 100.0),
        ),
    ];
    rows.into()
}
