//! Identifiers of stored things: integers on the wire, and distinct types here, so that a group is never a device.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Invalid;

/// What all identifiers have in common.
pub trait Identifier: FromStr<Err = Invalid> + Copy + Send + 'static {}

macro_rules! identifier {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Identifier for $name {}

        impl FromStr for $name {
            type Err = Invalid;

            /// Decimal digits only: `+1`, ` 1` and `-1` name nothing.
            fn from_str(text: &str) -> Result<Self, Invalid> {
                if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Invalid::new("an identifier is a number"));
                }
                text.parse().map(Self).map_err(|_| Invalid::new("an identifier is a number"))
            }
        }
    };
}

identifier!(
    /// A registered device.
    DeviceId
);
identifier!(
    /// A group of devices.
    GroupId
);
identifier!(
    /// A stored package.
    PackageId
);
identifier!(
    /// A package offered to a device, and what came of it.
    AttemptId
);
identifier!(
    /// A person who may log in.
    UserId
);
