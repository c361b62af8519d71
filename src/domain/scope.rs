//! Scopes: what the holder of a management token may do.

use std::fmt;

use super::Invalid;
use super::named::named;

named!(
    /// One permission, by the name that the reference server gives it.
    Scope, "scope":
    /// See everything.
    ReadOnly = "rdfm_admin_ro",
    /// See and change everything.
    ReadWrite = "rdfm_admin_rw",
    /// Upload artifacts whose payload is a single file.
    UploadSingleFile = "rdfm_upload_single_file",
    /// Upload artifacts whose payload is a root file system, whole or as a delta.
    UploadRootfsImage = "rdfm_upload_rootfs_image",
    /// Upload everything else.
    UploadNonstandardArtifact = "rdfm_upload_nonstandard_artifact",
    /// Create groups.
    CreateGroup = "rdfm_create_group",
);

impl Scope {
    /// Those that let some kind of package be uploaded, and nothing else.
    pub const UPLOADS: [Self; 3] = [Self::UploadSingleFile, Self::UploadRootfsImage, Self::UploadNonstandardArtifact];

    /// Whether whoever holds this scope may do what needs `needed`.
    fn covers(self, needed: Self) -> bool {
        self == Self::ReadWrite || self == needed
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

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }

    /// Whether these scopes reach as far as `others`.
    pub fn include(&self, others: &Self) -> bool {
        others.0.iter().all(|scope| self.allow(*scope))
    }

    /// Reads a list of scopes; one that tender does not know is refused.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        text.split_ascii_whitespace().map(str::parse).collect()
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
        assert!(
            Scopes::parse("rdfm_create_group rdfm_admin_ro").is_ok() && Scopes::parse("rdfm_admin openid").is_err()
        );
        assert!(
            read_write.include(&read_only) && read_only.include(&Scopes::default()) && !read_only.include(&read_write)
        );
        assert!(!Scopes::from_claim("").allow(Scope::ReadOnly));
        assert!(!Scopes::from_claim("rdfm_admin").allow(Scope::ReadOnly));
        for &scope in Scope::ALL {
            assert!(read_write.allow(scope));
            let alone: Scopes = [scope].into_iter().collect();
            let allowed: Vec<_> = Scope::ALL.iter().copied().filter(|needed| alone.allow(*needed)).collect();
            assert!(scope == Scope::ReadWrite || allowed == [scope], "{scope} allows {allowed:?}");
        }
    }
}
