//! `/local_storage/…`: the bytes of a package.

use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{Stream, StreamExt, stream};
use headers::{
    AcceptRanges, ContentLength, ContentRange, ContentType, ETag, HeaderMapExt, IfModifiedSince, IfNoneMatch, IfRange,
    LastModified,
};
use percent_encoding::percent_decode_str;
use uuid::Uuid;
use warp::http::{Method, StatusCode};
use warp::reply::{Reply, Response};

use crate::domain::{Package, StorageDirectory};
use crate::http::Api;
use crate::http::endpoint::PathParameter;
use crate::http::error::ApiError;
use crate::http::guard::Anonymous;
use crate::http::range::{ByteRange, RangeRequest};
use crate::http::request::Request;
use crate::store::PackageFile;
use crate::usecase::open_package::{Opened, open_package};

/// How much is read at once.
const CHUNK_BYTES: u64 = 128 * 1024;
/// How many chunks are read before the client has taken the one before.
const CHUNKS_AHEAD: usize = 2;

/// A package's name in a URL: its UUID, with its directory before it or without.
pub struct StoredName {
    directory: Option<StorageDirectory>,
    uuid: Uuid,
}

impl PathParameter for StoredName {
    fn parse(text: &str) -> Option<Self> {
        let text = percent_decode_str(text).decode_utf8().ok()?;
        let (directory, name) = match text.rsplit_once('/') {
            Some((directory, name)) => (Some(StorageDirectory::parse(directory).ok()?), name),
            None => (None, &*text),
        };
        Some(Self { directory, uuid: Uuid::try_parse(name).ok()? })
    }
}

impl StoredName {
    fn names(&self, package: &Package) -> bool {
        self.directory.is_none() || self.directory.as_ref() == package.description.directory()
    }
}

/// The path under which a package is downloaded.
pub fn path(package: &Package) -> String {
    format!("/local_storage/{}", package.uuid)
}

/// `GET /local_storage/{name...}`, also `HEAD`
///
/// - 200: the whole package
/// - 206: the range asked for; one range, several are answered with the whole
/// - 304: the client has it (`If-None-Match`, `If-Modified-Since`)
/// - 404: no such package, or its file is damaged
/// - 416: no byte of the range is in the package
pub async fn package(api: Arc<Api>, _: Anonymous, name: StoredName, request: Request) -> Result<Response, ApiError> {
    let (package, file) = match open_package(&api.store, &api.packages, name.uuid).await? {
        Opened::Ready(package, file) if name.names(&package) => (package, file),
        Opened::Damaged => return Err(ApiError::NotFound("the package is damaged: it must be uploaded again")),
        Opened::Ready(..) | Opened::NotFound => return Err(ApiError::NotFound("no such package")),
    };

    let length = package.length_bytes;
    let entity_tag: ETag = format!("\"{}\"", package.sha256).parse().map_err(ApiError::internal)?;
    let last_modified = LastModified::from(SystemTime::from(package.created));

    let (status, range) = if is_not_modified(&request, &entity_tag, &package) {
        (StatusCode::NOT_MODIFIED, None)
    } else {
        match range_that_applies(&request, length, &entity_tag, &last_modified) {
            RangeRequest::Whole => (StatusCode::OK, Some(ByteRange::whole(length))),
            RangeRequest::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
            RangeRequest::Unsatisfiable => return Err(ApiError::RangeNotSatisfiable(length)),
        }
    };

    let mut response = match range {
        Some(range) => warp::reply::stream(chunks(file, range)).into_response(),
        None => Response::default(),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.typed_insert(entity_tag);
    headers.typed_insert(last_modified);
    headers.typed_insert(AcceptRanges::bytes());
    if let Some(range) = range {
        headers.typed_insert(ContentType::octet_stream());
        headers.typed_insert(ContentLength(range.length()));
        if status == StatusCode::PARTIAL_CONTENT {
            let content_range = ContentRange::bytes(range.first..=range.last, length);
            headers.typed_insert(content_range.map_err(|_| ApiError::internal("a range outside its file"))?);
        }
    }
    Ok(response)
}

/// Whether the client has this version already (RFC 9110, section 13.2.2: the tag decides if there is one).
fn is_not_modified(request: &Request, entity_tag: &ETag, package: &Package) -> bool {
    match request.head.headers.typed_get::<IfNoneMatch>() {
        Some(condition) => !condition.precondition_passes(entity_tag),
        None => request
            .head
            .headers
            .typed_get::<IfModifiedSince>()
            .is_some_and(|condition| !condition.is_modified(package.created.into())),
    }
}

/// The range asked for, if the client's copy is still of this version (RFC 9110, section 13.1.5).
fn range_that_applies(request: &Request, length: u64, entity_tag: &ETag, last_modified: &LastModified) -> RangeRequest {
    let copy_is_stale = match request.head.headers.typed_try_get::<IfRange>() {
        Ok(condition) => {
            condition.is_some_and(|condition| condition.is_modified(Some(entity_tag), Some(last_modified)))
        }
        Err(_) => true,
    };
    // Ranges are defined for GET alone (section 14.2).
    if copy_is_stale || request.head.method != Method::GET {
        RangeRequest::Whole
    } else {
        RangeRequest::of(&request.head.headers, length)
    }
}

/// The bytes of a range, read on threads that may block, a little ahead of the client.
fn chunks(file: PackageFile, range: ByteRange) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> + Send + Sync {
    let end = range.first + range.length();
    let mut next = range.first;
    let offsets = std::iter::from_fn(move || {
        let offset = next;
        next = end.min(offset + CHUNK_BYTES);
        (offset < end).then_some((offset, (next - offset) as usize))
    });
    let read = move |(offset, length)| {
        let file = file.clone();
        let reading = tokio::task::spawn_blocking(move || file.read_at(offset, length));
        async move {
            let chunk = reading.await.map_err(std::io::Error::other).flatten();
            chunk.inspect_err(|error| tracing::error!(%error, offset, "reading a package failed"))
        }
    };
    stream::iter(offsets).map(read).buffered(CHUNKS_AHEAD)
}
