//! The yardstick of handshakes: rustls with the server's own certificate, which answers whatever it is sent with the same bytes.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tender::certificates::Certificates;
use tender::clock::Clock;
use tender::config::TlsConfig;
use tender::store::DataFolder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::bare_route::runtime;

/// The argument that makes this program the bare acceptor; an address and a data folder follow.
pub const ARGUMENT: &str = "serve-bare-tls";
const REPLY: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Serves until it is killed.
pub fn serve(address: SocketAddr, data: &Path) {
    runtime().block_on(async {
        let folder = DataFolder::at(data.to_owned(), None, None);
        let tls = TlsConfig::Auto { names: Vec::new() };
        let certificates = Certificates::open(&tls, &folder, Clock::system()).unwrap().unwrap();
        let acceptor = TlsAcceptor::from(Arc::clone(&certificates.server_config().unwrap()));
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                let mut first = [0];
                // Whoever looks whether the server is there speaks no TLS.
                if !matches!(stream.peek(&mut first).await, Ok(1)) || first[0] != 22 {
                    let _ = stream.write_all(REPLY).await;
                    return;
                }
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                while matches!(stream.read(&mut request).await, Ok(1..)) {
                    if stream.write_all(REPLY).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}
