//! Secrets: a variable gives one directly, a file holds it, or the service manager hands it over as a credential. None has a flag,
//! because command lines can be read by everybody on the machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use super::{ConfigError, refuse};
use crate::auth::Secret;

/// The secret that tokens are signed with.
pub(super) const TOKENS: SecretSource = SecretSource {
    variable: "RDFM_JWT_SECRET",
    credential: "jwt-secret",
    when_empty: "the secret is empty: give some random text, or leave it out to have one made",
};

/// What tender shows to the identity provider.
pub(super) const OAUTH_CLIENT: SecretSource = SecretSource {
    variable: "RDFM_OAUTH_CLIENT_SEC",
    credential: "oauth-client-secret",
    when_empty: "the client secret for the identity provider is empty: give the one that the provider made",
};

/// What webhooks are signed with that have no secret of their own.
pub(super) const WEBHOOK: SecretSource = SecretSource {
    variable: "TENDER_WEBHOOK_SECRET",
    credential: "webhook-secret",
    when_empty: "the secret for webhooks is empty: give the one that the receiver knows",
};

/// Where one secret may come from.
pub(super) struct SecretSource {
    /// The reference server's way to give it.
    variable: &'static str,
    /// Its name among the credentials of the service manager.
    credential: &'static str,
    /// The sentence that refuses an empty one.
    when_empty: &'static str,
}

impl SecretSource {
    /// The secret, if it is given: by the variable or the file that flags and environment name, else by the service manager,
    /// else by the file that the configuration file names.
    pub(super) fn resolve(&self, option: Option<&Path>, key: Option<&Path>) -> Result<Option<Secret>, ConfigError> {
        let variable = self.variable;
        match (env::var(variable), option) {
            (Err(env::VarError::NotPresent), None) => {
                let credential = credential(self.credential);
                credential.as_deref().or(key).map(|path| self.read(path)).transpose()
            }
            (Err(env::VarError::NotPresent), Some(path)) => self.read(path).map(Some),
            (Err(env::VarError::NotUnicode(_)), _) => refuse(format!("{variable} is not UTF-8 text")),
            (Ok(_), Some(_)) => refuse(format!("both {variable} and a secret file are given: give one")),
            (Ok(text), None) => self.parse(&text).map(Some),
        }
    }

    /// The secret in this file.
    pub(super) fn read(&self, path: &Path) -> Result<Secret, ConfigError> {
        let text = fs::read_to_string(path)
            .or_else(|error| refuse(format!("cannot read the secret file {}: {error}", path.display())))?;
        self.parse(text.trim_end_matches(['\r', '\n']))
    }

    fn parse(&self, text: &str) -> Result<Secret, ConfigError> {
        Secret::parse(text).or_else(|_| refuse(self.when_empty))
    }
}

/// The file in which the service manager hands over the credential of this name, if it does (systemd.exec(5), "Credentials").
pub(super) fn credential(name: &str) -> Option<PathBuf> {
    let folder = env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty())?;
    let path = Path::new(&folder).join(name);
    path.exists().then_some(path)
}
