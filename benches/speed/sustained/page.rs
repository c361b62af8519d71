//! An administrator looks at the overview: the page listens to what happens, and fetches what it shows when something
//! did, at most once a second.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::record::Record;
use crate::load::{Connection, Request};

/// As long as in the page itself.
const REST: Duration = Duration::from_secs(1);
/// What the overview shows.
const SHOWN: [&str; 3] = ["/api/tender/v1/overview", "/api/tender/v1/status", "/api/tender/v1/groups"];
/// The names of messages begin with this.
const NEWS: &[u8] = b"event: ";

/// Looks for ever; `operator` is the header that lets it in.
pub async fn look(server: SocketAddr, operator: String, record: Arc<Record>) {
    let is_stale = AtomicBool::new(true);
    loop {
        // Both go on together, and begin anew together when one is cut off.
        let result = tokio::select! {
            result = listen(server, &operator, &is_stale, &record) => result,
            result = fetch(server, &operator, &is_stale, &record) => result,
        };
        if let Err(error) = result {
            record.error(format!("the page: {error}"));
        }
        sleep(REST).await;
    }
}

async fn listen(server: SocketAddr, operator: &str, is_stale: &AtomicBool, record: &Record) -> io::Result<()> {
    let mut stream = Connection::open_from(None, server).await?.into_stream();
    let request = Request::get("/api/tender/v1/events?recent=200", operator);
    stream.write_all(request.bytes()).await?;
    let mut piece = vec![0; 16 * 1024];
    loop {
        let length = stream.read(&mut piece).await?;
        if length == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "the stream of events ended"));
        }
        if piece[..length].windows(NEWS.len()).any(|part| part == NEWS) {
            is_stale.store(true, Ordering::Relaxed);
            record.heard();
        }
    }
}

async fn fetch(server: SocketAddr, operator: &str, is_stale: &AtomicBool, record: &Record) -> io::Result<()> {
    let mut connection = Connection::open_from(None, server).await?;
    loop {
        if is_stale.swap(false, Ordering::Relaxed) {
            for path in SHOWN {
                let reply = connection.exchange(Request::get(path, operator).bytes()).await?;
                let (status, is_kept) = (reply.status, reply.is_kept);
                if status != 200 {
                    return Err(io::Error::other(format!("{path} was answered {status}")));
                }
                if !is_kept {
                    connection = Connection::open_from(None, server).await?;
                }
                record.fetch();
            }
        }
        sleep(REST).await;
    }
}
