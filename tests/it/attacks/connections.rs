//! Clients that take connections and give nothing for them.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::attack;
use crate::harness::TestServer;
use crate::harness::process::{ServerProcess, create_token};
use crate::harness::raw::{PATIENCE, json_head};

const CONNECTIONS: usize = 10_000;
/// So many at once, so that none waits in the operating system's queue for longer than it may.
const AT_ONCE: usize = 250;
const MEBIBYTE: usize = 1024 * 1024;

/// Ten thousand idle connections from one address, ten times as many as there are places. The server's memory stays bounded; devices,
/// operators and the page are answered at once, and whoever is at the attacker's own address within seconds.
#[tokio::test]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    let allowed = tender::machine::allow_open_files();
    let spare = 2_000;
    let count = allowed.map_or(CONNECTIONS, |allowed| CONNECTIONS.min((allowed as usize).saturating_sub(spare)));
    assert!(count > 2 * 1024, "this needs a higher limit of open files: ulimit -Hn");
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let admin = server.operator(&create_token(folder.path()));
    let mut device = server.device("00:11:22:33:44:55");
    assert_eq!(device.authorize().await.status, 401);
    admin.accept(&device).await;
    let before = server.peak_memory();

    let mut idle = Vec::new();
    while idle.len() < count {
        let more = join_all((0..AT_ONCE).map(|_| attack(&server.url))).await;
        idle.extend(more.into_iter().map(Result::unwrap));
    }
    let asked = Instant::now();
    assert_eq!(device.authorize().await.status, 200);
    assert_eq!(device.check().await.status, 204);
    admin.get("/api/v1/devices").await.ok();
    assert_eq!(server.anonymous().get("/").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    // At the attacker's own address nobody is better than anybody else; but those who do nothing make room for those who ask.
    let mut neighbour = attack(&server.url).await.unwrap();
    let head = "GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut reply = [0; 12];
    let served = async {
        loop {
            let _ = neighbour.write_all(head.as_bytes()).await;
            if neighbour.read_exact(&mut reply).await.is_ok() {
                break;
            }
            neighbour = attack(&server.url).await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, served).await.expect("a place at the attacker's own address");
    assert_eq!(&reply, b"HTTP/1.1 200");
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 64 * MEBIBYTE, "{} MiB more", grown / MEBIBYTE);
    // As many as there are places, and as many as may wait for one; the rest are files of its own.
    let open = server.open_files();
    assert!(open <= 2 * 1024 + 64, "{open} files and connections are open");
}

/// One address that uses all places, by downloads that it does not read and bodies that it sends a byte at a time. It gets no more
/// places; everybody else gets one at once, for each of which it loses one.
#[tokio::test]
async fn slow_readers_and_slow_bodies_of_one_address_keep_nobody_else_out() {
    const PLACES: usize = 24;
    let server = TestServer::start_with(|config| config.max_connections = PLACES).await;
    let admin = server.admin().await;
    let device = server.accepted_device("00:11:22:33:44:55").await;
    let package = admin.package("v1", &[], &vec![7; 12 * MEBIBYTE]).await;
    let shown = admin.show_package(package).await;
    let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap().to_owned();
    let mut slow = Vec::new();
    for number in 0..3 * PLACES {
        let mut stream = attack(server.url()).await.unwrap();
        let request = if number % 2 == 0 {
            format!("GET /local_storage/{uuid} HTTP/1.1\r\nHost: here\r\n\r\n")
        } else {
            json_head("POST /api/v1/groups", &admin.token, 1000) + "{"
        };
        stream.write_all(request.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // Others have places of their own by now, unless they were too slow to keep them; new ones get theirs at once.
    for _ in 0..8 {
        let asked = Instant::now();
        assert_eq!(server.anonymous().get("/health/live").await.status, 200);
        assert_eq!(device.check().await.status, 204);
        assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    }
    admin.get("/api/v1/groups").await.ok();
    // Most of what the attacker began goes on: nobody else needs the places.
    let lost = slow.iter().take(PLACES).filter(|stream| is_closed(stream)).count();
    assert!(lost < PLACES, "{lost}");
}

/// Whether the server has given a connection up, behind what is there to be read.
fn is_closed(stream: &TcpStream) -> bool {
    let mut bytes = [0; 16 * 1024];
    loop {
        match stream.try_read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}
