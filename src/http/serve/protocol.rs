//! One connection from its first byte to its last: the handshake, HTTP/1.1 or HTTP/2, and the limits of either.
//!
//! warp's own server hides the connection, so hyper is used directly here; the route that it serves is warp's.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use warp::http::Uri;
use warp::http::uri::PathAndQuery;
use warp::reply::Response;

use super::Limits;
use super::activity::Activity;
use super::places::Usage;
use super::transport::{Transport, report};
use crate::http::connection::Connection;
use crate::http::endpoint::Route;
use crate::http::exchange::{Exchange, Measured};
use crate::http::request::{Arrival, RequestTarget};
use crate::http::sendfile::Segments;
use crate::http::traffic::Traffic;

/// The most that is kept of a connection's input: bounds the request's head and the pieces of a body.
const BUFFER_BYTES: usize = 128 * 1024;

// HTTP/2. A page asks for some dozen things at once; who asks for more waits.
const MAX_STREAMS: u32 = 64;
const MAX_HEADERS_BYTES: u32 = 64 * 1024;
/// How much of an upload, and of all uploads of a connection, may be on its way: enough for 20 MB/s over 25 ms.
const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How much of a reply is kept for a client that takes it slowly.
const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// Streams that a client has begun and taken back before anybody looked, and that it has broken rules on: more end the connection.
const MAX_RESET_STREAMS: usize = 64;

/// What all connections are served with.
#[derive(Clone)]
pub struct Server {
    pub route: Route,
    /// Where what passes is counted.
    pub traffic: Arc<Traffic>,
    pub limits: Limits,
    pub shutdown: CancellationToken,
    /// Where requests of HTTP/2 run, each for itself.
    pub tasks: TaskTracker,
}

impl Server {
    /// Serves one connection to its end, over TLS if it is to.
    pub async fn serve(self, stream: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, usage: Usage) {
        let connection = Connection { peer: Some(peer), local: stream.local_addr().ok(), is_secure: tls.is_some() };
        // Replies are written in one piece; waiting for more would only delay them. It may fail on a closed connection.
        let _ = stream.set_nodelay(true);
        let Limits { head, stall, .. } = self.limits;
        let Some(acceptor) = tls else {
            let segments = Segments::default();
            let transport = Transport::plain(stream, segments.clone(), stall);
            return self
                .serve_http_1(
                    transport,
                    peer,
                    Arrival { connection, segments: Some(segments), ..Arrival::default() },
                    usage,
                )
                .await;
        };
        // What has not begun when the server stops never does. It is in a box, as each connection has room for all that is not, for as
        // long as it lasts.
        let handshake = Box::pin(self.shutdown.run_until_cancelled(Transport::secured(stream, &acceptor, stall)));
        let transport = match timeout(head, handshake).await {
            Ok(Some(Ok(transport))) => transport,
            Ok(Some(Err(error))) => return report(peer, &error),
            Ok(None) => return,
            Err(_) => return report(peer, &std::io::ErrorKind::TimedOut.into()),
        };
        // Under TLS every byte is read and encrypted: the operating system cannot send files.
        let arrival = Arrival { connection, segments: None, ..Arrival::default() };
        if transport.speaks_http_2() {
            Box::pin(self.serve_http_2(transport, peer, arrival, usage)).await;
        } else {
            self.serve_http_1(transport, peer, arrival, usage).await;
        }
    }

    async fn serve_http_1(self, transport: Transport, peer: SocketAddr, arrival: Arrival, usage: Usage) {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(self.limits.head).max_buf_size(BUFFER_BYTES);
        let requests = requests(self.route, self.traffic, peer, arrival, usage);
        let service = service_fn(move |request| requests.answer(request, |body| body));
        let mut served = pin!(builder.serve_connection(TokioIo::new(transport), service));
        let result = tokio::select! {
            result = served.as_mut() => result,
            () = self.shutdown.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = result {
            // Clients that break off are everyday's business.
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    }

    async fn serve_http_2(self, transport: Transport, peer: SocketAddr, arrival: Arrival, usage: Usage) {
        let Limits { head, stall, .. } = self.limits;
        let mut builder = http2::Builder::new(Tasks(self.tasks));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEADERS_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_RESET_STREAMS)
            .keep_alive_interval(head)
            .keep_alive_timeout(stall);
        let activity = Activity::new();
        let (noted, requests) = (activity.clone(), requests(self.route, self.traffic, peer, arrival, usage));
        let service = service_fn(move |request| {
            let noted = noted.begin();
            requests.answer(request, |body| noted.reply(body))
        });
        let mut served = pin!(builder.serve_connection(TokioIo::new(transport), service));
        let mut is_ending = false;
        loop {
            tokio::select! {
                result = served.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(%peer, %error, "a connection ended early");
                    }
                    return;
                }
                () = self.shutdown.cancelled(), if !is_ending => {}
                () = activity.idle(head) => if is_ending { return },
                () = activity.stalled(stall) => {
                    tracing::debug!(%peer, "a client took nothing of a reply");
                    return;
                }
            }
            is_ending = true;
            served.as_mut().graceful_shutdown();
        }
    }
}

/// The route, and what its requests are told of their connection.
struct Requests<F> {
    filters: F,
    traffic: Arc<Traffic>,
    peer: SocketAddr,
    arrival: Arrival,
    usage: Usage,
}

fn requests(
    route: Route,
    traffic: Arc<Traffic>,
    peer: SocketAddr,
    arrival: Arrival,
    usage: Usage,
) -> Requests<impl Service<hyper::Request<Incoming>, Response = Response, Error = Infallible, Future: Send + 'static>> {
    Requests { filters: TowerToHyperService::new(warp::service(route)), traffic, peer, arrival, usage }
}

impl<F> Requests<F> {
    /// Hands a request to the route, and notes what becomes of it. The reply's body is what `wrap` makes of it.
    fn answer<D, B: Body, W: FnOnce(D) -> B>(
        &self,
        mut request: hyper::Request<Incoming>,
        wrap: W,
    ) -> impl Future<Output = Result<hyper::Response<Measured<B>>, Infallible>> + use<F, D, B, W>
    where
        F: Service<hyper::Request<Incoming>, Response = hyper::Response<D>, Error = Infallible>,
    {
        if let Some(uri) = mended(request.uri()) {
            *request.uri_mut() = uri;
        }
        let target = RequestTarget(request.uri().clone());
        let (method, traffic) = (request.method().clone(), self.traffic.clone());
        let exchange =
            Exchange::begin(traffic, method, target.clone(), request.headers(), self.peer, self.usage.begin());
        let record = exchange.record();
        request.extensions_mut().insert(Arrival { target, record, ..self.arrival.clone() });
        let reply = self.filters.call(request);
        async move { Ok(exchange.answer(reply.await?.map(wrap))) }
    }
}

/// Runs what hyper has to run beside a connection so that the server waits for it at its end.
#[derive(Clone)]
struct Tasks(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// A target that routes can be looked for with; `None` if it is one. Clients join URLs carelessly: `//api/v1/groups` means
/// `/api/v1/groups`. And what has no path at all (RFC 9112, section 3.2.3: `CONNECT`), on which warp panics, means `/`.
fn mended(uri: &Uri) -> Option<Uri> {
    if uri.path_and_query().is_none() {
        return Some(Uri::from_static("/"));
    }
    // For two bytes a search for text costs more than looking.
    if !uri.path().as_bytes().windows(2).any(|pair| pair == b"//") {
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
    fn empty_segments_are_left_out_and_each_target_has_a_path() {
        let mended = |uri: &str| mended(&uri.parse().unwrap()).map(|uri| uri.to_string());
        assert_eq!(mended("internal.example:22").as_deref(), Some("/"));
        assert_eq!(mended("/api/v1/groups"), None);
        assert_eq!(mended("//api/v1//groups?a=//b").as_deref(), Some("/api/v1/groups?a=//b"));
        assert_eq!(mended("//").as_deref(), Some("/"));
        assert_eq!(mended("/api/v1/groups//").as_deref(), Some("/api/v1/groups/"));
        assert_eq!(mended("http://host//api").as_deref(), Some("http://host/api"));
    }
}
