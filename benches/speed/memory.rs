//! How much memory the server takes, as the kernel counts it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fleet::Fleet;
use crate::load::{self, Request};
use crate::process::Server;
use crate::table::{Row, mebibytes};

const MEBIBYTE: u64 = 1 << 20;
const IDLE_LIMIT: u64 = 15 * MEBIBYTE;
const FLEET_LIMIT: u64 = 60 * MEBIBYTE;
const UPLOAD_LIMIT: u64 = 8 * MEBIBYTE;
/// How long what follows on a start, a load or a list may go on before memory counts as settled.
const SETTLING: Duration = Duration::from_secs(1);
/// How often the whole fleet polls.
const POLLS: usize = 3;

/// At rest, with the fleet polling, and with its list.
pub fn of_fleet(fleet: &Fleet) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    sleep(SETTLING);
    let idle = server.resident();
    let start_peak = server.peak();
    let mut rows = vec![limited("memory, idle after the start", idle, IDLE_LIMIT)];
    rows.push(Row::new("  at its most during the start", mebibytes(start_peak)));

    let (found, none): (Arc<[Request]>, Arc<[Request]>) = (fleet.checks(true).into(), fleet.checks(false).into());
    server.forget_peak();
    for _ in 0..POLLS {
        load::each_once(server.address, &found, 200);
        load::each_once(server.address, &none, 204);
    }
    rows.push(limited("memory, the whole fleet polling", server.peak(), FLEET_LIMIT));

    server.forget_peak();
    load::once(server.address, &fleet.device_list(), 200);
    rows.push(Row::new("memory, during the device list", mebibytes(server.peak())));
    sleep(SETTLING);
    rows.push(Row::new("  a second later", mebibytes(server.resident())));
    rows
}

fn limited(name: &str, bytes: u64, limit: u64) -> Row {
    Row::new(name, mebibytes(bytes)).target(format!("≤ {} MiB", limit / MEBIBYTE), bytes <= limit)
}

/// What an upload adds.
pub fn of_upload(fleet: &Fleet, size_mebibytes: u64) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    sleep(SETTLING);
    let before = server.resident();
    server.forget_peak();
    let begin = Instant::now();
    upload(fleet, &server, size_mebibytes);
    let elapsed = begin.elapsed();
    let growth = server.peak().saturating_sub(before);
    let rate = size_mebibytes as f64 / elapsed.as_secs_f64();
    vec![
        limited(&format!("memory, growth by an upload of {size_mebibytes} MiB"), growth, UPLOAD_LIMIT),
        Row::new("  its speed, with hash and fsync", format!("{rate:.0} MiB/s")),
    ]
}

fn upload(fleet: &Fleet, server: &Server, size_mebibytes: u64) {
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
    let length = before_file.len() as u64 + size_mebibytes * MEBIBYTE + after_file.len() as u64;
    let head = format!(
        "POST /api/v1/packages HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer token={}\r\n\
         Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {length}\r\n\r\n",
        fleet.operator_token
    );
    // Something that is neither text nor all the same, as packages are.
    let piece: Vec<u8> = (0..MEBIBYTE).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(before_file.as_bytes()).unwrap();
    for _ in 0..size_mebibytes {
        stream.write_all(&piece).unwrap();
    }
    stream.write_all(after_file.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}
