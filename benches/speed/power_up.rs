//! Devices that power up in the same second: each shakes hands, has a signature of 4096 bits checked and asks for updates, while
//! others poll as ever. And one device that asks in a loop, as it does not like the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use rusqlite::params;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tender::domain::MacAddress;
use tender::store::DataFolder;
use tender::tls::{Trust, client_config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::fleet::{Fleet, authorization, mac_address, reported};
use crate::load::{Head, Request};
use crate::process::Server;
use crate::table::{Row, milliseconds};

const DEVICES: usize = 1000;
/// The first of them; those before have keys of their own already. All are such that there is nothing to install.
const FIRST: usize = 1001;
const KEY_BITS: usize = 4096;
/// Two primes of any of these keys make another key: enough for all devices, in a minute instead of an hour.
const PRIMES_OF_KEYS: usize = 23;
/// Devices that check meanwhile, and how long each waits between two checks.
const POLLING: usize = 20;
const POLL_PAUSE: Duration = Duration::from_millis(50);
const ALL_SERVED: Duration = Duration::from_secs(60);
const CHECK_LATENCY: Duration = Duration::from_millis(250);
const LOOPING: Duration = Duration::from_secs(30);
/// Of one core.
const LOOP_SHARE: f64 = 0.01;

/// A device that powers up.
struct Device {
    authorization: Request,
    report: Value,
}

/// All at once, beside those that poll.
pub fn of_all_devices(fleet: &Fleet) -> Vec<Row> {
    let devices = devices(fleet);
    let server = Server::tender_over_tls(&fleet.data());
    let authority = tender::certificates::stored(&DataFolder::at(fleet.data(), None, None)).unwrap().unwrap();
    let trust = Trust::in_authorities(authority.trusted()[0].0.pem.as_bytes()).unwrap();
    let mut config = client_config(trust).unwrap();
    config.resumption = Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(config));
    // Devices that are not among those that power up.
    let checks: Vec<Request> = fleet.checks(false).into_iter().rev().take(POLLING).collect();
    let (is_over, mut quiet) = (AtomicBool::new(false), Vec::new());
    let polling = || poll(&server, &connector, &checks, &is_over);
    thread::scope(|scope| {
        let polling = scope.spawn(polling);
        thread::sleep(Duration::from_secs(3));
        is_over.store(true, Ordering::Relaxed);
        quiet = polling.join().unwrap();
    });
    is_over.store(false, Ordering::Relaxed);
    let (served, latencies) = thread::scope(|scope| {
        let polling = scope.spawn(polling);
        thread::sleep(Duration::from_millis(500));
        let served = power_up(&server, &connector, devices);
        is_over.store(true, Ordering::Relaxed);
        (served, polling.join().unwrap())
    });
    let p99 = percentile(&latencies, 99);
    let last = *served.last().unwrap();
    vec![
        Row::new(format!("{DEVICES} devices power up at once: all have checked after"), milliseconds(last))
            .target("≤ 60 s", last <= ALL_SERVED),
        Row::new("  half of them after", milliseconds(percentile(&served, 50))),
        Row::new("  99 % of the checks of others meanwhile", milliseconds(p99))
            .target("≤ 250 ms", p99 <= CHECK_LATENCY),
        Row::new("  the same before", milliseconds(percentile(&quiet, 99))),
    ]
}

/// What the server's processors have to do with a device that asks again at once whatever it is answered.
pub fn of_a_looping_client(fleet: &Fleet) -> Vec<Row> {
    let server = Server::tender(&fleet.data());
    let mut requests = fleet.large_key.messages.iter().map(|(message, signature)| {
        let mut signature = signature.clone();
        signature[7] ^= 1;
        authorization(&(message.clone(), signature))
    });
    let request = requests.next().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = server.processor_time();
    let (mut asked, begin) = (0, Instant::now());
    runtime.block_on(async {
        while begin.elapsed() < LOOPING {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            assert_eq!(ask(&mut stream, &request).await.0, 400);
            asked += 1;
        }
    });
    let share = (server.processor_time() - before).as_secs_f64() / begin.elapsed().as_secs_f64();
    let text = format!("{:.2} % of a core ({asked} requests in {} s)", share * 100.0, begin.elapsed().as_secs());
    vec![Row::new("a device that loops on 400", text).target("< 1 %", share < LOOP_SHARE)]
}

/// Makes the keys, and has the devices accepted with them.
fn devices(fleet: &Fleet) -> Vec<Device> {
    let primes: Vec<BigUint> = in_threads((0..PRIMES_OF_KEYS).collect(), |number| {
        let key = RsaPrivateKey::new(&mut ChaCha20Rng::seed_from_u64(number as u64), KEY_BITS).unwrap();
        key.primes().to_vec()
    })
    .into_iter()
    .flatten()
    .collect();
    let pairs = (0..primes.len()).flat_map(|first| (0..first).map(move |second| (first, second)));
    let numbered: Vec<_> = pairs.take(DEVICES).enumerate().collect();
    assert_eq!(numbered.len(), DEVICES, "more primes are needed");
    let made = in_threads(numbered, |(number, (first, second))| {
        let primes = vec![primes[first].clone(), primes[second].clone()];
        let key = RsaPrivateKey::from_primes(primes, BigUint::from(65_537_u32)).unwrap();
        assert_eq!(key.size() * 8, KEY_BITS);
        let (device, public_key) = (FIRST + 2 * number, key.to_public_key());
        let (report, pem) = (reported(device), public_key.to_public_key_pem(LineEnding::LF).unwrap());
        let body = json!({ "metadata": report, "public_key": pem, "timestamp": 1_694_414_456 });
        let message = serde_json::to_vec(&body).unwrap();
        let signature = SigningKey::<Sha256>::new(key).sign(&message).to_vec();
        let fingerprint = Sha256::digest(public_key.to_public_key_der().unwrap()).to_vec();
        let authorization = authorization(&(message, signature));
        (device, pem, fingerprint, Device { authorization, report })
    });
    let mut database = rusqlite::Connection::open(fleet.database()).unwrap();
    let tx = database.transaction().unwrap();
    let accept = |(device, pem, fingerprint, made): (usize, String, Vec<u8>, Device)| {
        let mac_key = MacAddress::parse(&mac_address(device)).unwrap().key();
        let update = "UPDATE devices SET public_key = ?2, key_fingerprint = ?3 WHERE mac_key = ?1";
        assert_eq!(tx.execute(update, params![mac_key.as_str(), pem, fingerprint]).unwrap(), 1);
        made
    };
    let devices = made.into_iter().map(accept).collect();
    tx.commit().unwrap();
    devices
}

/// Does the work on as many threads as a gateway's two cores have; the results are in the same order.
fn in_threads<T: Send, R: Send>(mut work: Vec<T>, make: impl Fn(T) -> R + Sync) -> Vec<R> {
    let second = work.split_off(work.len() / 2);
    let all = |work: Vec<T>| work.into_iter().map(&make).collect::<Vec<R>>();
    thread::scope(|scope| {
        let second = scope.spawn(|| all(second));
        let mut made = all(work);
        made.extend(second.join().unwrap());
        made
    })
}

/// From the first moment to each device's last reply, shortest first.
fn power_up(server: &Server, connector: &TlsConnector, devices: Vec<Device>) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut served = runtime.block_on(async {
        let begin = Instant::now();
        let mut running = JoinSet::new();
        for device in devices {
            let (connector, address) = (connector.clone(), server.address);
            running.spawn(async move {
                let mut stream = connect(&connector, address).await;
                let (status, body) = ask(&mut stream, &device.authorization).await;
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                let granted: Value = serde_json::from_slice(&body).unwrap();
                let header = format!("Authorization: Bearer token={}\r\n", granted["token"].as_str().unwrap());
                let body = serde_json::to_vec(&device.report).unwrap();
                let check = Request::post("/api/v1/update/check", &header, &body);
                assert_eq!(ask(&mut stream, &check).await.0, 204);
                begin.elapsed()
            });
        }
        running.join_all().await
    });
    served.sort();
    served
}

/// Checks again and again on connections that are there; how long each took, shortest first.
fn poll(server: &Server, connector: &TlsConnector, checks: &[Request], is_over: &AtomicBool) -> Vec<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut latencies: Vec<Duration> = runtime.block_on(async {
        let polling = checks.iter().map(async |check| {
            let mut stream = connect(connector, server.address).await;
            let mut latencies = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                sleep(POLL_PAUSE).await;
                let asked = Instant::now();
                assert_eq!(ask(&mut stream, check).await.0, 204);
                latencies.push(asked.elapsed());
            }
            latencies
        });
        futures_util::future::join_all(polling).await.concat()
    });
    latencies.sort();
    latencies
}

async fn connect(connector: &TlsConnector, address: std::net::SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Status and body of the reply.
async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), request: &Request) -> (u16, Vec<u8>) {
    stream.write_all(request.bytes()).await.unwrap();
    let mut received = Vec::with_capacity(1024);
    loop {
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the server closed the connection");
        if let Some(head) = Head::read(&received)
            && received.len() >= head.end
        {
            return (head.status, received[head.body_start..head.end].to_vec());
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}
