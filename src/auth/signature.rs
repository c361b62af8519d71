//! Device keys and signatures: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2), as device clients make them.

use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::{Document, EncodePublicKey};
use rsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use sha2::{Digest, Sha256};

use crate::domain::{Invalid, KeyFingerprint};

const MIN_KEY_BITS: usize = 1024;
/// Arithmetic on larger keys costs seconds: a way to keep the processor busy from outside.
const MAX_KEY_BITS: usize = 8192;
/// A PEM text of the largest key is under 1,500 characters.
const MAX_PEM_BYTES: usize = 4096;

/// An RSA public key whose size and exponent are within limits.
#[derive(Debug, Clone)]
pub struct PublicKey {
    key: RsaPublicKey,
    fingerprint: KeyFingerprint,
}

/// A signature that does not fit the key and message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureError;

impl PublicKey {
    /// Reads PEM, as SubjectPublicKeyInfo (`BEGIN PUBLIC KEY`) or PKCS#1 (`BEGIN RSA PUBLIC KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, Invalid> {
        let unreadable = || Invalid::new("public_key is not an RSA public key in PEM format");
        if pem.len() > MAX_PEM_BYTES {
            return Err(unreadable());
        }
        let (label, der) = Document::from_pem(pem.trim()).map_err(|_| unreadable())?;
        // The usual decoders refuse keys over 4096 bits; going by the parts leaves the limit to us.
        let (modulus, exponent) = match label {
            "PUBLIC KEY" => {
                let info = rsa::pkcs8::SubjectPublicKeyInfoRef::try_from(der.as_bytes()).map_err(|_| unreadable())?;
                if info.algorithm.oid != rsa::pkcs1::ALGORITHM_OID {
                    return Err(unreadable());
                }
                let bits = info.subject_public_key.as_bytes().ok_or_else(unreadable)?;
                key_parts(bits).ok_or_else(unreadable)?
            }
            "RSA PUBLIC KEY" => key_parts(der.as_bytes()).ok_or_else(unreadable)?,
            _ => return Err(unreadable()),
        };
        if !(MIN_KEY_BITS..=MAX_KEY_BITS).contains(&modulus.bits()) {
            return Err(Invalid::new(format!("public_key must have {MIN_KEY_BITS} to {MAX_KEY_BITS} bits")));
        }
        let key = RsaPublicKey::new_with_max_size(modulus, exponent, MAX_KEY_BITS).map_err(|_| unreadable())?;
        let spki = key.to_public_key_der().map_err(|_| unreadable())?;
        Ok(Self { key, fingerprint: KeyFingerprint(Sha256::digest(spki.as_bytes()).into()) })
    }

    /// What tells this key from others, however its PEM is written.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// Checks a signature of `message`. Costs 0.1 to 5 ms of arithmetic: not for an async thread.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if signature.len() != self.key.size() {
            return Err(SignatureError);
        }
        let signature = Signature::try_from(signature).map_err(|_| SignatureError)?;
        let key = VerifyingKey::<Sha256>::new(self.key.clone());
        key.verify(message, &signature).map_err(|_| SignatureError)
    }
}

/// Modulus and exponent of a PKCS#1 `RSAPublicKey`, as far as they can be used: odd, positive, exponent at least 3.
fn key_parts(der: &[u8]) -> Option<(BigUint, BigUint)> {
    let key = rsa::pkcs1::RsaPublicKey::try_from(der).ok()?;
    let modulus = BigUint::from_bytes_be(key.modulus.as_bytes());
    let exponent = BigUint::from_bytes_be(key.public_exponent.as_bytes());
    let odd = |number: &BigUint| number.to_bytes_le().first().is_some_and(|lowest| lowest & 1 == 1);
    (odd(&modulus) && odd(&exponent) && exponent >= BigUint::from(3_u8)).then_some((modulus, exponent))
}
