//! Bytes over TCP, for clients that no HTTP library would be: what is sent is exactly what the test says.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use super::assertions::eventually;
use super::description::Question;
use super::{Reply, TestServer};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Words that only the server's own people should read.
const INTERNALS: &[&str] =
    &["rusqlite", "sqlite", "panicked", "src/", ".rs", "/tmp", "tender-data", "struct ", "enum ", "warp", "hyper"];

impl TestServer {
    /// A connection to the server, for bytes in one's own time.
    pub async fn connect(&self) -> TcpStream {
        Raw::connect(self).await.stream
    }

    /// Sends a head without `Connection` and without the empty line at its end, and reads the reply.
    pub async fn raw(&self, head: &str) -> Reply {
        self.raw_with_body(head, b"").await
    }

    /// Like [`TestServer::raw`], with a body whose length the head must tell.
    pub async fn raw_with_body(&self, head: &str, body: &[u8]) -> Reply {
        let mut connection = Raw::connect(self).await;
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        connection.send([head.as_bytes(), body].concat()).await;
        let reply = connection.reply().await.expect("a reply");
        // What is no HTTP is answered without a body.
        if let Some(question) = Question::of_head(&head).filter(|_| reply.status != 400 || !reply.body.is_empty()) {
            question.assert_answer(reply.status, &reply.headers, Some(&reply.body));
        }
        reply
    }

    /// Asks for a path that may be written in any way.
    pub async fn raw_get(&self, path: &str) -> Reply {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: tender.example")).await
    }
}

/// A connection.
pub struct Raw {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Raw {
    /// Connects to the server at `url`.
    pub async fn to(url: &str) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        Self { stream: TcpStream::connect(address).await.unwrap(), received: Vec::new() }
    }

    /// Connects to a server.
    pub async fn connect(server: &TestServer) -> Self {
        Self::to(server.url()).await
    }

    /// Sends bytes. Fails if the server has closed the connection.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.expect("the server takes what is sent")
    }

    /// Sends bytes; it is no matter if the server takes them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes).await;
    }

    /// Says that no more bytes come.
    pub async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next reply; `None` if the connection is closed before there is one.
    pub async fn reply(&mut self) -> Option<Reply> {
        timeout(PATIENCE, self.read_reply(true)).await.expect("an answer, or the end of the connection")
    }

    /// The next reply, to a `HEAD`: its length is told, and nothing comes.
    pub async fn reply_to_head(&mut self) -> Option<Reply> {
        timeout(PATIENCE, self.read_reply(false)).await.expect("an answer, or the end of the connection")
    }

    /// All replies until the server closes the connection, which it must do.
    pub async fn replies(&mut self) -> Vec<Reply> {
        let mut replies = Vec::new();
        while let Some(reply) = self.reply().await {
            replies.push(reply);
        }
        replies
    }

    /// Reads only the head of a reply and leaves its body where it is; returns the status.
    pub async fn head(&mut self) -> u16 {
        loop {
            if let Some((head, _)) = self.parsed_head() {
                return head;
            }
            assert!(timeout(PATIENCE, self.receive()).await.expect("the head of a reply"), "closed before a reply");
        }
    }

    /// Takes more bytes in; `false` at the end of the connection.
    async fn receive(&mut self) -> bool {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece).await {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.received.extend_from_slice(&piece[..length]);
                true
            }
        }
    }

    /// Status and length of the head, if it is there.
    fn parsed_head(&self) -> Option<(u16, usize)> {
        let end = self.received.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = str::from_utf8(&self.received[..end]).unwrap();
        let status = head.strip_prefix("HTTP/1.").unwrap()[2..5].parse().unwrap();
        Some((status, end))
    }

    async fn read_reply(&mut self, has_body: bool) -> Option<Reply> {
        let (status, end) = loop {
            match self.parsed_head() {
                Some(found) => break found,
                None if self.receive().await => {}
                None => return None,
            }
        };
        let head = String::from_utf8(self.received.drain(..end).collect()).unwrap();
        let mut headers = reqwest::header::HeaderMap::new();
        for line in head.lines().skip(1).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            headers.append(name, value.trim().parse().unwrap());
        }
        let length: usize = headers.get("content-length").map_or(0, |value| value.to_str().unwrap().parse().unwrap());
        let length = if has_body { length } else { 0 };
        while self.received.len() < length {
            if !self.receive().await {
                return None;
            }
        }
        let body = self.received.drain(..length).collect();
        let reply = Reply { status, headers, body };
        assert_discreet(&reply);
        Some(reply)
    }
}

/// An answer tells nothing about the inside of the server, whatever it was asked, and no fault of the server's.
pub fn assert_discreet(reply: &Reply) {
    // A full disk is nobody's fault.
    assert!(reply.status < 500 || reply.status == 507, "{}", String::from_utf8_lossy(&reply.body));
    if reply.status >= 400 {
        let text = String::from_utf8_lossy(&reply.body).to_lowercase();
        for word in INTERNALS {
            assert!(!text.contains(word), "the answer says \"{word}\": {text}");
        }
    }
}

/// The head of a request with a JSON body of this length.
pub fn json_head(method_and_path: &str, token: &str, length: usize) -> String {
    format!(
        "{method_and_path} HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// A request for all groups.
pub fn list_groups(token: &str) -> String {
    format!("GET /api/v1/groups HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={token}\r\n\r\n")
}
