//! Requests that no HTTP library would send, byte for byte.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Reply, TestServer};

impl TestServer {
    /// A connection to the server.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url().trim_start_matches("http://")).await.unwrap()
    }

    /// Sends a head without `Connection` and without the empty line at its end, and reads the reply.
    pub async fn raw(&self, head: &str) -> Reply {
        self.raw_with_body(head, b"").await
    }

    /// Like [`TestServer::raw`], with a body whose length the head must tell.
    pub async fn raw_with_body(&self, head: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect().await;
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        parse(&reply)
    }

    /// Asks for a path that may be written in any way.
    pub async fn raw_get(&self, path: &str) -> Reply {
        self.raw(&format!("GET {path} HTTP/1.1\r\nHost: tender.example")).await
    }
}

fn parse(reply: &[u8]) -> Reply {
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").expect("a reply with a head");
    let head = std::str::from_utf8(&reply[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Reply { status, headers, body: reply[end + 4..].to_vec() }
}
