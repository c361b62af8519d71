//! The installation's one secret, and the keys made from it.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::Invalid;

const GENERATED_BYTES: usize = 32;

/// The secret text: made at first start, or given as `RDFM_JWT_SECRET`.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a given secret; an empty one would let everybody in.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.trim().is_empty() {
            return Err(Invalid::new("the secret is empty: give some random text, or leave it out to have one made"));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Makes a new one from the operating system's random bytes; fails if it has none to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0_u8; GENERATED_BYTES]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect())))
    }

    /// The text, for writing it into its file.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    /// Takes as long whether much of it is the same or little.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A value that tells whether two programs have the same secret, without telling the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecretCheck(pub [u8; 32]);

/// The keys of each use.
///
/// Device tokens are signed with the secret as it is, as the reference server does. Every other use has a key of its
/// own, so that a device token is never taken for something else.
#[derive(Clone)]
pub struct Keys {
    pub(super) device_token: Hmac<Sha256>,
    pub(super) access_token: Hmac<Sha256>,
    pub(super) known_browser: Hmac<Sha256>,
    pub(super) download_url: Hmac<Sha256>,
    check: SecretCheck,
}

impl Keys {
    /// Makes all keys.
    pub fn new(secret: &Secret) -> Self {
        let with_secret = hmac_with(secret.0.as_bytes());
        let derive = |label: &str| with_secret.clone().chain_update(label.as_bytes()).finalize().into_bytes();
        Self {
            access_token: hmac_with(&derive("tender access token")),
            known_browser: hmac_with(&derive("tender known browser")),
            download_url: hmac_with(&derive("tender download url")),
            check: SecretCheck(derive("tender secret check").into()),
            device_token: with_secret,
        }
    }

    /// The value that identifies the secret.
    pub fn check(&self) -> SecretCheck {
        self.check
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

fn hmac_with(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}
