//! Frames of HTTP/2 without end, which cost their sender next to nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::time::timeout;

use crate::harness::process::{ServerProcess, run};
use crate::harness::raw::PATIENCE;
use crate::tls::{H1, H2, client_trusting, connect_trusting};

/// What the memory may grow by, whatever comes.
const GROWTH_BYTES: usize = 24 * 1024 * 1024;
/// So much of each flood is sent if the server lets it.
const FLOOD_BYTES: usize = 32 * 1024 * 1024;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (RFC 9113, section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /`, and the same with `POST`, of localhost (RFC 7541, appendix A).
const GET: &[u8] = b"\x82\x84\x87\x41\x09localhost";
const POST: &[u8] = b"\x83\x84\x87\x41\x09localhost";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A name, the frames at the beginning, and the frames of each round, by its number; and whether the server must end it.
type Flood = (&'static str, Vec<u8>, fn(u32) -> Vec<u8>, bool);

fn floods() -> [Flood; 8] {
    let begun = frame(HEADERS, 0, 1, GET);
    let posting = frame(HEADERS, END_HEADERS, 1, POST);
    [
        (
            "streams that are reset at once",
            Vec::new(),
            |round| {
                let stream = 2 * round + 1;
                [frame(HEADERS, END_STREAM | END_HEADERS, stream, GET), frame(RESET, 0, stream, &[0, 0, 0, 8])].concat()
            },
            false,
        ),
        ("headers without end", begun.clone(), |_| frame(CONTINUATION, 0, 1, &[0; 8_192]), true),
        ("pieces of headers without anything in them", begun, |_| frame(CONTINUATION, 0, 1, &[]), true),
        ("pieces of a body without anything in them", posting, |_| frame(DATA, 0, 1, &[]), false),
        ("settings", Vec::new(), |_| frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]), false),
        ("pings", Vec::new(), |round| frame(PING, 0, 0, &u64::from(round).to_be_bytes()), false),
        ("windows that overflow", Vec::new(), |_| frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), true),
        ("priorities", Vec::new(), |round| frame(PRIORITY, 0, 2 * round + 1, &[0, 0, 0, 0, 16]), false),
    ]
}

/// Whatever frames come: the server's memory stays bounded, and others are answered at once. What has no end as HTTP/2 has it, the
/// server ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_frames_keep_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| command.args(["--tls", "auto"])).await;
    let exported = run(folder.path(), ["ca", "export", "--data-dir", "data"]);
    let authority = String::from_utf8(exported.stdout).unwrap();
    let neighbour = client_trusting(&authority, H1);
    let before = server.peak_memory();
    for (name, first, round, is_ended) in floods() {
        for takes_replies in [true, false] {
            let stream = connect_trusting(&server.url, &authority, H2).await;
            let (mut reader, mut writer) = split(stream);
            let reading = async {
                let mut bytes = [0; 4096];
                while takes_replies && matches!(reader.read(&mut bytes).await, Ok(1..)) {}
                if !takes_replies {
                    std::future::pending::<()>().await;
                }
            };
            let writing = async {
                writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[]), &first].concat()).await?;
                let (mut sent_bytes, mut number) = (0, 0);
                while sent_bytes < FLOOD_BYTES {
                    let frames = (number..number + 100).flat_map(round).collect::<Vec<u8>>();
                    writer.write_all(&frames).await?;
                    sent_bytes += frames.len();
                    number += 100;
                }
                Ok::<_, std::io::Error>(())
            };
            let flood = async {
                tokio::select! {
                    () = reading => true,
                    written = writing => written.is_err(),
                }
            };
            let is_over = AtomicBool::new(false);
            let others = async {
                while !is_over.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let reply = neighbour.get(format!("{}/health/live", server.url)).send().await.unwrap();
                    assert_eq!(reply.status(), 200, "{name}");
                    assert!(asked.elapsed() < Duration::from_secs(5), "{name}: {:?}", asked.elapsed());
                }
            };
            // Who takes no replies may be kept waiting instead.
            let longest = if is_ended { PATIENCE } else { Duration::from_secs(3) };
            let flood = async {
                let was_ended = timeout(longest, flood).await;
                is_over.store(true, Ordering::Relaxed);
                was_ended
            };
            let (was_ended, ()) = tokio::join!(flood, others);
            assert!(!is_ended || was_ended == Ok(true), "{name}, takes replies: {takes_replies}: {was_ended:?}");
            let growth = server.peak_memory().saturating_sub(before);
            assert!(growth < GROWTH_BYTES, "{name}, takes replies: {takes_replies}: {growth} bytes more");
        }
    }
}
