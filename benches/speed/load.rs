//! The load generator: raw connections that are kept alive, requests made beforehand, and no more reading of replies than it
//! takes to find their end. One thread, so that the server has the rest of the machine.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

const CONNECTIONS: usize = 32;
/// As long as most replies are.
const REPLY_BYTES: usize = 4096;

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

/// A connection that is kept alive.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What a server answers.
pub struct Reply<'a> {
    pub status: u16,
    /// Whether the connection goes on.
    pub is_kept: bool,
    pub body: &'a [u8],
}

impl Connection {
    async fn open(address: SocketAddr) -> Self {
        Self::open_from(None, address).await.unwrap()
    }

    /// A connection from this address of ours, or from any.
    pub async fn open_from(from: Option<Ipv4Addr>, address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(from) = from {
            socket.bind((from, 0).into())?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(REPLY_BYTES) })
    }

    async fn send(&mut self, request: &Request) -> Reply<'_> {
        self.exchange(request.bytes()).await.unwrap()
    }

    /// Sends a request, and waits for all of the reply.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
            }
            if let Some(head) = Head::read(&self.buffer) {
                break head;
            }
        };
        while self.buffer.len() < head.end {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "a reply broke off"));
            }
        }
        let body = &self.buffer[head.body_start..head.end];
        Ok(Reply { status: head.status, is_kept: head.is_kept, body })
    }

    /// Waits until the server closes a connection on which nothing is asked.
    pub async fn closed(&mut self) {
        // Whatever ends it, it is of no more use.
        let _ = self.stream.read(&mut [0]).await;
    }

    /// The bare connection, for what is not read as a whole.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// The head of a reply, and where its body is.
pub struct Head {
    pub status: u16,
    pub body_start: usize,
    pub end: usize,
    is_kept: bool,
}

impl Head {
    /// Once it is there.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let body_start = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..body_start]).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        Some(Self {
            status: head[9..12].parse().unwrap(),
            body_start,
            end: body_start + length.map_or(0, |length| length.parse::<usize>().unwrap()),
            is_kept: !head.contains("connection: close\r\n"),
        })
    }
}
