//! The accept loop: connections, their limits, and an orderly end.
//!
//! warp's own server hides the connection, so hyper is used directly here; the route that it serves is warp's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::http::Uri;
use warp::http::uri::PathAndQuery;

use super::connection::{Connection, StallLimit};
use super::endpoint::Route;
use super::exchange::Exchange;
use super::request::{Arrival, RequestTarget};
use super::sendfile::{Segments, SendfileSocket};
use super::traffic::Traffic;

/// The most that is kept of a connection's input: bounds the request's head and the pieces of a body.
const BUFFER_BYTES: usize = 128 * 1024;
/// The pause after accepting a connection failed: usually too many files are open, and some will be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much is served at once, and how long the end may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the operating system's queue.
    pub connections: usize,
    /// How long requests and downloads may go on after the shutdown began.
    pub drain: Duration,
    /// How long a client may take to send a request's head, and to begin the next one on the same connection.
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

/// Serves `route` on `listener` until `shutdown`, then lets what has begun come to its end, unless `hurry` says that there is
/// no time for it. What passes is counted in `traffic`.
pub async fn serve(
    listener: TcpListener,
    route: Route,
    traffic: Arc<Traffic>,
    limits: Limits,
    shutdown: CancellationToken,
    hurry: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let give_up = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let connection = serve_connection(stream, peer, route.clone(), traffic.clone(), limits, shutdown.clone());
        let present = traffic.connections.enter();
        let give_up = give_up.clone();
        connections.spawn(async move {
            let (_place, _present) = (place, present);
            give_up.run_until_cancelled(connection).await;
        });
    }
    drop(listener);
    connections.close();
    let drained = timeout(limits.drain, hurry.run_until_cancelled(connections.wait()));
    if !matches!(drained.await, Ok(Some(()))) {
        tracing::warn!(connections = connections.len(), "giving up connections that did not come to an end");
        give_up.cancel();
        connections.wait().await;
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "accepting a connection failed");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    route: Route,
    traffic: Arc<Traffic>,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let connection = Connection { peer: Some(peer), local: stream.local_addr().ok(), is_secure: false };
    // Replies are written in one piece; waiting for more would only delay them. It may fail on a closed connection.
    let _ = stream.set_nodelay(true);

    let segments = Segments::default();
    let socket = SendfileSocket::new(stream, segments.clone());
    let filters = TowerToHyperService::new(warp::service(route));
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(uri) = without_empty_segments(request.uri()) {
            *request.uri_mut() = uri;
        }
        let target = RequestTarget(request.uri().clone());
        let exchange =
            Exchange::begin(traffic.clone(), request.method().clone(), target.clone(), request.headers(), peer);
        let record = exchange.record();
        request.extensions_mut().insert(Arrival { target, connection, segments: segments.clone(), record });
        let reply = filters.call(request);
        async move { Ok::<_, Infallible>(exchange.answer(reply.await.unwrap_or_else(|never| match never {}))) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(BUFFER_BYTES);
    let stream = TokioIo::new(StallLimit::new(socket, limits.stall));
    let mut served = std::pin::pin!(builder.serve_connection(stream, service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        // Clients that break off are everyday's business.
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Clients join URLs carelessly: `//api/v1/groups` means `/api/v1/groups`. `None` if there is nothing to mend.
fn without_empty_segments(uri: &Uri) -> Option<Uri> {
    if !uri.path().contains("//") {
        return None;
    }
    let mut path = String::with_capacity(uri.path().len());
    for character in uri.path().chars() {
        if character != '/' || !path.ends_with('/') {
            path.push(character);
        }
    }
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_segments_are_left_out() {
        let mended = |uri: &str| without_empty_segments(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(mended("/api/v1/groups"), None);
        assert_eq!(mended("//api/v1//groups?a=//b").as_deref(), Some("/api/v1/groups?a=//b"));
        assert_eq!(mended("//").as_deref(), Some("/"));
        assert_eq!(mended("/api/v1/groups//").as_deref(), Some("/api/v1/groups/"));
        assert_eq!(mended("http://host//api").as_deref(), Some("http://host/api"));
    }
}
