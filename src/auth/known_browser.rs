//! Browsers from which somebody has logged in before carry a mark, so that their owner is let through while others who guess
//! at the same name, or from behind the same address, are held up. It opens nothing by itself. (OWASP: "Slow Down Online
//! Guessing Attacks with Device Cookies".)

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

use super::Keys;
use crate::domain::UserName;

const ID_BYTES: usize = 16;

/// The identifier of a browser that is known for one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BrowserId([u8; ID_BYTES]);

/// A mark for the browser that `name` has just logged in from.
pub fn issue(keys: &Keys, name: &UserName) -> Result<String, getrandom::Error> {
    let mut id = [0_u8; ID_BYTES];
    getrandom::fill(&mut id)?;
    let seal = keys.known_browser.clone().chain_update(id).chain_update(name.as_str()).finalize().into_bytes();
    Ok(URL_SAFE_NO_PAD.encode([&id[..], &seal[..]].concat()))
}

/// Which browser this is, if the mark is genuine and was made for `name`.
pub fn verify(keys: &Keys, mark: &str, name: &UserName) -> Option<BrowserId> {
    let bytes = URL_SAFE_NO_PAD.decode(mark).ok()?;
    let (id, seal) = bytes.split_first_chunk::<ID_BYTES>()?;
    let mac = keys.known_browser.clone().chain_update(id).chain_update(name.as_str());
    mac.verify_slice(seal).ok().map(|()| BrowserId(*id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Secret;

    #[test]
    fn a_mark_is_good_for_its_user_only() {
        let keys = Keys::new(&Secret::parse("secret").unwrap());
        let [anna, bert]: [UserName; 2] = ["anna", "bert"].map(|name| name.parse().unwrap());
        let mark = issue(&keys, &anna).unwrap();
        assert!(verify(&keys, &mark, &anna).is_some());
        assert_eq!(verify(&keys, &mark, &bert), None);
        assert_eq!(verify(&Keys::new(&Secret::parse("another").unwrap()), &mark, &anna), None);
        for bad in ["", "AAAA", &mark[..mark.len() - 2], &format!("{mark}AA")] {
            assert_eq!(verify(&keys, bad, &anna), None, "{bad}");
        }
    }
}
