//! The header of an artifact: JSON files that say what it is called, what it is for, and which payloads it has.

use std::collections::BTreeMap;
use std::io::Read;

use super::description::{ArtifactPayload, Intake, object};
use super::examination::{Flaw, Stop, quoted};
use super::fields::Fields;
use super::tape::Tape;
use super::{Doubt, JSON_LIMIT_BYTES, is_payload_number};
use crate::domain::Metadata;

/// What a header says.
pub(super) struct Header {
    pub(super) name: Option<String>,
    pub(super) device_types: Vec<String>,
    pub(super) provides: Metadata,
    pub(super) depends: Metadata,
    pub(super) payloads: Vec<ArtifactPayload>,
}

/// Reads the header, a tar that is called `name` in the artifact.
pub(super) fn read<R: Read>(name: &str, mut tape: Tape<R>, intake: &mut Intake) -> Result<Header, Stop> {
    let mut header = None;
    let mut type_infos = BTreeMap::new();
    while let Some(entry) = tape.next_entry().map_err(|trouble| Stop::within(name, trouble))? {
        let number = type_info_number(&entry.name);
        if entry.name != "header-info" && number.is_none() {
            continue;
        }
        let json = tape.read_within(JSON_LIMIT_BYTES).map_err(|trouble| Stop::within(name, trouble))?;
        let doubt = |Doubt| Flaw::new(format!("{} in {name} is not the JSON that it should be", quoted(&entry.name)));
        let is_second = match number {
            Some(number) => type_infos.insert(number, type_info(&json, intake).map_err(doubt)?).is_some(),
            None => header.replace(header_info(&json, intake).map_err(doubt)?).is_some(),
        };
        if is_second {
            return Err(Flaw::new(format!("{} is in {name} twice", quoted(&entry.name))).into());
        }
    }
    if tape.has_more().map_err(|trouble| Stop::within(name, trouble))? {
        return Err(Stop::Unread(format!("something follows the end of {name}")));
    }
    let mut header = header.ok_or_else(|| Flaw::new(format!("there is no header-info in {name}")))?;
    for (index, payload) in header.payloads.iter_mut().enumerate() {
        let path = format!("headers/{index:04}/type-info");
        let Some(info) = type_infos.remove(&index) else {
            return Err(
                Flaw::new(format!("header-info in {name} lists payload {index}, but {path} is not there")).into()
            );
        };
        if info.kind.is_some() && info.kind != payload.kind {
            let [listed, stated] = [&payload.kind, &info.kind].map(|kind| quoted(kind.as_deref().unwrap_or("none")));
            return Err(Flaw::new(format!("header-info in {name} says {listed}, and {path} says {stated}")).into());
        }
        *payload = ArtifactPayload { kind: payload.kind.take(), ..info };
    }
    if let Some(index) = type_infos.keys().next() {
        let sentence = format!("headers/{index:04}/type-info is in {name}, but header-info lists no payload {index}");
        return Err(Flaw::new(sentence).into());
    }
    Ok(header)
}

/// The number of the payload in a name like `headers/0000/type-info`.
fn type_info_number(name: &str) -> Option<usize> {
    let number = name.strip_prefix("headers/")?.strip_suffix("/type-info")?;
    if is_payload_number(number) { number.parse().ok() } else { None }
}

fn header_info(json: &[u8], intake: &mut Intake) -> Result<Header, Doubt> {
    let info = Fields::read(json)?;
    let (provides, depends) = (object(&info, "artifact_provides")?, object(&info, "artifact_depends")?);
    let name = provides.get("artifact_name")?.map(|name| intake.texts("name", name));
    let device_types = depends.get("device_type")?.map(|types| intake.texts("device_types", types));
    let payloads: Vec<Fields> = serde_json::from_str(info.get("payloads")?.ok_or(Doubt)?.get())?;
    let payloads = payloads.iter().map(|payload| {
        let kind = kind(payload, intake)?;
        Ok(ArtifactPayload { kind, ..ArtifactPayload::default() })
    });
    let payloads = payloads.collect::<Result<_, Doubt>>()?;
    Ok(Header {
        // More than one would be none.
        name: name.and_then(|mut names| names.pop().filter(|_| names.is_empty())),
        device_types: device_types.unwrap_or_default(),
        provides: intake.pairs("provides", &provides),
        depends: intake.pairs("depends", &depends),
        payloads,
    })
}

fn type_info(json: &[u8], intake: &mut Intake) -> Result<ArtifactPayload, Doubt> {
    let info = Fields::read(json)?;
    Ok(ArtifactPayload {
        kind: kind(&info, intake)?,
        provides: intake.pairs("payloads", &object(&info, "artifact_provides")?),
        depends: intake.pairs("payloads", &object(&info, "artifact_depends")?),
    })
}

fn kind(fields: &Fields<'_>, intake: &mut Intake) -> Result<Option<String>, Doubt> {
    let Some(kind) = fields.get("type")? else { return Ok(None) };
    let kind: Option<String> = serde_json::from_str(kind.get())?;
    Ok(kind.and_then(|kind| intake.text("payloads", kind)))
}
