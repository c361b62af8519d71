//! Accounts: people who log in, what they may do, and what is kept of their secrets.

use std::fmt;
use std::str::FromStr;

use super::named::named;
use super::{Invalid, Scope, Scopes};

/// The name that a person logs in with: letters, digits and `. _ - @ +`, at most 64 of them. Case makes no difference, as a
/// telephone's keyboard begins with a capital: it is kept in small letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserName(String);

impl UserName {
    const MAX_LENGTH: usize = 64;

    /// The name, in small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
        if text.is_empty() || text.len() > Self::MAX_LENGTH || !text.bytes().all(is_allowed) {
            return Err(Invalid::new("a user name is made of 1 to 64 letters, digits and . _ - @ +"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What people call a client of the authorization server: 1 to 64 characters that can be printed, and no identifier, so that
/// a command that takes a name or an identifier is never about two clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName(String);

impl ClientName {
    const MAX_CHARACTERS: usize = 64;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let is_printable = text == text.trim() && !text.chars().any(char::is_control);
        if !is_printable || !(1..=Self::MAX_CHARACTERS).contains(&text.chars().count()) {
            return Err(Invalid::new("a client's name is printable text of 1 to 64 characters"));
        }
        if uuid::Uuid::parse_str(text).is_ok() {
            return Err(Invalid::new("a client's name must not look like an identifier"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

named!(
    /// What a person may do.
    Role, "role":
    /// Everything.
    Admin = "admin",
    /// See everything.
    Viewer = "viewer",
);

impl Role {
    /// What the role may do, in terms of the API.
    pub fn scopes(self) -> Scopes {
        let scope = match self {
            Self::Admin => Scope::ReadWrite,
            Self::Viewer => Scope::ReadOnly,
        };
        [scope].into_iter().collect()
    }
}

/// A password as it is kept: an argon2id hash in the PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a PHC string.
    pub fn from_phc(text: String) -> Self {
        Self(text)
    }

    /// The PHC string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// SHA-256 of a random text that proves something to whoever shows it: of 32 random bytes, so that nobody can try them out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialHash(pub [u8; 32]);

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_read_whatever_their_case() {
        let name: UserName = "Anna.Maria-2@Plant+x_".parse().unwrap();
        assert_eq!(name.as_str(), "anna.maria-2@plant+x_");
        for bad in ["", " ", "a b", "a:b", "a\nb", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<UserName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn clients_have_names_that_can_be_printed() {
        for good in ["ci", "Nightly upload, plant 2", "Prüfstand", &"ä".repeat(64)] {
            assert_eq!(good.parse::<ClientName>().unwrap().as_str(), good);
        }
        let identifier = "6f7483ac-5cde-467f-acf7-39e4b397e313";
        for bad in ["", " ", " ci", "ci\n", "a\u{1b}[2J", &"a".repeat(65), identifier, &identifier.to_uppercase()] {
            assert!(bad.parse::<ClientName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_admins_may_change_things() {
        assert!(Role::Admin.scopes().allow(Scope::ReadWrite));
        assert!(Role::Viewer.scopes().allow(Scope::ReadOnly) && !Role::Viewer.scopes().allow(Scope::ReadWrite));
        assert!("root".parse::<Role>().is_err());
    }
}
