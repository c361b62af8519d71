//! Who somebody is: bytes and keys in, a verdict out. No HTTP, no SQL, no files here.

pub mod access_token;
pub mod age;
pub mod bundle_signature;
pub mod checksum;
pub mod credential;
pub mod device_token;
pub mod download_url;
pub mod introspection;
pub mod known_browser;
pub mod password;
mod secret;
mod signature;
pub mod throttle;
mod webhook_key;

pub use credential::Credential;
pub use secret::{Keys, Secret, SecretCheck};
pub use signature::{PublicKey, SignatureError};
pub use webhook_key::WebhookKey;
