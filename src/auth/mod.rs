//! Who somebody is: bytes and keys in, a verdict out. No HTTP, no SQL, no files here.

pub mod access_token;
pub mod device_token;
pub mod introspection;
mod secret;
mod signature;

pub use secret::{Keys, Secret, SecretCheck};
pub use signature::{PublicKey, SignatureError};
