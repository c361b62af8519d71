//! `/` and `/static/…`: the pages, whose files are part of the program; and how what is part of it is sent.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read, Write};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use headers::{ETag, HeaderMap, HeaderMapExt, IfNoneMatch};
use include_dir::{Dir, File, include_dir};
use sha2::{Digest, Sha256};
use warp::http::StatusCode;
use warp::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use warp::reply::Response;

use super::Api;
use super::endpoint::PathParameter;
use super::error::ApiError;
use super::guard::Anonymous;
use super::request::{Head, Request};

/// What a browser may do with what it gets here: run and show what this server has, and nothing else.
const PROTECTION: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The same for the windows that a page is opened from: browsers heed it on encrypted connections, and complain on others.
const WINDOW_PROTECTION: (HeaderName, &str) = (HeaderName::from_static("cross-origin-opener-policy"), "same-origin");

/// The page itself, which has the path `/` and no other.
const PAGE: &str = "index.html";

/// Where it says that its modules are to be named: else the browser would have to read one to learn of the next.
const MODULES_PLACE: &str = "<!-- modules -->";
/// Where the files are, as the page names them.
const FILES_PLACE: &str = "\"/static/";
/// Files whose address tells which they are never change.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";
/// Asked for again each time, which costs a 304: after an update of the server nobody has an old page.
const ASKED_FOR_AGAIN: &str = "no-cache";

/// All files, each as gzip: see build.rs.
static FILES: Dir<'_> = include_dir!("$OUT_DIR/static");
static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets::of(files_below(&FILES)));

/// All files, ready to be sent.
struct Assets {
    /// Tells these files from those of other versions of the program; the first part of their addresses.
    edition: String,
    by_path: HashMap<&'static str, Asset>,
}

impl Assets {
    fn of(files: Vec<&'static File<'static>>) -> Self {
        let named = files.into_iter().filter_map(|file| Some((file.path().to_str()?, file.contents())));
        // The order of a folder is that of the machine that built the program.
        let files: BTreeMap<&'static str, &'static [u8]> = named.collect();
        let mut hash = Sha256::new();
        for (path, compressed) in &files {
            hash.update(format!("{path} {} ", compressed.len()));
            hash.update(compressed);
        }
        let edition = hex(&hash.finalize()[..8]);
        let modules = files.keys().filter(|path| path.ends_with(".js"));
        let modules: Vec<String> =
            modules.map(|path| format!("<link rel=\"modulepreload\" href=\"/static/{path}\">")).collect();
        let finish = |page: &[u8]| {
            let text = String::from_utf8_lossy(page).replace(MODULES_PLACE, &modules.join("\n    "));
            text.replace(FILES_PLACE, &format!("{FILES_PLACE}{edition}/")).into_bytes()
        };
        let ready = |(path, compressed): (&'static str, &'static [u8])| {
            let plain = decompress(compressed).expect("the build has compressed it");
            let asset = match path {
                PAGE => Asset::of_plain(path, finish(&plain)),
                _ => Asset::new(media_type(path), plain, Some(Bytes::from_static(compressed))),
            };
            (path, asset)
        };
        let by_path = files.into_iter().map(ready).collect();
        Self { edition, by_path }
    }
}

/// A file, ready to be sent.
pub struct Asset {
    content_type: String,
    plain: Representation,
    /// `None` if it would not be much smaller.
    compressed: Option<Representation>,
}

/// The bytes of a file as they go over the wire, and what tells them from others.
struct Representation {
    bytes: Bytes,
    sha256: String,
}

impl Asset {
    fn new(content_type: String, plain: Vec<u8>, compressed: Option<Bytes>) -> Self {
        let compressed = compressed.filter(|compressed| compressed.len() < plain.len() / 10 * 9);
        Self { content_type, plain: Representation::of(plain.into()), compressed: compressed.map(Representation::of) }
    }

    fn of_plain(path: &str, plain: Vec<u8>) -> Self {
        let compressed = compress(&plain).map(Bytes::from);
        Self::new(media_type(path), plain, compressed)
    }

    /// What was compressed when the program was built.
    ///
    /// # Errors
    /// That is no gzip.
    pub fn of_compressed(content_type: &str, compressed: &'static [u8]) -> io::Result<Self> {
        Ok(Self::new(content_type.to_owned(), decompress(compressed)?, Some(Bytes::from_static(compressed))))
    }

    /// The reply to a request for this file, which is to be asked for again each time.
    pub fn answer(&self, api: &Api, head: &Head) -> Result<Response, ApiError> {
        self.answer_for(api, head, ASKED_FOR_AGAIN)
    }

    /// The reply to a request for this file.
    fn answer_for(&self, api: &Api, head: &Head, cache_control: &'static str) -> Result<Response, ApiError> {
        let compressed = self.compressed.as_ref().filter(|_| accepts_gzip(&head.headers));
        let chosen = compressed.unwrap_or(&self.plain);
        let entity_tag: ETag = format!("\"{}\"", chosen.sha256).parse().map_err(ApiError::internal)?;
        let condition = head.headers.typed_get::<IfNoneMatch>();
        let is_known = condition.is_some_and(|condition| !condition.precondition_passes(&entity_tag));

        let mut response = Response::default();
        let headers = response.headers_mut();
        let protection = PROTECTION.into_iter().chain(api.addresses.is_secure(head).then_some(WINDOW_PROTECTION));
        headers.extend(protection.map(|(name, value)| (name, HeaderValue::from_static(value))));
        headers.typed_insert(entity_tag);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
        if self.compressed.is_some() {
            headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::try_from(&self.content_type).map_err(ApiError::internal)?);
        if compressed.is_some() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = chosen.bytes.clone().into();
        Ok(response)
    }
}

impl Representation {
    fn of(bytes: Bytes) -> Self {
        let sha256 = hex(&Sha256::digest(&bytes));
        Self { bytes, sha256 }
    }
}

/// The name of a file that there is, in a URL: letter by letter, so that no spelling of a path leads anywhere else.
/// With the edition before it, it is one that never changes.
pub struct AssetName(&'static Asset, &'static str);

impl PathParameter for AssetName {
    fn parse(text: &str) -> Option<Self> {
        let in_edition = text.strip_prefix(&ASSETS.edition).and_then(|rest| rest.strip_prefix('/'));
        let path = in_edition.unwrap_or(text);
        let cache_control = if in_edition.is_some() { FOR_GOOD } else { ASKED_FOR_AGAIN };
        let asset = (path != PAGE).then(|| ASSETS.by_path.get(path))??;
        Some(Self(asset, cache_control))
    }
}

/// Makes all files ready, so that no request waits for that.
pub fn prepare() {
    LazyLock::force(&ASSETS);
}

/// `GET /`, also `HEAD`
///
/// - 200: the page
/// - 304: the browser has it (`If-None-Match`)
pub async fn page(api: Arc<Api>, _: Anonymous, (): (), request: Request) -> Result<Response, ApiError> {
    let page = ASSETS.by_path.get(PAGE).ok_or_else(|| ApiError::internal("the program was built without its page"))?;
    page.answer(&api, &request.head)
}

/// `GET /static/{name...}`, also `HEAD`
///
/// - 200: a file that the page needs
/// - 304: the browser has it (`If-None-Match`)
pub async fn file(api: Arc<Api>, _: Anonymous, name: AssetName, request: Request) -> Result<Response, ApiError> {
    let AssetName(asset, cache_control) = name;
    asset.answer_for(&api, &request.head, cache_control)
}

fn files_below(folder: &'static Dir<'static>) -> Vec<&'static File<'static>> {
    folder.files().chain(folder.dirs().flat_map(files_below)).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn media_type(path: &str) -> String {
    let media_type = mime_guess::from_path(path).first_or_octet_stream();
    let charset = if media_type.type_() == mime::TEXT { "; charset=utf-8" } else { "" };
    format!("{media_type}{charset}")
}

fn decompress(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    GzDecoder::new(compressed).read_to_end(&mut plain)?;
    Ok(plain)
}

fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).ok()
}

/// Whether the client takes gzip (RFC 9110, section 12.5.3): what it says of it by name comes before what it says of all.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let (mut by_name, mut by_star) = (None, None);
    for element in values.flat_map(|value| value.split(',')) {
        let (coding, weight) = element.split_once(';').unwrap_or((element, "q=1"));
        let weight = weight.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.trim().strip_prefix('='));
        let is_wanted = weight.and_then(|weight| weight.trim().parse().ok()).is_some_and(|weight: f32| weight > 0.0);
        match coding.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => by_name = Some(is_wanted),
            "*" => by_star = Some(is_wanted),
            _ => {}
        }
    }
    by_name.or(by_star).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let accepts = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ACCEPT_ENCODING, value.parse().unwrap());
            }
            accepts_gzip(&headers)
        };
        for values in [
            &["gzip"][..],
            &["gzip, deflate, br, zstd"],
            &["br", "GZip"],
            &["*"],
            &["x-gzip;q=0.1"],
            &["*;q=0, gzip"],
            &["gzip ; q = 1.0"],
        ] {
            assert!(accepts(values), "{values:?}");
        }
        for values in [
            &[][..],
            &[""],
            &["br"],
            &["identity"],
            &["gzip;q=0"],
            &["gzip;q=0.000, *"],
            &["*;q=0"],
            &["gzip;q=x"],
            &["gzipped"],
        ] {
            assert!(!accepts(values), "{values:?}");
        }
    }
}
