//! The headers of tus 1.0 (<https://tus.io/protocols/resumable-upload>), the protocol of uploads that can be resumed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headers::HeaderMap;
use warp::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use warp::reply::Response;

use crate::auth::checksum::{Checksum, ChecksumAlgorithm};
use crate::http::error::ApiError;
use crate::http::reply::{self, Date};
use crate::store::uploads::PendingUpload;

/// The version that is spoken, in every request and response.
pub const RESUMABLE: (&str, &str) = ("tus-resumable", VERSION);
/// The type of a piece.
pub const PIECE: &str = "application/offset+octet-stream";

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,checksum,expiration,termination";
const UPLOAD_CHECKSUM: &str = "upload-checksum";
const UPLOAD_LENGTH: &str = "upload-length";
const UPLOAD_METADATA: &str = "upload-metadata";
const UPLOAD_OFFSET: &str = "upload-offset";
/// What clients tell each other about a file, and is nothing that a package is.
const FILE_KEYS: [&str; 5] = ["filename", "filetype", "name", "type", "relativePath"];
/// The longest metadata, in bytes: it is kept as it was sent.
const METADATA_LIMIT_BYTES: usize = 64 * 1024;

/// 412 if the client speaks another version.
pub fn require_version(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_ours = headers.get(RESUMABLE.0).is_some_and(|version| version == VERSION);
    if is_ours { Ok(()) } else { Err(ApiError::UnsupportedVersion) }
}

/// How long the file will be: 400 if that is not said.
pub fn length(headers: &HeaderMap) -> Result<u64, ApiError> {
    number(headers, UPLOAD_LENGTH)
        .filter(|length| *length > 0)
        .ok_or_else(|| bad("Upload-Length must say how many bytes come"))
}

/// Where a piece belongs: 400 if that is not said.
pub fn offset(headers: &HeaderMap) -> Result<u64, ApiError> {
    number(headers, UPLOAD_OFFSET).ok_or_else(|| bad("Upload-Offset must say where this piece belongs"))
}

/// The checksum of a piece, if there is one.
pub fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, ApiError> {
    let text = headers.get(UPLOAD_CHECKSUM).map(|value| value.to_str().unwrap_or_default());
    Ok(text.map(str::parse).transpose()?)
}

/// What the client says about the file, as it was sent; empty if it says nothing. 400 if it cannot be read.
pub fn metadata(headers: &HeaderMap) -> Result<String, ApiError> {
    let Some(value) = headers.get(UPLOAD_METADATA) else { return Ok(String::new()) };
    let text = value.to_str().map_err(|_| bad("Upload-Metadata must be ASCII text"))?;
    if text.len() > METADATA_LIMIT_BYTES {
        return Err(bad("Upload-Metadata is too long"));
    }
    fields(text)?;
    Ok(text.to_owned())
}

/// The fields of `Upload-Metadata` that are metadata of a package: all but those that say what the file was called.
pub fn fields(metadata: &str) -> Result<Vec<(String, String)>, ApiError> {
    let invalid = || bad("Upload-Metadata must be keys with values in base64, separated by commas");
    let pairs = metadata.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let mut fields = Vec::new();
    for pair in pairs {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).map_err(|_| invalid())?;
        let value = String::from_utf8(value).map_err(|_| invalid())?;
        if !FILE_KEYS.contains(&key) {
            fields.push((key.to_owned(), value));
        }
    }
    Ok(fields)
}

/// What this server can do.
pub fn describe(largest_bytes: Option<u64>) -> Response {
    let mut response = reply::no_content();
    let headers = response.headers_mut();
    headers.insert("tus-version", HeaderValue::from_static(VERSION));
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-checksum-algorithm", HeaderValue::from_static(ChecksumAlgorithm::NAMES));
    if let Some(largest) = largest_bytes {
        headers.insert("tus-max-size", HeaderValue::from(largest));
    }
    response
}

/// Adds how far an upload is.
pub fn add_state(mut response: Response, upload: &PendingUpload) -> Result<Response, ApiError> {
    let headers = response.headers_mut();
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(upload.progress.offset_bytes));
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(upload.length_bytes));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let mut add = |name: &'static str, value: &str| {
        let value = HeaderValue::try_from(value).map_err(ApiError::internal)?;
        headers.insert(HeaderName::from_static(name), value);
        Ok::<_, ApiError>(())
    };
    add("upload-expires", &Date(upload.expires).to_string())?;
    if !upload.metadata.is_empty() {
        add(UPLOAD_METADATA, &upload.metadata)?;
    }
    Ok(response)
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    let text = headers.get(name)?.to_str().ok()?;
    // What SQLite keeps is one bit shorter.
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
        .filter(|number| i64::try_from(*number).is_ok())
}

fn bad(sentence: &str) -> ApiError {
    ApiError::BadRequest(sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_read_and_file_names_are_left_out() {
        let read = |text: &str| fields(text).unwrap();
        assert_eq!(read(""), []);
        assert_eq!(
            read("filename eC5pbWc=, rdfm.software.version djE=,empty,requires:a.b Yw=="),
            [("rdfm.software.version", "v1"), ("empty", ""), ("requires:a.b", "c")].map(|(k, v)| (k.into(), v.into()))
        );
        for bad in ["key !", "key djE= more", "key /w=="] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }
}
