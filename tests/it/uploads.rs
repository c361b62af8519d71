//! Uploads that can be resumed: tus 1.0 on the wire, and what becomes of them.

mod admission;
mod interruptions;
mod protocol;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::harness::{Operator, Reply};

pub const UPLOADS: &str = "/api/tender/v1/uploads";
pub const PIECE: &str = "application/offset+octet-stream";

/// Contents that no two pieces of are alike.
fn contents(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

pub fn request(operator: &Operator, method: Method, path: &str) -> RequestBuilder {
    operator.request(method, path).header("Tus-Resumable", "1.0.0")
}

/// `Upload-Metadata` of these pairs.
pub fn metadata(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(key, value)| format!("{key} {}", STANDARD.encode(value))).collect::<Vec<_>>().join(",")
}

/// Begins an upload of so many bytes for devices of type `dummy`; where it goes on.
async fn begin(operator: &Operator, length: usize) -> String {
    let about = [("filename", "image.img"), ("rdfm.software.version", "v1"), ("rdfm.hardware.devtype", "dummy")];
    begin_with(operator, length, &about).await
}

/// Begins an upload of so many bytes, about which this is said; where it goes on.
pub async fn begin_with(operator: &Operator, length: usize, about: &[(&str, &str)]) -> String {
    let request = request(operator, Method::POST, UPLOADS).header("Upload-Length", length);
    let reply = operator.send(request.header("Upload-Metadata", metadata(about))).await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    reply.header("location").to_owned()
}

/// Sends a piece.
pub async fn append(operator: &Operator, upload: &str, offset: usize, piece: &[u8]) -> Reply {
    let request = request(operator, Method::PATCH, upload).header("Upload-Offset", offset);
    operator.send(request.header("Content-Type", PIECE).body(piece.to_vec())).await
}

/// How far an upload is.
async fn offset(operator: &Operator, upload: &str) -> usize {
    let reply = operator.send(request(operator, Method::HEAD, upload)).await;
    assert_eq!(reply.status, 200);
    reply.header("upload-offset").parse().unwrap()
}

/// Makes a package of an upload.
pub async fn finish(operator: &Operator, upload: &str, metadata: &[(&str, &str)]) -> Reply {
    let metadata: serde_json::Map<String, Value> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    operator.post(&format!("{upload}/package"), json!({ "metadata": metadata })).await
}
