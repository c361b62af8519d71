//! Devices, their MAC addresses, and what they report about themselves.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;

use super::{DeviceId, GroupId, Invalid, KeyFingerprint, Metadata, Timestamp, keys};

const MAC_ADDRESS_MAX_CHARACTERS: usize = 64;
const DEVICE_NAME_MAX_CHARACTERS: usize = 100;

/// A device's identity, as it spells it: a MAC address, or any printable text of up to 64 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MacAddress(Box<str>);

impl MacAddress {
    /// Takes what a device or a script wrote. Refuses empty, overlong and unprintable text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.is_empty()
            || text.trim() != text
            || !is_printable(text)
            || text.chars().count() > MAC_ADDRESS_MAX_CHARACTERS
        {
            return Err(Invalid::new(format!(
                "the MAC address must be printable text of 1 to {MAC_ADDRESS_MAX_CHARACTERS} characters"
            )));
        }
        Ok(Self(text.into()))
    }

    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells this device from others.
    pub fn key(&self) -> MacKey {
        MacKey::of(&self.0)
    }

    /// Whether both are the same device's, however they are spelled.
    pub fn is_same_device(&self, other: &Self) -> bool {
        self == other || self.key() == other.key()
    }
}

/// Whether people see all of a text as it is.
pub(super) fn is_printable(text: &str) -> bool {
    text.chars().all(|character| !character.is_control() && !is_invisible(character))
}

/// Characters that are not seen, or change how others are: one address could look like another to the person who accepts
/// it (the format characters that Unicode has outside of scripts of their own).
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one form of all spellings of a MAC address: two addresses are the same device if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacKey(Box<str>);

/// Keys are found by their text.
impl Borrow<str> for MacKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl MacKey {
    /// Twelve hexadecimal digits in lower case, if `text` is a MAC address in any spelling; else `text`.
    fn of(text: &str) -> Self {
        let Some(digits) = mac_digits(text) else { return Self(text.into()) };
        Self(str::from_utf8(&digits).expect("digits are text").into())
    }

    /// The key as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A stored key with colons between its bytes; `None` if it is no MAC address but other text.
    pub(super) fn separated(key: &str) -> Option<String> {
        let is_address = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        let bytes = || (0..6).map(|byte| &key[2 * byte..2 * byte + 2]);
        is_address.then(|| bytes().collect::<Vec<_>>().join(":"))
    }
}

/// The digits, in lower case, of a MAC address that is written without separators, or in groups of two, four or six digits with the
/// same one between all of them. Between bytes with colons a leading zero may be missing. `None` if `text` is none.
fn mac_digits(text: &str) -> Option<[u8; 12]> {
    let separator = text.chars().find(|character| !character.is_ascii_hexdigit());
    if separator.is_some_and(|separator| !":-._ ".contains(separator)) {
        return None;
    }
    let groups = || text.split(|character| Some(character) == separator);
    let width = match groups().count() {
        1 => 12,
        2 => 6,
        3 => 4,
        6 => 2,
        _ => return None,
    };
    // Each device's each request comes by here: no list of groups is made.
    let mut digits = *b"000000000000";
    for (group, place) in groups().zip(digits.chunks_exact_mut(width)) {
        let is_short = separator == Some(':') && width == 2 && group.len() == 1;
        if group.len() != width && !is_short || !group.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        place[width - group.len()..].copy_from_slice(group.as_bytes());
    }
    digits.make_ascii_lowercase();
    Some(digits)
}

/// A name that people give a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceName(Box<str>);

impl DeviceName {
    /// Takes what a person wrote, without blanks around it. Refuses empty, overlong and unprintable text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if !is_printable(text) || !(1..=DEVICE_NAME_MAX_CHARACTERS).contains(&text.chars().count()) {
            return Err(Invalid::new(format!(
                "a device's name must be printable text of 1 to {DEVICE_NAME_MAX_CHARACTERS} characters"
            )));
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A registered device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Identifier.
    pub id: DeviceId,
    /// The MAC address as it was first reported.
    pub mac_address: MacAddress,
    /// A name for people; at first the MAC address.
    pub name: String,
    /// What the client on the device can do.
    pub capabilities: BTreeMap<String, bool>,
    /// What the device last reported about itself.
    pub metadata: Metadata,
    /// The group it is assigned to.
    pub group: Option<GroupId>,
    /// When it was last heard; `None` until its first authorized request.
    pub last_access: Option<Timestamp>,
    /// The accepted public key, in the PEM that the device sent.
    pub public_key: Option<String>,
    /// The fingerprint of that key.
    pub key_fingerprint: Option<KeyFingerprint>,
    /// When a person accepted it.
    pub accepted: Timestamp,
    /// How many seconds its clock was ahead when it last authorized; `None`: it has not since the start.
    pub clock_skew_seconds: Option<i64>,
}

impl Device {
    /// The capabilities of a device that has not told any: those of the reference page, none of them there.
    pub fn unknown_capabilities() -> BTreeMap<String, bool> {
        ["exec_cmds", "file_transfer", "shell_connect"].map(|name| (name.to_owned(), false)).into()
    }
}

/// A device's metadata with a MAC address in it: enough to know who reports.
#[derive(Debug, Clone)]
pub struct DeviceReport {
    /// Who reports.
    pub mac_address: MacAddress,
    /// All that it reports, the MAC address included.
    pub metadata: Metadata,
}

impl DeviceReport {
    /// A report for registration: the MAC address must be there.
    pub fn for_registration(metadata: Metadata) -> Result<Self, Invalid> {
        let mac_address = MacAddress::parse(required(&metadata, keys::MAC_ADDRESS)?)?;
        Ok(Self { mac_address, metadata })
    }

    /// A report for an update check: software version, device type and MAC address must be there.
    pub fn for_update_check(metadata: Metadata) -> Result<Self, Invalid> {
        if let Some(key) = Self::missing_for_update_check(&metadata) {
            return Err(missing(key));
        }
        Self::for_registration(metadata)
    }

    /// The key that keeps a device which reports this from being told of updates, besides its MAC address.
    pub fn missing_for_update_check(metadata: &Metadata) -> Option<&'static str> {
        [keys::SOFTWARE_VERSION, keys::DEVICE_TYPE].into_iter().find(|key| present(metadata, key).is_none())
    }
}

fn required<'a>(metadata: &'a Metadata, key: &str) -> Result<&'a str, Invalid> {
    present(metadata, key).ok_or_else(|| missing(key))
}

fn present<'a>(metadata: &'a Metadata, key: &str) -> Option<&'a str> {
    metadata.text(key).filter(|value| !value.is_empty())
}

fn missing(key: &str) -> Invalid {
    Invalid::new(format!("device metadata is missing {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> MacKey {
        MacAddress::parse(text).unwrap().key()
    }

    #[test]
    fn spellings_of_one_mac_address_are_one_device() {
        let spellings = [
            "00:1A:2b:3c:4d:5E",
            "00-1a-2B-3c-4d-5e",
            "001a2b3c4d5e",
            "001A2B3C4D5E",
            "001a.2b3c.4d5e",
            "00.1a.2b.3c.4d.5e",
            "001a-2b3c-4d5e",
            "001a:2B3C:4d5e",
            "001a2b-3c4d5e",
            "00 1a 2b 3c 4d 5e",
            "00_1a_2b_3c_4d_5e",
            "0:1a:2b:3c:4d:5e",
        ];
        for spelling in spellings {
            assert_eq!(key(spelling), key("00:1a:2b:3c:4d:5e"), "{spelling}");
            assert_eq!(MacAddress::parse(spelling).unwrap().as_str(), spelling);
        }
    }

    #[test]
    fn other_text_is_its_own_key() {
        for text in [
            "loopback",
            "Loopback",
            "00:1a:2b:3c:4d",
            "00:1a-2b:3c-4d:5e",
            "zz:1a:2b:3c:4d:5e",
            "é0:1a:2b:3c:4d:5",
            "192.168.100.200",
            "1.2.3.4.5.6",
            "001a2b3c4d5e.",
            "::001a2b3c4d5e",
            "00:1a:2b:3c:4d:",
        ] {
            assert_eq!(key(text).as_str(), text);
        }
        assert_ne!(key("loopback"), key("Loopback"));
    }

    #[test]
    fn unusable_addresses_are_refused() {
        for text in ["", "  ", " a", "a\nb", "a\0", "a\u{202e}b", "a\u{200b}", &"x".repeat(65)] {
            assert!(MacAddress::parse(text).is_err(), "{text:?}");
        }
        assert!(MacAddress::parse(&"ü".repeat(64)).is_ok());
    }

    #[test]
    fn a_name_is_what_people_can_read() {
        assert_eq!(DeviceName::parse("  Pump 7 ").unwrap().as_str(), "Pump 7");
        assert!(DeviceName::parse(&"ü".repeat(100)).is_ok());
        for text in ["", "  ", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
            assert!(DeviceName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_update_check_names_the_key_that_is_missing() {
        let full = [(keys::SOFTWARE_VERSION, "v1"), (keys::DEVICE_TYPE, "t"), (keys::MAC_ADDRESS, "m")];
        assert!(DeviceReport::for_update_check(Metadata::from(full)).is_ok());
        for left_out in 0..full.len() {
            let mut pairs = full;
            pairs[left_out].1 = "";
            let error = DeviceReport::for_update_check(Metadata::from(pairs)).unwrap_err();
            assert!(error.to_string().contains(full[left_out].0), "{error}");
        }
    }
}
