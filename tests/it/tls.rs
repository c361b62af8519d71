//! HTTPS: what is spoken, with which certificate, and to whom.

mod authority;
mod commands;
mod given;
mod limits;
mod protocols;
mod transfers;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tender::config::{Config, LookInterval, TlsConfig};
use tender::store::DataFolder;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};

use crate::harness::TestServer;

pub const H1: &[&str] = &["http/1.1"];
pub const H2: &[&str] = &["h2", "http/1.1"];
const BOTH_VERSIONS: &[&SupportedProtocolVersion] = &[&TLS12, &TLS13];

/// With a certificate of its own authority, which it looks at often.
pub fn auto(config: &mut Config) {
    config.tls = TlsConfig::Auto { names: vec!["gateway.example".to_owned()] };
    config.certificate_look = LookInterval(Duration::from_millis(20));
}

/// The authority of a server, as `tender ca export` gives it.
fn exported(server: &TestServer) -> String {
    let folder = DataFolder::at(server.data(), None, None);
    let authority = tender::certificates::stored(&folder).unwrap().unwrap();
    authority.trusted().iter().map(|(certificate, _)| certificate.pem.as_str()).collect()
}

/// A clock that stands still.
#[derive(Debug)]
struct Standing(Duration);

impl TimeProvider for Standing {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0))
    }
}

/// A client that trusts these authorities (PEM), speaks these versions and protocols, and whose clock shows this, if anything.
fn client_config(
    authorities: &str,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&str],
    clock: Option<Duration>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(ring::default_provider());
    let builder = match clock {
        Some(clock) => ClientConfig::builder_with_details(provider, Arc::new(Standing(clock))),
        None => ClientConfig::builder_with_provider(provider),
    };
    let mut config =
        builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// An HTTP client that trusts a server's authority and speaks these protocols.
pub fn http_client(server: &TestServer, protocols: &[&str]) -> reqwest::Client {
    client_trusting(&exported(server), protocols)
}

/// The same for whoever has the authority (PEM).
pub fn client_trusting(authority: &str, protocols: &[&str]) -> reqwest::Client {
    let config = client_config(authority, BOTH_VERSIONS, protocols, None);
    reqwest::Client::builder().tls_backend_preconfigured(config).build().unwrap()
}

/// Shakes hands with a server on this machine.
pub async fn connect_trusting(url: &str, authority: &str, protocols: &[&str]) -> TlsStream<TcpStream> {
    connect(url, client_config(authority, BOTH_VERSIONS, protocols, None), "localhost").await.unwrap()
}

/// Shakes hands with a server by a name of it.
async fn connect(url: &str, config: ClientConfig, name: &'static str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(url.strip_prefix("https://").unwrap()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await
}

/// Runs a tool, if there is one: its output and whether it says that all is well. CI must have it.
fn tool(folder: &Path, name: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let output = Command::new(name).args(arguments).current_dir(folder).stdin(std::process::Stdio::null()).output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "CI must have {name}");
        eprintln!("skipped: this needs {name}");
        return None;
    };
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Some((output.status.success(), text))
}
