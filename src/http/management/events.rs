//! `/api/tender/v1/events`: what happens, as it happens, as server-sent events (WHATWG HTML, section 9.2).
//!
//! Nothing is kept for a client that does not read: hyper asks for the next piece when the last one has gone, and who then has
//! missed something is let go, to come again and be told what it was.

use std::convert::Infallible;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use warp::http::HeaderName;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::{Reply, Response};

use super::VERSION;
use super::paging::{number, wrong};
use crate::domain::{DeviceId, Scope, Timestamp};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::{Listening, Operator};
use crate::http::reply::{Moment, forbid_storing};
use crate::http::request::{Head, Request};
use crate::store::{Listener, Message, Since};

/// Who may listen.
pub const GUARD: Listening = Listening(Scope::ReadOnly);

/// How many may listen at once: each takes a connection for as long, so of few connections it is a quarter.
const MOST_LISTENERS: usize = 64;
/// When to come again if there is no place.
const NO_PLACE_PAUSE: Duration = Duration::from_secs(10);
/// How many events from before may be asked for.
const MOST_RECENT: usize = 200;
/// How much is sent in one piece, unless one message is longer.
const PIECE_BYTES: usize = 16 * 1024;
/// How often listeners are sent something, so that both sides notice when the other is gone; and how often there is a look whether
/// they may still listen.
const HEARTBEAT: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// For nginx in between, which would wait for more.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What listeners share.
#[derive(Debug, Clone)]
pub struct EventStreams {
    places: Arc<Semaphore>,
    /// The server ends.
    closing: CancellationToken,
    started: Timestamp,
    /// Tells this run of the server from others: identifiers of events may come again where the clock stands still.
    run: Uuid,
    heartbeat: Duration,
}

impl EventStreams {
    /// For a server that `started` then, ends with `closing`, and has so many connections.
    pub fn new(started: Timestamp, closing: CancellationToken, connections: usize) -> Self {
        let places = Arc::new(Semaphore::new((connections / 4).clamp(1, MOST_LISTENERS)));
        Self { places, closing, started, run: Uuid::new_v4(), heartbeat: HEARTBEAT }
    }

    /// With another pause between two heartbeats.
    pub fn with_heartbeat(self, heartbeat: Duration) -> Self {
        Self { heartbeat, ..self }
    }

    /// What a client names that comes again after this event.
    fn position(&self, id: i64) -> Position {
        Position { run: self.run, id }
    }
}

/// An event, as it is named in the stream: its run, and its identifier.
struct Position {
    run: Uuid,
    id: i64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.run.simple(), self.id)
    }
}

impl Position {
    fn parse(text: &str) -> Option<Self> {
        let (run, id) = text.split_once('-')?;
        Some(Self { run: Uuid::try_parse(run).ok()?, id: id.parse().ok()? })
    }
}

/// The first thing that is said.
#[derive(Serialize)]
struct Hello {
    version: &'static str,
    started: Moment,
    resumed: bool,
}

/// Devices that were heard: they, or that they are too many.
#[derive(Serialize)]
#[serde(untagged)]
enum DevicesReply<'a> {
    Named { heard: &'a [DeviceId], changed: &'a [DeviceId] },
    Many { many: bool },
}

/// `GET /api/tender/v1/events`, with `recent` (0 to 200: so many of the latest events are sent first) or the header `Last-Event-ID`
///
/// - 200: `text/event-stream`, which goes on until the client goes, its credentials end, it reads too slowly, or the server ends.
///   First `hello`, whose `resumed` says whether all that happened after `Last-Event-ID` follows; then an `event` for each event,
///   as webhooks get it; and once a second `devices`, if some were heard
/// - 400: a parameter is unknown, or its value is none
/// - 503: too many listen; `Retry-After` says when to come again
pub async fn listen(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    let mut recent = 0;
    for (name, value) in form_urlencoded::parse(request.head.target.query().as_bytes()) {
        match &*name {
            "recent" => recent = number("recent", &value)?,
            _ => return Err(ApiError::BadRequest(format!("there is no parameter \"{name}\" here"))),
        }
    }
    if recent > MOST_RECENT {
        return Err(wrong("recent", &format!("a number from 0 to {MOST_RECENT}")));
    }
    let streams = &api.event_streams;
    let last = request.head.headers.get(LAST_EVENT_ID).and_then(|value| Position::parse(value.to_str().ok()?));
    let last = last.filter(|last| last.run == streams.run);
    let since = last.map_or(Since::Latest(recent), |last| Since::Event(last.id));
    let place = streams.places.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::Busy("too many listen to events already", NO_PLACE_PAUSE))?;

    api.store.presence().listen();
    let Listener { before, is_resumed, position, messages } = api.store.events().listen(since);
    let hello = Hello { version: VERSION, started: Moment(streams.started), resumed: is_resumed };
    let mut opening = String::new();
    // Whoever comes again before anything happens names this.
    let first = before.is_empty().then(|| streams.position(position));
    write_message(&mut opening, "hello", first, &hello)?;
    for record in before {
        write_message(&mut opening, "event", Some(streams.position(record.id)), &*record)?;
    }
    let mut heartbeat = interval(streams.heartbeat);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let narration = Narration { opening, messages, heartbeat, api: api.clone(), head: request.head, _place: place };
    let pieces = stream::unfold(narration, |mut narration| async {
        let piece = narration.next().await?;
        Some((Ok::<_, Infallible>(piece), narration))
    });
    let mut response = warp::reply::stream(pieces).into_response();
    forbid_storing(&mut response);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(response)
}

/// What one listener is told.
struct Narration {
    /// What is said first.
    opening: String,
    messages: Receiver<Message>,
    heartbeat: Interval,
    api: Arc<Api>,
    head: Box<Head>,
    _place: OwnedSemaphorePermit,
}

impl Narration {
    /// The next piece; `None`: that was all.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.opening.is_empty() {
            return Some(std::mem::take(&mut self.opening).into());
        }
        tokio::select! {
            () = self.api.event_streams.closing.cancelled() => None,
            // An error: some were missed, as the client did not read for so long.
            message = self.messages.recv() => self.piece(message.ok()?),
            _ = self.heartbeat.tick() => {
                let may_listen = GUARD.still_admits(&self.api, &self.head).await;
                may_listen.then(|| Bytes::from_static(b":\n\n"))
            }
        }
    }

    /// This message and those that have come with it.
    fn piece(&mut self, first: Message) -> Option<Bytes> {
        let mut text = String::new();
        let mut next = Some(first);
        while let Some(message) = next {
            self.write(&mut text, &message)
                .inspect_err(|error| tracing::error!(%error, "an event could not be written"))
                .ok()?;
            next = if text.len() < PIECE_BYTES { self.messages.try_recv().ok() } else { None };
        }
        Some(text.into())
    }

    fn write(&self, text: &mut String, message: &Message) -> Result<(), serde_json::Error> {
        match message {
            Message::Event(record) => {
                write_message(text, "event", Some(self.api.event_streams.position(record.id)), &**record)
            }
            Message::Devices(news) => {
                let reply = if news.are_many {
                    DevicesReply::Many { many: true }
                } else {
                    DevicesReply::Named { heard: &news.heard, changed: &news.changed }
                };
                write_message(text, "devices", None, &reply)
            }
        }
    }
}

/// JSON has no line breaks of its own, so each message has one line of data.
fn write_message(
    text: &mut String,
    name: &str,
    id: Option<Position>,
    data: &impl Serialize,
) -> Result<(), serde_json::Error> {
    let data = serde_json::to_string(data)?;
    let id = id.map_or_else(String::new, |id| format!("id: {id}\n"));
    // Writing to a string does not fail.
    let _ = write!(text, "event: {name}\n{id}data: {data}\n\n");
    Ok(())
}
