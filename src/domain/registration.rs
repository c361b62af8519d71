//! Registrations: devices that asked to be let in and wait for a person.

use std::fmt;

use super::{MacAddress, Metadata, Timestamp};

/// The SHA-256 of a public key (its SubjectPublicKeyInfo): two PEM texts of one key have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint(pub [u8; 32]);

impl fmt::Display for KeyFingerprint {
    /// As `openssl rsa -pubin -outform der | sha256sum` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A registration request: one per MAC address and key.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The MAC address as it was first reported.
    pub mac_address: MacAddress,
    /// The public key, in the PEM that the device sent.
    pub public_key: String,
    /// What the device reported about itself.
    pub metadata: Metadata,
    /// When it last asked.
    pub last_appeared: Timestamp,
}
