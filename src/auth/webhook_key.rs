//! Signatures of webhooks, as Standard Webhooks 1.0 has them (<https://www.standardwebhooks.com>): whoever shares the secret can tell that
//! a request is ours, whole, and not an old one sent again.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Secret;
use crate::domain::{Invalid, Timestamp};

/// What secrets begin with that are keys in base64.
const ENCODED: &str = "whsec_";

/// The key that the requests to one webhook are signed with.
#[derive(Clone)]
pub struct WebhookKey(Hmac<Sha256>);

impl WebhookKey {
    /// Takes the secret that the receiver has: `whsec_` and the key in base64, or any text, which is the key itself.
    pub fn parse(secret: &Secret) -> Result<Self, Invalid> {
        let text = secret.reveal();
        let key = match text.strip_prefix(ENCODED) {
            Some(encoded) => STANDARD.decode(encoded).unwrap_or_default(),
            None => text.as_bytes().to_vec(),
        };
        match Hmac::new_from_slice(&key) {
            Ok(hmac) if !key.is_empty() => Ok(Self(hmac)),
            _ => Err(Invalid::new("what follows whsec_ in the secret is not base64")),
        }
    }

    /// The header `webhook-signature` of a request with this `webhook-id`, `webhook-timestamp` and body.
    pub fn sign(&self, id: &str, timestamp: Timestamp, body: &[u8]) -> String {
        let prefix = format!("{id}.{}.", timestamp.unix_seconds());
        let signature = self.0.clone().chain_update(prefix).chain_update(body).finalize().into_bytes();
        format!("v1,{}", STANDARD.encode(signature))
    }
}

impl PartialEq for WebhookKey {
    /// Keys are the same that sign in the same way.
    fn eq(&self, other: &Self) -> bool {
        let signed_nothing = |key: &Self| key.0.clone().finalize();
        signed_nothing(self) == signed_nothing(other)
    }
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let key = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = WebhookKey::parse(&key).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            Timestamp::from_unix_seconds(1_614_265_330),
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_claims_to_be_base64_must_be() {
        for (text, is_good) in [("plain text", true), ("whsec_", false), ("whsec_%", false), ("whsec_YQ==", true)] {
            assert_eq!(WebhookKey::parse(&Secret::parse(text).unwrap()).is_ok(), is_good, "{text}");
        }
    }
}
