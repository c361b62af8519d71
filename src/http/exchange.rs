//! One request and its reply: what becomes known of it on its way, and what is counted and logged when it is over.
//!
//! There is one line for each request, without its query (addresses are signed there, and codes stand there) and without any
//! header. What devices and machines ask all the time is no news when it goes well: such lines are for debugging, and each minute
//! has one that counts them. The log may be on the same flash as everything else.

use std::fmt;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Buf;
use headers::{ContentLength, HeaderMap, HeaderMapExt};
use hyper::body::{Body, Frame, SizeHint};
use tracing::Level;
use tracing::field::display;
use warp::http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::request::RequestTarget;
use super::serve::InUse;
use super::traffic::{RouteTraffic, Routine, Traffic};
use crate::domain::{Actor, ActorKind, MacAddress};

/// By which a client says what it calls its request, and is told what the log calls it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a client's name of its request may be.
const REQUEST_ID_CHARACTERS: usize = 64;
/// How much of a path is logged: anybody can send any.
const PATH_CHARACTERS: usize = 200;

/// Who made a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A device with a good token, or with a good signature.
    Device(MacAddress),
    /// Somebody who may do something.
    Actor(Actor),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(mac_address) => write!(f, "device {}", mac_address.as_str()),
            Self::Actor(actor) => actor.fmt(f),
        }
    }
}

/// What becomes known of a request on its way through the server.
#[derive(Debug)]
pub struct RequestRecord {
    /// What the client calls it.
    given_id: Option<HeaderValue>,
    /// Which route took it; beyond all if none did yet.
    route: AtomicUsize,
    client: OnceLock<IpAddr>,
    who: OnceLock<Who>,
    /// Why it failed, for the log alone.
    cause: OnceLock<String>,
    is_download: AtomicBool,
}

impl Default for RequestRecord {
    fn default() -> Self {
        Self {
            given_id: None,
            route: AtomicUsize::new(usize::MAX),
            client: OnceLock::new(),
            who: OnceLock::new(),
            cause: OnceLock::new(),
            is_download: AtomicBool::new(false),
        }
    }
}

// What is noted first counts: nothing here is said twice.
impl RequestRecord {
    /// A route took it, and it is this client's.
    pub fn enter(&self, route: usize, client: Option<IpAddr>) {
        self.route.store(route, Relaxed);
        if let Some(client) = client {
            let _ = self.client.set(client);
        }
    }

    /// It is known who made it.
    pub fn note_who(&self, who: Who) {
        let _ = self.who.set(who);
    }

    /// It failed, and only the log is to know why.
    pub fn note_cause(&self, cause: String) {
        let _ = self.cause.set(cause);
    }

    /// Its reply is a package, or a part of one.
    pub fn note_download(&self) {
        self.is_download.store(true, Relaxed);
    }
}

/// What becomes of the line about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    /// No news: counted, and a line for debugging.
    Routine(Routine),
    /// A line, however many there are.
    Line,
    /// A line, and a few a minute of the same kind: anybody can cause these.
    Limited,
    /// A line that says what is wrong with the server.
    Failure,
}

/// Decides that, when the status is known.
fn notice(route: &RouteTraffic, method: &Method, status: StatusCode, who: Option<&Who>, is_download: bool) -> Notice {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    let is_in_browser = matches!(who, Some(Who::Actor(actor)) if actor.kind == ActorKind::User);
    match (status.as_u16(), route.routine) {
        (500.., _) => Notice::Failure,
        (204, Some(Routine::Check)) => Notice::Routine(Routine::Check),
        // Tokens end every few minutes, and who is not accepted yet asks again and again.
        (401, Some(routine @ (Routine::Check | Routine::Authorization))) => Notice::Routine(routine),
        (200, Some(Routine::Authorization)) => Notice::Routine(Routine::Authorization),
        (304, _) => Notice::Routine(Routine::Page),
        (..=399, Some(routine @ (Routine::Page | Routine::Watch))) if is_read => Notice::Routine(routine),
        (..=399, None) if is_read && is_in_browser => Notice::Routine(Routine::Page),
        (400.., _) | (_, Some(Routine::Check)) => Notice::Limited,
        _ if is_download => Notice::Limited,
        _ => Notice::Line,
    }
}

/// A request from its arrival to the end of its reply. When this goes, it is over, however that came about.
pub struct Exchange {
    record: Arc<RequestRecord>,
    traffic: Arc<Traffic>,
    method: Method,
    target: RequestTarget,
    peer: SocketAddr,
    begun: Instant,
    /// `None` until there is one.
    reply: Option<(StatusCode, Notice)>,
    made_id: OnceLock<HeaderValue>,
    bytes: u64,
    is_complete: bool,
    /// The connection's place is needed until then.
    _in_use: InUse,
}

impl Exchange {
    /// A request has arrived.
    pub fn begin(
        traffic: Arc<Traffic>,
        method: Method,
        target: RequestTarget,
        headers: &HeaderMap,
        peer: SocketAddr,
        in_use: InUse,
    ) -> Self {
        let given_id = headers.get(REQUEST_ID).filter(|id| is_harmless(id)).cloned();
        let record = Arc::new(RequestRecord { given_id, ..RequestRecord::default() });
        let begun = Instant::now();
        Self {
            record,
            traffic,
            method,
            target,
            peer,
            begun,
            reply: None,
            made_id: OnceLock::new(),
            bytes: 0,
            is_complete: false,
            _in_use: in_use,
        }
    }

    /// Where to note what becomes known of it.
    pub fn record(&self) -> Arc<RequestRecord> {
        self.record.clone()
    }

    /// Its reply is there, and goes out now. One that has a line of its own in the log says under which name.
    pub fn answer<B: Body>(mut self, mut response: Response<B>) -> Response<Measured<B>> {
        let (route, status) = (self.route(), response.status());
        route.replied(&self.method, status, self.begun.elapsed());
        let is_download = self.record.is_download.load(Relaxed);
        let notice = notice(route, &self.method, status, self.record.who.get(), is_download);
        self.reply = Some((status, notice));
        if is_download {
            self.traffic.downloads.begun.add_one();
        }
        if let Notice::Routine(routine) = notice {
            self.traffic.routine.note(routine);
        }
        // Devices that poll have no use for a name of each request.
        if !matches!(notice, Notice::Routine(_)) || self.record.given_id.is_some() {
            response.headers_mut().insert(REQUEST_ID, self.id().clone());
        }
        // Packages are streams, whose length only their heads tell.
        let head_says = || response.headers().typed_get::<ContentLength>().map(|length| length.0);
        let length = response.body().size_hint().exact().or_else(head_says);
        self.is_complete = self.method == Method::HEAD || length == Some(0);
        response.map(|body| Measured { body, exchange: self, length })
    }

    fn route(&self) -> &RouteTraffic {
        self.traffic.route(self.record.route.load(Relaxed))
    }

    /// What the client calls it, or a name that no other request has.
    fn id(&self) -> &HeaderValue {
        static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0)));
        self.record.given_id.as_ref().unwrap_or_else(|| {
            self.made_id.get_or_init(|| {
                let text = format!("{:016x}", NEXT.fetch_add(1, Relaxed));
                HeaderValue::try_from(text).expect("hexadecimal digits are a header's value")
            })
        })
    }

    /// Writes the line.
    fn tell(&self) {
        let (status, notice) = match &self.reply {
            Some((status, notice)) => (status.as_str(), *notice),
            None => ("gone before the reply", Notice::Limited),
        };
        let is_told = match notice {
            Notice::Routine(_) => tracing::enabled!(Level::DEBUG),
            Notice::Line | Notice::Limited => tracing::enabled!(Level::INFO),
            Notice::Failure => true,
        };
        if !is_told {
            return;
        }
        let end = if self.is_complete || self.reply.is_none() { "" } else { ", broken off" };
        let path = self.target.path();
        let path = path.char_indices().nth(PATH_CHARACTERS).map_or(path, |(end, _)| &path[..end]);
        let request = self.id().to_str().unwrap_or_default();
        let milliseconds = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let RequestRecord { client, who, cause, .. } = &*self.record;
        let peer = client.get().copied().unwrap_or_else(|| self.peer.ip());
        let (who, error, bytes, method) = (who.get().map(display), cause.get(), self.bytes, &self.method);
        match notice {
            Notice::Routine(_) => {
                tracing::debug!(request, milliseconds, bytes, %peer, who, "{method} {path} {status}{end}");
            }
            Notice::Line => {
                tracing::info!(request, milliseconds, bytes, %peer, who, "{method} {path} {status}{end}");
            }
            Notice::Limited => {
                let limited_by = self.kind(peer);
                tracing::info!(limited_by, request, milliseconds, bytes, %peer, who, "{method} {path} {status}{end}");
            }
            Notice::Failure if error.is_some() => {
                let limited_by = self.kind(peer);
                tracing::error!(
                    limited_by, error, request, milliseconds, bytes, %peer, who, "{method} {path} {status}{end}"
                );
            }
            Notice::Failure => {
                let limited_by = self.kind(peer);
                tracing::warn!(limited_by, request, milliseconds, bytes, %peer, who, "{method} {path} {status}{end}");
            }
        }
    }

    /// A number for all lines that are the same but for details.
    fn kind(&self, peer: IpAddr) -> u64 {
        let status = self.reply.map(|(status, _)| status);
        // Of what goes well each device has some: ranges of a package, and the same offer again and again.
        let peer = status.is_some_and(|status| status.is_success()).then_some(peer);
        let mut hasher = DefaultHasher::new();
        (self.route().path, &self.method, status, peer).hash(&mut hasher);
        hasher.finish()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.record.is_download.load(Relaxed) {
            let downloads = &self.traffic.downloads;
            downloads.bytes.add(self.bytes);
            if self.is_complete { &downloads.complete } else { &downloads.broken_off }.add_one();
        }
        self.tell();
    }
}

/// The body of a reply, whose bytes are counted as they are taken.
pub struct Measured<B> {
    body: B,
    exchange: Exchange,
    /// How long it will be, if that is known.
    length: Option<u64>,
}

impl<B: Body + Unpin> Body for Measured<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                self.exchange.bytes += frame.data_ref().map_or(0, |data| data.remaining() as u64);
                // Of a body whose length is known, nobody asks for the end.
                self.exchange.is_complete = self.length == Some(self.exchange.bytes);
            }
            Some(Err(_)) => {}
            None => self.exchange.is_complete = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether a client's name of its request can stand in a line of the log.
fn is_harmless(id: &HeaderValue) -> bool {
    let is_harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (1..=REQUEST_ID_CHARACTERS).contains(&id.len()) && id.as_bytes().iter().all(is_harmless)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::route_table;

    fn decide(path: &str, method: &Method, status: u16, who: Option<&Who>) -> Notice {
        let traffic = Traffic::new(&route_table(), std::time::Duration::ZERO);
        let status = StatusCode::from_u16(status).unwrap();
        notice(traffic.route(traffic.position(path)), method, status, who, path.starts_with("/local_storage"))
    }

    #[test]
    fn polling_is_no_news_and_all_else_has_a_line() {
        let device = Who::Device(MacAddress::parse("00:11:22:33:44:55").unwrap());
        let user = Who::Actor(Actor::new(ActorKind::User, "anna"));
        let script = Who::Actor(Actor::new(ActorKind::Token, "nightly"));
        let (get, post) = (&Method::GET, &Method::POST);
        let check = "/api/v1/update/check";
        for (path, method, status, who, expected) in [
            (check, post, 204, Some(&device), Notice::Routine(Routine::Check)),
            (check, post, 200, Some(&device), Notice::Limited),
            (check, post, 401, None, Notice::Routine(Routine::Check)),
            (check, post, 400, Some(&device), Notice::Limited),
            (check, post, 500, Some(&device), Notice::Failure),
            ("/api/v1/auth/device", post, 200, Some(&device), Notice::Routine(Routine::Authorization)),
            ("/api/v1/auth/device", post, 400, None, Notice::Limited),
            ("/local_storage/{name...}", get, 206, None, Notice::Limited),
            ("/local_storage/{name...}", get, 304, None, Notice::Routine(Routine::Page)),
            ("/static/{name...}", get, 200, None, Notice::Routine(Routine::Page)),
            ("/static/{name...}", get, 404, None, Notice::Limited),
            ("/metrics", get, 200, Some(&script), Notice::Routine(Routine::Watch)),
            ("/metrics", get, 401, None, Notice::Limited),
            ("/api/v1/groups", get, 200, Some(&user), Notice::Routine(Routine::Page)),
            ("/api/v1/groups", get, 200, Some(&script), Notice::Line),
            ("/api/v1/groups", post, 200, Some(&user), Notice::Line),
            ("/api/v1/groups", post, 403, Some(&user), Notice::Limited),
            ("/api/tender/v1/session", post, 200, None, Notice::Line),
            ("/nowhere", get, 404, None, Notice::Limited),
            ("/api/v1/packages", post, 503, Some(&script), Notice::Failure),
        ] {
            assert_eq!(decide(path, method, status, who), expected, "{method} {path} {status} {who:?}");
        }
    }

    #[test]
    fn names_of_requests_are_short_and_plain() {
        for (id, is_taken) in [
            ("3f2a-11.b_7", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("<3>", false),
            (&*"x".repeat(64), true),
            (&*"x".repeat(65), false),
        ] {
            assert_eq!(is_harmless(&HeaderValue::from_str(id).unwrap()), is_taken, "{id}");
        }
    }
}
