//! What goes to disk because devices poll.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags};
use tender::clock::{Clock, ManualTime};
use tender::domain::{DeviceReport, Metadata};
use tender::store::Store;
use tender::usecase::check_update::check_update;
use tender::usecase::planner::Planner;
use tender::usecase::track_progress::Tracker;

use crate::fleet::{DEVICES, Fleet, reported};
use crate::process::own_written;
use crate::table::Row;

/// Where all devices ask from.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How often a watcher looks; commits that are nearer to one another count as one.
const LOOK: Duration = Duration::from_millis(20);
/// How often each device polls, and in how much time by the store's clock.
const POLLS: u32 = 10;
const POLL_TIME: Duration = Duration::from_secs(60);

/// Counts the commits of other processes.
pub struct Commits {
    enough: Arc<AtomicBool>,
    watching: JoinHandle<usize>,
}

impl Commits {
    pub fn watch(database: &Path) -> Self {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        // Changes whenever another connection commits.
        let version = move || connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).unwrap();
        let enough = Arc::new(AtomicBool::new(false));
        let stop = enough.clone();
        let watching = thread::spawn(move || {
            let (mut commits, mut last) = (0, version());
            while !stop.load(Ordering::Relaxed) {
                sleep(LOOK);
                let current = version();
                commits += usize::from(current != last);
                last = current;
            }
            commits
        });
        Self { enough, watching }
    }

    pub fn count(self) -> usize {
        self.enough.store(true, Ordering::Relaxed);
        self.watching.join().unwrap()
    }
}

/// The fleet polls for a minute of the store's clock, and then all that it told is written at once. In this process, with
/// the server's own store and use case, so that the moment of writing is ours to choose.
pub fn of_one_flush(fleet: &Fleet) -> Vec<Row> {
    let wall = SystemTime::now() + Duration::from_secs(3600);
    let (clock, time) = Clock::manual(wall);
    let log = PathBuf::from(format!("{}-wal", fleet.database().display()));
    let log_length = || fs::metadata(&log).map_or(0, |log| log.len());
    let store = Store::open(&fleet.database(), clock).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();

    let before = log_length();
    runtime.block_on(poll(&store, &time));
    let by_polling = log_length() - before;
    let written_before = own_written();
    runtime.block_on(store.save_presence()).unwrap();
    let (by_flush, written) = (log_length() - before - by_polling, own_written() - written_before);
    runtime.block_on(store.close());

    let kibibytes = |bytes: u64| format!("{:.0} KiB", bytes as f64 / 1024.0);
    vec![
        Row::new(format!("log growth, {POLLS} polls of {DEVICES} devices"), kibibytes(by_polling))
            .target("0 KiB", by_polling == 0),
        Row::new(format!("log growth, last access of {DEVICES} devices"), kibibytes(by_flush)),
        Row::new("  all that went to disk for it", kibibytes(written)),
    ]
}

async fn poll(store: &Store, time: &ManualTime) {
    let planner = Planner::default();
    let tracker = Tracker::restore(store).await.unwrap();
    for _ in 0..POLLS {
        time.advance(POLL_TIME / POLLS);
        for device in 0..DEVICES {
            let metadata: Metadata = serde_json::from_value(reported(device)).unwrap();
            let report = DeviceReport::for_update_check(metadata).unwrap();
            check_update(store, &planner, &tracker, report, None, Some(ADDRESS)).await.unwrap();
        }
    }
}
