//! The yardstick of the update check: one warp route that parses the body and sends a reply it was given, and nothing else.

use std::net::SocketAddr;
use std::thread::available_parallelism;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use warp::Filter;
use warp::http::StatusCode;
use warp::http::header::{CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

/// The argument that makes this program the bare route; an address and the reply's body follow.
pub const ARGUMENT: &str = "serve-bare-route";
/// As many as the real server has at most.
const MAX_WORKERS: usize = 4;

/// What yardsticks run on: as many threads as the real server has.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(1, usize::from).min(MAX_WORKERS))
        .enable_all()
        .build()
        .unwrap()
}

/// Serves until it is killed. Without a body the reply is a 204.
pub fn serve(address: SocketAddr, reply: String) {
    runtime().block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        let route = warp::path!("api" / "v1" / "update" / "check")
            .and(warp::post())
            .and(warp::body::json())
            .map(move |_: Map<String, Value>| respond(&reply));
        let service = TowerToHyperService::new(warp::service(route));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
            tokio::spawn(connection);
        }
    });
}

fn respond(reply: &str) -> Response {
    let mut response = Response::default();
    if reply.is_empty() {
        *response.status_mut() = StatusCode::NO_CONTENT;
    } else {
        *response.body_mut() = reply.to_owned().into();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
