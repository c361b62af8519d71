//! Metadata: the key/value pairs that devices report and packages carry.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keys with a meaning of their own (API reference, "Update API" and "Packages API").
pub mod keys {
    /// The software version: of a device, the running one; of a package, the one it brings.
    pub const SOFTWARE_VERSION: &str = "rdfm.software.version";
    /// The device type that a device is, or that a package is for.
    pub const DEVICE_TYPE: &str = "rdfm.hardware.devtype";
    /// The MAC address that names a device.
    pub const MAC_ADDRESS: &str = "rdfm.hardware.macaddr";
    /// `requires:<key>` on a package: a device must report this value of `<key>`.
    pub const REQUIRES_PREFIX: &str = "requires:";
    /// What the server says about a package's storage; reserved to it.
    pub const STORAGE_PREFIX: &str = "rdfm.storage.";
    /// Of the reserved keys, an upload may set this one: where the package is to be kept.
    pub const STORAGE_DIRECTORY: &str = "rdfm.storage.directory";
    /// And this one: the SHA-256 that the file must have.
    pub const STORAGE_SHA256: &str = "rdfm.storage.sha256";
    /// The stored package's name, shown to clients.
    pub const LOCAL_UUID: &str = "rdfm.storage.local.uuid";
    /// The stored package's length in bytes, shown to clients.
    pub const LOCAL_LENGTH: &str = "rdfm.storage.local.length";
    /// The stored package's directory, shown to clients.
    pub const LOCAL_DIRECTORY: &str = "rdfm.storage.local.directory";
}

/// So many pairs are looked through one by one.
const FEW: usize = 8;

/// A metadata value: text, or (from newer device clients) a list of texts. A list never meets a requirement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MetadataValue {
    /// One text.
    Text(Box<str>),
    /// Several texts, in the reported order.
    List(Box<[Box<str>]>),
}

impl MetadataValue {
    /// The text, unless this is a list.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::List(_) => None,
        }
    }
}

impl From<&str> for MetadataValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Key/value pairs, each key once, ordered by key.
///
/// A sorted slice and not a map: one is kept in memory for each device that polls, and most have three pairs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata(Box<[(Box<str>, MetadataValue)]>);

impl Metadata {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        let position = if self.0.len() <= FEW {
            // The length alone tells most keys apart.
            self.0.iter().position(|(candidate, _)| **candidate == *key)?
        } else {
            self.0.binary_search_by(|(candidate, _)| (**candidate).cmp(key)).ok()?
        };
        Some(&self.0[position].1)
    }

    /// The value of `key` if it is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(MetadataValue::as_text)
    }

    /// All pairs, ordered by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }
}

impl<K: Into<Box<str>>> FromIterator<(K, MetadataValue)> for Metadata {
    /// Of a key that occurs several times, the last value stays, as in every JSON reader of this field.
    fn from_iter<I: IntoIterator<Item = (K, MetadataValue)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().map(|(key, value)| (key.into(), value)).collect();
        // The sort is stable: reversed first, the last pair of a key leads its run, and `dedup` keeps the leader.
        pairs.reverse();
        pairs.sort_by(|(a, _): &(Box<str>, _), (b, _)| a.cmp(b));
        pairs.dedup_by(|(a, _), (b, _)| a == b);
        Self(pairs.into_boxed_slice())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Metadata {
    fn from(pairs: [(&str, &str); N]) -> Self {
        pairs.into_iter().map(|(key, value)| (key, value.into())).collect()
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for MetadataValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(texts) => serializer.collect_seq(texts),
        }
    }
}

impl<'de> Deserialize<'de> for MetadataValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;

        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = MetadataValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an array of strings")
            }

            fn visit_str<E>(self, text: &str) -> Result<MetadataValue, E> {
                Ok(MetadataValue::Text(text.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<MetadataValue, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = sequence.next_element::<Box<str>>()? {
                    texts.push(text);
                }
                Ok(MetadataValue::List(texts.into_boxed_slice()))
            }
        }

        deserializer.deserialize_any(ValueVisitor)
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetadataVisitor;

        impl<'de> Visitor<'de> for MetadataVisitor {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
                let mut pairs: Vec<(Box<str>, MetadataValue)> = Vec::with_capacity(FEW);
                let mut is_ordered = true;
                while let Some((key, value)) = map.next_entry::<Box<str>, MetadataValue>()? {
                    is_ordered &= pairs.last().is_none_or(|(before, _)| *before < key);
                    pairs.push((key, value));
                }
                // As it was written here.
                Ok(if is_ordered { Metadata(pairs.into_boxed_slice()) } else { pairs.into_iter().collect() })
            }
        }

        deserializer.deserialize_map(MetadataVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_repeated_key_stays() {
        let metadata: Metadata = serde_json::from_str(r#"{"b":"1","a":"2","b":"3"}"#).unwrap();
        assert_eq!(metadata, Metadata::from([("a", "2"), ("b", "3")]));
        assert_eq!(serde_json::to_string(&metadata).unwrap(), r#"{"a":"2","b":"3"}"#);
        let metadata: Metadata = serde_json::from_str(r#"{"a":"1","b":"2","b":"3"}"#).unwrap();
        assert_eq!(metadata, Metadata::from([("a", "1"), ("b", "3")]));
    }

    #[test]
    fn each_key_of_few_and_of_many_is_found() {
        for pairs in 0..=2 * FEW {
            let keys: Vec<String> = (0..pairs).map(|number| format!("key {number}")).collect();
            let metadata: Metadata = keys.iter().map(|key| (key.as_str(), key.as_str().into())).collect();
            for key in &keys {
                assert_eq!(metadata.text(key), Some(key.as_str()));
            }
            assert_eq!(metadata.text("key"), None);
        }
    }

    #[test]
    fn lists_of_texts_are_kept_and_have_no_text() {
        let metadata: Metadata = serde_json::from_str(r#"{"a":["x","y"],"b":[]}"#).unwrap();
        assert_eq!(metadata.text("a"), None);
        assert_eq!(serde_json::to_string(&metadata).unwrap(), r#"{"a":["x","y"],"b":[]}"#);
    }

    #[test]
    fn anything_else_is_refused() {
        for json in [r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, r#"{"a":[["b"]]}"#, r#"["a"]"#, "1"]
        {
            assert!(serde_json::from_str::<Metadata>(json).is_err(), "{json}");
        }
    }
}
