//! A power cut is over, and all devices come at once: handshakes, and an update check on each connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tender::store::DataFolder;
use tender::tls::{Trust, client_config};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, HandshakeKind};

use crate::fleet::Fleet;
use crate::load::Request;
use crate::process::Server;
use crate::table::{Row, median, microseconds, milliseconds};

/// As many devices, each with a connection of its own: fewer than a server takes at once, and than a process may have files open.
const CLIENTS: usize = 1000;
const ROUNDS: usize = 7;
/// At most so much of the yardstick's processor time.
const PROCESSOR_RATIO: f64 = 1.5;

/// How one side did in one round.
struct Storm {
    total: Duration,
    /// From the beginning of the storm to each reply, shortest first.
    latencies: Vec<Duration>,
    /// Of the server, for each client.
    processor: Duration,
}

/// Full handshakes and resumed ones, beside a bare acceptor.
pub fn of_all_devices(fleet: &Fleet) -> Vec<Row> {
    let ours = Server::tender_over_tls(&fleet.data());
    let bare = Server::bare_tls(&fleet.data());
    let authority = tender::certificates::stored(&DataFolder::at(fleet.data(), None, None)).unwrap().unwrap();
    let trust = Trust::in_authorities(authority.trusted()[0].0.pem.as_bytes()).unwrap();
    let config = client_config(trust).unwrap();
    let mut rows = Vec::new();
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        // Tokens are good for five minutes: those of each kind are new.
        let requests: Arc<[Request]> = fleet.checks(false).into_iter().take(CLIENTS).collect();
        let clients = [(); 2].map(|()| clients(&config, kind));
        for (server, clients) in [&ours, &bare].into_iter().zip(&clients) {
            // Everything is warm, and each client has its ticket, before anything counts.
            storm(server, clients, &requests, None);
        }
        let pairs: Vec<[Storm; 2]> = (0..ROUNDS)
            .map(|_| [0, 1].map(|side| storm([&ours, &bare][side], &clients[side], &requests, Some(kind))))
            .collect();
        rows.extend(report(kind, &pairs));
    }
    rows
}

/// A TLS client for each device: those that resume remember their sessions, the others none.
fn clients(config: &ClientConfig, kind: HandshakeKind) -> Vec<TlsConnector> {
    let client = |_| {
        let mut config = config.clone();
        config.resumption = match kind {
            HandshakeKind::Resumed => Resumption::in_memory_sessions(4),
            _ => Resumption::disabled(),
        };
        TlsConnector::from(Arc::new(config))
    };
    (0..CLIENTS).map(client).collect()
}

/// All clients at once; `kind` is what every handshake must be.
fn storm(server: &Server, clients: &[TlsConnector], requests: &Arc<[Request]>, kind: Option<HandshakeKind>) -> Storm {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let before = server.processor_time();
    let (total, mut latencies) = runtime.block_on(async {
        let begin = Instant::now();
        let mut running = JoinSet::new();
        for (number, connector) in clients.iter().enumerate() {
            let (connector, requests, address) = (connector.clone(), requests.clone(), server.address);
            running.spawn(async move {
                check(address, connector, &requests[number], kind).await;
                begin.elapsed()
            });
        }
        let latencies = running.join_all().await;
        (begin.elapsed(), latencies)
    });
    latencies.sort();
    Storm { total, latencies, processor: (server.processor_time() - before) / CLIENTS as u32 }
}

async fn check(address: SocketAddr, connector: TlsConnector, request: &Request, kind: Option<HandshakeKind>) {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
    stream.write_all(request.bytes()).await.unwrap();
    let mut reply = [0; 1024];
    let length = stream.read(&mut reply).await.unwrap();
    assert!(reply[..length].starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&reply[..length]));
    assert!(kind.is_none_or(|kind| stream.get_ref().1.handshake_kind() == Some(kind)), "not the handshake wanted");
}

fn report(kind: HandshakeKind, pairs: &[[Storm; 2]]) -> Vec<Row> {
    let name = if kind == HandshakeKind::Full { "full" } else { "resumed" };
    let at = |percent: usize| move |storm: &Storm| storm.latencies[(CLIENTS - 1) * percent / 100];
    let row = |name: &str, value: &dyn Fn(&Storm) -> Duration, show: fn(Duration) -> String| {
        let side = |side: usize| median(pairs.iter().map(|pair| value(&pair[side]).as_secs_f64()).collect());
        let ratios = pairs.iter().map(|[ours, bare]| value(ours).as_secs_f64() / value(bare).as_secs_f64()).collect();
        let shown = |seconds| show(Duration::from_secs_f64(seconds));
        let ratio = median(ratios);
        (Row::new(name, shown(side(0))).against(format!("bare rustls {}", shown(side(1))), ratio), ratio)
    };
    let total = row(&format!("{CLIENTS} {name} handshakes and checks at once"), &|storm| storm.total, milliseconds).0;
    let middle = row("  half of them answered after", &at(50), milliseconds).0;
    let last = row("  99 % of them answered after", &at(99), milliseconds).0;
    let (processor, ratio) = row("  processor time of one", &|storm| storm.processor, microseconds);
    let processor = processor.target(format!("≤ {PROCESSOR_RATIO}"), ratio <= PROCESSOR_RATIO);
    vec![total, middle, last, processor]
}
