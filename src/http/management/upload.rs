//! Uploads as multipart forms (RFC 7578): the file goes to disk as it comes, the other parts are its metadata.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::{self, StreamExt};
use multer::{Field, Multipart};
use tokio::sync::Mutex;

use crate::count::Count;
use crate::domain::Submission;
use crate::http::Api;
use crate::http::body::RequestBody;
use crate::http::error::ApiError;
use crate::store::{PackageFolder, StagedFile};
use crate::usecase::publish_package::Receiving;
use crate::usecase::room::{CHECK_BYTES, Promise, Room};

/// The part that holds the package.
const FILE_PART: &str = "file";
/// How long all metadata together may be: it is in memory with every plan that has the package.
const METADATA_LIMIT_BYTES: usize = 64 * 1024;
/// How many metadata parts a form may have.
const PARTS_LIMIT: usize = 256;
/// How many bytes of a form may be something else than contents of its parts. The form's reader keeps a part's header in
/// memory until it ends, so one that never ends must be stopped from outside.
const FRAMING_LIMIT_BYTES: u64 = 1024 * 1024;

/// Receives a form: its file, on disk but not yet a package, and what it says about it. Nothing is left of one that is
/// refused.
pub async fn receive(api: &Api, mut body: RequestBody) -> Result<(StagedFile, Submission), ApiError> {
    let Api { packages: folder, room, traffic, .. } = api;
    let Some(boundary) = body.multipart_boundary() else {
        let refusal = ApiError::BadRequest("no file: send the package as a multipart/form-data form".to_owned());
        return Err(body.refuse(refusal).await);
    };
    let intake = match room.admit(body.declared_length()).await? {
        Ok(promise) => Intake { room, promise, counted: &traffic.upload_bytes, unchecked_bytes: 0, length_bytes: 0 },
        Err(refusal) => return Err(body.refuse(refusal.into()).await),
    };
    let body = Arc::new(Mutex::new(body));
    let form = Form::read(folder, intake, boundary, body.clone()).await;
    match form.and_then(Form::complete) {
        Ok((receiving, submission)) => {
            let staged = receiving.finish().await?;
            if staged.length_bytes() == 0 {
                return Err(ApiError::BadRequest("the file is empty".to_owned()));
            }
            Ok((staged, submission))
        }
        Err(refusal) => Err(body.lock().await.refuse(refusal).await),
    }
}

/// How much of a file has come in, of what there is room for.
struct Intake<'a> {
    room: &'a Room,
    promise: Promise,
    /// Where all bytes that come in are counted.
    counted: &'a Count,
    /// What has come in since there was last a look at the room.
    unchecked_bytes: u64,
    length_bytes: u64,
}

impl Intake<'_> {
    /// So much more has come in. 413 if that is too much for one package, 507 if there is no room left: others write as well, and
    /// some forms don't say how long they are.
    async fn arrived(&mut self, bytes: usize) -> Result<(), ApiError> {
        let bytes = bytes as u64;
        self.promise.arrived(bytes);
        self.counted.add(bytes);
        self.length_bytes += bytes;
        self.room.check_length(self.length_bytes)?;
        self.unchecked_bytes += bytes;
        if self.unchecked_bytes >= CHECK_BYTES {
            self.unchecked_bytes = 0;
            self.room.check().await??;
        }
        Ok(())
    }
}

/// What has been read of a form.
#[derive(Default)]
struct Form {
    file: Option<Receiving>,
    fields: Vec<(String, String)>,
    metadata_bytes: usize,
}

impl Form {
    async fn read(
        folder: &PackageFolder,
        mut intake: Intake<'_>,
        boundary: String,
        body: Arc<Mutex<RequestBody>>,
    ) -> Result<Self, ApiError> {
        let framing = Framing::default();
        let mut parts = Multipart::new(OneAtATime::new(pieces(body.clone(), framing.clone())), boundary);
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(refusal)? {
            form.read_part(folder, &mut intake, part, &framing).await?;
        }
        // The form's reader may be waiting for a piece, and has the body until it is dropped.
        drop(parts);
        // A request may break off after its form's end; then its sender has not asked for anything yet.
        let mut rest = pin!(pieces(body, framing));
        while let Some(piece) = rest.next().await {
            piece.map_err(|error| error.0)?;
        }
        Ok(form)
    }

    async fn read_part(
        &mut self,
        folder: &PackageFolder,
        intake: &mut Intake<'_>,
        part: Field<'_>,
        framing: &Framing,
    ) -> Result<(), ApiError> {
        let bad_request = |sentence: String| Err(ApiError::BadRequest(sentence));
        let Some(name) = part.name().map(str::to_owned) else {
            return bad_request("a part of the form has no name".to_owned());
        };
        let is_file = part.file_name().is_some_and(|file_name| !file_name.is_empty());
        match (name == FILE_PART, is_file) {
            (true, true) if self.file.is_some() => bad_request("the form has more than one file".to_owned()),
            (true, true) => {
                self.file = Some(receive_file(folder, intake, part, framing).await?);
                Ok(())
            }
            (true, false) => bad_request("the part \"file\" must have a filename".to_owned()),
            (false, true) => bad_request(format!("the file must be in the part \"file\", not in \"{name}\"")),
            (false, false) if self.fields.len() == PARTS_LIMIT => {
                bad_request(format!("the form has more than {PARTS_LIMIT} metadata parts"))
            }
            (false, false) => {
                let value = read_value(part, framing).await?;
                self.metadata_bytes += name.len() + value.len();
                if self.metadata_bytes > METADATA_LIMIT_BYTES {
                    return bad_request(format!("the metadata is longer than {METADATA_LIMIT_BYTES} bytes"));
                }
                self.fields.push((name, value));
                Ok(())
            }
        }
    }

    fn complete(self) -> Result<(Receiving, Submission), ApiError> {
        let submission = Submission::from_fields(self.fields)?;
        let file = self.file.ok_or_else(|| ApiError::BadRequest("no file: the part \"file\" is missing".to_owned()))?;
        Ok((file, submission))
    }
}

async fn receive_file(
    folder: &PackageFolder,
    intake: &mut Intake<'_>,
    mut part: Field<'_>,
    framing: &Framing,
) -> Result<Receiving, ApiError> {
    let mut receiving = Receiving::begin(folder.clone());
    while let Some(piece) = part.chunk().await.map_err(refusal)? {
        framing.contents(piece.len());
        intake.arrived(piece.len()).await?;
        if !receiving.push(piece).await {
            // Writing failed: asking for the result tells why.
            return Err(receiving
                .finish()
                .await
                .map_or_else(ApiError::from, |_| ApiError::internal("writing stopped")));
        }
    }
    Ok(receiving)
}

async fn read_value(mut part: Field<'_>, framing: &Framing) -> Result<String, ApiError> {
    let mut value = Vec::new();
    while let Some(piece) = part.chunk().await.map_err(refusal)? {
        framing.contents(piece.len());
        if value.len() + piece.len() > METADATA_LIMIT_BYTES {
            return Err(ApiError::BadRequest(format!("the metadata is longer than {METADATA_LIMIT_BYTES} bytes")));
        }
        value.extend_from_slice(&piece);
    }
    String::from_utf8(value).map_err(|_| ApiError::BadRequest("a metadata value is not UTF-8 text".to_owned()))
}

/// Counts the bytes of a form that are not contents of its parts.
#[derive(Clone, Default)]
struct Framing(Arc<AtomicU64>);

impl Framing {
    fn arrived(&self, length: usize) -> u64 {
        self.0.fetch_add(length as u64, Ordering::Relaxed) + length as u64
    }

    fn contents(&self, length: usize) {
        self.0.fetch_sub(length as u64, Ordering::Relaxed);
    }
}

/// The body's pieces, ending with an error where it carries too much framing.
fn pieces(
    body: Arc<Mutex<RequestBody>>,
    framing: Framing,
) -> impl Stream<Item = Result<Bytes, FormError>> + Send + 'static {
    stream::unfold((body, framing), |(body, framing)| async move {
        let piece = body.lock().await.next_piece().await?;
        let piece = piece.map_err(FormError).and_then(|piece| {
            if framing.arrived(piece.len()) > FRAMING_LIMIT_BYTES {
                return Err(FormError(ApiError::BadRequest("the form's parts have no proper headers".to_owned())));
            }
            Ok(piece)
        });
        Some((piece, (body, framing)))
    })
}

/// Our own error on its way through the form's reader.
#[derive(Debug)]
struct FormError(ApiError);

impl std::fmt::Display for FormError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request's body could not be read")
    }
}

impl std::error::Error for FormError {}

fn refusal(error: multer::Error) -> ApiError {
    if let multer::Error::StreamReadFailed(error) = error {
        return match error.downcast::<FormError>() {
            Ok(error) => error.0,
            Err(error) => ApiError::internal(error),
        };
    }
    ApiError::BadRequest(format!("the form cannot be read: {error}"))
}

/// Hands out one piece each time it is asked. The form's reader takes pieces for as long as there are any, and would have
/// a fast upload in memory.
struct OneAtATime<S> {
    pieces: Pin<Box<S>>,
    has_given: bool,
}

impl<S: Stream> OneAtATime<S> {
    fn new(pieces: S) -> Self {
        Self { pieces: Box::pin(pieces), has_given: false }
    }
}

impl<S: Stream> Stream for OneAtATime<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if std::mem::take(&mut self.has_given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = self.pieces.poll_next_unpin(context);
        self.has_given = piece.is_ready();
        piece
    }
}
