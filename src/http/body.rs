//! Request bodies: read only when a handler asks, never more than it says, and never waiting for ever.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use headers::{Expect, HeaderMap, HeaderMapExt};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout, timeout_at};
use warp::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};

use super::error::ApiError;

/// The longest pause between two pieces of a body.
const PIECE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time for a body that is read as a whole: a byte now and then would keep a connection for days.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Before a request is refused, so much of its body is read and for so long: some clients see a broken connection instead
/// of the reply while they are still sending.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(5);

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, warp::Error>> + Send + Sync>>;

/// How most bodies are named.
const JSON: &str = "application/json";

/// The longest multipart boundary (RFC 2046, section 5.1.1).
const BOUNDARY_MAX_CHARACTERS: usize = 70;

/// A body that has not been read.
pub struct RequestBody {
    pieces: Pieces,
    declared_length: Option<u64>,
    /// As it was sent: most bodies are never asked for it.
    content_type: Option<HeaderValue>,
    /// The client sends nothing before it is told to go on (RFC 9110, section 10.1.1), which reading does.
    awaits_permission: bool,
}

/// What the client says about the type of a body.
enum DeclaredType {
    Missing,
    Unreadable,
    Type(mime::Mime),
}

impl RequestBody {
    /// Takes a body as warp hands it over.
    pub fn new(
        headers: &HeaderMap,
        pieces: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + Sync + 'static,
    ) -> Self {
        let content_type = headers.get(CONTENT_TYPE).cloned();
        let declared_length =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).and_then(|length| length.parse().ok());
        let pieces = pieces.map(|piece| piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())));
        let awaits_permission = headers.typed_get::<Expect>().is_some();
        Self { pieces: Box::pin(pieces), declared_length, content_type, awaits_permission }
    }

    /// How long it says that it is.
    pub fn declared_length(&self) -> Option<u64> {
        self.declared_length
    }

    /// What it says that it is.
    fn declared_type(&self) -> DeclaredType {
        let Some(value) = &self.content_type else { return DeclaredType::Missing };
        let mime = value.to_str().ok().and_then(|text| text.parse().ok());
        mime.map_or(DeclaredType::Unreadable, DeclaredType::Type)
    }

    /// Whether it says that it is of this type.
    pub fn is_of_type(&self, name: &str) -> bool {
        matches!(self.declared_type(), DeclaredType::Type(mime) if mime.essence_str() == name)
    }

    /// The multipart boundary, if the body is a form with one.
    pub fn multipart_boundary(&self) -> Option<String> {
        let DeclaredType::Type(mime) = self.declared_type() else { return None };
        (mime.type_() == mime::MULTIPART && mime.subtype() == mime::FORM_DATA)
            .then(|| mime.get_param(mime::BOUNDARY).map(|boundary| boundary.to_string()))
            .flatten()
            .filter(|boundary| (1..=BOUNDARY_MAX_CHARACTERS).contains(&boundary.len()))
    }

    /// The next piece; `None` at the end.
    pub async fn next_piece(&mut self) -> Option<Result<Bytes, ApiError>> {
        self.awaits_permission = false;
        match timeout(PIECE_TIMEOUT, self.pieces.next()).await {
            Ok(piece) => piece.map(|piece| {
                piece.map_err(|_| ApiError::BadRequest("the request's body ended before its end".to_owned()))
            }),
            Err(_) => Some(Err(ApiError::RequestTimeout)),
        }
    }

    /// The whole body. 400 if it breaks off, 408 if it does not come, 413 if it is longer than `limit_bytes`.
    pub async fn read(&mut self, limit_bytes: usize) -> Result<Bytes, ApiError> {
        timeout(BODY_TIMEOUT, self.join_pieces(limit_bytes)).await.unwrap_or(Err(ApiError::RequestTimeout))
    }

    async fn join_pieces(&mut self, limit_bytes: usize) -> Result<Bytes, ApiError> {
        let limit_exceeded = |length: u64| length > limit_bytes as u64;
        if self.declared_length.is_some_and(limit_exceeded) {
            return Err(self.refuse(ApiError::PayloadTooLarge(limit_bytes as u64)).await);
        }
        // Most bodies come in one piece, which is used as it is.
        let mut whole = Bytes::new();
        let mut joined = Vec::new();
        while let Some(piece) = self.next_piece().await.transpose()? {
            if limit_exceeded((whole.len() + joined.len() + piece.len()) as u64) {
                return Err(self.refuse(ApiError::PayloadTooLarge(limit_bytes as u64)).await);
            }
            if whole.is_empty() && joined.is_empty() {
                whole = piece;
            } else {
                joined.extend_from_slice(&std::mem::take(&mut whole));
                joined.extend_from_slice(&piece);
            }
        }
        Ok(if joined.is_empty() { whole } else { joined.into() })
    }

    /// The whole body as JSON text: like [`RequestBody::read`], and 415 if it says that it is something else.
    pub async fn read_json_text(&mut self, limit_bytes: usize) -> Result<Bytes, ApiError> {
        let is_json = self.content_type.as_ref().is_some_and(|value| value == JSON)
            || match self.declared_type() {
                // The reference page's own examples leave it out.
                DeclaredType::Missing => true,
                DeclaredType::Unreadable => false,
                DeclaredType::Type(mime) => {
                    mime.type_() == mime::APPLICATION
                        && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
                }
            };
        if !is_json {
            return Err(self.refuse(ApiError::UnsupportedMediaType(JSON)).await);
        }
        self.read(limit_bytes).await
    }

    /// The whole body as the text of a form: like [`RequestBody::read`], and 415 if it does not say that it is one.
    pub async fn read_form_text(&mut self, limit_bytes: usize) -> Result<Bytes, ApiError> {
        let is_form = self.is_of_type(mime::APPLICATION_WWW_FORM_URLENCODED.essence_str());
        if !is_form {
            return Err(self.refuse(ApiError::UnsupportedMediaType("application/x-www-form-urlencoded")).await);
        }
        self.read(limit_bytes).await
    }

    /// The whole body, read as JSON: like [`RequestBody::read_json_text`], and 400 if it is not what is needed.
    pub async fn read_json<T: DeserializeOwned>(&mut self, limit_bytes: usize) -> Result<T, ApiError> {
        parse_json(&self.read_json_text(limit_bytes).await?)
    }

    /// Reads on for a while, so that the client gets to see `error`, and hands it back.
    pub async fn refuse(&mut self, error: ApiError) -> ApiError {
        if !self.awaits_permission {
            // This is rare: it has room of its own.
            Box::pin(self.drain()).await;
        }
        error
    }

    async fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_TIME;
        let mut drained_bytes = 0;
        while let Ok(Some(Ok(piece))) = timeout_at(deadline, self.pieces.next()).await {
            drained_bytes += piece.len();
            if drained_bytes > DRAIN_BYTES {
                break;
            }
        }
    }
}

/// Reads a JSON object; 400 with the place if it is broken or not what is needed.
pub fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    // A derived type would also take its fields from an array, in the order of their declaration.
    if text.trim_ascii_start().first() == Some(&b'[') {
        return Err(ApiError::BadRequest("invalid JSON body: an object is needed, not an array".to_owned()));
    }
    serde_json::from_slice(text).map_err(|error| ApiError::BadRequest(format!("invalid JSON body: {error}")))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::time::sleep;

    use super::*;

    /// A body without an end, of which one byte comes in each `period`.
    fn trickling(period: Duration) -> RequestBody {
        let pieces = stream::repeat_with(move || async move {
            sleep(period).await;
            Ok::<_, warp::Error>(&b" "[..])
        });
        RequestBody::new(&HeaderMap::new(), pieces.buffered(1))
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_after_a_minute() {
        let begin = Instant::now();
        let read = trickling(Duration::from_secs(5)).read(1024 * 1024).await;
        assert!(matches!(read, Err(ApiError::RequestTimeout)));
        assert_eq!(begin.elapsed(), BODY_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_is_given_up_after_half_a_minute() {
        let begin = Instant::now();
        let piece = trickling(Duration::from_secs(3600)).next_piece().await;
        assert!(matches!(piece, Some(Err(ApiError::RequestTimeout))));
        assert_eq!(begin.elapsed(), PIECE_TIMEOUT);
    }
}
