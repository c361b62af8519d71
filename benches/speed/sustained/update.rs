//! Devices that are updated all the time: each fetches what it is offered, slowly, compares the hash, runs the new version from
//! then on, and asks again.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, sleep_until};

use super::device::{Answer, Device};
use super::record::Record;
use crate::sink::read_head;

const PIECE_BYTES: usize = 32 * 1024;
/// So little that the server is kept waiting, and not the kernel.
const RECEIVE_BUFFER_BYTES: u32 = 64 * 1024;
/// The pause after something went wrong.
const PAUSE: Duration = Duration::from_secs(5);

impl Device {
    /// Is updated, again and again, with downloads that take so long each.
    pub async fn update(mut self, phase: Duration, download_time: Duration, record: Arc<Record>) {
        sleep(phase).await;
        loop {
            if let Err(error) = self.take_a_step(download_time, &record).await {
                record.error(format!("update: {error}"));
                sleep(PAUSE).await;
            }
        }
    }

    async fn take_a_step(&mut self, download_time: Duration, record: &Record) -> Result<(), String> {
        let Answer::Update(offer) = self.check(record).await? else { return Err("nothing was offered".to_owned()) };
        let text = |name: &str| offer[name].as_str().ok_or_else(|| format!("{offer} has no {name}"));
        let address = text("uri")?;
        // The server takes its own address from the request, where there is no network to be seen.
        let path = &address[address.find("/local_storage/").ok_or(address)?..];
        let (hash, bytes) = self.fetch(path, download_time).await?;
        if hash != text("sha256")? {
            return Err(format!("the hash of {offer} is {hash}"));
        }
        record.download(bytes);
        let version = offer["id"].as_u64().ok_or("a package without an identifier")?;
        self.install(format!("v{version}"));
        Ok(())
    }

    /// Hash and length of what is there.
    async fn fetch(&self, path: &str, download_time: Duration) -> Result<(String, u64), String> {
        let connect = async || {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
            socket.bind((self.address, 0).into())?;
            socket.connect(self.server).await
        };
        let broken = |error: std::io::Error| format!("a download broke off: {error}");
        let mut stream = connect().await.map_err(broken)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.server);
        stream.write_all(request.as_bytes()).await.map_err(broken)?;
        let begin = Instant::now();
        let mut head = Vec::new();
        let (body_start, length) = loop {
            if stream.read_buf(&mut head).await.map_err(broken)? == 0 {
                return Err("a download was not answered".to_owned());
            }
            match read_head(&head) {
                Some((200, body_start, length)) => break (body_start, length),
                Some((status, ..)) => return Err(format!("a download was answered {status}")),
                None => {}
            }
        };
        let mut hash = Sha256::new();
        hash.update(&head[body_start..]);
        let mut fetched = (head.len() - body_start) as u64;
        let mut piece = vec![0; PIECE_BYTES];
        while fetched < length {
            sleep_until(begin + download_time.mul_f64(fetched as f64 / length as f64)).await;
            let taken = stream.read(&mut piece).await.map_err(broken)?;
            if taken == 0 {
                return Err(format!("a download broke off after {fetched} of {length} bytes"));
            }
            hash.update(&piece[..taken]);
            fetched += taken as u64;
        }
        let mut text = String::new();
        for byte in hash.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok((text, fetched))
    }
}
