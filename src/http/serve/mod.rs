//! The accept loop: listeners, connections at once, and an orderly end. What is spoken on a connection is in `protocol`.

mod activity;
mod places;
mod protocol;
mod transport;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::endpoint::Route;
use super::traffic::Traffic;
use places::{Place, Places};
use protocol::Server;

pub use places::InUse;

/// The pause after accepting a connection failed: usually too many files are open, and some will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often is looked for who may lose a place, while others wait for one.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How much is served at once, and how long the end may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. As many more may wait for a place, for twice as long as a head may take.
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
    let places = Places::new(limits.connections);
    let connections = TaskTracker::new();
    let give_up = CancellationToken::new();
    let server =
        Server { route, traffic: traffic.clone(), limits, shutdown: shutdown.clone(), tasks: connections.clone() };
    let mut waiting = WaitingRoom::new(places, 2 * limits.head);
    let mut turn = 0;
    loop {
        turn += 1;
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listeners, turn) => accepted,
            () = waiting.news() => None,
        };
        for (Guest { stream, peer, tls, .. }, place) in waiting.seat(accepted) {
            let connection = server.clone().serve(stream, peer, tls, place.usage());
            let (present, lost, give_up) = (traffic.connections.enter(), place.lost(), give_up.clone());
            connections.spawn(async move {
                let (_place, _present) = (place, present);
                tokio::select! {
                    () = give_up.cancelled() => {}
                    () = lost.cancelled() => tracing::debug!(%peer, "a connection lost its place to another"),
                    () = connection => {}
                }
            });
        }
    }
    drop(waiting);
    drop((listeners, server));
    connections.close();
    let drained = timeout(limits.drain, hurry.run_until_cancelled(connections.wait()));
    if !matches!(drained.await, Ok(Some(()))) {
        tracing::warn!(connections = connections.len(), "giving up connections that did not come to an end");
        give_up.cancel();
        connections.wait().await;
    }
}

/// A connection that was accepted.
struct Guest {
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    since: Instant,
}

/// Who waits for a place, in the order in which they came.
struct WaitingRoom {
    places: Places,
    guests: VecDeque<Guest>,
    patience: Duration,
}

impl WaitingRoom {
    fn new(places: Places, patience: Duration) -> Self {
        Self { places, guests: VecDeque::new(), patience }
    }

    /// Waits until there may be a place for somebody who waits.
    async fn news(&self) {
        if self.guests.is_empty() {
            return std::future::pending().await;
        }
        // An error says that the time is over.
        let _ = timeout(LOOK_INTERVAL, self.places.freed()).await;
    }

    /// Those who get a place now, and their places. The newcomer waits if there is none for it; where nobody else may wait, it
    /// has to come again.
    fn seat(&mut self, newcomer: Option<Guest>) -> Vec<(Guest, Place)> {
        let mut seated = Vec::new();
        while let Some(guest) = self.guests.pop_front() {
            if guest.since.elapsed() > self.patience {
                continue;
            }
            let Some(place) = self.places.take(guest.peer.ip()) else {
                self.guests.push_front(guest);
                break;
            };
            seated.push((guest, place));
        }
        let Some(guest) = newcomer else { return seated };
        if let Some(place) = self.places.take(guest.peer.ip()) {
            seated.push((guest, place));
        } else if self.guests.len() < self.places.capacity() {
            self.guests.push_back(guest);
        } else {
            tracing::warn!(
                peer = %guest.peer,
                "all connections are in use and as many wait: a client was turned away (see max_connections)"
            );
        }
        seated
    }
}

/// The next connection of any listener. `turn` says with which listener to begin, so that none is kept waiting by the others.
async fn accept(listeners: &[Listener], turn: usize) -> Option<Guest> {
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
        Ok((stream, peer, tls)) => Some(Guest { stream, peer, tls, since: Instant::now() }),
        Err(error) => {
            let error: io::Error = error;
            tracing::warn!(%error, "accepting a connection failed");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
