//! Who may download packages.

use super::named::named;

named!(
    /// What the addresses are that packages are downloaded from.
    DownloadUrls, "kind of download addresses":
    /// Whoever knows a package's address may download it.
    Public = "public",
    /// Only who was given an address by an update check may, for a day.
    Signed = "signed",
);
