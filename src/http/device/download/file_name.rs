//! Under which name a browser saves a package: its device type and version, as far as they make a name that is safe
//! everywhere.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use warp::http::header::HeaderValue;

use crate::domain::{Metadata, keys};

/// The longest that each part of a name may be, in characters.
const PART_MAX_CHARACTERS: usize = 60;

/// What `filename*` needs encoded: all that is not an `attr-char` of RFC 8187, section 3.2.1, and some more.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// `Content-Disposition` for a package with this metadata (RFC 6266, section 4). A name that is not ASCII comes in both forms, as
/// section 4.3 advises.
pub fn content_disposition(metadata: &Metadata) -> Option<HeaderValue> {
    let name = file_name(metadata);
    let ascii: String = name.chars().map(|character| if character.is_ascii() { character } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{ascii}\"");
    if ascii != name {
        // Writing into a text cannot fail.
        let _ = write!(value, "; filename*=UTF-8''{}", utf8_percent_encode(&name, ENCODED));
    }
    HeaderValue::try_from(value).ok()
}

/// Letters, digits, `.`, `_`, `-` and `+` alone: no quotes, no way out of a folder, no hidden files.
fn file_name(metadata: &Metadata) -> String {
    let [device_type, version] =
        [keys::DEVICE_TYPE, keys::SOFTWARE_VERSION].map(|key| plain(metadata.text(key).unwrap_or_default()));
    format!("{device_type}-{version}")
}

fn plain(text: &str) -> String {
    let is_plain = |character: char| character.is_alphanumeric() || "._-+".contains(character);
    let characters = text.trim().chars().take(PART_MAX_CHARACTERS);
    let plain: String = characters.map(|character| if is_plain(character) { character } else { '_' }).collect();
    // What begins with a dot is hidden, and what begins with a hyphen is taken for an option.
    let plain = plain.trim_matches(['.', '-']);
    if plain.is_empty() { "package".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::MetadataValue;

    fn disposition(device_type: &str, version: &str) -> String {
        let pairs = [(keys::DEVICE_TYPE, device_type), (keys::SOFTWARE_VERSION, version)];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), MetadataValue::Text(value.into())));
        content_disposition(&pairs.into_iter().collect()).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn names_are_made_of_device_type_and_version() {
        let cases = [
            ("edge-gateway", "v1.2.3+rc1", r#"attachment; filename="edge-gateway-v1.2.3+rc1""#),
            ("a b", "1/2", r#"attachment; filename="a_b-1_2""#),
            ("../..", "../../etc/passwd", r#"attachment; filename="_-_.._etc_passwd""#),
            (
                "a\"; filename=\"b",
                "1\r\nSet-Cookie: a=b",
                r#"attachment; filename="a___filename__b-1__Set-Cookie__a_b""#,
            ),
            (".bashrc", "-rf", r#"attachment; filename="bashrc-rf""#),
            (" \\ ", "%00\0", r#"attachment; filename="_-_00_""#),
            ("größe", "v1", r#"attachment; filename="gr__e-v1"; filename*=UTF-8''gr%C3%B6%C3%9Fe-v1"#),
            ("a\u{202e}gpj", "1", r#"attachment; filename="a_gpj-1""#),
        ];
        for (device_type, version, expected) in cases {
            assert_eq!(disposition(device_type, version), expected);
        }
        assert!(disposition(&"ö".repeat(10_000), &"1".repeat(10_000)).len() < 600);
    }

    proptest! {
        #[test]
        fn no_metadata_breaks_the_header(device_type in "\\PC{0,80}|.{0,80}", version in "(?s).{0,80}") {
            let value = disposition(&device_type, &version);
            let rest = value.strip_prefix("attachment; filename=\"").unwrap();
            let (name, rest) = rest.split_once('"').unwrap();
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte)), "{}", value);
            prop_assert!(!name.starts_with('.') && !name.ends_with('.'), "{}", value);
            let encoded = rest.strip_prefix("; filename*=UTF-8''").unwrap_or(rest);
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte)), "{}", value);
        }
    }
}
