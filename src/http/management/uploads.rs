//! `/api/tender/v1/uploads`: uploads that survive bad networks, by tus 1.0, and become packages in one more call.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use warp::http::header::{HeaderValue, LOCATION};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use super::packages::{reply_to, require_scopes_of};
use super::tus::{self, PIECE};
use crate::domain::{Action, Actor, Artifact, ByteSize, Deed, Metadata, Submission};
use crate::http::Api;
use crate::http::endpoint::PathParameter;
use crate::http::error::ApiError;
use crate::http::guard::{Anonymous, Uploader};
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::uploads::PendingUpload;
use crate::usecase::resume_upload::{Appending, CHECKPOINT_INTERVAL, NotBegun, Turn};
use crate::usecase::room::CHECK_BYTES;

const METHOD_OVERRIDE: &str = "x-http-method-override";
const COLLECTION: &str = "/api/tender/v1/uploads";

/// The name of an upload in URLs.
pub struct UploadName(Uuid);

impl PathParameter for UploadName {
    fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

#[derive(Serialize)]
struct UploadReply {
    id: String,
    length: u64,
    offset: u64,
    created: Moment,
    expires: Moment,
}

impl From<&PendingUpload> for UploadReply {
    fn from(upload: &PendingUpload) -> Self {
        Self {
            id: upload.id.to_string(),
            length: upload.length_bytes,
            offset: upload.progress.offset_bytes,
            created: Moment(upload.created),
            expires: Moment(upload.expires),
        }
    }
}

#[derive(Serialize)]
struct ShownUploadReply {
    #[serde(flatten)]
    upload: UploadReply,
    #[serde(flatten)]
    outlook: Outlook,
}

/// What an upload is about to become.
#[derive(Default, Serialize)]
struct Outlook {
    /// `null`: a plain file, or not complete.
    artifact: Option<Artifact>,
    /// What was given, and what the artifact offers for the rest.
    metadata: Metadata,
    /// Why it cannot become a package.
    problem: Option<String>,
}

/// More about the package than was said when the upload began; what is said here counts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct FinishBody {
    #[serde(default)]
    metadata: Metadata,
}

fn no_such_upload() -> ApiError {
    ApiError::NotFound("no such upload: it was finished or given up, or somebody else began it")
}

async fn take(api: &Api, name: &UploadName, actor: &Actor) -> Result<(Turn, PendingUpload), ApiError> {
    api.uploads.take(name.0, actor).await?.ok_or_else(no_such_upload)
}

/// `OPTIONS /api/tender/v1/uploads`
///
/// - 204: what of tus this server speaks
pub async fn describe(api: Arc<Api>, _: Anonymous, (): (), _: Request) -> Result<Response, ApiError> {
    Ok(tus::describe(api.room.largest_package().map(ByteSize::bytes)))
}

/// `GET /api/tender/v1/uploads`
///
/// - 200: the caller's uploads that are not finished
pub async fn list(api: Arc<Api>, actor: Actor, (): (), _: Request) -> Result<Response, ApiError> {
    let uploads = api.uploads.list(&actor).await?;
    Ok(reply::ok(&uploads.iter().map(UploadReply::from).collect::<Vec<_>>())?)
}

/// `POST /api/tender/v1/uploads`
///
/// - 201: begun; `Location` says where it goes on
/// - 400: `Upload-Length` or `Upload-Metadata` cannot be read
/// - 409: too many uploads are not finished
/// - 412: another version of the protocol
/// - 413: larger than packages may be
/// - 507: there is no room for it
pub async fn begin(api: Arc<Api>, uploader: Uploader, (): (), request: Request) -> Result<Response, ApiError> {
    let headers = &request.head.headers;
    tus::require_version(headers)?;
    let (length, metadata) = (tus::length(headers)?, tus::metadata(headers)?);
    let upload = api.uploads.begin(length, metadata, uploader.deed).await?.map_err(|reason| match reason {
        NotBegun::Refused(refusal) => refusal.into(),
        NotBegun::TooMany => ApiError::Conflict("too many uploads are not finished: finish or delete some".to_owned()),
    })?;
    let mut response = tus::add_state(reply::no_content(), &upload)?;
    *response.status_mut() = StatusCode::CREATED;
    let location = format!("{COLLECTION}/{}", upload.id);
    response.headers_mut().insert(LOCATION, HeaderValue::try_from(location).map_err(ApiError::internal)?);
    Ok(response)
}

/// `GET /api/tender/v1/uploads/{upload}`, also `HEAD`
///
/// - 200: how far it is; `Upload-Offset` says where to go on. Of a complete one, what is in it and what is offered as its metadata
/// - 404: no such upload
pub async fn show(api: Arc<Api>, actor: Actor, name: UploadName, request: Request) -> Result<Response, ApiError> {
    let (_turn, upload) = take(&api, &name, &actor).await?;
    // Clients that go on ask with HEAD how far they are: they need not wait for an artifact to be read.
    let outlook = match request.head.method {
        Method::HEAD => Outlook::default(),
        _ => outlook(&api, &upload).await?,
    };
    tus::add_state(reply::ok(&ShownUploadReply { upload: (&upload).into(), outlook })?, &upload)
}

/// What would become of an upload if it was finished without saying more.
async fn outlook(api: &Api, upload: &PendingUpload) -> Result<Outlook, ApiError> {
    let unfit = |problem: String| Outlook { problem: Some(problem), ..Outlook::default() };
    let submission = match Submission::from_fields(tus::fields(&upload.metadata)?) {
        Ok(submission) => submission,
        Err(invalid) => return Ok(unfit(invalid.to_string())),
    };
    if upload.missing_bytes() > 0 {
        return Ok(Outlook { metadata: submission.metadata(None), ..Outlook::default() });
    }
    Ok(match api.uploads.examine(upload, submission.expected_sha256()).await? {
        Ok(examined) => {
            let artifact = examined.artifact();
            Outlook { metadata: submission.metadata(artifact), artifact: artifact.cloned(), problem: None }
        }
        Err(reason) => unfit(reason.to_string()),
    })
}

/// `PATCH /api/tender/v1/uploads/{upload}`
///
/// - 204: the piece is on disk; `Upload-Offset` says where to go on
/// - 400: `Upload-Offset` or `Upload-Checksum` cannot be read, the piece goes past the end, or it broke off
/// - 404: no such upload
/// - 409: the piece does not belong where the upload stopped
/// - 412: another version of the protocol
/// - 415: not of the type `application/offset+octet-stream`
/// - 460: the piece was damaged on the way; nothing of it is kept
/// - 507: there is no room left
pub async fn append(
    api: Arc<Api>,
    uploader: Uploader,
    name: UploadName,
    mut request: Request,
) -> Result<Response, ApiError> {
    match check_piece(&api, &uploader, &name, &request).await {
        Ok((turn, upload)) => {
            let received = receive_piece(&api, &turn, upload, &mut request).await;
            // Whoever waits to go on need not wait for this client to learn what was wrong.
            drop(turn);
            match received {
                Ok(upload) => tus::add_state(reply::no_content(), &upload),
                Err(error) => Err(request.body.refuse(error).await),
            }
        }
        Err(refusal) => Err(request.body.refuse(refusal).await),
    }
}

/// `POST /api/tender/v1/uploads/{upload}`, for clients behind proxies that know few methods: `X-HTTP-Method-Override` says
/// `PATCH` or `DELETE`, and it is done as if that had been sent
///
/// - 400: it says neither
pub async fn overridden(
    api: Arc<Api>,
    uploader: Uploader,
    name: UploadName,
    mut request: Request,
) -> Result<Response, ApiError> {
    let meant = request.head.headers.get(METHOD_OVERRIDE).map(|method| method.as_bytes().to_ascii_uppercase());
    match meant.as_deref() {
        Some(b"PATCH") => append(api, uploader, name, request).await,
        Some(b"DELETE") => {
            let deed = Deed { action: Action::DiscardUpload, ..uploader.deed };
            discard(api, Uploader { deed, ..uploader }, name, request).await
        }
        _ => {
            let refusal = ApiError::BadRequest(format!("the header {METHOD_OVERRIDE} must be PATCH or DELETE"));
            Err(request.body.refuse(refusal).await)
        }
    }
}

/// Judges a piece by its headers.
async fn check_piece(
    api: &Api,
    uploader: &Uploader,
    name: &UploadName,
    request: &Request,
) -> Result<(Turn, PendingUpload), ApiError> {
    let headers = &request.head.headers;
    tus::require_version(headers)?;
    if !request.body.is_of_type(PIECE) {
        return Err(ApiError::UnsupportedMediaType(PIECE));
    }
    let offset = tus::offset(headers)?;
    let (turn, upload) = take(api, name, &uploader.deed.actor).await?;
    let stopped_at = upload.progress.offset_bytes;
    if offset != stopped_at {
        return Err(ApiError::Conflict(format!("the upload stopped at byte {stopped_at}: go on from there")));
    }
    if request.body.declared_length().is_some_and(|length| length > upload.missing_bytes()) {
        return Err(past_the_end(&upload));
    }
    Ok((turn, upload))
}

fn past_the_end(upload: &PendingUpload) -> ApiError {
    ApiError::BadRequest(format!("the upload has {} bytes, and this piece goes past them", upload.length_bytes))
}

/// Writes a piece and notes how far the upload is then. Of a piece that breaks off, what came counts, unless it has a checksum.
async fn receive_piece(
    api: &Api,
    turn: &Turn,
    mut upload: PendingUpload,
    request: &mut Request,
) -> Result<PendingUpload, ApiError> {
    let checksum = tus::checksum(&request.head.headers)?;
    let mut appending = api.uploads.open(&upload, checksum.as_ref().map(|checksum| checksum.algorithm)).await?;
    let mut missing = upload.missing_bytes();
    let mut unchecked_bytes = 0;
    let clock = api.store.clock();
    let mut checkpointed = clock.steady();
    let ending = loop {
        let piece = turn.interrupted().run_until_cancelled(request.body.next_piece()).await;
        let piece = match piece {
            Some(Some(Ok(piece))) => piece,
            Some(Some(Err(error))) => break Err(error),
            Some(None) => break Ok(()),
            None => break Err(ApiError::Conflict("another request goes on with this upload".to_owned())),
        };
        let length = piece.len() as u64;
        if length > missing {
            break Err(past_the_end(&upload));
        }
        if !appending.push(piece).await {
            return Err(appending.failure().await.into());
        }
        missing -= length;
        api.traffic.upload_bytes.add(length);
        unchecked_bytes += length;
        if unchecked_bytes >= CHECK_BYTES {
            unchecked_bytes = 0;
            if let Err(refusal) = api.uploads.check_room().await? {
                break Err(refusal.into());
            }
        }
        if checkpointed.until(clock.steady()) >= CHECKPOINT_INTERVAL && checksum.is_none() {
            upload = checkpoint(api, &mut appending, upload).await?;
            checkpointed = clock.steady();
        }
    };
    let Some((progress, sum)) = appending.sync().await else { return Err(appending.failure().await.into()) };
    if let Some(checksum) = checksum {
        // Nothing was noted since the piece began, so the next one begins where this one did.
        ending?;
        if sum != Some(checksum) {
            return Err(ApiError::ChecksumMismatch);
        }
        return api.uploads.advance(upload.id, progress).await?.ok_or_else(no_such_upload);
    }
    let upload = api.uploads.advance(upload.id, progress).await?.ok_or_else(no_such_upload)?;
    ending.map(|()| upload)
}

async fn checkpoint(api: &Api, appending: &mut Appending, upload: PendingUpload) -> Result<PendingUpload, ApiError> {
    match appending.sync().await {
        Some((progress, _)) => api.uploads.advance(upload.id, progress).await?.ok_or_else(no_such_upload),
        // Asking for the next piece to be written tells why.
        None => Ok(upload),
    }
}

/// `DELETE /api/tender/v1/uploads/{upload}`
///
/// - 204: given up; nothing of it is kept
/// - 404: no such upload
/// - 412: another version of the protocol
pub async fn discard(
    api: Arc<Api>,
    uploader: Uploader,
    name: UploadName,
    request: Request,
) -> Result<Response, ApiError> {
    tus::require_version(&request.head.headers)?;
    let (turn, _) = take(&api, &name, &uploader.deed.actor).await?;
    api.uploads.discard(turn, uploader.deed).await?;
    Ok(reply::no_content())
}

/// `POST /api/tender/v1/uploads/{upload}/package`
///
/// - 200: the new package; the upload is gone
/// - 400: the body is not what it should be, or metadata is missing or reserved; or the file is an artifact that is not whole, and
///   nothing of it is kept
/// - 403: the scope that a package of this type needs is missing
/// - 404: no such upload
/// - 409: bytes are still missing
/// - 422: the file does not have the SHA-256 that `rdfm.storage.sha256` gives; nothing of it is kept
pub async fn finish(
    api: Arc<Api>,
    uploader: Uploader,
    name: UploadName,
    mut request: Request,
) -> Result<Response, ApiError> {
    let FinishBody { metadata } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let Uploader { deed, scopes } = uploader;
    let (turn, upload) = take(&api, &name, &deed.actor).await?;
    if upload.missing_bytes() > 0 {
        return Err(ApiError::Conflict(format!("{} bytes of this upload are still missing", upload.missing_bytes())));
    }
    let submission = Submission::from_fields(all_fields(&upload, &metadata)?)?;
    let examined = match api.uploads.examine(&upload, submission.expected_sha256()).await? {
        Ok(examined) => examined,
        Err(unfit) => {
            api.uploads.reject(turn).await?;
            return Err(unfit.into());
        }
    };
    require_scopes_of(&examined, &scopes)?;
    let description = submission.describe(examined.artifact())?;
    let package = api.uploads.finish(turn, examined, description, deed).await?;
    api.traffic.uploads.add_one();
    reply_to(&package)
}

/// What was said about the package when the upload began, and now: the latter counts. 400 if a value is no text.
fn all_fields(upload: &PendingUpload, metadata: &Metadata) -> Result<Vec<(String, String)>, ApiError> {
    let mut fields = tus::fields(&upload.metadata)?;
    fields.retain(|(key, _)| metadata.get(key).is_none());
    for (key, _) in metadata.iter() {
        let text =
            metadata.text(key).ok_or_else(|| ApiError::BadRequest(format!("the value of {key} must be a text")))?;
        fields.push((key.to_string(), text.to_owned()));
    }
    Ok(fields)
}
