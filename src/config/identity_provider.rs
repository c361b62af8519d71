//! The external identity provider: where it is asked about tokens, and as whom.

use std::fmt;

use url::Url;

use super::secrets::OAUTH_CLIENT;
use super::{ConfigError, ServeOptions, refuse};
use crate::auth::Secret;

/// How tender asks an identity provider about tokens that are not its own (RFC 7662).
#[derive(Debug, Clone)]
pub struct IdentityProviderConfig {
    /// The provider's introspection endpoint.
    pub url: IntrospectionUrl,
    /// The name under which the provider knows tender (RFC 6749, section 2.2).
    pub client_id: String,
    /// What proves that it is tender who asks (RFC 6749, section 2.3.1).
    pub client_secret: Secret,
}

/// The address of an introspection endpoint: http or https, with a host, without user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntrospectionUrl(Url);

impl IntrospectionUrl {
    /// Reads an address; a fragment is refused too, since it would not be sent. The sentence of the error does not repeat
    /// the text, for it may hold a password.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = || {
            refuse(
                "oauth_url is not an http or https address without user and password, such as \
                 https://idp.example/realms/plant/protocol/openid-connect/token/introspect",
            )
        };
        let Ok(url) = Url::parse(text) else { return wrong() };
        let is_http = matches!(url.scheme(), "http" | "https");
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !is_http || !url.has_host() || has_user || url.fragment().is_some() {
            return wrong();
        }
        Ok(Self(url))
    }

    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The address as it is asked.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for IntrospectionUrl {
    /// Without the query, for the log: a query may hold what is not for everybody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        shown.set_query(None);
        shown.fmt(f)
    }
}

impl IdentityProviderConfig {
    /// Makes sense of the options about it; `None` if there are none. Those of the file count where flags and environment
    /// are silent.
    pub(super) fn resolve(options: &ServeOptions, file: &ServeOptions) -> Result<Option<Self>, ConfigError> {
        let url = options.oauth_url.as_deref().or(file.oauth_url.as_deref());
        let client_id = options.oauth_client_id.as_ref().or(file.oauth_client_id.as_ref());
        let client_secret = OAUTH_CLIENT
            .resolve(options.oauth_client_secret_file.as_deref(), file.oauth_client_secret_file.as_deref())?;
        match (url, client_id, client_secret) {
            (None, None, None) => Ok(None),
            (Some(url), Some(client_id), Some(client_secret)) => {
                if client_id.trim().is_empty() {
                    return refuse(
                        "oauth_client_id is empty: give the name under which the identity provider knows tender",
                    );
                }
                let url = IntrospectionUrl::parse(url)?;
                Ok(Some(Self { url, client_id: client_id.clone(), client_secret }))
            }
            _ => refuse(
                "an identity provider needs oauth_url (RDFM_OAUTH_URL), oauth_client_id (RDFM_OAUTH_CLIENT_ID) and a client \
                 secret (RDFM_OAUTH_CLIENT_SEC or oauth_client_secret_file): give all three or none",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_and_hold_no_password() {
        for text in ["http://127.0.0.1:8080/introspect", "https://idp.example/realms/a/introspect?x=y", "HTTPS://idp"] {
            let url = IntrospectionUrl::parse(text).unwrap();
            assert_eq!(url.is_https(), !text.starts_with("http:"), "{text}");
        }
        let url = IntrospectionUrl::parse("https://idp.example/a?key=hidden").unwrap();
        assert_eq!(
            (url.as_str(), url.to_string().as_str()),
            ("https://idp.example/a?key=hidden", "https://idp.example/a")
        );
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
            let sentence = IntrospectionUrl::parse(text).unwrap_err().to_string();
            assert!(!sentence.contains('\n') && !sentence.contains(":password"), "{sentence}");
        }
    }
}
