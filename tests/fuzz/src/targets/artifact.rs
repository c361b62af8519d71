//! The two readers of artifacts.

use std::io::{Cursor, Read, Seek};

use sha2::{Digest, Sha256};
use tender::domain::{Artifact, ArtifactKind, ArtifactKinds, Flaw, Scopes, examine, is_artifact};

use super::assert_sentence;
use super::pieces::Pieces;

/// What artifacts are kept as must be read again.
const STORED_LIMIT_BYTES: usize = 512 * 1024;

/// A package as it was uploaded, read from a file in pieces.
pub fn artifact(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let judged = judge(|| pieces.file());
    assert_eq!(judged, judge(|| Cursor::new(pieces.bytes)), "it depends on how the file is read");
}

/// A package of files whose names and contents are in the input; the manifest is right, so that what it lists is read on.
pub fn artifact_parts(input: &[u8]) {
    let Some((&form, input)) = input.split_first() else { return };
    let suffix = |form: u8| ["", ".gz", ".xz", ".zst"][usize::from(form) % 4];
    let mut parts = input.splitn(4, |byte| *byte == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let (header_info, type_info, more, data) = (part(), part(), part(), part());
    let is_whole = form & 0x80 != 0;

    let plain_header = tar(&[("header-info", header_info), ("headers/0000/type-info", type_info)]);
    // Whole tars are compressed here; else the input is what is taken for compressed.
    let header = if form & 0x10 != 0 { gzip(&plain_header) } else { plain_header };
    let header_name = if form & 0x10 != 0 { "header.tar.gz" } else { "header.tar" };
    let plain_data = tar(&[("root.img", data)]);
    let data_name = format!("data/0000.tar{}", suffix(form));
    let data_file = match (is_whole, suffix(form)) {
        (true, "") => plain_data,
        (true, ".gz") => gzip(&plain_data),
        _ => data.to_vec(),
    };
    let version = br#"{"format":"rdfm","version":3}"#;
    let mut manifest = String::new();
    for (name, contents) in [("version", &version[..]), (header_name, &header), ("data/0000/root.img", data)] {
        manifest += &format!("{}  {name}\n", hex(&Sha256::digest(contents)));
    }
    manifest += &String::from_utf8_lossy(more);
    let files = [
        ("version", &version[..]),
        ("manifest", manifest.as_bytes()),
        (header_name, &header),
        (&data_name, &data_file),
    ];
    let package = tar(&files);
    let (_, examined, is_artifact) = judge(|| Cursor::new(&package));
    assert!(is_artifact, "it begins as one");
    if let Ok(examined) = examined {
        assert_eq!(examined.and_then(|artifact| artifact.version), Some(3));
    }
}

type Judged = (ArtifactKinds, Result<Option<Artifact>, Flaw>, bool);

/// What the readers say, and what must be true of it.
fn judge<F: Read + Seek>(open: impl Fn() -> F) -> Judged {
    let kinds = ArtifactKinds::read(open()).expect("the file can be read");
    let examined = examine(open()).expect("the file can be read");
    let is_artifact = is_artifact(open()).expect("the file can be read");
    assert_ne!(kinds.scopes(), Scopes::default(), "some scope is needed");
    match &examined {
        Ok(found) => assert_eq!(found.is_some(), is_artifact),
        Err(flaw) => {
            assert!(is_artifact, "only an artifact can be a flawed one");
            assert_sentence(flaw);
        }
    }
    if kinds.iter().any(|kind| kind != ArtifactKind::Nonstandard) {
        assert!(is_artifact, "what needs a scope of its own is an artifact");
    }
    if let Ok(Some(artifact)) = &examined {
        let stored = serde_json::to_string(artifact).expect("it can be stored");
        assert!(stored.len() < STORED_LIMIT_BYTES, "{} bytes to keep", stored.len());
        assert_eq!(&serde_json::from_str::<Artifact>(&stored).expect("it was stored"), artifact);
        let _ = artifact.metadata();
    }
    (kinds, examined, is_artifact)
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, *contents).expect("there is room in memory");
    }
    builder.into_inner().expect("there is room in memory")
}

fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = flate2::read::GzEncoder::new(contents, flate2::Compression::fast());
    encoder.read_to_end(&mut packed).expect("it is in memory");
    packed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
