//! Addresses of other servers, which tender asks or tells something.

use std::fmt;

use url::Url;

/// An http or https address with a host, without user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(Url);

impl HttpUrl {
    /// Reads an address; one with a fragment is none either, since that would not be sent. Whoever refuses it does not repeat
    /// the text, for it may hold a password.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_http = matches!(url.scheme(), "http" | "https");
        let has_user = !url.username().is_empty() || url.password().is_some();
        (is_http && url.has_host() && !has_user && url.fragment().is_none()).then_some(Self(url))
    }

    /// Whether it is reached over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address as it is sent to.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The host, and the port if it is not the usual one: what everybody may see, also where path or query are secret.
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Display for HttpUrl {
    /// Without the query, for the log: a query may hold what is not for everybody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_and_hold_no_password() {
        for text in ["http://127.0.0.1:8080/introspect", "https://idp.example/realms/a/introspect?x=y", "HTTPS://idp"] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!(url.is_https(), !text.starts_with("http:"), "{text}");
        }
        let url = HttpUrl::parse("https://idp.example/a?key=hidden").unwrap();
        assert_eq!(
            (url.as_str(), url.to_string().as_str()),
            ("https://idp.example/a?key=hidden", "https://idp.example/a")
        );
        assert_eq!(url.host(), "idp.example");
        assert_eq!(HttpUrl::parse("http://[::1]:8080/a").unwrap().host(), "[::1]:8080");
        for text in [
            "",
            "idp.example/introspect",
            "ftp://idp.example",
            "http://",
            "https://:443/",
            "https://tender@idp.example",
            "https://tender:password@idp.example",
            "https://:password@idp.example",
            "https://idp.example/#introspect",
            "https://idp.example:99999/",
        ] {
            assert_eq!(HttpUrl::parse(text), None, "{text}");
        }
    }
}
