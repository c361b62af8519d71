//! The load generator: raw connections that are kept alive, requests made beforehand, and no more reading of replies than it
//! takes to find their end. One thread, so that the server has the rest of the machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 32;

/// A request as it goes over the wire.
#[derive(Clone)]
pub struct Request(Arc<[u8]>);

impl Request {
    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// `headers` end with a line break each.
    pub fn get(path: &str, headers: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n{headers}\r\n").into_bytes().into())
    }

    /// A JSON body; `headers` end with a line break each.
    pub fn post(path: &str, headers: &str, body: &[u8]) -> Self {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        Self([head.as_bytes(), body].concat().into())
    }
}

/// What came of a run.
pub struct Load {
    pub answered: usize,
    pub elapsed: Duration,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }
}

/// Sends the requests over and over for so long; every reply must have this status.
pub fn for_a_while(address: SocketAddr, requests: &Arc<[Request]>, status: u16, duration: Duration) -> Load {
    run(address, requests, status, usize::MAX, duration)
}

/// Sends every request once.
pub fn each_once(address: SocketAddr, requests: &Arc<[Request]>, status: u16) -> Load {
    run(address, requests, status, requests.len(), Duration::MAX)
}

fn run(address: SocketAddr, requests: &Arc<[Request]>, status: u16, count: usize, duration: Duration) -> Load {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(address).await);
        }
        let next = Arc::new(AtomicUsize::new(0));
        let begin = Instant::now();
        let mut running = JoinSet::new();
        for mut connection in connections {
            let (requests, next) = (requests.clone(), next.clone());
            running.spawn(async move {
                let mut answered = 0;
                while begin.elapsed() < duration {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let reply = connection.send(&requests[number % requests.len()]).await;
                    assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(reply.body));
                    answered += 1;
                }
                answered
            });
        }
        let answered = running.join_all().await.into_iter().sum();
        Load { answered, elapsed: begin.elapsed() }
    })
}

/// Sends one request on a connection of its own; the reply's body, and how long it took from the first byte sent to the
/// last received.
pub fn once(address: SocketAddr, request: &Request, status: u16) -> (Vec<u8>, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = Connection::open(address).await;
        let begin = Instant::now();
        let reply = connection.send(request).await;
        let elapsed = begin.elapsed();
        assert_eq!(reply.status, status, "{}", String::from_utf8_lossy(reply.body));
        (reply.body.to_vec(), elapsed)
    })
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

struct Reply<'a> {
    status: u16,
    body: &'a [u8],
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::with_capacity(4096) }
    }

    async fn send(&mut self, request: &Request) -> Reply<'_> {
        self.stream.write_all(&request.0).await.unwrap();
        self.buffer.clear();
        let (status, body_start, end) = loop {
            let received = self.stream.read_buf(&mut self.buffer).await.unwrap();
            assert_ne!(received, 0, "the server closed the connection");
            if let Some(head) = head(&self.buffer) {
                break head;
            }
        };
        while self.buffer.len() < end {
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.unwrap(), 0, "a reply broke off");
        }
        Reply { status, body: &self.buffer[body_start..end] }
    }
}

/// Status, where the body begins, and where it ends, once the head is there.
pub fn head(bytes: &[u8]) -> Option<(u16, usize, usize)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..head_end]).unwrap();
    let status = head[9..12].parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some((status, head_end, head_end + length.map_or(0, |length| length.parse::<usize>().unwrap())))
}
