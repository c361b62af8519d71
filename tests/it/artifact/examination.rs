//! What is read of an artifact, and what is said about one that is not whole.

use std::io::Cursor;

use serde_json::{Value, json};
use tender::domain::{Artifact, examine, is_artifact};

use crate::harness::artifact::{Blueprint, Files, artifact, gzip, header_files, manifest, tar};
use crate::harness::{contents, sha256};

/// What an artifact is found to be, or what is wrong with it; `None`: it is none.
pub(super) fn examined(package: &[u8]) -> Result<Option<Artifact>, String> {
    let examined = examine(Cursor::new(package)).unwrap().map_err(|flaw| flaw.to_string());
    assert_eq!(is_artifact(Cursor::new(package)).unwrap(), !matches!(examined, Ok(None)));
    examined
}

#[track_caller]
fn read(package: &[u8]) -> Artifact {
    examined(package).unwrap().expect("an artifact")
}

#[track_caller]
fn flaw(package: &[u8]) -> String {
    match examined(package) {
        Err(sentence) => {
            assert!(!sentence.chars().any(char::is_control) && sentence.len() < 600, "{sentence}");
            sentence
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn root_file_system() -> Blueprint {
    Blueprint::of_root_file_system("v2", &["dummy"], b"an image")
}

#[test]
fn what_an_artifact_says_is_read() {
    for (header_suffix, data_suffix) in
        [("", ""), (".gz", ""), ("", ".gz"), (".gz", ".xz"), (".zst", ".zst"), (".xz", "")]
    {
        let package = Blueprint { header_suffix, data_suffix, ..root_file_system() };
        let artifact = serde_json::to_value(read(&package.bytes())).unwrap();
        let header_name = format!("header.tar{header_suffix}");
        let files = package.files();
        let expected = json!({
            "format": "rdfm",
            "version": 3,
            "signed": false,
            "name": "v2",
            "device_types": ["dummy"],
            "provides": { "artifact_name": "v2" },
            "depends": { "device_type": ["dummy"] },
            "payloads": [{
                "type": "rootfs-image",
                "provides": { "rootfs-image.checksum": sha256(b"an image"), "rootfs-image.version": "v2" },
                "depends": {},
            }],
            "checksums": {
                "data/0000/root.img": sha256(b"an image"),
                &header_name: sha256(&files[2].1),
                "version": sha256(&files[0].1),
            },
            "unverified": null,
            "left_out": {},
        });
        assert_eq!(artifact, expected);
        let stored: Artifact = serde_json::from_value(artifact).unwrap();
        assert_eq!(stored, read(&package.bytes()));
    }
}

#[test]
fn what_is_no_artifact_is_a_plain_file() {
    let whole = artifact(&["rootfs-image"], false);
    let with_version = |version: &str| tar(&vec![("version".to_owned(), version.as_bytes().to_vec())]);
    let plain = [
        Vec::new(),
        b"text".to_vec(),
        contents(100_000),
        vec![0; 10_240],
        tar(&Vec::new()),
        tar(&vec![("a".to_owned(), b"b".to_vec())]),
        tar(&header_files(&["single-file"])),
        tar(&vec![("artifact.rdfm".to_owned(), whole.clone())]),
        gzip(&whole),
        whole[512..].to_vec(),
        with_version("3"),
        with_version("1.0\n"),
        with_version(r#"{"format":"docker","version":3}"#),
        with_version(r#"{"format":3}"#),
        with_version("{}"),
        tar(&vec![("x/version".to_owned(), br#"{"format":"rdfm","version":3}"#.to_vec())]),
    ];
    for file in plain {
        assert_eq!(examined(&file), Ok(None));
    }
}

#[test]
fn an_artifact_that_is_cut_anywhere_is_refused_or_not_one_yet() {
    for (header_suffix, data_suffix) in [("", ""), (".gz", ".gz"), (".gz", ".xz"), ("", ".zst")] {
        let whole = Blueprint { header_suffix, data_suffix, ..root_file_system() }.bytes();
        let recognizable = 512 + br#"{"format":"rdfm","version":3}"#.len();
        for length in 0..whole.len() {
            match examined(&whole[..length]) {
                Ok(None) => assert!(length < recognizable, "{length} bytes are taken for a plain file"),
                Ok(Some(_)) => panic!("{length} of {} bytes are taken for the artifact", whole.len()),
                Err(sentence) => {
                    assert!(length >= recognizable && sentence.contains("is cut off"), "{length}: {sentence}");
                }
            }
        }
        assert_eq!(read(&whole).unverified, None);
    }
    let data = format!("data/{:04}.tar", 0);
    let whole = root_file_system().bytes();
    assert_eq!(flaw(&whole[..whole.len() - 1100]), format!("the artifact is cut off in {data}"));
    assert_eq!(flaw(&whole[..whole.len() - 1000]), format!("the artifact is cut off after {data}"));
}

/// The files of an artifact with `change` made to them, as a package.
fn changed(blueprint: &Blueprint, change: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = blueprint.files();
    change(&mut files);
    tar(&files)
}

#[test]
fn a_contradiction_is_told_with_its_place() {
    let good = root_file_system();
    let [image, header] = [sha256(b"an image"), sha256(&good.files()[2].1)];
    let cases: Vec<(Vec<u8>, String)> = vec![
        (changed(&good, |files| files[0].1.push(b' ')), "for version, which has".to_owned()),
        (changed(&good, |files| files[2].1[600] ^= 1), format!("says SHA-256 {header} for header.tar, which has")),
        (changed(&good, |files| files[3].1[512] ^= 1), format!("says SHA-256 {image} for data/0000/root.img, which")),
        (changed(&good, |files| files[3].1[0] ^= 1), "in data/0000.tar, the tar header at its beginning".to_owned()),
        (changed(&good, |files| files[3].1.truncate(1024)), "data/0000.tar is cut off after root.img".to_owned()),
        (changed(&good, |files| files[3].1.truncate(515)), "data/0000.tar is cut off in root.img".to_owned()),
        (
            changed(&good, |files| files[3].1 = tar(&vec![("other.img".to_owned(), b"an image".to_vec())])),
            "data/0000/other.img is in it, but not in its manifest".to_owned(),
        ),
        (
            changed(&good, |files| files[3].1 = tar(&Vec::new())),
            "its manifest lists data/0000/root.img, which is not in it".to_owned(),
        ),
        (
            changed(&good, |files| files[3].1 = tar(&vec![("root.img".to_owned(), b"an image".to_vec()); 2].clone())),
            "data/0000/root.img is in it twice".to_owned(),
        ),
        (
            changed(&good, |files| files[1].1 = manifest(&vec![files[0].clone(), files[2].clone()])),
            "data/0000/root.img is in it, but not in its manifest".to_owned(),
        ),
        (
            changed(&good, |files| files[1].1 = manifest(&vec![files[2].clone()])),
            "version is in it, but not in its manifest".to_owned(),
        ),
        (
            changed(&good, |files| files.push(("note".to_owned(), Vec::new()))),
            "note is in it, but not in its manifest".to_owned(),
        ),
        (changed(&good, |files| files[1].1 = b"no checksums".to_vec()), "line 1 of its manifest".to_owned()),
        (changed(&good, |files| files[1].1.extend_from_slice(b"\xff")), "its manifest is not text".to_owned()),
        (changed(&good, |files| files[1].1 = files[1].1.repeat(2)), "its manifest lists version twice".to_owned()),
        (changed(&good, |files| files.truncate(3)), "payload 0, but data/0000.tar is not in it".to_owned()),
        (changed(&good, |files| files.truncate(2)), "it has no header.tar".to_owned()),
        (changed(&good, |files| files.truncate(1)), "it has no manifest".to_owned()),
        (changed(&good, |files| files.push(files[2].clone())), "it has two headers".to_owned()),
        (changed(&good, |files| files.push(files[3].clone())), "it has data/0000 twice".to_owned()),
        (changed(&good, |files| files.push(files[1].clone())), "manifest is in it twice".to_owned()),
        (changed(&good, |files| files.swap(1, 2)), "header.tar comes before its manifest".to_owned()),
        (
            changed(&good, |files| files.push(("data/0001.tar".to_owned(), tar(&Vec::new())))),
            "it has data/0001.tar, but its header lists no payload 1".to_owned(),
        ),
        (
            changed(&good, |files| files.push(("a\nb\u{202e}".to_owned(), Vec::new()))),
            r#""a\nb\u{202e}" is in it, but not in its manifest"#.to_owned(),
        ),
        (
            changed(&Blueprint { data_suffix: ".gz", ..root_file_system() }, |files| files[3].1.truncate(60)),
            "data/0000.tar.gz is cut off".to_owned(),
        ),
        (
            changed(&Blueprint { data_suffix: ".xz", ..root_file_system() }, |files| files[3].1.truncate(60)),
            "data/0000.tar.xz is cut off".to_owned(),
        ),
        (
            changed(&Blueprint { data_suffix: ".zst", ..root_file_system() }, |files| files[3].1.truncate(60)),
            "data/0000.tar.zst is cut off".to_owned(),
        ),
        (
            changed(&Blueprint { data_suffix: ".gz", ..root_file_system() }, |files| {
                *files[3].1.last_mut().unwrap() ^= 1;
            }),
            "in data/0000.tar.gz, root.img cannot be unpacked".to_owned(),
        ),
    ];
    for (package, expected) in cases {
        let sentence = flaw(&package);
        assert!(sentence.contains(&expected), "{sentence}\ndoes not say\n{expected}");
    }
}

#[test]
fn a_header_that_contradicts_itself_is_told_with_its_place() {
    let info = |payloads: Value| json!({ "payloads": payloads, "artifact_provides": { "artifact_name": "v2" } });
    let wrong_sum = "0".repeat(64);
    type Change<'a> = Box<dyn Fn(&mut Blueprint) + 'a>;
    let cases: Vec<(Change<'_>, &str)> = vec![
        (Box::new(|it| drop(it.header.remove(0))), "there is no header-info in header.tar"),
        (Box::new(|it| drop(it.header.remove(1))), "lists payload 0, but headers/0000/type-info is not there"),
        (Box::new(|it| it.header[1].0 = "headers/0001/type-info".to_owned()), "headers/0000/type-info is not there"),
        (
            Box::new(|it| it.header.push(("headers/0001/type-info".to_owned(), b"{}".to_vec()))),
            "headers/0001/type-info is in header.tar, but header-info lists no payload 1",
        ),
        (Box::new(|it| it.header.push(it.header[1].clone())), "headers/0000/type-info is in header.tar twice"),
        (Box::new(|it| it.header.push(it.header[0].clone())), "header-info is in header.tar twice"),
        (Box::new(|it| it.header[0].1 = b"{".to_vec()), "header-info in header.tar is not the JSON"),
        (Box::new(|it| it.header[1].1 = b"[]".to_vec()), "headers/0000/type-info in header.tar is not the JSON"),
        (Box::new(|it| it.set_header_info(&json!({}))), "header-info in header.tar is not the JSON"),
        (Box::new(move |it| it.set_header_info(&info(json!(7)))), "header-info in header.tar is not the JSON"),
        (
            Box::new(|it| it.set_type_info(&json!({ "type": "single-file" }))),
            "says rootfs-image, and headers/0000/type-info says single-file",
        ),
        (
            Box::new(|it| it.set_type_info(&json!({ "artifact_provides": { "rootfs-image.checksum": wrong_sum } }))),
            "rootfs-image.checksum in headers/0000/type-info is 0000",
        ),
        (Box::new(|it| it.payloads.push(Vec::new())), "it has data/0001.tar, but its header lists no payload 1"),
    ];
    for (change, expected) in cases {
        let mut blueprint = root_file_system();
        change(&mut blueprint);
        let sentence = flaw(&blueprint.bytes());
        assert!(sentence.contains(expected), "{sentence}\ndoes not say\n{expected}");
    }
}

#[test]
fn what_is_not_understood_is_taken_with_the_reason() {
    let good = root_file_system();
    let newer = |version: &str| changed(&good, |files| files[0].1 = version.as_bytes().to_vec());
    let renamed = |index: usize, name: &str| {
        changed(&good, |files| {
            files[index].0 = name.to_owned();
            if index == 2 {
                let image = ("data/0000/root.img".to_owned(), b"an image".to_vec());
                files[1].1 = manifest(&vec![files[0].clone(), files[2].clone(), image]);
            }
        })
    };
    let cases = [
        (newer(r#"{"format":"rdfm","version":4}"#), "version of the format"),
        (newer(r#"{"format":"mender","version":2}"#), "version of the format"),
        (newer(r#"{"format":"rdfm","version":"next"}"#), "version of the format"),
        (renamed(3, "data/0000.tar.lz4"), "data/0000.tar.lz4 is compressed in a way that is not read here"),
        (renamed(2, "header.tar.br"), "header.tar.br is compressed"),
        (changed(&good, |files| files.insert(2, ("manifest-augment".to_owned(), Vec::new()))), "augmented manifest"),
        (changed(&good, |files| files.insert(3, ("header-augment.tar".to_owned(), Vec::new()))), "augmented header"),
        ([&good.bytes()[..], b"more"].concat(), "something follows its end"),
        (changed(&good, |files| files[1].1 = vec![b'x'; 2_000_000]), "manifest is longer than"),
    ];
    for (package, expected) in cases {
        let artifact = read(&package);
        let reason = artifact.unverified.clone().unwrap_or_default();
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
    }
    // What is understood is checked all the same.
    let cut = renamed(3, "data/0000.tar.lz4");
    assert!(flaw(&cut[..cut.len() - 1100]).contains("cut off in data/0000.tar.lz4"));
}

#[test]
fn signatures_and_other_tools_ways_are_known() {
    let mut signed = root_file_system().files();
    signed.insert(2, ("manifest.sig".to_owned(), b"signature".to_vec()));
    let artifact = read(&tar(&signed));
    assert!(artifact.signed && artifact.unverified.is_none());

    let long = format!("{}.img", "n".repeat(200));
    let mut blueprint = root_file_system();
    blueprint.payloads[0][0].0 = long;
    assert_eq!(read(&blueprint.bytes()).unverified, None, "as GNU's tar writes long names");

    // Payloads that delete something have no type and no data.
    let mut blueprint = Blueprint::of_types(&["single-file"]);
    blueprint.set_header_info(&json!({ "payloads": [{ "type": null }] }));
    blueprint.payloads.clear();
    assert_eq!(read(&blueprint.bytes()).unverified, None);

    // A delta's image is what comes of it on the device.
    let mut delta = root_file_system();
    delta.set_header_info(&json!({ "payloads": [{ "type": "delta-rootfs-image" }] }));
    delta.set_type_info(&json!({ "artifact_provides": { "rootfs-image.checksum": "0".repeat(64) } }));
    assert_eq!(read(&delta.bytes()).unverified, None);
}

#[test]
fn what_is_kept_is_bounded_and_says_what_is_missing() {
    let mut blueprint = root_file_system();
    let many: serde_json::Map<_, _> = (0..2000).map(|number| (format!("key-{number}"), json!("value"))).collect();
    blueprint.set_type_info(&json!({ "artifact_provides": many }));
    blueprint.set_header_info(&json!({
        "payloads": [{ "type": "rootfs-image" }],
        "artifact_provides": { "artifact_name": "n\u{7}", "number": 7, "nothing": null },
        "artifact_depends": { "device_type": ["dummy", "d".repeat(600)] },
    }));
    blueprint.payloads[0].extend((0..3000).map(|number| (format!("file-{number}"), Vec::new())));
    let artifact = read(&blueprint.bytes());
    assert_eq!((artifact.name.as_deref(), &artifact.device_types[..]), (None, &["dummy".to_owned()][..]));
    for field in ["name", "provides", "device_types", "depends", "payloads", "checksums"] {
        assert!(artifact.left_out.contains_key(field), "{field}: {:?}", artifact.left_out);
    }
    assert_eq!(artifact.metadata().iter().count(), 0, "what may be half is not offered");
    assert_eq!(artifact.unverified, None, "all files were compared");
    assert!(serde_json::to_vec(&artifact).unwrap().len() < 256 * 1024);
}

#[test]
fn metadata_is_offered_where_it_is_certain() {
    let offered = |device_types: Value, depends_on: Value| {
        let mut blueprint = root_file_system();
        blueprint.set_header_info(&json!({
            "payloads": [{ "type": "rootfs-image" }],
            "artifact_provides": { "artifact_name": "v2", "artifact_group": "g" },
            "artifact_depends": { "device_type": device_types, "artifact_name": depends_on, "other": "x" },
        }));
        serde_json::to_value(read(&blueprint.bytes()).metadata()).unwrap()
    };
    let (version, device_type, base) =
        ("rdfm.software.version", "rdfm.hardware.devtype", "requires:rdfm.software.version");
    assert_eq!(offered(json!(["a"]), json!(null)), json!({ version: "v2", device_type: "a" }));
    assert_eq!(offered(json!("a"), json!([])), json!({ version: "v2", device_type: "a" }));
    assert_eq!(offered(json!(["a", "b"]), json!(["v0", "v1"])), json!({ version: "v2" }));
    assert_eq!(offered(json!([]), json!(["v1"])), json!({ version: "v2", base: "v1" }));
    assert_eq!(offered(json!(7), json!("v1")), json!({ version: "v2", base: "v1" }));
    // Nobody could ever install it.
    assert_eq!(offered(json!(["a"]), json!("v2")), json!({ version: "v2", device_type: "a" }));
}
