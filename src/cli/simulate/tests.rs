//! A fleet against a server that is small, and flaky on purpose.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::{Args, Command, FromArgMatches};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_RANGE, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rsa::pkcs8::DecodePublicKey;
use rsa::sha2::{Digest, Sha256};
use rsa::signature::Verifier;
use rsa::{RsaPublicKey, pkcs1v15};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::*;

type Body = UnsyncBoxBody<Bytes, io::Error>;

const ENTITY_TAG: &str = "\"first\"";
const PACKAGE_BYTES: usize = 64 * 1024;
const CUT_AT: usize = PACKAGE_BYTES / 2;

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The first download breaks off in the middle.
    CutDownload,
    /// As above, and the package is another one when the device asks for the rest.
    CutDownloadThenReplace,
    /// The promised SHA-256 is not that of the package.
    WrongHash,
    /// Each check is answered 401, whatever the token.
    RefuseTokens,
    /// The first check is answered 503.
    BusyOnce,
}

/// A server with one package, version v1, for devices at v0. It accepts a device at its second
/// authorization request.
struct FlakyServer {
    address: SocketAddr,
    fault: Fault,
    authorizations: AtomicU32,
    checks: AtomicU32,
    downloads: AtomicU32,
    /// The `Range` and `If-Range` of each download.
    ranges: Mutex<Vec<Option<(String, String)>>>,
}

impl FlakyServer {
    async fn start(fault: Fault) -> (Arc<Self>, StopOnDrop) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(FlakyServer {
            address: listener.local_addr().unwrap(),
            fault,
            authorizations: AtomicU32::new(0),
            checks: AtomicU32::new(0),
            downloads: AtomicU32::new(0),
            ranges: Mutex::default(),
        });
        let accepting = tokio::spawn(Arc::clone(&server).accept(listener));
        (server, StopOnDrop(accepting.abort_handle()))
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let server = Arc::clone(&self);
            let service = service_fn(move |request| Arc::clone(&server).answer(request));
            // A connection that is cut ends with an error; that is the point.
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        Ok(match (method, path.as_str()) {
            (Method::POST, "/api/v1/auth/device") => self.authorize(request).await,
            (Method::POST, "/api/v1/update/check") => self.check(request).await,
            (Method::GET, "/api/v1/packages/7") => package(&request),
            (Method::GET, "/local_storage/package") => self.download(&request),
            _ => empty(StatusCode::NOT_FOUND),
        })
    }

    async fn authorize(&self, request: Request<Incoming>) -> Response<Body> {
        let signature = header(&request, "X-RDFM-Device-Signature").unwrap();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let content: Value = serde_json::from_slice(&body).unwrap();
        let pem = content["public_key"].as_str().unwrap();
        let public_key = RsaPublicKey::from_public_key_pem(pem).unwrap();
        let signature = STANDARD.decode(signature).unwrap();
        pkcs1v15::VerifyingKey::<Sha256>::new(public_key)
            .verify(&body, &(*signature).try_into().unwrap())
            .expect("the signature is that of the body");
        assert!(content["timestamp"].is_u64());
        if self.authorizations.fetch_add(1, SeqCst) == 0 {
            return empty(StatusCode::UNAUTHORIZED);
        }
        json_answer(&json!({"expires": 300, "token": "device-token"}))
    }

    async fn check(&self, request: Request<Incoming>) -> Response<Body> {
        assert_eq!(header(&request, "Authorization").unwrap(), "Bearer token=device-token");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let metadata: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(metadata["rdfm.hardware.devtype"], "simulated");
        assert_eq!(metadata["rdfm.hardware.macaddr"], "02:00:01:00:00:00");
        assert_eq!(metadata["site"], "north");
        let is_first = self.checks.fetch_add(1, SeqCst) == 0;
        match self.fault {
            Fault::RefuseTokens => return empty(StatusCode::UNAUTHORIZED),
            Fault::BusyOnce if is_first => return empty(StatusCode::SERVICE_UNAVAILABLE),
            _ => {}
        }
        if metadata["rdfm.software.version"] == "v1" {
            return empty(StatusCode::NO_CONTENT);
        }
        let promised = match self.fault {
            Fault::WrongHash => content(b'w'),
            Fault::CutDownloadThenReplace => content(b'b'),
            _ => content(b'a'),
        };
        json_answer(&json!({
            "id": 7,
            "created": "Thu, 17 Aug 2023 10:41:08 GMT",
            "sha256": format!("{:x}", Sha256::digest(&promised)),
            "uri": format!("http://{}/local_storage/package", self.address),
        }))
    }

    fn download(&self, request: &Request<Incoming>) -> Response<Body> {
        let range = header(request, RANGE.as_str());
        let if_range = header(request, IF_RANGE.as_str());
        self.ranges.lock().unwrap().push(range.zip(if_range));
        let is_first = self.downloads.fetch_add(1, SeqCst) == 0;
        match self.fault {
            Fault::CutDownload | Fault::CutDownloadThenReplace if is_first => cut_answer(content(b'a')),
            Fault::CutDownload => Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header(ETAG, ENTITY_TAG)
                .header(CONTENT_RANGE, format!("bytes {CUT_AT}-{}/{PACKAGE_BYTES}", PACKAGE_BYTES - 1))
                .body(full(content(b'a')[CUT_AT..].to_vec()))
                .unwrap(),
            Fault::CutDownloadThenReplace => Response::new(full(content(b'b'))),
            _ => Response::new(full(content(b'a'))),
        }
    }
}

struct StopOnDrop(AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A package whose halves differ, so that a wrong offset shows.
fn content(fill: u8) -> Vec<u8> {
    let mut content = vec![fill; CUT_AT];
    content.resize(PACKAGE_BYTES, fill.to_ascii_uppercase());
    content
}

fn package(request: &Request<Incoming>) -> Response<Body> {
    assert_eq!(header(request, AUTHORIZATION.as_str()).unwrap(), "Bearer token=management-token");
    json_answer(&json!({
        "id": 7,
        "metadata": {
            "rdfm.software.version": "v1",
            "rdfm.hardware.devtype": "simulated",
            "rdfm.storage.local.length": PACKAGE_BYTES,
        },
    }))
}

fn header(request: &Request<Incoming>, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}

fn empty(status: StatusCode) -> Response<Body> {
    Response::builder().status(status).body(full(Vec::new())).unwrap()
}

fn json_answer(value: &Value) -> Response<Body> {
    Response::new(full(value.to_string().into_bytes()))
}

fn full(bytes: Vec<u8>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Promises the whole content, sends the first half, and breaks the connection.
fn cut_answer(content: Vec<u8>) -> Response<Body> {
    let steps = stream::unfold(Some(content), |content| async move {
        match content {
            Some(mut content) => {
                content.truncate(CUT_AT);
                Some((Ok(Frame::data(content.into())), None))
            }
            None => {
                // hyper sends what it has when it has to wait for more.
                tokio::task::yield_now().await;
                Some((Err(io::Error::other("cut")), None))
            }
        }
    });
    Response::builder()
        .header(CONTENT_LENGTH, PACKAGE_BYTES)
        .header(ETAG, ENTITY_TAG)
        .body(StreamBody::new(steps).boxed_unsync())
        .unwrap()
}

fn arguments(server: &FlakyServer, further: &[&str]) -> SimulateArguments {
    let url = format!("http://{}/", server.address);
    let mut line = vec!["simulate", "--server", &url, "--once", "--metadata", "site=north"];
    line.extend(["--interval", "20ms", "--authorize-interval", "1ms"]);
    line.extend(further);
    let matches = SimulateArguments::augment_args(Command::new("simulate")).try_get_matches_from(line).unwrap();
    let mut arguments = SimulateArguments::from_arg_matches(&matches).unwrap();
    // Shorter than anybody may ask for, because tests are built without optimization.
    arguments.key_bits = 512;
    arguments
}

/// Runs one device to its end; gives whether it succeeded, and the summary.
async fn simulate(server: &FlakyServer, further: &[&str]) -> (bool, String) {
    let fleet = Fleet::new(arguments(server, further)).unwrap();
    let context = Arc::clone(&fleet.context);
    let has_succeeded = fleet.run().await.unwrap();
    (has_succeeded, context.report.finish().to_string())
}

#[track_caller]
fn assert_line(summary: &str, start: &str, value: &str) {
    let is_there = summary.lines().any(|line| {
        let mut words = line.strip_prefix(start).unwrap_or_default().split_whitespace();
        words.next() == Some(value)
    });
    assert!(is_there, "no `{start} {value}` in\n{summary}");
}

const TOKEN: [&str; 2] = ["--token", "management-token"];

#[tokio::test]
async fn a_device_waits_for_acceptance_then_updates_over_a_broken_connection() {
    let (server, _stop) = FlakyServer::start(Fault::CutDownload).await;
    let (has_succeeded, summary) = simulate(&server, &TOKEN).await;
    assert!(has_succeeded, "{summary}");
    assert_line(&summary, "authorizations", "1");
    assert_line(&summary, "checks", "2");
    assert_line(&summary, "updates installed", "1");
    assert_line(&summary, "bytes downloaded", &PACKAGE_BYTES.to_string());
    assert_line(&summary, "resumed downloads", "1");
    assert_line(&summary, "failures", "0");
    assert_eq!(server.authorizations.load(SeqCst), 2);
    let rest = (format!("bytes={CUT_AT}-"), ENTITY_TAG.to_owned());
    assert_eq!(*server.ranges.lock().unwrap(), [None, Some(rest)]);
}

#[tokio::test]
async fn a_package_replaced_during_the_download_is_downloaded_from_the_start() {
    let (server, _stop) = FlakyServer::start(Fault::CutDownloadThenReplace).await;
    let (has_succeeded, summary) = simulate(&server, &TOKEN).await;
    assert!(has_succeeded, "{summary}");
    assert_line(&summary, "updates installed", "1");
    assert_line(&summary, "resumed downloads", "0");
    assert_line(&summary, "bytes downloaded", &(CUT_AT + PACKAGE_BYTES).to_string());
}

#[tokio::test]
async fn without_a_management_token_a_package_is_verified_once_and_not_installed() {
    let (server, _stop) = FlakyServer::start(Fault::None).await;
    let (has_succeeded, summary) = simulate(&server, &[]).await;
    assert!(has_succeeded, "{summary}");
    assert_line(&summary, "updates installed", "0");
    assert_line(&summary, "updates verified", "1");
    assert_eq!(server.downloads.load(SeqCst), 1);
}

#[tokio::test]
async fn a_device_gives_up_on_a_package_with_another_hash() {
    let (server, _stop) = FlakyServer::start(Fault::WrongHash).await;
    let (has_succeeded, summary) = simulate(&server, &TOKEN).await;
    assert!(!has_succeeded, "{summary}");
    assert_line(&summary, "updates installed", "0");
    assert!(summary.contains("1 × download: SHA-256 differs"), "{summary}");
}

#[tokio::test]
async fn a_device_gives_up_on_a_server_that_refuses_its_own_tokens() {
    let (server, _stop) = FlakyServer::start(Fault::RefuseTokens).await;
    let (has_succeeded, summary) = simulate(&server, &TOKEN).await;
    assert!(!has_succeeded, "{summary}");
    assert_eq!(server.checks.load(SeqCst), 1);
}

#[tokio::test]
async fn a_device_tries_again_when_the_server_is_busy() {
    let (server, _stop) = FlakyServer::start(Fault::BusyOnce).await;
    let (has_succeeded, summary) = simulate(&server, &TOKEN).await;
    assert!(has_succeeded, "{summary}");
    assert!(summary.contains("1 × check: HTTP status 503"), "{summary}");
    assert_line(&summary, "updates installed", "1");
}

#[test]
fn first_polls_are_spread_evenly_over_one_interval() {
    let line = ["simulate", "--devices", "4", "--interval", "8s"];
    let matches = SimulateArguments::augment_args(Command::new("simulate")).try_get_matches_from(line).unwrap();
    let fleet = Fleet::new(SimulateArguments::from_arg_matches(&matches).unwrap()).unwrap();
    let delays: Vec<_> = (0..4).map(|index| fleet.first_poll_delay(index).as_secs()).collect();
    assert_eq!(delays, [0, 2, 4, 6]);
}

#[test]
fn the_keys_that_have_an_argument_of_their_own_are_no_further_metadata() {
    assert!(parse_metadata("site=a=b").is_ok_and(|(key, value)| key == "site" && value == "a=b"));
    for text in ["site", "=north", "rdfm.software.version=v1", "rdfm.hardware.macaddr=02"] {
        assert!(parse_metadata(text).is_err(), "{text}");
    }
}
