//! `/local_storage/…`: the bytes of a package.

mod body;
mod fields;
mod file_name;
mod limiter;
mod passage;
mod queue;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use headers::{ContentLength, ContentRange, HeaderMapExt, IfModifiedSince, IfNoneMatch, IfRange};
use percent_encoding::percent_decode_str;
use uuid::Uuid;
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use crate::auth::download_url;
use crate::domain::{DownloadUrls, Package, StorageDirectory};
use crate::http::Api;
use crate::http::endpoint::PathParameter;
use crate::http::error::ApiError;
use crate::http::guard::Anonymous;
use crate::http::range::{ByteRange, RangeRequest};
use crate::http::request::Request;
use crate::http::sendfile::Meter;
use crate::store::PackageFile;
use crate::usecase::open_package::Opened;
use fields::{Extent, PackageFields};
pub use passage::Downloads;

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

/// A package, open for reading, and what replies say about it.
#[derive(Debug)]
pub struct OpenPackage {
    package: Package,
    file: PackageFile,
    fields: PackageFields,
}

impl OpenPackage {
    fn new(package: Package, file: PackageFile) -> Result<Self, ApiError> {
        let fields = PackageFields::of(&package)?;
        Ok(Self { package, file, fields })
    }
}

/// Path and query under which a package is downloaded, signed if addresses are.
pub fn address(api: &Api, package: &Package) -> String {
    let mut uuid = Uuid::encode_buffer();
    let path = ["/local_storage/", package.uuid.hyphenated().encode_lower(&mut uuid)].concat();
    match api.download_urls {
        DownloadUrls::Public => path,
        DownloadUrls::Signed => {
            let query = download_url::sign(&api.keys, &path, api.store.clock().now());
            format!("{path}?{query}")
        }
    }
}

/// `GET /local_storage/{name...}`, also `HEAD`
///
/// - 200: the whole package
/// - 206: the range asked for; several ranges are answered with the whole, as RFC 9110, section 14.2, lets a server do: no
///   device asks for several, and many small ones are a way to make work for others
/// - 304: the client has it (`If-None-Match`, `If-Modified-Since`)
/// - 403: addresses are signed, and this one is not, not rightly, or no more good
/// - 404: no such package, or its file is damaged
/// - 416: no byte of the range is in the package
/// - 503: as many packages are being downloaded as may be at once, and one has waited for long enough
pub async fn package(api: Arc<Api>, _: Anonymous, name: StoredName, request: Request) -> Result<Response, ApiError> {
    let opening = api.open_packages.get(&api.store, &api.packages, name.uuid, OpenPackage::new);
    let open = match opening.await? {
        Opened::Ready(open) if name.names(&open.package) => open,
        Opened::Damaged => return Err(ApiError::NotFound("the package is damaged: it must be uploaded again")),
        Opened::Ready(_) | Opened::NotFound => return Err(ApiError::NotFound("no such package")),
    };
    let OpenPackage { package, file, fields } = &*open;
    let length = package.length_bytes;
    let (status, extent, range) = if is_not_modified(&request, fields, package) {
        (StatusCode::NOT_MODIFIED, Extent::Nothing, None)
    } else {
        match range_that_applies(&request, length, fields) {
            RangeRequest::Whole if request.head.method == Method::HEAD => {
                (StatusCode::OK, Extent::HeadOnly, Some(ByteRange::whole(length)))
            }
            RangeRequest::Whole => (StatusCode::OK, Extent::Whole, Some(ByteRange::whole(length))),
            RangeRequest::Part(part) => (StatusCode::PARTIAL_CONTENT, Extent::Part, Some(part)),
            RangeRequest::Unsatisfiable => return Err(ApiError::RangeNotSatisfiable(length)),
        }
    };

    let mut response = match range {
        Some(range) if extent != Extent::HeadOnly => {
            let client = api.addresses.client_address(&request.head);
            request.head.record.note_download();
            let passage = api.downloads.begin(client, package.uuid, range, length).await?;
            body::of(file, range, passage, request.head.segments, meter(&api, client, package, range))
        }
        _ => Response::default(),
    };
    *response.status_mut() = status;
    let headers = response.headers_mut();
    fields.write(headers, extent, api.download_urls);
    if let Some(range) = range {
        headers.typed_insert(ContentLength(range.length()));
        if extent == Extent::Part {
            let content_range = ContentRange::bytes(range.first..=range.last, length);
            headers.typed_insert(content_range.map_err(|_| ApiError::internal("a range outside its file"))?);
        }
    }
    Ok(response)
}

/// Counts what is sent for the device that probably fetches it.
fn meter(api: &Api, client: Option<IpAddr>, package: &Package, range: ByteRange) -> Option<Meter> {
    let (tracker, package) = (api.tracker.clone(), package.id);
    let device = tracker.downloader(client?, package, range.first)?;
    Some(Arc::new(move |sent: Range<u64>| tracker.fetched(device, package, sent.start, sent.end - sent.start)))
}

/// Whether the client has this version already (RFC 9110, section 13.2.2: the tag decides if there is one).
fn is_not_modified(request: &Request, fields: &PackageFields, package: &Package) -> bool {
    let headers = &request.head.headers;
    match headers.typed_get::<IfNoneMatch>() {
        Some(condition) => !condition.precondition_passes(&fields.entity_tag),
        None => headers
            .typed_get::<IfModifiedSince>()
            .is_some_and(|condition| !condition.is_modified(package.created.into())),
    }
}

/// The range asked for, if the client's copy is still of this version (RFC 9110, section 13.1.5).
fn range_that_applies(request: &Request, length: u64, fields: &PackageFields) -> RangeRequest {
    let copy_is_stale = match request.head.headers.typed_try_get::<IfRange>() {
        Ok(condition) => condition
            .is_some_and(|condition| condition.is_modified(Some(&fields.entity_tag), Some(&fields.last_modified))),
        Err(_) => true,
    };
    // Ranges are defined for GET alone (section 14.2).
    if copy_is_stale || request.head.method != Method::GET {
        RangeRequest::Whole
    } else {
        RangeRequest::of(&request.head.headers, length)
    }
}
