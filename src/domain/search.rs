//! Looking for devices by words: parts of a name, of a MAC address in any spelling, or of what a device reports.

use std::collections::BTreeSet;

use memchr::memmem::Finder;

use super::{Invalid, MacKey, Metadata, MetadataValue};

/// The longest search: more than anybody types, and little enough to be looked for in a whole fleet.
const SEARCH_MAX_CHARACTERS: usize = 200;

/// Words that must all be somewhere in a device; upper and lower case are the same.
#[derive(Debug, Clone)]
pub struct Search(Vec<Word>);

#[derive(Debug, Clone)]
struct Word {
    /// The word in small letters.
    text: Needle,
    /// The same as it stands in JSON.
    json: Needle,
    /// The same with colons for dashes, if it is a part of a MAC address with separators.
    separated: Option<Needle>,
    /// Whether JSON may hold it elsewhere than in its texts.
    may_be_syntax: bool,
}

/// What is looked for, prepared once for a whole fleet.
#[derive(Debug, Clone)]
struct Needle(Finder<'static>);

impl Needle {
    fn new(text: &str) -> Self {
        Self(Finder::new(text).into_owned())
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.find(text.as_bytes()).is_some()
    }
}

/// What is looked through.
#[derive(Debug, Clone, Copy)]
pub struct Searched<'a> {
    /// The device's name.
    pub name: &'a str,
    /// Its MAC address, as it spells it.
    pub mac_address: &'a str,
    /// The one form of that: see [`MacKey`].
    pub mac_key: &'a str,
    /// What it reports, as JSON without white space between the texts.
    pub metadata: &'a str,
}

impl Search {
    /// Splits at blanks; `None` if there is no word.
    ///
    /// # Errors
    /// The text is too long.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        if text.chars().count() > SEARCH_MAX_CHARACTERS {
            return Err(Invalid::new(format!("a search has at most {SEARCH_MAX_CHARACTERS} characters")));
        }
        let words: BTreeSet<String> = text.split_whitespace().map(str::to_lowercase).collect();
        Ok((!words.is_empty()).then(|| Self(words.iter().map(|word| Word::new(word)).collect())))
    }

    /// Whether each word is somewhere in this.
    pub fn finds(&self, searched: Searched<'_>) -> bool {
        let small = Searched {
            name: &lower(searched.name),
            mac_address: &lower(searched.mac_address),
            metadata: &lower(searched.metadata),
            ..searched
        };
        self.0.iter().all(|word| word.is_in(small, searched.metadata))
    }
}

impl Word {
    /// Of a word in small letters.
    fn new(text: &str) -> Self {
        let quoted = serde_json::Value::from(text).to_string();
        let json = &quoted[1..quoted.len() - 1];
        let is_separator = |character| matches!(character, ':' | '-');
        let is_of_address = |character: char| character.is_ascii_hexdigit() || is_separator(character);
        let separated = text.contains(is_separator) && text.chars().all(is_of_address);
        // Between texts JSON has quotes, so that a word without one, but for syntax alone, is in no more than one text.
        let is_syntax = |character| matches!(character, '{' | '}' | '[' | ']' | ':' | ',');
        let may_be_syntax = text.contains(['"', '\\']) || text.chars().all(is_syntax);
        let separated = separated.then(|| Needle::new(&text.replace('-', ":")));
        Self { text: Needle::new(text), json: Needle::new(json), separated, may_be_syntax }
    }

    /// Whether it is in what is in small letters; `reported` is the metadata as it was.
    fn is_in(&self, small: Searched<'_>, reported: &str) -> bool {
        if self.text.is_in(small.name) || self.text.is_in(small.mac_address) {
            return true;
        }
        let is_in_address = match &self.separated {
            Some(separated) => MacKey::separated(small.mac_key).is_some_and(|address| separated.is_in(&address)),
            None => self.text.is_in(small.mac_key),
        };
        is_in_address || (self.json.is_in(small.metadata) && self.is_in_texts(small.metadata, reported))
    }

    /// Whether it is in a key or value, and not only in the JSON that is around them.
    fn is_in_texts(&self, small: &str, reported: &str) -> bool {
        // What is escaped has letters of its own.
        if !self.may_be_syntax && !small.contains('\\') {
            return true;
        }
        let Ok(metadata) = serde_json::from_str::<Metadata>(reported) else { return false };
        let holds = |text: &str| self.text.is_in(&lower(text));
        metadata.iter().any(|(key, value)| {
            holds(key)
                || match value {
                    MetadataValue::Text(text) => holds(text),
                    MetadataValue::List(texts) => texts.iter().any(|text| holds(text)),
                }
        })
    }
}

/// In small letters.
fn lower(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_lowercase() } else { text.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MacAddress;

    fn finds_in(search: &str, name: &str, mac_address: &str, metadata: &Metadata) -> bool {
        let mac_key = MacAddress::parse(mac_address).unwrap().key();
        let json = serde_json::to_string(metadata).unwrap();
        let searched = Searched { name, mac_address, mac_key: mac_key.as_str(), metadata: &json };
        Search::parse(search).unwrap().is_none_or(|search| search.finds(searched))
    }

    #[test]
    fn every_word_must_be_somewhere() {
        let metadata: Metadata =
            serde_json::from_str(r#"{"site.name":"Küche 100%_a","tags":["Nord \"2\"","a\\b"],"empty":""}"#).unwrap();
        let finds = |search: &str| finds_in(search, "Pump 7", "AA-BB-CC-01-02-0F", &metadata);
        let found = [
            "",
            "  ",
            "pump",
            "PUMP 7",
            "7  pump",
            "KÜCHE",
            "küche",
            "100%_a",
            "site.name",
            "SITE",
            "nord",
            "\"2\"",
            "a\\b",
            "tags pump aa:bb",
            "aa-bb-cc",
            "AA:BB:cc:01",
            "aabbcc01020f",
            "bcc01",
            "02:0f",
            "%",
            "_",
            "\"",
            "\\",
        ];
        for search in found {
            assert!(finds(search), "{search}");
        }
        // None of these is in a key or value: they are the JSON's, or stand on both sides of it.
        let lost = [
            "pump 8", "{", "}", "[", "]", ",", "\",\"", "\":\"", "name\"", "a:ab", "a:a", "bb:c:", "%%", "u00", "\\\"",
            "n\\b",
        ];
        for search in lost {
            assert!(!finds(search), "{search}");
        }
    }

    #[test]
    fn letters_of_escapes_are_not_found() {
        let metadata = Metadata::from([("key", "a\nb\u{1}")]);
        assert!(finds_in("a", "x", "y", &metadata) && finds_in("\u{1}", "x", "y", &metadata));
        for search in ["n", "u0001", "\\n"] {
            assert!(!finds_in(search, "x", "z", &metadata), "{search}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_found_as_it_is() {
        let nothing = Metadata::default();
        assert!(finds_in("LOOP", "x", "Loopback-1", &nothing));
        assert!(finds_in("k-1", "x", "Loopback-1", &nothing));
        assert!(!finds_in("k:1", "x", "Loopback-1", &nothing));
    }

    #[test]
    fn a_search_is_bounded() {
        assert!(Search::parse(" \t").unwrap().is_none());
        assert!(Search::parse(&"ü".repeat(SEARCH_MAX_CHARACTERS)).is_ok());
        assert!(Search::parse(&"x".repeat(SEARCH_MAX_CHARACTERS + 1)).is_err());
    }
}
