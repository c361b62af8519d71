//! JSON objects that every reader understands alike.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Doubt;

/// The fields of a JSON object as they are written, those of equal names included.
#[derive(Default)]
pub(super) struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads an object with nothing after it.
    pub(super) fn read(json: &'a [u8]) -> Result<Self, Doubt> {
        Ok(serde_json::from_slice(json)?)
    }

    /// All fields, in the order written.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// The value of a field, if there is one that everybody takes for it. Go, the reference client's language, takes the
    /// last whose name is the same but for case, of which `ſ` is one for `s`.
    pub(super) fn get(&self, name: &str) -> Result<Option<&'a RawValue>, Doubt> {
        let folded = name.to_uppercase();
        let mut found = self.0.iter().filter(|(candidate, _)| candidate.to_uppercase() == folded);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((exact, value)), None) if exact == name => Ok(Some(*value)),
            _ => Err(Doubt),
        }
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
