//! Uploads as forms.

use std::sync::Arc;

use bytes::Bytes;
use headers::HeaderMap;
use tempfile::TempDir;
use tender::auth::{Keys, Secret};
use tender::clock::Clock;
use tender::domain::{ByteSize, StorageLimits};
use tender::http::{Api, ApiError, RequestBody, upload};
use tender::store::{PackageFolder, Store};
use tender::usecase::track_progress::Tracker;
use warp::http::HeaderValue;
use warp::http::header::CONTENT_TYPE;

use super::pieces::Pieces;
use super::{assert_sentence, block_on};

struct Installation {
    api: Api,
    _folder: TempDir,
}

thread_local! {
    static INSTALLATION: Installation = block_on(async {
        let folder = tempfile::tempdir().expect("there is room for an installation");
        let store = Store::open(&folder.path().join("tender.sqlite"), Clock::system()).expect("a database");
        let packages = PackageFolder::open(&folder.path().join("packages")).expect("a folder");
        let keys = Keys::new(&Secret::parse("secret").expect("it is not empty"));
        let tracker = Arc::new(Tracker::restore(&store).await.expect("a database"));
        let api = Api::new(store, packages, keys, tracker);
        // However full this machine is.
        api.room.set_limits(StorageLimits { reserve: Some(ByteSize::from_bytes(0)), ..StorageLimits::default() });
        Installation { api, _folder: folder }
    });
}

/// The body of an upload, after a line that is its `Content-Type`.
pub fn multipart(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let Some(end) = pieces.bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (content_type, body) = (&pieces.bytes[..end], &pieces.bytes[end + 1..]);
    let Ok(content_type) = HeaderValue::from_bytes(content_type) else { return };
    INSTALLATION.with(|Installation { api, .. }| {
        let in_pieces = receive(api, &content_type, pieces.with(body).iter());
        let at_once = receive(api, &content_type, Some(body).filter(|body| !body.is_empty()).into_iter());
        assert_eq!(in_pieces, at_once, "it depends on the pieces");
    });
}

/// What becomes of a form: hash, length and fields of what was received, or the refusal.
fn receive<'a>(
    api: &Api,
    content_type: &HeaderValue,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<String, String> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type.clone());
    let pieces: Vec<Result<Bytes, warp::Error>> = pieces.map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = RequestBody::new(&headers, futures_util::stream::iter(pieces));
    match block_on(upload::receive(api, body)) {
        Ok((staged, submission)) => {
            assert!(staged.length_bytes() > 0);
            Ok(format!("{} {} {submission:?}", staged.sha256(), staged.length_bytes()))
        }
        Err(ApiError::BadRequest(sentence)) => {
            assert_sentence(&sentence);
            Err(sentence)
        }
        Err(other) => panic!("a form is not refused with {other:?}"),
    }
}
