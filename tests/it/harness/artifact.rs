//! RDFM artifacts, made as the real tool makes them, or almost.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tar::{Builder, Header};

use super::sha256;

/// Names and contents, in order.
pub type Files = Vec<(String, Vec<u8>)>;

/// An artifact with payloads of these types, its header compressed or not.
pub fn artifact(payload_types: &[&str], compressed: bool) -> Vec<u8> {
    tar(&artifact_files(&tar(&header_files(payload_types)), compressed))
}

/// What is in the header of an artifact with payloads of these types.
pub fn header_files(payload_types: &[&str]) -> Files {
    let payloads: Vec<_> = payload_types.iter().map(|name| json!({ "type": name })).collect();
    let info = json!({
        "payloads": payloads,
        "artifact_provides": { "artifact_name": "v1" },
        "artifact_depends": { "device_type": ["dummy"] },
    });
    let mut files = vec![("header-info".to_owned(), info.to_string().into_bytes())];
    for number in 0..payload_types.len() {
        let type_info = json!({ "type": null, "artifact_provides": { "rootfs-image.version": "v1" } });
        files.push((format!("headers/{number:04}/type-info"), type_info.to_string().into_bytes()));
        files.push((format!("headers/{number:04}/meta-data"), Vec::new()));
    }
    files
}

/// What is in an artifact with this header and one payload.
pub fn artifact_files(header: &[u8], compressed: bool) -> Files {
    let version = br#"{"format":"rdfm","version":3}"#.to_vec();
    let header = if compressed { gzip(header) } else { header.to_vec() };
    let header_name = if compressed { "header.tar.gz" } else { "header.tar" };
    let payload = b"contents".to_vec();
    let manifest = [("data/0000/file.img", &payload), (header_name, &header), ("version", &version)];
    let manifest: String = manifest.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect();
    vec![
        ("version".to_owned(), version),
        ("manifest".to_owned(), manifest.into_bytes()),
        (header_name.to_owned(), header),
        ("data/0000.tar".to_owned(), tar(&vec![("file.img".to_owned(), payload)])),
    ]
}

/// A tar of files.
pub fn tar(files: &Files) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = Header::new_ustar();
        header.set_size(contents.len() as u64);
        header.set_mode(0o600);
        builder.append_data(&mut header, name, &contents[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Compresses as `gzip` does.
pub fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}
