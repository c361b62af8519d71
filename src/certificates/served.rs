//! The certificate as connections get it: it can be exchanged while the server runs, and whoever is connected stays so.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::{Error, ServerConfig};

/// How many sessions are remembered for clients that cannot keep theirs in a ticket: some 256 KiB.
const SESSIONS: usize = 1024;

/// A certificate and its key, if they fit together and can be used.
pub fn certified_key(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<CertifiedKey, Error> {
    CertifiedKey::from_der(chain, key, &ring::default_provider())
}

/// The present certificate.
#[derive(Debug)]
pub struct Served(RwLock<Arc<CertifiedKey>>);

impl Served {
    /// Begins with this one.
    pub fn new(certificate: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(certificate)))
    }

    /// Whether new connections get this one already.
    pub fn is_the_same(&self, certificate: &CertifiedKey) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).cert == certificate.cert
    }

    /// New connections get this one.
    pub fn replace(&self, certificate: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// TLS 1.2 and 1.3, HTTP/2 for clients that know it, and sessions that go on: in tickets, which take no memory here, or else by
/// their number.
///
/// # Errors
/// When the machine has no random bytes.
pub fn server_config(served: Arc<Served>) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let mut config = builder.with_safe_default_protocol_versions()?.with_no_client_auth().with_cert_resolver(served);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}
