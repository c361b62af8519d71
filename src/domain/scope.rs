//! Scopes: what the holder of a management token may do.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// One permission, by the name that the reference server gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `rdfm_admin_ro`: see everything.
    ReadOnly,
    /// `rdfm_admin_rw`: see and change everything.
    ReadWrite,
}

impl Scope {
    /// Every scope there is.
    pub const ALL: [Self; 2] = [Self::ReadOnly, Self::ReadWrite];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "rdfm_admin_ro",
            Self::ReadWrite => "rdfm_admin_rw",
        }
    }

    /// Whether whoever holds this scope may do what needs `needed`.
    const fn covers(self, needed: Self) -> bool {
        matches!((self, needed), (Self::ReadWrite, _) | (Self::ReadOnly, Self::ReadOnly))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            Invalid::new(format!("unknown scope \"{text}\": use {}", Self::ALL.map(Self::name).join(" or ")))
        })
    }
}

/// The scopes of one token, on the wire separated by spaces (RFC 6749, section 3.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

impl Scopes {
    /// Whether one of them covers `needed`.
    pub fn allow(&self, needed: Scope) -> bool {
        self.0.iter().any(|scope| scope.covers(needed))
    }

    /// Reads a scope claim. Names that tender does not know grant nothing and are left out.
    pub fn from_claim(claim: &str) -> Self {
        claim.split_ascii_whitespace().filter_map(|name| name.parse().ok()).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut scopes: Vec<_> = scopes.into_iter().collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_write_covers_read_only_and_not_the_other_way_round() {
        let read_only = Scopes::from_claim("rdfm_admin_ro");
        let read_write = Scopes::from_claim("openid rdfm_admin_rw profile");
        assert!(read_only.allow(Scope::ReadOnly) && !read_only.allow(Scope::ReadWrite));
        assert!(read_write.allow(Scope::ReadOnly) && read_write.allow(Scope::ReadWrite));
        assert_eq!(read_write.to_string(), "rdfm_admin_rw");
        assert!(!Scopes::from_claim("").allow(Scope::ReadOnly));
        assert!(!Scopes::from_claim("rdfm_admin").allow(Scope::ReadOnly));
    }
}
