//! The file `version`, which makes an artifact of a tar.

use super::Doubt;
use super::fields::Fields;

/// The formats that have the same files: this one's, and that which it comes from.
const FORMATS: [&str; 2] = ["rdfm", "mender"];

/// The format and its version. The latter is `None` if it is no number, as may be in formats to come.
pub(super) fn read(json: &[u8]) -> Result<(&'static str, Option<u64>), Doubt> {
    let fields = Fields::read(json)?;
    let format: String = serde_json::from_str(fields.get("format")?.ok_or(Doubt)?.get())?;
    let format = FORMATS.into_iter().find(|known| *known == format).ok_or(Doubt)?;
    let version = fields.get("version")?.and_then(|version| serde_json::from_str(version.get()).ok());
    Ok((format, version))
}
