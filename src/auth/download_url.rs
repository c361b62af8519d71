//! Download addresses that end: whoever was offered a package may fetch it for a day, and pass the address on to nobody who
//! comes later. The path and the end are sealed with a key of their own; nothing is stored.
//!
//! # Which clock
//!
//! The end is written as a date ([`Clock::now`]), and an address is good as long as either clock says so. The steady one
//! lets it survive somebody setting the wall clock, as a gateway without a battery does some minutes after its start. The
//! date lets it survive a restart after that, when the steady clock begins anew at the date. Only what was signed
//! before the clock was set ends with a restart after it; the device then asks for its update again.
//!
//! [`Clock::now`]: crate::clock::Clock::now

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Keys;
use crate::domain::Timestamp;

/// How long an address is good for: devices on bad Wi-Fi resume a download for hours.
pub const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How far a clock may be behind the one that an address was signed by, as it may be after a restart without a battery. An
/// address whose end is farther off than this and its lifetime was signed by another clock.
const TOLERANCE: Duration = LIFETIME;

/// The longest date that is read, in digits; what is longer is none of ours.
const MOST_DIGITS: usize = 18;

/// What is to be said about an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is ours, and has not ended.
    Good,
    /// It is not signed, or not in our way.
    Unsigned,
    /// Path, end and signature do not belong together.
    Forged,
    /// It was good once.
    Expired,
}

/// The query that makes `path` a signed address: `expires=<POSIX seconds>&signature=<base64url>`. `now` is the date.
pub fn sign(keys: &Keys, path: &str, now: Timestamp) -> String {
    let expires = now.saturating_add(LIFETIME).unix_seconds().to_string();
    let signature = URL_SAFE_NO_PAD.encode(seal(keys, path, &expires).finalize().into_bytes());
    format!("expires={expires}&signature={signature}")
}

/// Judges a path and query as they came over the wire, by the date `now` and the `steady` time. What [`sign`] writes needs no
/// percent-encoding, so none is read.
pub fn verify(keys: &Keys, path: &str, query: &str, now: Timestamp, steady: Timestamp) -> Verdict {
    let (Some(expires), Some(signature)) = (parameter(query, "expires"), parameter(query, "signature")) else {
        return Verdict::Unsigned;
    };
    let is_number = expires.len() <= MOST_DIGITS && expires.bytes().all(|byte| byte.is_ascii_digit());
    let (true, Ok(end)) = (is_number, expires.parse()) else { return Verdict::Forged };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(signature) else { return Verdict::Forged };
    // Compared in constant time.
    if seal(keys, path, expires).verify_slice(&signature).is_err() {
        return Verdict::Forged;
    }
    let end = Timestamp::from_unix_seconds(end);
    let is_good_by = |clock: Timestamp| clock < end && end <= clock.saturating_add(LIFETIME).saturating_add(TOLERANCE);
    if is_good_by(now) || is_good_by(steady) { Verdict::Good } else { Verdict::Expired }
}

/// The end has digits alone, so the first space is where the path begins.
fn seal(keys: &Keys, path: &str, expires: &str) -> Hmac<Sha256> {
    keys.download_url.clone().chain_update(expires).chain_update(" ").chain_update(path)
}

/// The value of a parameter that is there exactly once.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::{Secret, known_browser};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const PATH: &str = "/local_storage/6f7483ac-5cde-467f-acf7-39e4b397e313";

    fn keys() -> Keys {
        Keys::new(&Secret::parse("secret").unwrap())
    }

    fn after(seconds: u64) -> Timestamp {
        NOW.saturating_add(Duration::from_secs(seconds))
    }

    #[test]
    fn an_address_is_good_for_a_day() {
        let (keys, day) = (keys(), LIFETIME.as_secs());
        let query = sign(&keys, PATH, NOW);
        let verdict = |clock| verify(&keys, PATH, &query, clock, clock);
        assert_eq!(verdict(NOW), Verdict::Good);
        assert_eq!(verdict(after(day - 1)), Verdict::Good);
        assert_eq!(verdict(after(day)), Verdict::Expired);
        assert_eq!(verify(&keys, PATH, &format!("a=b&{query}&c"), NOW, NOW), Verdict::Good);
    }

    #[test]
    fn an_address_survives_a_clock_that_is_set_and_a_restart() {
        let (keys, month) = (keys(), 30 * LIFETIME.as_secs());
        // The wall clock is set while a device downloads.
        let before = sign(&keys, PATH, NOW);
        assert_eq!(verify(&keys, PATH, &before, after(month), after(60)), Verdict::Good);
        // A restart later, both clocks show the date: what was signed by the date goes on, what is older has ended.
        let later = sign(&keys, PATH, after(month));
        assert_eq!(verify(&keys, PATH, &later, after(month), after(60)), Verdict::Good);
        assert_eq!(verify(&keys, PATH, &later, after(month + 60), after(month + 60)), Verdict::Good);
        assert_eq!(verify(&keys, PATH, &before, after(month), after(month)), Verdict::Expired);
        // A steady clock that is far behind does not make an address good for longer.
        assert_eq!(verify(&keys, PATH, &later, after(month + LIFETIME.as_secs()), after(60)), Verdict::Expired);
        // After power loss without a battery the clock goes on from the latest date that was stored.
        assert_eq!(verify(&keys, PATH, &sign(&keys, PATH, after(3600)), NOW, NOW), Verdict::Good);
    }

    #[test]
    fn only_what_was_signed_with_this_key_for_this_is_good() {
        let keys = keys();
        let query = sign(&keys, PATH, NOW);
        let verdict = |query: &str| verify(&keys, PATH, query, NOW, NOW);
        let (expires, signature) = query.split_once('&').unwrap();
        for unsigned in ["", expires, signature, &format!("{query}&{expires}"), &format!("{query}&{signature}")] {
            assert_eq!(verdict(unsigned), Verdict::Unsigned, "{unsigned}");
        }
        let with_end = |end: &str| query.replace("expires=", &format!("expires={end}"));
        let end_of_centuries = with_end("999999999999");
        for forged in ["expires=&signature=", &with_end("+"), &with_end("0"), &end_of_centuries, &format!("{query}=")] {
            assert_eq!(verdict(forged), Verdict::Forged, "{forged}");
        }
        let others = Keys::new(&Secret::parse("another").unwrap());
        assert_eq!(verify(&others, PATH, &query, NOW, NOW), Verdict::Forged);
        let mark = known_browser::issue(&keys, &"anna".parse().unwrap()).unwrap();
        assert_eq!(verdict(&format!("{expires}&signature={mark}")), Verdict::Forged);
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_refused(place in any::<prop::sample::Index>(), byte in 0x21_u8..0x7f) {
            let keys = keys();
            let address = format!("{PATH}?{}", sign(&keys, PATH, NOW));
            let mut changed = address.clone().into_bytes();
            let place = place.index(changed.len());
            prop_assume!(changed[place] != byte);
            changed[place] = byte;
            let changed = String::from_utf8(changed).unwrap();
            let (path, query) = changed.split_once('?').unwrap_or((&changed, ""));
            prop_assert_ne!(verify(&keys, path, query, NOW, NOW), Verdict::Good);
        }

        #[test]
        fn any_path_is_signed_for_itself_alone(path in "/[ -~]{0,40}", other in "/[ -~]{0,40}") {
            let keys = keys();
            let query = sign(&keys, &path, NOW);
            prop_assert_eq!(verify(&keys, &path, &query, NOW, NOW), Verdict::Good);
            prop_assert_eq!(verify(&keys, &other, &query, NOW, NOW) == Verdict::Good, path == other);
        }

        #[test]
        fn no_query_makes_it_panic(query in "(expires=|signature=|&|[ -~]|\\PC){0,60}") {
            prop_assert_ne!(verify(&keys(), PATH, &query, NOW, NOW), Verdict::Good);
        }
    }
}
