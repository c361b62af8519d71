//! TLS for what tender asks of other servers: rustls with ring. It is handed to each client, so that nothing here is
//! installed for the whole process.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_platform_verifier::BuilderVerifierExt;

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Nobody's: for clients that only speak plain HTTP. Needs nothing of the machine.
    Nobody,
    /// Those that the operating system's store vouches for; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` name another one.
    OperatingSystem,
    /// Everybody's: for asking a server on this machine something that is no secret. It may have made its certificate itself.
    Anybody,
    /// Those that these authorities vouch for, and no others.
    Authorities(Arc<RootCertStore>),
}

impl Trust {
    /// In the authorities whose certificates are in a text of PEM; `None` if none is, or one cannot be read.
    pub fn in_authorities(pem: &[u8]) -> Option<Self> {
        let mut authorities = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            authorities.add(certificate.ok()?).ok()?;
        }
        (!authorities.is_empty()).then(|| Self::Authorities(Arc::new(authorities)))
    }
}

/// Why HTTPS cannot be spoken on this machine: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("HTTPS cannot be spoken ({0}): check that the certificates of authorities are installed (ca-certificates)")]
pub struct TlsError(#[from] rustls::Error);

/// The TLS side of an HTTP client, for reqwest's `tls_backend_preconfigured`; it offers HTTP/1.1.
///
/// # Errors
/// With [`Trust::OperatingSystem`], when the machine has no certificate of an authority.
pub fn client_config(trust: Trust) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match trust {
        Trust::Nobody => builder.with_root_certificates(RootCertStore::empty()),
        Trust::Authorities(authorities) => builder.with_root_certificates(authorities),
        Trust::OperatingSystem => builder.with_platform_verifier()?,
        Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous(provider))),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Believes every certificate, of whoever has its key.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
