//! Who a simulated device is: its MAC address and its RSA key, both made from the seed, so that a
//! second run is the fleet that was already accepted.
//!
//! These keys can be computed by anybody who knows the seed. They prove nothing outside a
//! simulation.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};

/// The bit that says that no manufacturer assigned this address.
const LOCALLY_ADMINISTERED: u64 = 0x02 << 40;
const HIGHEST_MAC_ADDRESS: u64 = (1 << 48) - 1;

/// The number of addresses between the first ones of two seeds.
pub const DEVICES_PER_SEED: u32 = 1 << 24;

/// A MAC address; a device's identity to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacAddress(u64);

impl MacAddress {
    /// The first address of the fleet of `seed`. Fleets of different seeds share no address.
    pub fn first_of(seed: u16) -> Self {
        MacAddress(LOCALLY_ADMINISTERED | (u64::from(seed) * u64::from(DEVICES_PER_SEED)))
    }

    /// The address `index` places further, `None` past the last one there is.
    pub fn plus(self, index: u32) -> Option<Self> {
        let address = self.0 + u64::from(index);
        (address <= HIGHEST_MAC_ADDRESS).then_some(MacAddress(address))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        write!(formatter, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut address = 0;
        let mut octets = 0;
        for octet in text.split([':', '-']) {
            let is_hexadecimal = octet.bytes().all(|digit| digit.is_ascii_hexdigit());
            if octet.len() != 2 || !is_hexadecimal {
                bail!("a MAC address is six pairs of digits, such as 02:00:00:00:00:01");
            }
            address = address << 8 | u64::from(u8::from_str_radix(octet, 16)?);
            octets += 1;
            ensure!(octets <= 6, "a MAC address has six pairs of digits");
        }
        ensure!(octets == 6, "a MAC address has six pairs of digits");
        Ok(MacAddress(address))
    }
}

/// The RSA key a device signs its authorization requests with.
pub struct DeviceKey {
    signing_key: SigningKey<Sha256>,
    public_key_pem: String,
}

impl DeviceKey {
    /// The key number `index` of the fleet of `seed`. Takes seconds of computing for long keys:
    /// not for an asynchronous thread.
    ///
    /// # Errors
    /// When `bits` is no length an RSA key can have.
    pub fn generate(seed: u16, index: u32, bits: usize) -> anyhow::Result<Self> {
        let mut random = ChaCha20Rng::seed_from_u64(seed.into());
        random.set_stream(index.into());
        let private_key =
            RsaPrivateKey::new(&mut random, bits).with_context(|| format!("cannot make an RSA key of {bits} bits"))?;
        let public_key_pem = private_key
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .context("cannot write the public key as PEM")?;
        Ok(DeviceKey { signing_key: SigningKey::new(private_key), public_key_pem })
    }

    /// The public key as SubjectPublicKeyInfo in PEM.
    pub fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// The RSASSA-PKCS1-v1_5 / SHA-256 signature of `message`, in base64. Takes milliseconds of
    /// computing: not for an asynchronous thread.
    ///
    /// # Errors
    /// When the key is too short to hold such a signature.
    pub fn sign(&self, message: &[u8]) -> anyhow::Result<String> {
        let signature = self.signing_key.try_sign(message).context("cannot sign with this key")?;
        Ok(STANDARD.encode(signature.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs8::DecodePublicKey;
    use rsa::signature::Verifier;
    use rsa::{RsaPublicKey, pkcs1v15};

    /// Far too short for anything but a fast test.
    const BITS: usize = 512;

    #[test]
    fn a_seed_gives_locally_administered_consecutive_addresses() {
        let first = MacAddress::first_of(1);
        assert_eq!(first.to_string(), "02:00:01:00:00:00");
        let later = first.plus(0x01_02_03).unwrap();
        assert_eq!(later.to_string(), "02:00:01:01:02:03");
    }

    #[test]
    fn fleets_of_different_seeds_share_no_address() {
        let last_of_first = MacAddress::first_of(1).plus(DEVICES_PER_SEED - 1).unwrap();
        assert_eq!(last_of_first.plus(1), Some(MacAddress::first_of(2)));
    }

    #[test]
    fn there_is_no_address_past_the_last_one() {
        let last: MacAddress = "ff:ff:ff:ff:ff:ff".parse().unwrap();
        assert_eq!(last.plus(0), Some(last));
        assert_eq!(last.plus(1), None);
    }

    #[test]
    fn addresses_are_read_as_they_are_usually_written() {
        let address: MacAddress = "02-AB-cd:00:00:1f".parse().unwrap();
        assert_eq!(address.to_string(), "02:ab:cd:00:00:1f");
        for text in ["", "02:00", "02:00:00:00:00:00:00", "02:00:00:00:00:0g", "+2:00:00:00:00:00"] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_seed_and_index_give_the_same_key() {
        let pem = |seed, index| {
            let key = DeviceKey::generate(seed, index, BITS).unwrap();
            key.public_key_pem().to_owned()
        };
        assert_eq!(pem(1, 0), pem(1, 0));
        assert_ne!(pem(1, 0), pem(1, 1));
        assert_ne!(pem(1, 0), pem(2, 0));
    }

    #[test]
    fn a_signature_is_verified_with_the_public_key() {
        let key = DeviceKey::generate(1, 0, BITS).unwrap();
        let public_key = RsaPublicKey::from_public_key_pem(key.public_key_pem()).unwrap();
        let signature = STANDARD.decode(key.sign(b"message").unwrap()).unwrap();
        let signature = pkcs1v15::Signature::try_from(&*signature).unwrap();
        let verifying_key = pkcs1v15::VerifyingKey::<Sha256>::new(public_key);
        verifying_key.verify(b"message", &signature).unwrap();
        assert!(verifying_key.verify(b"another", &signature).is_err());
    }
}
