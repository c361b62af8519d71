//! Device tokens: what an accepted device shows with each update check. JWT with HS256, as the reference server makes.

use std::time::Duration;

use jwt::{SignWithKey, VerifyWithKey};
use serde::{Deserialize, Serialize};

use super::Keys;
use crate::domain::{MacAddress, Timestamp};

/// How long a device token is good for; devices authorize again when it ends.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// How much later than now a token may have been made: by a server that was restarted on a clock that lost some time.
/// One made later still would be good for too long.
const TOLERANCE: Duration = Duration::from_secs(60);

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The MAC address that it was issued to.
    pub mac_address: MacAddress,
    /// When, on the steady clock.
    pub issued: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    device_id: String,
    /// POSIX seconds. The reference page's example has the older name.
    #[serde(alias = "created")]
    created_at: i64,
    /// Seconds after `created_at`.
    expires: i64,
}

/// Makes a token for a device. `now` is the steady time.
pub fn issue(keys: &Keys, mac_address: &MacAddress, now: Timestamp) -> Result<String, jwt::Error> {
    let claims = Claims {
        device_id: mac_address.as_str().to_owned(),
        created_at: now.unix_seconds(),
        expires: i64::try_from(LIFETIME.as_secs()).unwrap_or(i64::MAX),
    };
    claims.sign_with_key(&keys.device_token)
}

/// Says whose token this is, if it is genuine and has not ended at `now`, the steady time.
pub fn verify(keys: &Keys, token: &str, now: Timestamp) -> Option<Holder> {
    let claims: Claims = token.verify_with_key(&keys.device_token).ok()?;
    let lifetime = Duration::from_secs(u64::try_from(claims.expires).ok()?);
    let created = Timestamp::from_unix_seconds(claims.created_at);
    let is_from_the_future = created > now.saturating_add(TOLERANCE);
    if is_from_the_future || now >= created.saturating_add(lifetime) {
        return None;
    }
    Some(Holder { mac_address: MacAddress::parse(&claims.device_id).ok()?, issued: created })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    fn keys() -> Keys {
        Keys::new(&Secret::parse("secret").unwrap())
    }

    #[test]
    fn a_token_names_its_device_until_it_ends() {
        let issued = Timestamp::from_unix_seconds(1_700_000_000);
        let mac_address = MacAddress::parse("00:11:22:33:44:55").unwrap();
        let token = issue(&keys(), &mac_address, issued).unwrap();
        let holder = Holder { mac_address, issued };
        assert_eq!(verify(&keys(), &token, issued), Some(holder.clone()));
        let much_earlier = Timestamp::from_unix_seconds(issued.unix_seconds() - 61);
        assert_eq!(verify(&keys(), &token, much_earlier), None);
        let last_second = issued.saturating_add(LIFETIME - Duration::from_secs(1));
        assert_eq!(verify(&keys(), &token, last_second), Some(holder));
        assert_eq!(verify(&keys(), &token, issued.saturating_add(LIFETIME)), None);
    }

    #[test]
    fn tokens_of_the_reference_server_are_understood() {
        for created in ["created", "created_at"] {
            let claims = serde_json::json!({ "device_id": "loopback", created: 1_694_414_456, "expires": 300 });
            let token = claims.sign_with_key(&keys().device_token).unwrap();
            let holder = verify(&keys(), &token, Timestamp::from_unix_seconds(1_694_414_500)).unwrap();
            assert_eq!((holder.mac_address.as_str(), holder.issued.unix_seconds()), ("loopback", 1_694_414_456));
        }
    }

    #[test]
    fn times_that_overflow_are_no_way_in() {
        let now = Timestamp::from_unix_seconds(1_694_414_500);
        for (created_at, expires) in [(1_694_414_456, -1), (i64::MIN, i64::MAX), (0, 300)] {
            let claims = Claims { device_id: "loopback".into(), created_at, expires };
            let token = claims.sign_with_key(&keys().device_token).unwrap();
            assert_eq!(verify(&keys(), &token, now), None, "{created_at} {expires}");
        }
    }
}
