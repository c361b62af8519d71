//! The accept loop: listeners, connections at once, and an orderly end. What is spoken on a connection is in `protocol`.

mod activity;
mod protocol;
mod transport;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::Route;
use super::traffic::Traffic;
use protocol::Server;

/// The pause after accepting a connection failed: usually too many files are open, and some will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much is served at once, and how long the end may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the operating system's queue.
    pub connections: usize,
    /// How long requests and downloads may go on after the shutdown began.
    pub drain: Duration,
    /// How long a client may take to agree on TLS, to send a request's head, and to begin the next one on the same connection.
    pub head: Duration,
    /// How long a client may take nothing of what is sent to it.
    pub stall: Duration,
}

impl Limits {
    /// These limits, and the usual time-outs of a connection.
    pub fn new(connections: usize, drain: Duration) -> Self {
        Self { connections, drain, head: Duration::from_secs(30), stall: Duration::from_secs(60) }
    }
}

/// Where connections come from, made by whoever starts the server.
#[derive(Default)]
pub struct Listeners {
    /// Those for the server's own protocol: HTTPS if it has a certificate, else plain HTTP. At least one.
    pub main: Vec<TcpListener>,
    /// Those for plain HTTP in any case.
    pub plain: Vec<TcpListener>,
    /// One for metrics alone, in plain HTTP.
    pub metrics: Option<TcpListener>,
    /// With what the main ones speak HTTPS.
    pub tls: Option<TlsAcceptor>,
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self { main: vec![listener], ..Self::default() }
    }
}

/// A listener, and what is spoken there.
struct Listener {
    socket: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Listeners {
    /// Where the main ones listen, and where the plain ones do.
    ///
    /// # Errors
    /// When the operating system does not know.
    pub fn addresses(&self) -> io::Result<(Vec<SocketAddr>, Vec<SocketAddr>)> {
        let addresses =
            |listeners: &[TcpListener]| listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>();
        Ok((addresses(&self.main)?, addresses(&self.plain)?))
    }

    fn all(self) -> Vec<Listener> {
        let main = self.main.into_iter().map(|socket| Listener { socket, tls: self.tls.clone() });
        main.chain(self.plain.into_iter().map(|socket| Listener { socket, tls: None })).collect()
    }
}

/// Serves `route` on the listeners until `shutdown`, then lets what has begun come to its end, unless `hurry` says that there is
/// no time for it. What passes is counted in `traffic`.
pub async fn serve(
    listeners: impl Into<Listeners>,
    route: Route,
    traffic: Arc<Traffic>,
    limits: Limits,
    shutdown: CancellationToken,
    hurry: CancellationToken,
) {
    let listeners = listeners.into().all();
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let give_up = CancellationToken::new();
    let server =
        Server { route, traffic: traffic.clone(), limits, shutdown: shutdown.clone(), tasks: connections.clone() };
    let mut turn = 0;
    loop {
        turn += 1;
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listeners, turn, &places) => accepted,
        };
        let Some((stream, peer, tls, place)) = accepted else { continue };
        let connection = server.clone().serve(stream, peer, tls);
        let present = traffic.connections.enter();
        let give_up = give_up.clone();
        connections.spawn(async move {
            let (_place, _present) = (place, present);
            give_up.run_until_cancelled(connection).await;
        });
    }
    drop((listeners, server));
    connections.close();
    let drained = timeout(limits.drain, hurry.run_until_cancelled(connections.wait()));
    if !matches!(drained.await, Ok(Some(()))) {
        tracing::warn!(connections = connections.len(), "giving up connections that did not come to an end");
        give_up.cancel();
        connections.wait().await;
    }
}

/// The next connection of any listener, once there is a place for it. `turn` says with which listener to begin, so that none
/// is kept waiting by the others.
async fn accept(
    listeners: &[Listener],
    turn: usize,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, Option<TlsAcceptor>, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    let first = turn % listeners.len().max(1);
    let (earlier, later) = listeners.split_at(first);
    let accepting = poll_fn(|context| {
        for listener in later.iter().chain(earlier) {
            if let Poll::Ready(accepted) = listener.socket.poll_accept(context) {
                return Poll::Ready(accepted.map(|(stream, peer)| (stream, peer, listener.tls.clone())));
            }
        }
        Poll::Pending
    });
    match accepting.await {
        Ok((stream, peer, tls)) => Some((stream, peer, tls, place)),
        Err(error) => {
            let error: io::Error = error;
            tracing::warn!(%error, "accepting a connection failed");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
