//! What the head of a reply says about a package, made once for each package that is open.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headers::{AcceptRanges, ContentType, ETag, HeaderMap, HeaderMapExt, LastModified};
use warp::http::HeaderName;
use warp::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, HeaderValue};

use super::file_name::content_disposition;
use crate::domain::{DownloadUrls, Package};
use crate::http::error::ApiError;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// A package never changes under its name, so a copy is good for a year, and needs no asking (RFC 8246).
const KEPT_BY_ALL: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// A signed address is one client's: what lies between must not answer others with it (RFC 9111, section 5.2.2.7).
const KEPT_BY_THE_CLIENT: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// How much of a package is in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// What `HEAD` says about all of it: no content is sent (RFC 9530, appendix B.2).
    HeadOnly,
    /// A range.
    Part,
    /// Nothing: the client has it.
    Nothing,
}

/// The fields that are the same in every reply about a package.
#[derive(Debug, Clone)]
pub struct PackageFields {
    /// The hash: two packages with the same tag are the same bytes (RFC 9110, section 8.8.3).
    pub entity_tag: ETag,
    /// When it was uploaded.
    pub last_modified: LastModified,
    digest: HeaderValue,
    disposition: Option<HeaderValue>,
}

impl PackageFields {
    /// Those of a package.
    pub fn of(package: &Package) -> Result<Self, ApiError> {
        let digest = format!("sha-256=:{}:", STANDARD.encode(package.sha256.0));
        Ok(Self {
            entity_tag: format!("\"{}\"", package.sha256).parse().map_err(ApiError::internal)?,
            last_modified: SystemTime::from(package.created).into(),
            digest: HeaderValue::try_from(digest).map_err(ApiError::internal)?,
            disposition: content_disposition(package.metadata()),
        })
    }

    /// Writes them into a head, with those of RFC 9530 for as much as is in the reply: `Content-Digest` is about the bytes
    /// that are sent, `Repr-Digest` about the package whatever part of it is sent.
    pub fn write(&self, headers: &mut HeaderMap, extent: Extent, urls: DownloadUrls) {
        headers.typed_insert(self.entity_tag.clone());
        headers.typed_insert(self.last_modified);
        headers.typed_insert(AcceptRanges::bytes());
        headers.insert(
            CACHE_CONTROL,
            match urls {
                DownloadUrls::Public => KEPT_BY_ALL,
                DownloadUrls::Signed => KEPT_BY_THE_CLIENT,
            },
        );
        if extent == Extent::Nothing {
            return;
        }
        if extent == Extent::Whole {
            headers.insert(CONTENT_DIGEST, self.digest.clone());
        }
        headers.insert(REPR_DIGEST, self.digest.clone());
        headers.typed_insert(ContentType::octet_stream());
        if let Some(disposition) = &self.disposition {
            headers.insert(CONTENT_DISPOSITION, disposition.clone());
        }
    }
}
