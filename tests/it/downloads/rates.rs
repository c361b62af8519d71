//! Downloads keep to their rates, and share them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use tender::config::Config;
use tender::domain::downloads::{DownloadLimits, RateSchedule, Rates};
use tender::domain::{ByteSize, Hours, TimeZone};
use tender::http::serve::{Limits, serve};
use tender::http::{Api, Downloads, route};
use tender::installation::Installation;
use tender::usecase::track_progress::Tracker;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::harness::{Anonymous, TestServer, contents};

const KIBIBYTE: u64 = 1024;
const MEBIBYTE: u64 = 1024 * KIBIBYTE;
const SECOND: Duration = Duration::from_secs(1);

fn rates(total: u64, device: u64) -> Rates {
    let rate = |bytes| Some(ByteSize::from_bytes(bytes)).filter(|rate| rate.bytes() > 0);
    Rates { total: rate(total), device: rate(device) }
}

/// A server with these rates, and the path of a package of so many bytes.
async fn start(usual: Rates, length: u64) -> (TestServer, String) {
    start_with(length, |config| config.downloads.rates.usual = usual).await
}

async fn start_with(length: u64, configure: impl FnOnce(&mut Config)) -> (TestServer, String) {
    let server = TestServer::start_with(configure).await;
    let admin = server.admin().await;
    let id = admin.package("v1", &[], &contents(u32::try_from(length).unwrap())).await;
    let shown = admin.show_package(id).await;
    let path = format!("/local_storage/{}", shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    (server, path)
}

/// A device that downloads the same over and over, on so many connections, until it is dropped.
struct Taker {
    taken: Arc<AtomicU64>,
    _connections: JoinSet<()>,
}

impl Taker {
    /// With a range of so many bytes in each request, or none.
    fn start(server: &TestServer, path: &str, connections: usize, range: Option<u64>) -> Self {
        let device = Arc::new(Anonymous::elsewhere(server.url()));
        let taken = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let (device, path, taken) = (device.clone(), path.to_owned(), taken.clone());
            tasks.spawn(async move {
                loop {
                    let mut request = device.request(Method::GET, &path);
                    if let Some(length) = range {
                        request = request.header("Range", format!("bytes=1000-{}", 999 + length));
                    }
                    let mut response = request.send().await.unwrap();
                    while let Some(chunk) = response.chunk().await.unwrap() {
                        taken.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    }
                }
            });
        }
        Self { taken, _connections: tasks }
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

/// How fast each of them is within some time, in bytes per second.
async fn paces<const N: usize>(takers: [&Taker; N], time: Duration) -> [f64; N] {
    let (begin, before) = (Instant::now(), takers.map(Taker::taken));
    sleep(time).await;
    let after = takers.map(Taker::taken);
    let seconds = begin.elapsed().as_secs_f64();
    std::array::from_fn(|taker| (after[taker] - before[taker]) as f64 / seconds)
}

/// Waits until each of them is as fast as expected, within a tenth, for two seconds. A machine that is busy otherwise may need
/// several tries.
async fn assert_paces<const N: usize>(takers: [&Taker; N], expected: u64) {
    let mut seen = Vec::new();
    for _ in 0..5 {
        let measured = paces(takers, SECOND * 2).await;
        if measured.iter().all(|pace| (0.9..1.1).contains(&(pace / expected as f64))) {
            return;
        }
        seen.push(measured);
    }
    panic!("{seen:.0?} B/s instead of {expected}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_downloads_together_keep_to_the_rate_in_every_second() {
    let rate = 2 * MEBIBYTE;
    let (server, path) = start(rates(rate, 0), 4 * MEBIBYTE).await;
    // What was not used before is not made up for.
    sleep(SECOND).await;
    let taker = Taker::start(&server, &path, 1, None);
    let begin = Instant::now();
    let mut samples = Vec::new();
    while begin.elapsed() < SECOND * 3 {
        samples.push((begin.elapsed(), taker.taken()));
        sleep(Duration::from_millis(10)).await;
    }
    for (at, taken) in &samples {
        let within = samples.iter().take_while(|(later, _)| *later <= *at + SECOND).last().unwrap();
        // A tenth for the bucket; the rest for a client that was not awake when its bytes came.
        assert!(within.1 - taken < rate * 3 / 2, "{} bytes in the second from {at:?}", within.1 - taken);
    }
    assert_paces([&taker], rate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_device_keeps_to_its_rate_whatever_the_number_of_its_connections() {
    let (server, path) = start(rates(0, MEBIBYTE), 4 * MEBIBYTE).await;
    let (one, many) = (Taker::start(&server, &path, 1, None), Taker::start(&server, &path, 8, None));
    assert_paces([&one, &many], MEBIBYTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_share_the_rate_and_what_one_leaves_is_the_others() {
    let rate = 4 * MEBIBYTE;
    let (server, path) = start(rates(rate, 0), 4 * MEBIBYTE).await;
    let (one, many) = (Taker::start(&server, &path, 1, None), Taker::start(&server, &path, 8, None));
    assert_paces([&one, &many], rate / 2).await;
    drop(many);
    assert_paces([&one], rate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_does_not_hold_its_share() {
    let rate = 4 * MEBIBYTE;
    let (server, path) = start(rates(rate, 0), 24 * MEBIBYTE).await;
    let lazy = Anonymous::elsewhere(server.url());
    let asleep = lazy.request(Method::GET, &path).send().await.unwrap();
    let taker = Taker::start(&server, &path, 1, None);
    // As soon as the sockets on the lazy one's way are full.
    assert_paces([&taker], rate).await;
    drop(asleep);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_ranges_count_too() {
    let (server, path) = start(rates(256 * KIBIBYTE, 0), MEBIBYTE).await;
    let taker = Taker::start(&server, &path, 4, Some(2_000));
    assert_paces([&taker], 256 * KIBIBYTE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_hours_change_the_rate_of_downloads_that_go_on() {
    // It is Friday, 08:00.
    let hours = "fri 09:00-10:00".parse::<Hours>().unwrap().local(TimeZone::UTC);
    let schedule = RateSchedule { usual: rates(4 * MEBIBYTE, 0), hours: vec![(hours, rates(512 * KIBIBYTE, 0))] };
    let (server, path) = start_with(64 * MEBIBYTE, |config| config.downloads.rates = schedule).await;
    let taker = Taker::start(&server, &path, 1, None);
    let hour = Duration::from_secs(60 * 60);
    for rate in [4 * MEBIBYTE, 512 * KIBIBYTE, 4 * MEBIBYTE] {
        assert_paces([&taker], rate).await;
        server.time.advance(hour);
    }
}

#[tokio::test]
async fn what_is_no_download_is_not_held_back() {
    // At this rate the package takes an hour.
    let (server, path) = start(rates(KIBIBYTE, KIBIBYTE), 4 * MEBIBYTE).await;
    let anonymous = server.anonymous();
    let running = anonymous.request(Method::GET, &path).send().await.unwrap();
    let tag = running.headers()["etag"].to_str().unwrap().to_owned();
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(anonymous.send(anonymous.request(Method::HEAD, &path)).await.header("content-length"), "4194304");
        let known = anonymous.request(Method::GET, &path).header("If-None-Match", &tag);
        assert_eq!(anonymous.send(known).await.status, 304);
        let outside = anonymous.request(Method::GET, &path).header("Range", "bytes=4194304-");
        assert_eq!(anonymous.send(outside).await.status, 416);
        server.admin().await.get("/api/v1/packages").await.ok();
    }
    assert!(begin.elapsed() < SECOND * 10, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_download_that_is_held_back_comes_to_its_end_before_the_server_does() {
    let (mut server, path) = start(rates(128 * KIBIBYTE, 0), 256 * KIBIBYTE).await;
    let anonymous = server.anonymous();
    let response = anonymous.request(Method::GET, &path).send().await.unwrap();
    let (body, ()) = tokio::join!(response.bytes(), server.stop());
    assert!(body.unwrap() == contents(256 * 1024), "the download was damaged");
}

#[tokio::test]
async fn who_is_held_back_for_longer_than_a_client_may_stall_is_not_given_up() {
    let (server, path) = start(Rates::default(), 3 * KIBIBYTE).await;
    // A second server on the same data, with little patience and the lowest rate.
    let Installation { store, keys, packages } = server.beside();
    let rates = RateSchedule { usual: rates(KIBIBYTE, 0), hours: Vec::new() };
    let downloads = Downloads::new(DownloadLimits { rates, cap: None }, store.clock().clone());
    let tracker = Arc::new(Tracker::restore(&store).await.unwrap());
    let api = Arc::new(Api { downloads, ..Api::new(store, packages, keys, tracker) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let limits = Limits { stall: SECOND / 2, ..Limits::new(10, SECOND) };
    let serving = tokio::spawn(serve(
        listener,
        route(&api),
        api.traffic.clone(),
        limits,
        shutdown.clone(),
        CancellationToken::new(),
    ));

    let begin = Instant::now();
    let bodies = join_all((0..3).map(async |_| Anonymous::elsewhere(&url).get(&path).await.body)).await;
    assert!(bodies.iter().all(|body| *body == contents(3 * 1024)), "a download was damaged");
    // Each waited for seconds between its pieces.
    assert!(begin.elapsed() > SECOND * 6, "{:?}", begin.elapsed());
    shutdown.cancel();
    serving.await.unwrap();
}
