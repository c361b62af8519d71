//! The yardstick of uploads: one hyper route that writes a body to a file as it is, puts it on disk, and nothing else.

use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::bare_route;

/// The argument that makes this program the bare sink; an address and a folder follow.
pub const ARGUMENT: &str = "serve-bare-sink";

/// Where the body goes.
pub const FILE: &str = "body";

/// Serves until it is killed.
pub fn serve(address: SocketAddr, folder: &Path) {
    bare_route::runtime().block_on(async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let folder = folder.to_path_buf();
            let service = service_fn(move |request| store(request, folder.clone()));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
}

async fn store(request: Request<Incoming>, folder: PathBuf) -> Result<Response<Empty<Bytes>>, Infallible> {
    write(request.into_body(), &folder.join(FILE)).await;
    Ok(Response::new(Empty::new()))
}

/// Right on the event loop: nothing else is to be done, and that is the fastest.
async fn write(mut body: Incoming, path: &Path) {
    let mut file = File::create(path).unwrap();
    while let Some(frame) = body.frame().await {
        // One that is asked whether it answers gets no body.
        let Ok(frame) = frame else { return };
        if let Some(bytes) = frame.data_ref() {
            file.write_all(bytes).unwrap();
        }
    }
    file.sync_all().unwrap();
}
