//! Management tokens: what people and scripts show. JWT with HS256 under a key of their own.
//!
//! Those that are made on the command line are stored under their identifier, so that they can be revoked. Those that clients
//! get live some minutes and are not stored: `rdfm-mgmt` asks for one with each request, and each would be a write to flash.

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
    /// The client that it was issued to; tokens made on the command line have none.
    #[serde(flatten)]
    client: Option<TokenClient>,
}

/// The client that a token was issued to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenClient {
    /// Its identifier (RFC 8693, section 4.3).
    #[serde(rename = "client_id")]
    pub id: String,
    /// The number of the secret that the client showed.
    pub secret_version: i64,
}

/// How long a client's token is good for.
pub const CLIENT_TOKEN_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How much later than now a client's token may have been made: by a server that was restarted on a clock that lost some time.
const TOLERANCE: Duration = Duration::from_secs(60);

/// What a management token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Identifier.
    pub id: String,
    /// Whom or what it was made for.
    pub name: String,
    /// The client that it was issued to; `None`: it was made on the command line, and is stored.
    pub client: Option<TokenClient>,
    /// What its holder may do.
    pub scopes: Scopes,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends by itself; `None`: never.
    pub expires: Option<Timestamp>,
}

impl AccessToken {
    /// A new token of a client. `now` is the steady time.
    pub fn for_client(client: TokenClient, name: String, scopes: Scopes, now: Timestamp) -> Self {
        let token = Self::new(name, scopes, now, Some(CLIENT_TOKEN_LIFETIME));
        Self { client: Some(client), ..token }
    }

    /// A new token with a random identifier.
    pub fn new(name: String, scopes: Scopes, created: Timestamp, lifetime: Option<Duration>) -> Self {
        let id = uuid::Uuid::new_v4().to_string();
        Self {
            id,
            name,
            client: None,
            scopes,
            created,
            expires: lifetime.map(|lifetime| created.saturating_add(lifetime)),
        }
    }

    /// The text that its holder shows.
    pub fn sign(&self, keys: &Keys) -> Result<String, jwt::Error> {
        let claims = Claims {
            sub: self.name.clone(),
            scope: self.scopes.to_string(),
            iat: self.created.unix_seconds(),
            exp: self.expires.map(Timestamp::unix_seconds),
            jti: self.id.clone(),
            client: self.client.clone(),
        };
        claims.sign_with_key(&keys.access_token)
    }
}

/// Reads a genuine token that has not ended: clients' tokens by the `steady` time, which nobody sets; others, which live for
/// days, by the date `now`. Whether it was revoked is for the store to say.
pub fn verify(keys: &Keys, token: &str, now: Timestamp, steady: Timestamp) -> Option<AccessToken> {
    let claims: Claims = token.verify_with_key(&keys.access_token).ok()?;
    let created = Timestamp::from_unix_seconds(claims.iat);
    let expires = claims.exp.map(Timestamp::from_unix_seconds);
    let now = if claims.client.is_some() { steady } else { now };
    let is_from_the_future = claims.client.is_some() && created > now.saturating_add(TOLERANCE);
    if is_from_the_future || expires.is_some_and(|expires| now >= expires) {
        return None;
    }
    let scopes = Scopes::from_claim(&claims.scope);
    Some(AccessToken { id: claims.jti, name: claims.sub, client: claims.client, scopes, created, expires })
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
        assert_eq!(verify(&keys, &text, NOW, NOW), Some(token));
        assert_eq!(verify(&keys, &text, NOW.saturating_add(Duration::from_secs(60)), NOW), None);
    }

    #[test]
    fn a_clients_token_ends_whatever_the_wall_clock_says() {
        let keys = Keys::new(&Secret::parse("secret").unwrap());
        let client = TokenClient { id: "id".into(), secret_version: 1 };
        let token = AccessToken::for_client(client, "ci".into(), Scopes::default(), NOW);
        let text = token.sign(&keys).unwrap();
        let years_later = NOW.saturating_add(Duration::from_secs(100_000_000));
        assert_eq!(verify(&keys, &text, years_later, NOW), Some(token));
        assert_eq!(verify(&keys, &text, NOW, NOW.saturating_add(CLIENT_TOKEN_LIFETIME)), None);
        assert_eq!(verify(&keys, &text, NOW, Timestamp::from_unix_seconds(NOW.unix_seconds() - 61)), None);
    }

    #[test]
    fn the_two_kinds_of_token_are_not_exchangeable() {
        let keys = Keys::new(&Secret::parse("secret").unwrap());
        let device = device_token::issue(&keys, &MacAddress::parse("loopback").unwrap(), NOW).unwrap();
        assert_eq!(verify(&keys, &device, NOW, NOW), None);
        let access = AccessToken::new("ci".into(), Scopes::default(), NOW, None).sign(&keys).unwrap();
        assert_eq!(device_token::verify(&keys, &access, NOW), None);
    }
}
