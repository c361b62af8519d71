//! A certificate that somebody else made, in two files.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error as TlsError, InconsistentKeys};

use super::served::certified_key;
use super::{CertificateError, GivenCertificateError};

/// Where a certificate and its key are.
#[derive(Debug)]
pub struct GivenFiles {
    /// The certificate and those that lead to its authority: PEM.
    pub certificate: PathBuf,
    /// Its private key: PEM, in any of the usual forms (PKCS #8, SEC 1, PKCS #1).
    pub key: PathBuf,
}

impl GivenFiles {
    /// Reads both. Blocks.
    pub fn read(&self) -> Result<CertifiedKey, CertificateError> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain = read(&self.certificate, "certificate")?;
        let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<Vec<_>, _>>();
        let chain = chain.or_else(|error| given(format!("the certificate file {certificate} is damaged: {error}")))?;
        if chain.is_empty() {
            return given(format!("there is no certificate in {certificate}: it must be PEM (BEGIN CERTIFICATE)"));
        }
        let private = match PrivateKeyDer::from_pem_slice(&read(&self.key, "key")?) {
            Ok(private) => private,
            Err(pem::Error::NoItemsFound) => {
                return given(format!(
                    "there is no private key in {key}: it must be PEM (BEGIN PRIVATE KEY) and without a passphrase"
                ));
            }
            Err(error) => return given(format!("the key file {key} is damaged: {error}")),
        };
        certified_key(chain, private).or_else(|error| match error {
            TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => given(format!(
                "the key {key} is not that of the certificate {certificate}: give the two that belong together"
            )),
            TlsError::InvalidCertificate(_) => given(format!("the certificate {certificate} cannot be read: {error}")),
            error => given(format!("the key {key} cannot be used ({error}): it must be ECDSA, RSA or Ed25519")),
        })
    }
}

fn given<T>(sentence: String) -> Result<T, CertificateError> {
    Err(GivenCertificateError(sentence).into())
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).or_else(|error| given(format!("cannot read the {what} file {}: {error}", path.display())))
}

/// What tells one state of a file from another; `None` if there is no such file. Links are followed: those who renew
/// certificates like to change where one leads.
pub type Stamp = Option<(u64, u64, i64, i64)>;

/// What the file at `path` is like now. Blocks.
pub fn stamp(path: &Path) -> Stamp {
    let metadata: io::Result<fs::Metadata> = fs::metadata(path);
    metadata.ok().map(|file| (file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}
