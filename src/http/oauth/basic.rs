//! Credentials in the `Authorization` header (RFC 7617), of which RFC 6749 (section 2.3.1) has each encoded like a form's value.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use headers::HeaderMap;
use percent_encoding::percent_decode_str;
use warp::http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::form::Credentials;

/// What the `Authorization` header says.
pub enum Basic {
    /// There is none.
    Missing,
    /// It is of another scheme, or cannot be read.
    Unusable,
    /// There are several.
    Repeated,
    /// The client's identifier and secret, it says.
    Credentials(Credentials),
}

/// Reads the `Authorization` header.
pub fn read(headers: &HeaderMap) -> Basic {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Basic::Missing,
        (Some(_), Some(_)) => Basic::Repeated,
        (Some(value), None) => value.to_str().ok().and_then(credentials).map_or(Basic::Unusable, Basic::Credentials),
    }
}

fn credentials(value: &str) -> Option<Credentials> {
    let (scheme, encoded) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    Some(Credentials { id: form_decoded(id)?.to_string(), secret: form_decoded(secret)? })
}

fn form_decoded(text: &str) -> Option<Zeroizing<String>> {
    let text = Zeroizing::new(text.replace('+', " "));
    Some(Zeroizing::new(percent_decode_str(&text).decode_utf8().ok()?.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str) -> Option<(String, String)> {
        credentials(value).map(|Credentials { id, secret }| (id, secret.to_string()))
    }

    #[test]
    fn credentials_are_found_in_every_spelling() {
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(found(&basic("id:secret")), pair("id", "secret"));
        assert_eq!(found(&basic("id:secret").replace("Basic ", "BASIC   ")), pair("id", "secret"));
        assert_eq!(found(&basic("a%3Ab+c:%C3%A4%25%26:x")), pair("a:b c", "ä%&:x"));
        assert_eq!(found(&basic(":")), pair("", ""));
        for bad in ["Basic", "Basic ", "Basic !", "Bearer aWQ6c2VjcmV0", &basic("id"), &basic("id:%ff")] {
            assert_eq!(found(bad), None, "{bad}");
        }
    }
}
