//! The parameters of a request, which come as a form (RFC 6749, appendix B).

use std::collections::HashMap;

use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use super::error::OAuthError;
use crate::http::body::RequestBody;
use crate::http::error::ApiError;

/// The longest body, in bytes.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// What a client says to prove who it is.
pub struct Credentials {
    /// Its identifier, it says.
    pub id: String,
    /// Its secret, it says.
    pub secret: Zeroizing<String>,
}

/// The parameters that have a value, each given once.
pub struct Form(HashMap<String, Zeroizing<String>>);

impl Form {
    /// Reads the body. `invalid_request` if it is no form, is broken, or has a parameter twice.
    pub async fn read(body: &mut RequestBody) -> Result<Self, ApiError> {
        Self::parse(&body.read_form_text(BODY_LIMIT_BYTES).await.map_err(OAuthError::of_body)?)
    }

    fn parse(text: &[u8]) -> Result<Self, ApiError> {
        if !is_well_encoded(text) {
            return Err(OAuthError::invalid_request("the body is not a form that can be read"));
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(text) {
            if parameters.insert(name.into_owned(), Zeroizing::new(value.into_owned())).is_some() {
                return Err(OAuthError::invalid_request("a parameter is given more than once"));
            }
        }
        // Without a value is as good as not there (RFC 6749, section 3.2).
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// The value of a parameter that must be there, or `invalid_request` with this sentence.
    pub fn require(&self, name: &str, sentence: &'static str) -> Result<&str, ApiError> {
        self.get(name).ok_or_else(|| OAuthError::invalid_request(sentence))
    }

    /// The client's identifier and secret, if both are there.
    pub fn credentials(&self) -> Option<Credentials> {
        let (id, secret) = (self.get("client_id")?, self.get("client_secret")?);
        Some(Credentials { id: id.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }
}

/// Whether each `%` begins two hexadecimal digits, and what they stand for is UTF-8: whoever reads forms leniently makes other
/// values of them than were meant.
fn is_well_encoded(text: &[u8]) -> bool {
    let mut after_percents = text.split(|byte| *byte == b'%').skip(1);
    after_percents.all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
        && percent_decode(text).decode_utf8().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_once_and_empty_ones_are_none() {
        let form = Form::parse(b"a=1+2&b=&c&%64=%C3%A4%26&&=x").ok().unwrap();
        assert_eq!(
            ["a", "b", "c", "d", ""].map(|name| form.get(name)),
            [Some("1 2"), None, None, Some("ä&"), Some("x")]
        );
        for bad in ["a=1&a=1", "a=1&%61=2", "a=&a=1", "a=%", "a=%2", "a=%zz", "a=%ff", "%ff=a", "a=%c3&b=%a4"] {
            assert!(Form::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Form::parse(b"a=\xff").is_err());
        assert!(Form::parse(b"").is_ok());
    }
}
