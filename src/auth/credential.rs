//! Random texts that prove something to whoever shows them: the cookie of a session, the secret of a client, the claim code.
//! Each is shown once and kept as a hash.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::domain::CredentialHash;

const RANDOM_BYTES: usize = 32;

/// 32 random bytes as text that is fit for URLs and headers.
pub struct Credential(Zeroizing<String>);

impl Credential {
    /// Makes a new one; fails if the operating system has no random bytes to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0_u8; RANDOM_BYTES]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes))))
    }

    /// The text, for its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> CredentialHash {
        hash_of(&self.0)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// The hash of a text that somebody shows.
pub fn hash_of(text: &str) -> CredentialHash {
    CredentialHash(Sha256::digest(text).into())
}

/// Whether `text` is the credential of this hash, in the same time whatever it is.
pub fn matches(hash: CredentialHash, text: &str) -> bool {
    hash.0.ct_eq(&hash_of(text).0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_known_by_its_hash_and_shows_itself_to_nobody() {
        let credential = Credential::generate().unwrap();
        assert_eq!(credential.reveal().len(), 43);
        assert!(matches(credential.hash(), credential.reveal()));
        assert!(!matches(credential.hash(), Credential::generate().unwrap().reveal()));
        let shown = format!("{credential:?} {:?}", credential.hash());
        assert_eq!(shown, "Credential(…) CredentialHash(…)");
    }
}
