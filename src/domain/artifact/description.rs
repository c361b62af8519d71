//! What an artifact says about itself, bounded: it is kept with its package and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Doubt;
use super::fields::Fields;
use crate::domain::{Metadata, MetadataValue, Sha256Digest, keys};

/// How long one text may be.
const TEXT_LIMIT_BYTES: usize = 512;
/// How long all texts together may be; usual artifacts have some hundred bytes.
const TEXTS_LIMIT_BYTES: usize = 64 * 1024;
/// What each text counts beside its length, so that many empty ones are not for free.
const TEXT_OVERHEAD_BYTES: usize = 64;

/// What an artifact says about itself. It is stored and shown in this form: so fields may come, but none may go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Artifact {
    /// `rdfm` or `mender`.
    pub format: String,
    /// The version of the format; `None` if that is no number. What is below is known of version 3 only.
    pub version: Option<u64>,
    /// Whether there is a signature. It is not verified: only devices know whose they trust.
    pub signed: bool,
    /// What it is called, which usually is the software version that it brings.
    pub name: Option<String>,
    /// The device types that it is for.
    pub device_types: Vec<String>,
    /// What it gives to a device as a whole, its name included.
    pub provides: Metadata,
    /// What it needs of a device as a whole, the device types included.
    pub depends: Metadata,
    /// Its payloads, in order.
    pub payloads: Vec<ArtifactPayload>,
    /// The SHA-256 of each file in it, as its manifest lists them.
    pub checksums: BTreeMap<String, Sha256Digest>,
    /// Why not all of these were compared with the files; `None`: they were, and are right.
    pub unverified: Option<String>,
    /// How many values are not shown because they are too long, too many or no text, by the field that they belong to.
    pub left_out: BTreeMap<String, u64>,
}

/// One payload of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArtifactPayload {
    /// What kind it is, such as `rootfs-image`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// What it gives to a device.
    pub provides: Metadata,
    /// What it needs of a device.
    pub depends: Metadata,
}

impl Artifact {
    /// What it offers as metadata of its package. Only what devices are known to report: a `requires:` that no device meets
    /// would keep all of them from updating, so its other dependencies are shown and left to the uploader.
    pub fn metadata(&self) -> Metadata {
        let version = self.name.as_deref().map(|name| (keys::SOFTWARE_VERSION.to_owned(), name.into()));
        let device_type = match &self.device_types[..] {
            [only] if !self.left_out.contains_key("device_types") => {
                Some((keys::DEVICE_TYPE.to_owned(), MetadataValue::from(&**only)))
            }
            _ => None,
        };
        let base = self
            .base()
            .map(|base| (format!("{}{}", keys::REQUIRES_PREFIX, keys::SOFTWARE_VERSION), MetadataValue::from(base)));
        version.into_iter().chain(device_type).chain(base).collect()
    }

    /// The one artifact that a device must have before. Of several, devices could have any, which `requires:` cannot say; and
    /// what needs itself could never be installed.
    fn base(&self) -> Option<&str> {
        let base = match self.depends.get("artifact_name")? {
            MetadataValue::Text(base) => &**base,
            MetadataValue::List(bases) => match &bases[..] {
                [base] => &**base,
                _ => return None,
            },
        };
        self.name.as_deref().filter(|name| *name != base && !base.trim().is_empty()).map(|_| base)
    }
}

/// Takes what is shown from an artifact, and no more than it may be.
#[derive(Debug)]
pub(super) struct Intake {
    left_bytes: usize,
    left_out: BTreeMap<String, u64>,
}

impl Intake {
    pub(super) fn new() -> Self {
        Self { left_bytes: TEXTS_LIMIT_BYTES, left_out: BTreeMap::new() }
    }

    /// What was left out, by the field.
    pub(super) fn finish(self) -> BTreeMap<String, u64> {
        self.left_out
    }

    /// One text more; `None` if it is left out. Control characters have no business in names.
    pub(super) fn text(&mut self, field: &str, text: String) -> Option<String> {
        let cost = text.len() + TEXT_OVERHEAD_BYTES;
        if text.len() > TEXT_LIMIT_BYTES || cost > self.left_bytes || text.chars().any(char::is_control) {
            self.leave_out(field);
            return None;
        }
        self.left_bytes -= cost;
        Some(text)
    }

    /// The texts of a list, or the one that stands for it.
    pub(super) fn texts(&mut self, field: &str, value: &RawValue) -> Vec<String> {
        match serde_json::from_str(value.get()) {
            Ok(MetadataValue::Text(text)) => self.text(field, text.into()).into_iter().collect(),
            Ok(MetadataValue::List(texts)) => {
                texts.into_iter().filter_map(|text| self.text(field, text.into())).collect()
            }
            Err(_) => {
                self.leave_out(field);
                Vec::new()
            }
        }
    }

    /// The texts and lists of texts in an object.
    pub(super) fn pairs(&mut self, field: &str, object: &Fields<'_>) -> Metadata {
        let mut pairs = Vec::new();
        for (key, value) in object.iter() {
            let value = match serde_json::from_str::<Option<MetadataValue>>(value.get()) {
                Ok(None) => continue,
                Ok(Some(MetadataValue::Text(text))) => {
                    self.text(field, text.into()).map(|text| MetadataValue::Text(text.into()))
                }
                Ok(Some(MetadataValue::List(texts))) => {
                    let taken = texts.into_iter().map(|text| Some(self.text(field, text.into())?.into()));
                    taken.collect::<Option<Box<[_]>>>().map(MetadataValue::List)
                }
                Err(_) => {
                    self.leave_out(field);
                    None
                }
            };
            if let Some(value) = value
                && let Some(key) = self.text(field, key.to_owned())
            {
                pairs.push((key, value));
            }
        }
        pairs.into_iter().collect()
    }

    /// Counts a value that is not shown.
    pub(super) fn leave_out(&mut self, field: &str) {
        *self.left_out.entry(field.to_owned()).or_default() += 1;
    }
}

/// The object that a field holds; an empty one if it is missing or null.
pub(super) fn object<'a>(fields: &Fields<'a>, name: &str) -> Result<Fields<'a>, Doubt> {
    let Some(value) = fields.get(name)? else { return Ok(Fields::default()) };
    Ok(serde_json::from_str::<Option<Fields>>(value.get())?.unwrap_or_default())
}
