//! `/api/openapi.json`: what all of this is, for whoever writes a client, as OpenAPI 3.1.
//!
//! Written by hand, a part for each area, in the JSON files beside this one; the build joins and compresses them, so that the program
//! carries no more than is sent. The integration tests hold every exchange of theirs against it.

use std::sync::{Arc, LazyLock};

use warp::reply::Response;

use super::Api;
use super::assets::Asset;
use super::error::ApiError;
use super::guard::Anonymous;
use super::request::Request;

static DESCRIPTION: LazyLock<Asset> = LazyLock::new(|| {
    let compressed = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));
    Asset::of_compressed("application/json", compressed).expect("what the build has compressed")
});

/// Unpacks the description, so that no request waits for that.
pub fn prepare() {
    LazyLock::force(&DESCRIPTION);
}

/// `GET /api/openapi.json`, also `HEAD`
///
/// - 200: the description of the API
/// - 304: the client has it (`If-None-Match`)
pub async fn show(api: Arc<Api>, _: Anonymous, (): (), request: Request) -> Result<Response, ApiError> {
    DESCRIPTION.answer(&api, &request.head)
}
