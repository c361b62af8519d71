//! A cap on downloads that go on at once: who comes later waits, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use tender::domain::downloads::DownloadCap;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::harness::{Anonymous, Reply, TestServer, contents};

/// More than all buffers on the way hold: it goes on until the client has read it.
const LENGTH: u32 = 24 << 20;
/// How long a reply that does not come is waited for.
const MOMENT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);

/// A server on which so many packages may be downloaded at once, of so many connections; the path of a package.
async fn start(downloads: usize, connections: usize) -> (TestServer, String) {
    let server = TestServer::start_with(|config| {
        config.max_connections = connections;
        config.downloads.cap = Some(DownloadCap::new(downloads, connections).unwrap());
    })
    .await;
    let admin = server.admin().await;
    let id = admin.package("v1", &[], &contents(LENGTH)).await;
    let shown = admin.show_package(id).await;
    let path = format!("/local_storage/{}", shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    (server, path)
}

/// A device that has asked for the package.
struct Asker(JoinHandle<Response>);

impl Asker {
    fn ask(device: &Arc<Anonymous>, path: &str) -> Self {
        let (device, path) = (device.clone(), path.to_owned());
        Self(tokio::spawn(async move { device.request(Method::GET, &path).send().await.unwrap() }))
    }

    /// One at an address where nobody was before, that is told to wait.
    async fn waiting(server: &TestServer, path: &str) -> Self {
        let mut asker = Self::ask(&Arc::new(Anonymous::elsewhere(server.url())), path);
        asker.waits().await;
        asker
    }

    async fn waits(&mut self) {
        assert!(timeout(MOMENT, &mut self.0).await.is_err(), "it does not wait");
    }

    async fn reply(self) -> Response {
        timeout(PATIENCE, self.0).await.expect("a reply").unwrap()
    }

    /// Reads the package to its end.
    async fn finish(self) {
        finish(self.reply().await).await;
    }

    /// Hangs up.
    async fn hang_up(self) {
        self.0.abort();
        assert!(self.0.await.unwrap_err().is_cancelled());
    }
}

async fn finish(response: Response) {
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap().len(), LENGTH as usize);
}

/// One that downloads already.
async fn downloading(server: &TestServer, path: &str) -> Response {
    let response = Anonymous::elsewhere(server.url()).request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

async fn range(device: &Anonymous, path: &str, range: &str) -> Reply {
    device.send(device.request(Method::GET, path).header("Range", range)).await
}

#[tokio::test]
async fn who_waits_is_served_in_order_and_who_hangs_up_holds_nobody_up() {
    let (server, path) = start(1, 1024).await;
    let first = downloading(&server, &path).await;
    let second = Asker::waiting(&server, &path).await;
    let gone = Asker::waiting(&server, &path).await;
    let mut third = Asker::waiting(&server, &path).await;
    gone.hang_up().await;
    finish(first).await;
    let second = second.reply().await;
    third.waits().await;
    finish(second).await;
    let begin = Instant::now();
    let third = third.reply().await;
    assert!(begin.elapsed() < Duration::from_secs(3), "the one who hung up held it up");
    finish(third).await;
}

#[tokio::test]
async fn only_downloads_wait() {
    let (server, path) = start(1, 1024).await;
    let running = downloading(&server, &path).await;
    let waiting = Asker::waiting(&server, &path).await;
    let tag = running.headers()["etag"].to_str().unwrap().to_owned();
    let other = Anonymous::elsewhere(server.url());
    assert_eq!(other.send(other.request(Method::HEAD, &path)).await.status, 200);
    let known = other.request(Method::GET, &path).header("If-None-Match", tag);
    assert_eq!(other.send(known).await.status, 304);
    range(&other, &path, "bytes=99999999-").await.error(416);
    server.accepted_device("00:11:22:33:44:55").await.check().await;
    finish(running).await;
    waiting.finish().await;
}

#[tokio::test]
async fn when_too_many_wait_the_next_is_told_to_come_again() {
    // Two may wait, and all others need connections, too.
    let (server, path) = start(1, 8).await;
    let running = downloading(&server, &path).await;
    let waiting = [Asker::waiting(&server, &path).await, Asker::waiting(&server, &path).await];
    for _ in 0..10 {
        let reply = Anonymous::elsewhere(server.url()).get(&path).await;
        let sentence = reply.error(503);
        assert!(sentence.contains("try again in 10s"), "{sentence}");
        assert_eq!((reply.header("retry-after"), reply.header("connection")), ("10", "close"));
    }
    server.admin().await.get("/api/v1/packages").await.ok();
    finish(running).await;
    for waiting in waiting {
        waiting.finish().await;
    }
}

#[tokio::test]
async fn one_device_neither_fills_the_queue_nor_passes_those_who_have_no_place() {
    let (server, path) = start(2, 1024).await;
    let other = server.admin().await.package("v2", &[], b"another package").await;
    let other = server.admin().await.show_package(other).await;
    let other = format!("/local_storage/{}", other["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    let (first, second) = (Arc::new(Anonymous::elsewhere(server.url())), downloading(&server, &path).await);
    let running = first.request(Method::GET, &path).send().await.unwrap();
    // It has a place, and wants more.
    let mut greedy: Vec<Asker> = (0..8).map(|_| Asker::ask(&first, &other)).collect();
    for asker in &mut greedy {
        asker.waits().await;
    }
    first.get(&other).await.error(503);
    let third = Asker::waiting(&server, &path).await;
    finish(second).await;
    let third = third.reply().await;
    greedy[0].waits().await;
    finish(third).await;
    // All that it waits for is one download.
    for asker in greedy {
        assert_eq!(asker.reply().await.status(), 200);
    }
    finish(running).await;
}

#[tokio::test]
async fn small_ranges_of_a_package_are_one_download() {
    let (server, path) = start(1, 1024).await;
    let modem = Anonymous::elsewhere(server.url());
    assert_eq!(range(&modem, &path, "bytes=0-1999").await.status, 206);
    let mut waiting = Asker::waiting(&server, &path).await;
    let begin = Instant::now();
    for first in (2_000..200_000).step_by(2_000) {
        assert_eq!(range(&modem, &path, &format!("bytes={first}-{}", first + 1_999)).await.status, 206);
    }
    assert!(begin.elapsed() < Duration::from_secs(4), "it never waited for a place");
    waiting.waits().await;
    // The end of the package is the end of the download.
    assert_eq!(range(&modem, &path, "bytes=-2000").await.status, 206);
    let begin = Instant::now();
    let response = waiting.reply().await;
    assert!(begin.elapsed() < Duration::from_secs(4), "the place was free at once");
    finish(response).await;
}
