//! What carries a connection's bytes: plain TCP, which sends files by itself, or TLS.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http::connection::StallLimit;
use crate::http::sendfile::{Segments, SendfileSocket};

/// With this every TLS connection begins (RFC 8446, section 5.1: a record of the handshake).
const HANDSHAKE_RECORD: u8 = 22;
/// What HTTP/2 is called in a handshake (RFC 9113, section 3.2).
const HTTP_2: &[u8] = b"h2";
/// For clients that speak plain HTTP to a port of HTTPS.
const HINT: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 52\r\nConnection: close\r\n\r\n\
                    this port speaks HTTPS: begin the URL with https://\n";
/// So much of a request is read, and for so long, before the connection is closed: otherwise the client may not see the hint.
const HINT_BYTES: usize = 64 * 1024;
const HINT_TIME: Duration = Duration::from_secs(2);

/// An accepted connection, ready for HTTP.
pub enum Transport {
    /// Plain TCP.
    Plain(StallLimit<SendfileSocket>),
    /// TLS.
    Tls(Box<TlsStream<StallLimit<TcpStream>>>),
}

impl Transport {
    /// Plain TCP, on which `segments` are sent; `stall` bounds how long the client may take nothing.
    pub fn plain(stream: TcpStream, segments: Segments, stall: Duration) -> Self {
        Self::Plain(StallLimit::new(SendfileSocket::new(stream, segments), stall))
    }

    /// TLS, after the handshake. Of what fails the client is told as much as TLS has words for.
    ///
    /// # Errors
    /// When there is no handshake that both sides can agree on, or no handshake at all.
    pub async fn secured(mut stream: TcpStream, acceptor: &TlsAcceptor, stall: Duration) -> io::Result<Self> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first[0] != HANDSHAKE_RECORD {
            if first[0].is_ascii_uppercase() {
                hint(&mut stream).await;
            }
            return Err(io::Error::other("the client does not speak TLS"));
        }
        let accepted = acceptor.accept(StallLimit::new(stream, stall)).await?;
        Ok(Self::Tls(Box::new(accepted)))
    }

    /// Whether the client wants HTTP/2.
    pub fn speaks_http_2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(HTTP_2),
        }
    }
}

/// Tells a client that it should speak TLS, if it listens.
async fn hint(stream: &mut TcpStream) {
    let telling = async {
        stream.write_all(HINT.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        let mut read = 0;
        while read < HINT_BYTES {
            match stream.read(&mut rest).await? {
                0 => break,
                bytes => read += bytes,
            }
        }
        Ok::<_, io::Error>(())
    };
    // It is for the client to want to know.
    let _ = timeout(HINT_TIME, telling).await;
}

/// Who it is that fails, for the log.
pub fn report(peer: SocketAddr, error: &io::Error) {
    // Clients that break off, and those that look what is here, are everyday's business.
    tracing::debug!(%peer, %error, "a connection did not come to be");
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
