//! RDFM artifacts, made as the real tool makes them, or almost.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use lzma_rust2::{XzOptions, XzWriter};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::{Value, json};
use tar::{Builder, Header};

use super::sha256;

/// Names and contents, in order.
pub type Files = Vec<(String, Vec<u8>)>;

/// An artifact with payloads of these types, its header compressed or not.
pub fn artifact(payload_types: &[&str], compressed: bool) -> Vec<u8> {
    let blueprint = Blueprint::of_types(payload_types);
    if compressed { Blueprint { header_suffix: ".gz", ..blueprint }.bytes() } else { blueprint.bytes() }
}

/// An artifact, before it is put together: change what shall be different.
pub struct Blueprint {
    /// What is in the header.
    pub header: Files,
    /// The files of each payload.
    pub payloads: Vec<Files>,
    /// What follows `header.tar` in its name, such as `.gz`.
    pub header_suffix: &'static str,
    /// What follows `.tar` in the names of the payloads.
    pub data_suffix: &'static str,
}

impl Blueprint {
    /// One payload of each of these types, with one file each.
    pub fn of_types(payload_types: &[&str]) -> Self {
        let payload = |number| vec![("file.img".to_owned(), format!("contents {number}").into_bytes())];
        Self {
            header: header_files(payload_types),
            payloads: (0..payload_types.len()).map(payload).collect(),
            header_suffix: "",
            data_suffix: "",
        }
    }

    /// An update of a root file system as the real tool makes it.
    pub fn of_root_file_system(name: &str, device_types: &[&str], image: &[u8]) -> Self {
        let mut blueprint = Self::of_types(&["rootfs-image"]);
        blueprint.set_header_info(&json!({
            "payloads": [{ "type": "rootfs-image" }],
            "artifact_provides": { "artifact_name": name },
            "artifact_depends": { "device_type": device_types },
        }));
        blueprint.set_type_info(&json!({
            "type": null,
            "artifact_provides": { "rootfs-image.checksum": sha256(image), "rootfs-image.version": name },
        }));
        blueprint.payloads = vec![vec![("root.img".to_owned(), image.to_vec())]];
        blueprint
    }

    /// Puts something else into `header-info`.
    pub fn set_header_info(&mut self, info: &Value) {
        self.header[0].1 = info.to_string().into_bytes();
    }

    /// Puts something else into the `type-info` of the first payload.
    pub fn set_type_info(&mut self, info: &Value) {
        self.header[1].1 = info.to_string().into_bytes();
    }

    /// The files of the artifact, in order, with the right checksums.
    pub fn files(&self) -> Files {
        let version = br#"{"format":"rdfm","version":3}"#.to_vec();
        let header = (format!("header.tar{}", self.header_suffix), compressed(&tar(&self.header), self.header_suffix));
        let mut listed = vec![("version".to_owned(), version.clone()), header.clone()];
        let mut data = Vec::new();
        for (number, files) in self.payloads.iter().enumerate() {
            listed.extend(files.iter().map(|(name, bytes)| (format!("data/{number:04}/{name}"), bytes.clone())));
            let name = format!("data/{number:04}.tar{}", self.data_suffix);
            data.push((name, compressed(&tar(files), self.data_suffix)));
        }
        let head = [("version".to_owned(), version), ("manifest".to_owned(), manifest(&listed)), header];
        head.into_iter().chain(data).collect()
    }

    /// The artifact.
    pub fn bytes(&self) -> Vec<u8> {
        tar(&self.files())
    }
}

/// The checksums of these files, as lines.
pub fn manifest(files: &Files) -> Vec<u8> {
    files.iter().map(|(name, bytes)| format!("{}  {name}\n", sha256(bytes))).collect::<String>().into_bytes()
}

fn compressed(contents: &[u8], suffix: &str) -> Vec<u8> {
    match suffix {
        "" => contents.to_vec(),
        ".gz" => gzip(contents),
        ".xz" => {
            let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(1)).unwrap();
            writer.write_all(contents).unwrap();
            writer.finish().unwrap()
        }
        ".zst" => compress_to_vec(contents, CompressionLevel::Fastest),
        _ => panic!("nothing compresses to {suffix}"),
    }
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
    let mut files = Blueprint::of_types(&["single-file"]).files();
    let header_name = if compressed { "header.tar.gz" } else { "header.tar" };
    files[2] = (header_name.to_owned(), if compressed { gzip(header) } else { header.to_vec() });
    let payload = ("data/0000/file.img".to_owned(), b"contents 0".to_vec());
    files[1].1 = manifest(&vec![payload, files[2].clone(), files[0].clone()]);
    files
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
