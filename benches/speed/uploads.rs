//! How uploads go: how fast, at what cost, and in how much memory.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::bare_sink;
use crate::fleet::Fleet;
use crate::process::Server;
use crate::table::{Row, mebibytes, median};

const MEBIBYTE: u64 = 1 << 20;
const GIBIBYTE_IN_MEBIBYTES: u64 = 1024;
const ROUNDS: usize = 5;
/// At least so much of the speed at which a body is written and put on disk without a look at it.
const SPEED_RATIO: f64 = 0.8;
const MEMORY_LIMIT: u64 = 8 * MEBIBYTE;
const SETTLING: Duration = Duration::from_secs(1);

/// How an upload is sent.
#[derive(Clone, Copy)]
pub enum Manner {
    /// As a form, in one request.
    Form,
    /// As tus has it, in pieces.
    Resumable { piece_mebibytes: u64 },
}

/// An upload.
#[derive(Clone, Copy)]
pub struct Upload {
    pub manner: Manner,
    pub size_mebibytes: u64,
    /// How long the client rests after each MiB.
    pub rest: Duration,
}

/// Uploads of one GiB, beside a sink that only writes.
pub fn beside_a_bare_sink(fleet: &Fleet) -> Vec<Row> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ours = Server::tender(&fleet.data());
    let sink = Server::bare_sink(folder.path());
    let in_one_piece = Manner::Resumable { piece_mebibytes: GIBIBYTE_IN_MEBIBYTES };
    let mut rows = Vec::new();
    for (name, manner) in [("upload of 1 GiB", Manner::Form), ("upload of 1 GiB, resumable", in_one_piece)] {
        let pairs: Vec<[Pace; 2]> = (0..ROUNDS)
            .map(|_| {
                let upload = Upload { manner, size_mebibytes: GIBIBYTE_IN_MEBIBYTES, rest: Duration::ZERO };
                let mut package = 0;
                let pair = [
                    Pace::of(&ours, || package = upload.send(fleet, ours.address)),
                    Pace::of(&sink, || fill(sink.address)),
                ];
                delete(fleet, ours.address, package);
                fs::remove_file(folder.path().join(bare_sink::FILE)).unwrap();
                pair
            })
            .collect();
        rows.extend(against(name, &pairs));
    }
    rows
}

/// What one upload took.
struct Pace {
    elapsed: Duration,
    processor: Duration,
}

impl Pace {
    fn of(server: &Server, upload: impl FnOnce()) -> Self {
        let (begin, before) = (Instant::now(), server.processor_time());
        upload();
        Self { elapsed: begin.elapsed(), processor: server.processor_time() - before }
    }
}

fn against(name: &str, pairs: &[[Pace; 2]]) -> [Row; 2] {
    let middle = |value: &dyn Fn(&[Pace; 2]) -> f64| median(pairs.iter().map(value).collect());
    let rate = |side: usize| {
        format!("{:.0} MiB/s", middle(&|pair| GIBIBYTE_IN_MEBIBYTES as f64 / pair[side].elapsed.as_secs_f64()))
    };
    let ratio = middle(&|[ours, sink]| sink.elapsed.as_secs_f64() / ours.elapsed.as_secs_f64());
    let seconds = |side: usize| format!("{:.2} s", middle(&|pair| pair[side].processor.as_secs_f64()));
    let processor_ratio = middle(&|[ours, sink]| ours.processor.as_secs_f64() / sink.processor.as_secs_f64());
    [
        Row::new(name, rate(0))
            .against(format!("bare sink {}", rate(1)), ratio)
            .target(format!("≥ {SPEED_RATIO}"), ratio >= SPEED_RATIO),
        Row::new("  processor time", seconds(0)).against(format!("bare sink {}", seconds(1)), processor_ratio),
    ]
}

/// What an upload adds to the server's memory.
pub fn memory(fleet: &Fleet, size_mebibytes: u64) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    sleep(SETTLING);
    let before = server.resident();
    server.forget_peak();
    let begin = Instant::now();
    form(fleet, server.address, size_mebibytes);
    let elapsed = begin.elapsed();
    let growth = server.peak().saturating_sub(before);
    let rate = size_mebibytes as f64 / elapsed.as_secs_f64();
    let name = format!("memory, growth by an upload of {size_mebibytes} MiB");
    vec![
        Row::new(name, mebibytes(growth)).target(format!("≤ {} MiB", MEMORY_LIMIT / MEBIBYTE), growth <= MEMORY_LIMIT),
        Row::new("  its speed, with hash and fsync", format!("{rate:.0} MiB/s")),
    ]
}

/// Uploads a package as a form, as fast as it goes.
pub fn form(fleet: &Fleet, address: SocketAddr, size_mebibytes: u64) {
    Upload { manner: Manner::Form, size_mebibytes, rest: Duration::ZERO }.send(fleet, address);
}

impl Upload {
    /// Uploads a package; its identifier.
    pub fn send(self, fleet: &Fleet, address: SocketAddr) -> u64 {
        let reply = match self.manner {
            Manner::Form => self.as_form(fleet, address),
            Manner::Resumable { piece_mebibytes } => self.in_pieces(fleet, address, piece_mebibytes),
        };
        let package: serde_json::Value = serde_json::from_str(&reply[reply.find("\r\n\r\n").unwrap()..]).unwrap();
        package["id"].as_u64().unwrap()
    }

    fn as_form(self, fleet: &Fleet, address: SocketAddr) -> String {
        let boundary = "----boundary";
        let field = |name: &str, value: &str| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let before_file = [
            field("rdfm.software.version", "v1"),
            field("rdfm.hardware.devtype", "upload"),
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"),
        ]
        .concat();
        let after_file = format!("\r\n--{boundary}--\r\n");
        let length = (before_file.len() + after_file.len()) as u64 + self.size_mebibytes * MEBIBYTE;
        let head = format!(
            "POST /api/v1/packages HTTP/1.1\r\n{}Content-Type: multipart/form-data; boundary={boundary}\r\n\
             Content-Length: {length}\r\n\r\n",
            authorization(fleet)
        );
        transmit(address, &[head, before_file].concat(), self.size_mebibytes, &after_file, self.rest)
    }

    fn in_pieces(self, fleet: &Fleet, address: SocketAddr, piece_mebibytes: u64) -> String {
        let tus = format!("{}Tus-Resumable: 1.0.0\r\n", authorization(fleet));
        let length = self.size_mebibytes * MEBIBYTE;
        let begun = exchange(
            address,
            &format!(
                "POST /api/tender/v1/uploads HTTP/1.1\r\n{tus}Upload-Length: {length}\r\nContent-Length: 0\r\n\r\n"
            ),
        );
        let location = begun.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        let path = &location[location.find("/api/").unwrap()..];
        let mut sent_mebibytes = 0;
        while sent_mebibytes < self.size_mebibytes {
            let piece_mebibytes = piece_mebibytes.min(self.size_mebibytes - sent_mebibytes);
            let head = format!(
                "PATCH {path} HTTP/1.1\r\n{tus}Upload-Offset: {}\r\nContent-Type: application/offset+octet-stream\r\n\
                 Content-Length: {}\r\n\r\n",
                sent_mebibytes * MEBIBYTE,
                piece_mebibytes * MEBIBYTE,
            );
            transmit(address, &head, piece_mebibytes, "", self.rest);
            sent_mebibytes += piece_mebibytes;
        }
        let body = r#"{"metadata": {"rdfm.software.version": "v1", "rdfm.hardware.devtype": "upload"}}"#;
        let finish = format!(
            "POST {path}/package HTTP/1.1\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            authorization(fleet),
            body.len()
        );
        exchange(address, &finish)
    }
}

/// Sends the same bytes to the bare sink.
fn fill(address: SocketAddr) {
    let length = GIBIBYTE_IN_MEBIBYTES * MEBIBYTE;
    let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    transmit(address, &head, GIBIBYTE_IN_MEBIBYTES, "", Duration::ZERO);
}

fn authorization(fleet: &Fleet) -> String {
    format!("Host: localhost\r\nConnection: close\r\n{}", fleet.operator())
}

/// Sends a request whose body is long, with a rest after each MiB; the reply.
fn transmit(address: SocketAddr, before: &str, size_mebibytes: u64, after: &str, rest: Duration) -> String {
    // Something that is neither text nor all the same, as packages are.
    let piece: Vec<u8> = (0..MEBIBYTE).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(before.as_bytes()).unwrap();
    for _ in 0..size_mebibytes {
        stream.write_all(&piece).unwrap();
        sleep(rest);
    }
    stream.write_all(after.as_bytes()).unwrap();
    reply(stream)
}

fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    reply(stream)
}

/// The reply, which must be a good one.
fn reply(mut stream: TcpStream) -> String {
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 2"), "{reply}");
    reply
}

/// Makes room for the next one.
pub fn delete(fleet: &Fleet, address: SocketAddr, package: u64) {
    exchange(address, &format!("DELETE /api/v1/packages/{package} HTTP/1.1\r\n{}\r\n", authorization(fleet)));
}
