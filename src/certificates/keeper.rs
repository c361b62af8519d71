//! Looks after the server's certificate: takes a new one when the files change, and has our own authority make one in time.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::authority::Authority;
use super::given::{GivenFiles, Stamp, stamp};
use super::served::{Served, certified_key, server_config};
use super::{CertificateError, host_name, names, stored};
use crate::clock::Clock;
use crate::config::TlsConfig;
use crate::domain::Timestamp;
use crate::store::DataFolder;

/// So long before an authority ends it is time to bring another one to all devices.
const LAST_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How often it is looked whether this machine is called otherwise, or reached elsewhere.
const NAMES_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// The server's certificate, looked after.
pub struct Certificates {
    source: Source,
    served: Arc<Served>,
    clock: Clock,
    known: Mutex<Known>,
}

/// Where the certificate comes from.
enum Source {
    Given(GivenFiles),
    Own {
        folder: DataFolder,
        /// Names that the certificate is also for.
        names: Vec<String>,
    },
}

/// What the last look has shown.
struct Known {
    /// The files as they were read last, whatever came of it.
    read: Vec<Stamp>,
    /// The files at the last look: they are read when two looks show the same, as two files do not change at once.
    seen: Vec<Stamp>,
    /// Of our own authority: as it was read.
    authority: Option<Authority>,
    /// When everything was last read, by [`Clock::elapsed`].
    read_at: Duration,
    /// Whether nothing came of that: then it is not tried again at each look.
    has_failed: bool,
}

impl Certificates {
    /// Reads the certificate, or makes one; `None` if the server speaks plain HTTP. Blocks.
    ///
    /// # Errors
    /// When there is no certificate that can be used.
    pub fn open(config: &TlsConfig, folder: &DataFolder, clock: Clock) -> Result<Option<Self>, CertificateError> {
        let source = match config {
            TlsConfig::Off => return Ok(None),
            TlsConfig::Given { certificate, key } => {
                Source::Given(GivenFiles { certificate: certificate.clone(), key: key.clone() })
            }
            TlsConfig::Auto { names } => Source::Own { folder: folder.clone(), names: names.clone() },
        };
        let stamps = source.stamps();
        let (certificate, authority) = source.read(&clock, true)?;
        if let Some(authority) = &authority {
            warn_of_end(authority, clock.now());
        }
        // What was made just now is known already.
        let stamps = if authority.is_some() { source.stamps() } else { stamps };
        let read_at = clock.elapsed();
        let known = Known { read: stamps.clone(), seen: stamps, authority, read_at, has_failed: false };
        let served = Arc::new(Served::new(certificate));
        Ok(Some(Self { source, served, clock, known: Mutex::new(known) }))
    }

    /// TLS with whatever certificate is the present one.
    ///
    /// # Errors
    /// When TLS cannot be set up on this machine.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        Ok(Arc::new(server_config(self.served.clone())?))
    }

    /// Takes what has changed on disk, if it stays as it is, and renews what ends. Blocks; to be called every few seconds, and
    /// reads and writes nothing unless there is a reason.
    pub fn look(&self) {
        let mut known = self.lock();
        let stamps = self.source.stamps();
        let has_changed = stamps != known.read && stamps == known.seen;
        known.seen = stamps;
        let is_due = known.authority.as_ref().is_some_and(|authority| {
            (authority.is_to_refresh(self.clock.now()) && !known.has_failed)
                || self.clock.elapsed().saturating_sub(known.read_at) >= NAMES_INTERVAL
        });
        if has_changed || is_due {
            self.take(&mut known);
        }
    }

    /// Reads everything again at once: for who says that something has changed. Blocks.
    pub fn reload(&self) {
        self.take(&mut self.lock());
    }

    /// Has new connections get what is on disk now; if that is no good, what they got before.
    fn take(&self, known: &mut Known) {
        let before = self.source.stamps();
        known.read_at = self.clock.elapsed();
        let read = self.source.read(&self.clock, false);
        known.has_failed = read.is_err();
        match read {
            Ok((certificate, authority)) => {
                known.read = if authority.is_some() { self.source.stamps() } else { before };
                if !self.served.is_the_same(&certificate) {
                    self.served.replace(certificate);
                    tracing::info!("the certificate is another one from now on");
                }
                known.authority = authority;
            }
            Err(error) => {
                known.read = before;
                tracing::error!(%error, "the new certificate cannot be used; the one before it is served on");
            }
        }
        known.seen.clone_from(&known.read);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn stamps(&self) -> Vec<Stamp> {
        match self {
            Self::Given(GivenFiles { certificate, key }) => vec![stamp(certificate), stamp(key)],
            Self::Own { folder, .. } => vec![stamp(&folder.authority_path())],
        }
    }

    /// The certificate as it is on disk; our own is renewed if it is time. An authority is made at the first start alone: another
    /// one in the place of one that is lost would lock devices out.
    fn read(&self, clock: &Clock, is_start: bool) -> Result<(CertifiedKey, Option<Authority>), CertificateError> {
        match self {
            Self::Given(files) => Ok((files.read()?, None)),
            Self::Own { folder, names } => {
                let authority = present_authority(folder, names, clock.now(), is_start)?;
                let certificate = certificate_of(&authority, &folder.authority_path())?;
                Ok((certificate, Some(authority)))
            }
        }
    }
}

/// The authority, with a certificate for this machine as it is now.
fn present_authority(
    folder: &DataFolder,
    more: &[String],
    now: Timestamp,
    may_make: bool,
) -> Result<Authority, CertificateError> {
    let names = names::own(more);
    folder.exclusively(|| {
        let Some(mut authority) = stored(folder)? else {
            if !may_make {
                return Err(CertificateError::NoAuthority);
            }
            let authority = Authority::make(now, &host_name(), &names)?;
            folder.write_authority(&authority.to_text())?;
            tracing::info!("made a certificate authority; `tender ca export` gives what devices need to trust it");
            return Ok(authority);
        };
        if authority.refresh(now, &names)? {
            tracing::info!(names = authority.names().len(), "made a new certificate for this server");
            // A disk that takes no writes keeps no device from its update: after a restart it is made once more.
            if let Err(error) = folder.write_authority(&authority.to_text()) {
                tracing::warn!(%error, "could not keep the new certificate; it is served all the same");
            }
        }
        Ok(authority)
    })
}

fn warn_of_end(authority: &Authority, now: Timestamp) {
    let end = authority.not_after();
    if now.saturating_add(LAST_PERIOD) > end {
        tracing::warn!(
            end = %end.rfc3339(),
            "the certificate authority ends soon: `tender ca rotate` makes another one, which all devices need by then"
        );
    }
}

fn certificate_of(authority: &Authority, path: &Path) -> Result<CertifiedKey, CertificateError> {
    let damaged = || CertificateError::Damaged(path.to_owned());
    let chain = CertificateDer::pem_slice_iter(authority.chain().as_bytes()).collect::<Result<Vec<_>, _>>();
    let key = PrivateKeyDer::from_pem_slice(authority.server_key().as_bytes());
    let (Ok(chain), Ok(key)) = (chain, key) else { return Err(damaged()) };
    certified_key(chain, key).map_err(|_| damaged())
}
