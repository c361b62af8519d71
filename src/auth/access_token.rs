//! Management tokens: what people and scripts show. JWT with HS256 under a key of their own; each has an identifier
//! under which it is stored, so that it can be revoked.

use std::time::Duration;

use jwt::{SignWithKey, VerifyWithKey};
use serde::{Deserialize, Serialize};

use super::Keys;
use crate::domain::{Scopes, Timestamp};

#[derive(Serialize, Deserialize)]
struct Claims {
    /// Whom the token was made for (RFC 7519, section 4.1.2).
    sub: String,
    /// Scopes, separated by spaces (RFC 8693, section 4.2).
    scope: String,
    /// Issued at, POSIX seconds.
    iat: i64,
    /// Ends at, POSIX seconds; without it, never.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// Identifier.
    jti: String,
}

/// What a management token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Identifier, under which it is stored.
    pub id: String,
    /// Whom or what it was made for.
    pub name: String,
    /// What its holder may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself; `None`: never.
    pub expires: Option<Timestamp>,
}

impl AccessToken {
    /// A new token with a random identifier.
    pub fn new(name: String, scopes: Scopes, created: Timestamp, lifetime: Option<Duration>) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        Self { id, name, scopes, created, expires: lifetime.map(|lifetime| created.saturating_add(lifetime)) }
    }

    /// The text that its holder shows.
    pub fn sign(&self, keys: &Keys) -> Result<String, jwt::Error> {
        let claims = Claims {
            sub: self.name.clone(),
            scope: self.scopes.to_string(),
            iat: self.created.unix_seconds(),
            exp: self.expires.map(Timestamp::unix_seconds),
            jti: self.id.clone(),
        };
        claims.sign_with_key(&keys.access_token)
    }
}

/// Reads a genuine token that has not ended at `now`. Whether it was revoked is for the store to say.
pub fn verify(keys: &Keys, token: &str, now: Timestamp) -> Option<AccessToken> {
    let claims: Claims = token.verify_with_key(&keys.access_token).ok()?;
    let expires = claims.exp.map(Timestamp::from_unix_seconds);
    if expires.is_some_and(|expires| now >= expires) {
        return None;
    }
    Some(AccessToken {
        id: claims.jti,
        name: claims.sub,
        scopes: Scopes::from_claim(&claims.scope),
        created: Timestamp::from_unix_seconds(claims.iat),
        expires,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Secret, device_token};
    use crate::domain::{MacAddress, Scope};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_token_is_read_back_until_it_ends() {
        let keys = Keys::new(&Secret::parse("secret").unwrap());
        let scopes: Scopes = [Scope::ReadOnly].into_iter().collect();
        let token = AccessToken::new("ci".into(), scopes, NOW, Some(Duration::from_secs(60)));
        let text = token.sign(&keys).unwrap();
        assert_eq!(verify(&keys, &text, NOW), Some(token));
        assert_eq!(verify(&keys, &text, NOW.saturating_add(Duration::from_secs(60))), None);
    }

    #[test]
    fn the_two_kinds_of_token_are_not_exchangeable() {
        let keys = Keys::new(&Secret::parse("secret").unwrap());
        let device = device_token::issue(&keys, &MacAddress::parse("loopback").unwrap(), NOW).unwrap();
        assert_eq!(verify(&keys, &device, NOW), None);
        let access = AccessToken::new("ci".into(), Scopes::default(), NOW, None).sign(&keys).unwrap();
        assert_eq!(device_token::verify(&keys, &access, NOW), None);
    }
}
