//! A certificate authority of our own: it makes the server's certificate, and gives its place to another authority without
//! any device being locked out.
//!
//! All certificates are good from 1970 on, for devices whose clocks were never set. What has to be known about one is kept
//! beside it, so that none is ever taken apart.
//!
//! **Rotation.** The new authority's key is also certified by the old one (a *bridge*), and the bridge is sent along with the
//! server's certificate. So a client that knows the new authority finds it at once, and one that knows only the old goes over
//! the bridge. Bridges of several rotations make a chain, as clients do not try several ways.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(3653 * DAY.as_secs());
/// A server that is switched off for a year is still believed when it comes back.
const SERVER_LIFETIME: Duration = Duration::from_secs(730 * DAY.as_secs());
/// So long before its end the server's certificate is made anew.
const RENEWAL: Duration = Duration::from_secs(240 * DAY.as_secs());
/// Each is a certificate more in every handshake.
const MOST_PREVIOUS: usize = 3;
/// 9999-12-31T23:59:59Z: no certificate can say more, whatever a clock shows.
const LATEST: Timestamp = Timestamp::from_unix_seconds(253_402_300_799);
/// RFC 5280, appendix A: the longest common name, in characters.
const LONGEST_COMMON_NAME: usize = 64;

/// Too many authorities are still trusted for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_PREVIOUS} earlier authorities are still trusted: wait until that is over, or end it with --overlap 0s")]
pub struct TooManyRotations;

/// The authority with everything that it has made. As text: JSON, with the private keys in it.
#[derive(Serialize, Deserialize)]
pub struct Authority {
    current: Root,
    /// Those that had its place before and are still trusted, the latest first.
    previous: Vec<Previous>,
    server: ServerCertificate,
}

/// Who signs.
#[derive(Serialize, Deserialize)]
struct Root {
    certificate: RootCertificate,
    key: String,
}

/// What clients are to trust.
#[derive(Clone, Serialize, Deserialize)]
pub struct RootCertificate {
    /// The common name: the whole name of the authority.
    pub subject: String,
    /// PEM.
    pub pem: String,
    /// Its end, in seconds since 1970.
    not_after: i64,
}

/// An authority that signs no more: its key is gone.
#[derive(Serialize, Deserialize)]
struct Previous {
    certificate: RootCertificate,
    /// The next authority's key, certified by this one: PEM.
    bridge: String,
    /// Until when it is trusted, in seconds since 1970.
    trusted_until: i64,
}

/// What the server shows.
#[derive(Serialize, Deserialize)]
struct ServerCertificate {
    pem: String,
    key: String,
    names: BTreeSet<String>,
    not_after: i64,
}

impl RootCertificate {
    /// When it ends.
    pub fn not_after(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.not_after)
    }

    /// Its SHA-256, as `openssl x509 -fingerprint -sha256` writes it.
    pub fn fingerprint(&self) -> String {
        let certificate = CertificateDer::from_pem_slice(self.pem.as_bytes());
        let hash = Sha256::digest(certificate.as_deref().unwrap_or_default());
        let mut text = String::new();
        for byte in hash {
            let colon = if text.is_empty() { "" } else { ":" };
            // Writing to a string cannot fail.
            let _ = write!(text, "{colon}{byte:02X}");
        }
        text
    }
}

impl Authority {
    /// A new authority, and a certificate of it for a server of these names. `host_name` is for people, who tell several
    /// authorities apart by it.
    pub fn make(now: Timestamp, host_name: &str, names: &BTreeSet<String>) -> Result<Self, rcgen::Error> {
        let current = Root::make(now, host_name)?;
        let server = current.certify(now, names)?;
        Ok(Self { current, previous: Vec::new(), server })
    }

    /// Makes the server's certificate anew if it ends soon or lacks one of these names, and forgets authorities that are not
    /// trusted any more; whether anything changed.
    pub fn refresh(&mut self, now: Timestamp, names: &BTreeSet<String>) -> Result<bool, rcgen::Error> {
        let known = self.previous.len();
        self.previous.retain(|previous| previous.trusted_until > now.unix_seconds());
        let is_to_renew = self.is_due(now) || !names.is_subset(&self.server.names);
        if is_to_renew {
            self.server = self.current.certify(now, names)?;
        }
        Ok(is_to_renew || self.previous.len() < known)
    }

    /// Whether time alone asks for [`Authority::refresh`].
    pub fn is_to_refresh(&self, now: Timestamp) -> bool {
        self.is_due(now) || self.previous.iter().any(|previous| previous.trusted_until <= now.unix_seconds())
    }

    /// Whether the server's certificate ends soon, and another one would last longer: near the authority's own end none does.
    fn is_due(&self, now: Timestamp) -> bool {
        let not_after = Timestamp::from_unix_seconds(self.server.not_after);
        now.saturating_add(RENEWAL) > not_after && self.current.server_not_after(now) > not_after.saturating_add(DAY)
    }

    /// Puts a new authority in this one's place, which stays trusted for `overlap`, or as long as an earlier one if that is longer.
    /// Without an overlap no earlier one is trusted any more.
    pub fn rotate(
        &mut self,
        now: Timestamp,
        host_name: &str,
        overlap: Duration,
    ) -> Result<Result<(), TooManyRotations>, rcgen::Error> {
        self.previous.retain(|previous| previous.trusted_until > now.unix_seconds());
        if overlap.is_zero() {
            self.previous.clear();
        }
        if self.previous.len() >= MOST_PREVIOUS {
            return Ok(Err(TooManyRotations));
        }
        let new = Root::make(now, host_name)?;
        let server = new.certify(now, &self.server.names)?;
        if !overlap.is_zero() {
            let bridge = self.current.bridge_to(&new)?;
            // The way to an earlier one leads over this one: it lasts as long.
            let earlier = self.previous.first().map_or(0, |previous| previous.trusted_until);
            let trusted_until = now.saturating_add(overlap).unix_seconds().max(earlier);
            let certificate = self.current.certificate.clone();
            self.previous.insert(0, Previous { certificate, bridge, trusted_until });
        }
        (self.current, self.server) = (new, server);
        Ok(Ok(()))
    }

    /// What clients are to trust: the authority's certificate, and those of earlier ones with the moment until which each is
    /// trusted.
    pub fn trusted(&self) -> Vec<(&RootCertificate, Option<Timestamp>)> {
        let previous = self
            .previous
            .iter()
            .map(|previous| (&previous.certificate, Some(Timestamp::from_unix_seconds(previous.trusted_until))));
        [(&self.current.certificate, None)].into_iter().chain(previous).collect()
    }

    /// The same as PEM, one after the other: what clients need.
    pub fn trusted_pem(&self) -> String {
        self.trusted().into_iter().map(|(certificate, _)| certificate.pem.as_str()).collect()
    }

    /// The name of the authority that signs.
    pub fn subject(&self) -> &str {
        &self.current.certificate.subject
    }

    /// When the authority that signs ends.
    pub fn not_after(&self) -> Timestamp {
        self.current.certificate.not_after()
    }

    /// The names that the server's certificate is for.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.server.names
    }

    /// When the server's certificate ends.
    pub fn server_not_after(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.server.not_after)
    }

    /// The server's certificate and the bridges to earlier authorities, as PEM.
    pub fn chain(&self) -> String {
        let bridges = self.previous.iter().map(|previous| previous.bridge.as_str());
        [self.server.pem.as_str()].into_iter().chain(bridges).collect()
    }

    /// The private key of the server's certificate, as PEM.
    pub fn server_key(&self) -> &str {
        &self.server.key
    }

    /// Reads what [`Authority::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Everything, private keys included.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts and numbers are JSON")
    }
}

impl Root {
    fn make(now: Timestamp, host_name: &str) -> Result<Self, rcgen::Error> {
        let key = new_key()?;
        // Two authorities of one host have different names, so that nobody takes one for the other.
        let tag: String = Sha256::digest(key.public_key_raw())[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let room = LONGEST_COMMON_NAME - tag.len() - 1;
        let subject: String = format!("tender authority of {host_name}").chars().take(room).collect();
        let subject = format!("{subject} {tag}");
        let not_after = now.saturating_add(AUTHORITY_LIFETIME);
        let pem = authority_parameters(&subject, not_after).self_signed(&key)?.pem();
        let certificate = RootCertificate { subject, pem, not_after: not_after.unix_seconds() };
        Ok(Self { certificate, key: key.serialize_pem() })
    }

    fn issuer(&self) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
        let RootCertificate { subject, .. } = &self.certificate;
        let parameters = authority_parameters(subject, self.certificate.not_after());
        Ok(Issuer::new(parameters, KeyPair::from_pem(&self.key)?))
    }

    /// A certificate for a server of these names, and a new key for it.
    fn certify(&self, now: Timestamp, names: &BTreeSet<String>) -> Result<ServerCertificate, rcgen::Error> {
        let key = new_key()?;
        let not_after = self.server_not_after(now);
        let mut parameters = CertificateParams::new(names.iter().cloned().collect::<Vec<_>>())?;
        set_validity(&mut parameters, not_after);
        parameters.distinguished_name = common_name("tender");
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let pem = parameters.signed_by(&key, &self.issuer()?)?.pem();
        let not_after = not_after.unix_seconds();
        Ok(ServerCertificate { pem, key: key.serialize_pem(), names: names.clone(), not_after })
    }

    fn server_not_after(&self, now: Timestamp) -> Timestamp {
        now.saturating_add(SERVER_LIFETIME).min(self.certificate.not_after())
    }

    /// The key of `new`, certified by this authority: for as long as this one lasts, as the clocks of those who look at it may
    /// be ahead of ours.
    fn bridge_to(&self, new: &Self) -> Result<String, rcgen::Error> {
        let mut parameters = authority_parameters(&new.certificate.subject, self.certificate.not_after());
        parameters.use_authority_key_identifier_extension = true;
        Ok(parameters.signed_by(&KeyPair::from_pem(&new.key)?, &self.issuer()?)?.pem())
    }
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn authority_parameters(subject: &str, not_after: Timestamp) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    set_validity(&mut parameters, not_after);
    parameters.distinguished_name = common_name(subject);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// Has a certificate be good from 1970 to this moment.
fn set_validity(parameters: &mut CertificateParams, not_after: Timestamp) {
    let begin = date_time_ymd(1970, 1, 1);
    parameters.not_before = begin;
    parameters.not_after = begin + Timestamp::from_unix_seconds(0).until(not_after.min(LATEST));
}
