//! The load generator of downloads: connections that are kept alive and take what comes as fast as it comes, without looking
//! at more than its head. One thread with one buffer, so that the server has the rest of the machine and its caches.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

const BUFFER_BYTES: usize = 128 * 1024;

/// A package, and how much of it is asked for at once.
#[derive(Clone)]
pub struct Wish {
    pub path: String,
    /// Ranges of so many bytes, one after the other, from this part of the package, or all of it at once.
    pub ranges: Option<(usize, Range<u64>)>,
}

impl Wish {
    /// The request, and the status that it must get.
    pub fn request(&self, number: usize) -> (String, u16) {
        let head = format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1:5000\r\n", self.path);
        match &self.ranges {
            None => (format!("{head}\r\n"), 200),
            Some((length, part)) => {
                let ranges = (part.end - part.start) / *length as u64;
                let first = part.start + number as u64 % ranges * *length as u64;
                (format!("{head}Range: bytes={first}-{}\r\n\r\n", first + *length as u64 - 1), 206)
            }
        }
    }
}

/// What came in.
pub struct Taken {
    pub replies: usize,
    pub bytes: u64,
    pub elapsed: Duration,
}

/// Asks for the wish over and over on so many connections for so long. What is under way at the end is broken off.
pub fn take(address: SocketAddr, wish: &Wish, connections: usize, duration: Duration) -> Taken {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tasks = LocalSet::new();
    let buffer = Rc::new(RefCell::new(vec![0; BUFFER_BYTES]));
    tasks.block_on(&runtime, async {
        let mut streams = Vec::new();
        for _ in 0..connections {
            let stream = TcpStream::connect(address).await.unwrap();
            stream.set_nodelay(true).unwrap();
            streams.push(stream);
        }
        let begin = Instant::now();
        let end = begin + duration;
        let takers = streams.into_iter().enumerate().map(|(number, stream)| {
            let taker = Taker { stream, buffer: buffer.clone(), end, replies: 0, bytes: 0 };
            // Each begins somewhere else.
            tokio::task::spawn_local(taker.run(wish.clone(), number * 7919))
        });
        let (mut replies, mut bytes) = (0, 0);
        for taker in takers.collect::<Vec<_>>() {
            let (some_replies, some_bytes) = taker.await.unwrap();
            replies += some_replies;
            bytes += some_bytes;
        }
        Taken { replies, bytes, elapsed: begin.elapsed() }
    })
}

struct Taker {
    stream: TcpStream,
    buffer: Rc<RefCell<Vec<u8>>>,
    end: Instant,
    replies: usize,
    bytes: u64,
}

impl Taker {
    async fn run(mut self, wish: Wish, first: usize) -> (usize, u64) {
        for number in first.. {
            let (request, status) = wish.request(number);
            self.stream.write_all(request.as_bytes()).await.unwrap();
            if !self.reply(status).await {
                break;
            }
            self.replies += 1;
        }
        (self.replies, self.bytes)
    }

    /// Takes one reply; `false` if the time is up before its end.
    async fn reply(&mut self, status: u16) -> bool {
        let mut head = Vec::new();
        let mut left = loop {
            let Some(length) = self.read(|bytes| head.extend_from_slice(bytes)).await else { return false };
            assert_ne!(length, 0, "the server closed the connection");
            if let Some((got, body_start, length)) = read_head(&head) {
                assert_eq!(got, status, "{}", String::from_utf8_lossy(&head));
                self.bytes += (head.len() - body_start) as u64;
                break length - (head.len() - body_start) as u64;
            }
        };
        while left > 0 {
            let Some(length) = self.read(|_| {}).await else { return false };
            assert_ne!(length, 0, "a reply broke off");
            left -= length as u64;
            self.bytes += length as u64;
        }
        true
    }

    /// Reads once; `None` if the time is up.
    async fn read(&self, mut look: impl FnMut(&[u8])) -> Option<usize> {
        while Instant::now() < self.end {
            self.stream.readable().await.unwrap();
            let mut buffer = self.buffer.borrow_mut();
            let read = self.stream.try_read(&mut buffer);
            if read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                continue;
            }
            let length = read.unwrap();
            look(&buffer[..length]);
            return Some(length);
        }
        None
    }
}

/// Status, where the body begins, and its length, once the head is there.
pub fn read_head(bytes: &[u8]) -> Option<(u16, usize, u64)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).unwrap().to_ascii_lowercase();
    let status = head[9..12].parse().unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    Some((status, end, length.map_or(0, |length| length.parse().unwrap())))
}
