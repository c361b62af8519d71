//! Signatures of bundles: Ed25519 (RFC 8032).

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rsa::pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use crate::domain::Invalid;
use crate::domain::bundle::SignerKey;

/// How many bytes a signature has.
pub const SIGNATURE_BYTES: usize = 64;
/// What the PEM of a private key says that it is (RFC 7468, section 10).
const PEM_LABEL: &str = "PRIVATE KEY";

/// The private key that an installation signs its bundles with.
#[derive(Debug)]
pub struct BundleSigner(Ed25519KeyPair);

impl BundleSigner {
    /// Makes a key: the text to be kept. `None`: the operating system has no random bytes to give.
    pub fn generate() -> Option<Zeroizing<String>> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        SecretDocument::try_from(document.as_ref()).ok()?.to_pem(PEM_LABEL, LineEnding::LF).ok()
    }

    /// Reads a key: PKCS#8 in PEM.
    pub fn from_pem(pem: &str) -> Result<Self, Invalid> {
        let unreadable = || Invalid::new("the key for bundles is no Ed25519 private key in PKCS#8 PEM");
        let (label, document) = SecretDocument::from_pem(pem.trim()).map_err(|_| unreadable())?;
        if label != PEM_LABEL {
            return Err(unreadable());
        }
        // Other tools leave the public key out.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(document.as_bytes()).map(Self).map_err(|_| unreadable())
    }

    /// What others know this key by.
    pub fn public(&self) -> SignerKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        SignerKey(bytes)
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut bytes = [0; SIGNATURE_BYTES];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }
}

/// Whether the holder of this key has signed this.
pub fn is_signed_by(key: SignerKey, message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key.0).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_message_and_key_alone() {
        let pem = BundleSigner::generate().unwrap();
        let signer = BundleSigner::from_pem(&pem).unwrap();
        let other = BundleSigner::from_pem(&BundleSigner::generate().unwrap()).unwrap();
        let signature = signer.sign(b"message");
        assert!(is_signed_by(signer.public(), b"message", &signature));
        assert!(!is_signed_by(other.public(), b"message", &signature));
        assert!(!is_signed_by(signer.public(), b"massage", &signature));
        assert!(!is_signed_by(signer.public(), b"message", &signature[1..]));
        assert!(BundleSigner::from_pem("nothing").is_err());
        assert!(BundleSigner::from_pem(&pem.replace("PRIVATE", "PUBLIC")).is_err());
    }

    #[test]
    fn keys_of_other_tools_are_read() {
        // RFC 8410, section 10.3, which has no public key.
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(BundleSigner::from_pem(pem).unwrap().public().to_string(), format!("ed25519:{public}"));
    }
}
