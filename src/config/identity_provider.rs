//! The external identity provider: where it is asked about tokens, and as whom.

use super::secrets::OAUTH_CLIENT;
use super::{ConfigError, HttpUrl, ServeOptions, refuse};
use crate::auth::Secret;

/// How tender asks an identity provider about tokens that are not its own (RFC 7662).
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityProviderConfig {
    /// The provider's introspection endpoint.
    pub url: HttpUrl,
    /// The name under which the provider knows tender (RFC 6749, section 2.2).
    pub client_id: String,
    /// What proves that it is tender who asks (RFC 6749, section 2.3.1).
    pub client_secret: Secret,
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
                let Some(url) = HttpUrl::parse(url) else {
                    return refuse(
                        "oauth_url is not an http or https address without user and password, such as \
                         https://idp.example/realms/plant/protocol/openid-connect/token/introspect",
                    );
                };
                Ok(Some(Self { url, client_id: client_id.clone(), client_secret }))
            }
            _ => refuse(
                "an identity provider needs oauth_url (RDFM_OAUTH_URL), oauth_client_id (RDFM_OAUTH_CLIENT_ID) and a client \
                 secret (RDFM_OAUTH_CLIENT_SEC or oauth_client_secret_file): give all three or none",
            ),
        }
    }
}
