//! Registrations: devices that asked to be let in and wait for a person, or were rejected.

use std::fmt;
use std::str::FromStr;

use super::named::named;
use super::{Invalid, MacAddress, Metadata, Sha256Digest, Timestamp};

named! {
    /// What people have made of a registration. One that they accept is none any more.
    RegistrationState, "state":
    /// Nothing yet: it waits.
    Pending = "pending",
    /// A person does not want the device with this key.
    Rejected = "rejected",
}

/// The SHA-256 of a public key (its SubjectPublicKeyInfo): two PEM texts of one key have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyFingerprint(pub [u8; 32]);

impl fmt::Display for KeyFingerprint {
    /// As `openssl rsa -pubin -outform der | sha256sum` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for KeyFingerprint {
    type Err = Invalid;

    /// 64 hexadecimal digits, in any case.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(|Sha256Digest(digest)| Self(digest))
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
    /// When it last asked; once it is rejected that is not noted.
    pub last_appeared: Timestamp,
    /// What people have made of it.
    pub state: RegistrationState,
}
