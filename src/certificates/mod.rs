//! The certificate that the server shows: one that somebody gave, or one of an authority of our own, looked after while the
//! server runs.
//!
//! [`authority`] makes certificates and knows no files, `given` reads those of others, `names` finds out what we are called, and
//! `served` hands the present one to each connection. Whom tender itself believes is not here, but in `crate::tls`.

pub mod authority;
mod given;
mod keeper;
mod names;
mod served;

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::Timestamp;
use crate::store::{DataFolder, StoreError};
use authority::{Authority, TooManyRotations};
pub use keeper::Certificates;

/// In the name of an authority, where the machine has none.
const NAMELESS: &str = "this machine";

/// Why a certificate that somebody gave cannot be used: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GivenCertificateError(String);

/// Why there is no certificate: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file that was given cannot be used.
    #[error(transparent)]
    Given(#[from] GivenCertificateError),
    /// There is no authority.
    #[error(
        "there is no certificate authority in this data folder: `tender serve --tls auto` makes one when it starts"
    )]
    NoAuthority,
    /// The file of our own authority cannot be used.
    #[error(
        "the file of the certificate authority {} is damaged: restore it, or delete it to have a new authority made, whose \
         certificate devices then need", .0.display()
    )]
    Damaged(PathBuf),
    /// No certificate can be made.
    #[error("cannot make a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The data folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The authority as it is kept, if there is one. Blocks.
///
/// # Errors
/// When it cannot be read.
pub fn stored(folder: &DataFolder) -> Result<Option<Authority>, CertificateError> {
    let Some(text) = folder.read_authority()? else { return Ok(None) };
    Authority::parse(&text).map(Some).ok_or_else(|| CertificateError::Damaged(folder.authority_path()))
}

/// Puts a new authority in the place of the one that is kept, which stays trusted for `overlap`; a server that runs notices. Gives
/// the new one's name, or says why there cannot be another one now. Blocks.
///
/// # Errors
/// When there is no authority, or nothing can be written.
pub fn rotate(
    folder: &DataFolder,
    now: Timestamp,
    overlap: Duration,
) -> Result<Result<String, TooManyRotations>, CertificateError> {
    folder.exclusively(|| {
        let mut authority = stored(folder)?.ok_or(CertificateError::NoAuthority)?;
        if let Err(refusal) = authority.rotate(now, &host_name(), overlap)? {
            return Ok(Err(refusal));
        }
        folder.write_authority(&authority.to_text())?;
        Ok(Ok(authority.subject().to_owned()))
    })
}

/// What a new authority is named after.
fn host_name() -> String {
    names::host_name().unwrap_or_else(|| NAMELESS.to_owned())
}
