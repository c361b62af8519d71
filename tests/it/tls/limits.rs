//! Clients that waste the server's time, over TLS and HTTP/2.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tender::certificates::Certificates;
use tender::http::serve::{Limits, Listeners, serve};
use tender::http::{Api, route};
use tender::installation::Installation;
use tender::usecase::track_progress::Tracker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::harness::contents;
use crate::harness::raw::PATIENCE;

const SHORT: Duration = Duration::from_millis(300);

/// A second server on the same data, with little patience.
struct Impatient {
    url: String,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Impatient {
    async fn beside(server: &TestServer, connections: usize) -> Self {
        let Installation { store, keys, packages } = server.beside();
        let folder = DataFolder::at(server.data(), None, None);
        let tls = TlsConfig::Auto { names: vec!["gateway.example".to_owned()] };
        let certificates = Certificates::open(&tls, &folder, store.clock().clone()).unwrap().unwrap();
        let tracker = Arc::new(Tracker::restore(&store).await.unwrap());
        let api = Arc::new(Api::new(store, packages, keys, tracker));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let tls = Some(TlsAcceptor::from(certificates.server_config().unwrap()));
        let listeners = Listeners { tls, ..Listeners::from(listener) };
        let limits = Limits { head: SHORT, stall: 2 * SHORT, ..Limits::new(connections, Duration::from_secs(1)) };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(
            listeners,
            route(&api),
            api.traffic.clone(),
            limits,
            shutdown.clone(),
            CancellationToken::new(),
        ));
        Self { url, shutdown, serving }
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("https://").unwrap()).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

/// Reads until the server has closed.
async fn closed(mut stream: impl AsyncReadExt + Unpin) {
    let mut bytes = [0; 4096];
    let reading = async { while matches!(stream.read(&mut bytes).await, Ok(1..)) {} };
    tokio::time::timeout(PATIENCE, reading).await.expect("the server closes the connection");
}

#[tokio::test]
async fn nobody_holds_a_place_without_asking_for_anything() {
    let server = TestServer::start_with(auto).await;
    let impatient = Impatient::beside(&server, 4).await;
    let authority = exported(&server);
    // One says nothing, one begins a handshake and stops, one shakes hands for HTTP/1.1 and one for HTTP/2.
    let silent = impatient.tcp().await;
    let mut begun = impatient.tcp().await;
    begun.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let shaken = async |protocols| {
        connect(&impatient.url, client_config(&authority, BOTH_VERSIONS, protocols, None), "localhost").await
    };
    let (first, second) = (shaken(H1).await.unwrap(), shaken(H2).await.unwrap());
    // All places are taken.
    let begin = Instant::now();
    let mut late = shaken(H1).await.unwrap();
    late.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut reply = [0; 12];
    late.read_exact(&mut reply).await.unwrap();
    assert_eq!(&reply, b"HTTP/1.1 200");
    tokio::join!(closed(silent), closed(begun), closed(first), closed(second));
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    impatient.stop().await;
}

#[tokio::test]
async fn a_connection_of_http_2_stays_while_it_is_used_and_no_longer() {
    let server = TestServer::start_with(auto).await;
    let impatient = Impatient::beside(&server, 1).await;
    let client = http_client(&server, H2);
    // More often than the limit, and for longer than it.
    let begin = Instant::now();
    while begin.elapsed() < 3 * SHORT {
        assert_eq!(client.get(&impatient.url).send().await.unwrap().status(), 200);
    }
    // The only place is free again, soon after.
    let other = http_client(&server, H2);
    let asking = tokio::time::timeout(PATIENCE, other.get(&impatient.url).send());
    assert_eq!(asking.await.expect("the place becomes free").unwrap().status(), 200);
    impatient.stop().await;
}

#[tokio::test]
async fn who_takes_nothing_of_a_download_is_given_up_and_who_takes_it_slowly_is_not() {
    let server = TestServer::start_with(auto).await;
    let admin = server.admin().await;
    let bytes = contents(40 * 1024 * 1024);
    let package = admin.package("v1", &[], &bytes).await;
    let shown = admin.show_package(package).await;
    let impatient = Impatient::beside(&server, 8).await;
    let url =
        format!("{}/local_storage/{}", impatient.url, shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    for protocols in [H1, H2] {
        let mut slow = http_client(&server, protocols).get(&url).send().await.unwrap();
        let stalled = http_client(&server, protocols).get(&url).send().await.unwrap();
        let begin = Instant::now();
        let mut received = Vec::new();
        while let Some(piece) = slow.chunk().await.unwrap() {
            received.extend_from_slice(&piece);
            if begin.elapsed() < 5 * SHORT {
                tokio::time::sleep(SHORT / 8).await;
            }
        }
        assert!(received == bytes, "{protocols:?}");
        // By now the other has taken nothing for longer than it may; what had been sent is there, and no more.
        assert!(begin.elapsed() > 4 * SHORT);
        assert!(stalled.bytes().await.is_err(), "{protocols:?}");
    }
    impatient.stop().await;
}
