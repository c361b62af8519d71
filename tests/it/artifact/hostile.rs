//! Packages made to be taken for something else than what a client installs.

use std::io::{Seek, SeekFrom, Write};

use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use super::{NONSTANDARD, ROOTFS_IMAGE, SINGLE_FILE, kinds, kinds_of, position_of, with_header_info};
use crate::harness::artifact::{Files, artifact, artifact_files, gzip, header_files, tar};

/// The most that the length in a tar header can say.
const LONGEST_BYTES: u64 = 0o77_777_777_777;

fn header_tar(payload_type: &str) -> Vec<u8> {
    tar(&header_files(&[payload_type]))
}

fn harmless() -> Files {
    artifact_files(&header_tar("single-file"), false)
}

/// The files with one more at `index`.
fn with(mut files: Files, index: usize, name: &str, contents: &[u8]) -> Files {
    files.insert(index, (name.to_owned(), contents.to_vec()));
    files
}

/// Calculates the checksum of the tar header at `position` anew.
pub(super) fn mend_checksum(package: &mut [u8], position: usize) {
    let header = &mut package[position..position + 512];
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A harmless package with one entry's header overwritten at `offset`, its checksum mended.
fn overwritten(name: &str, offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut package = tar(&harmless());
    let position = position_of(&package, name);
    package[position + offset..position + offset + bytes.len()].copy_from_slice(bytes);
    mend_checksum(&mut package, position);
    package
}

/// A harmless package with a special entry before one of its files.
fn announced(before: &str, kind: EntryType, name: &str, contents: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (file, file_contents) in harmless() {
        if file == before {
            let mut header = Header::new_ustar();
            header.set_entry_type(kind);
            header.set_size(contents.len() as u64);
            builder.append_data(&mut header, name, contents).unwrap();
        }
        let mut header = Header::new_ustar();
        header.set_size(file_contents.len() as u64);
        builder.append_data(&mut header, file, &file_contents[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn attribute(key: &str, value: &str) -> String {
    let length = key.len() + value.len() + 3;
    format!("{} {key}={value}\n", length + if length + 2 < 100 { 2 } else { 3 })
}

#[test]
fn a_second_header_is_not_hidden() {
    let image = header_tar("rootfs-image");
    for index in 0..=4 {
        for (name, header) in [("header.tar", image.clone()), ("header.tar.gz", gzip(&image))] {
            assert_eq!(kinds(&tar(&with(harmless(), index, name, &header))), NONSTANDARD, "{name} at {index}");
        }
    }
}

#[test]
fn names_that_other_readers_take_for_the_header_are_refused() {
    let image = header_tar("rootfs-image");
    let names = ["header.tar.xz", "header.tar.zst", "header-augment.tar", "HEADER.TAR", "x/header.tar", "header.tar "];
    for name in names {
        for index in [2, 3, 4] {
            assert_eq!(kinds(&tar(&with(harmless(), index, name, &image))), NONSTANDARD, "{name} at {index}");
        }
    }
}

#[test]
fn entries_must_come_in_order_and_none_may_be_missing() {
    for index in 0..3 {
        let mut files = harmless();
        files.remove(index);
        assert_eq!(kinds(&tar(&files)), NONSTANDARD);
    }
    for order in [[0, 2, 1, 3], [2, 0, 1, 3], [3, 0, 1, 2], [0, 1, 3, 2]] {
        let files = harmless();
        assert_eq!(kinds(&tar(&order.map(|index: usize| files[index].clone()).to_vec())), NONSTANDARD);
    }
    for name in ["data/0000.tar", "version", "manifest", "note", "data/1.tar", "data/0001.tar/x", "data/0001"] {
        assert_eq!(kinds(&tar(&with(harmless(), 4, name, b""))), NONSTANDARD, "{name}");
    }
    assert_eq!(kinds(&tar(&with(harmless(), 4, "data/0001.tar", b""))), SINGLE_FILE);
}

#[test]
fn nothing_is_hidden_behind_the_end() {
    let package = tar(&harmless());
    let image = artifact(&["rootfs-image"], false);
    assert_eq!(kinds(&[&package[..], &image].concat()), NONSTANDARD);
    assert_eq!(kinds(&[&package[..package.len() - 512], &image].concat()), NONSTANDARD);
    assert_eq!(kinds(&[&package[..], &[0; 10_240]].concat()), SINGLE_FILE);
    assert_eq!(kinds(&[&package[..], &[0; 1_000_000]].concat()), NONSTANDARD);
    let (header, image) = (header_tar("single-file"), header_tar("rootfs-image"));
    assert_eq!(kinds(&tar(&artifact_files(&[header, image].concat(), true))), NONSTANDARD);
}

#[test]
fn all_members_of_a_compressed_header_are_read() {
    let image = header_tar("rootfs-image");
    let (first, second) = image.split_at(700);
    let mut files = harmless();
    files[2] = ("header.tar.gz".to_owned(), [gzip(first), gzip(second)].concat());
    assert_eq!(kinds(&tar(&files)), ROOTFS_IMAGE);
    let header = header_tar("single-file");
    for rest in [gzip(&image), b"garbage".to_vec(), vec![0x1f, 0x8b]] {
        files[2].1 = [gzip(&header), rest].concat();
        assert_eq!(kinds(&tar(&files)), NONSTANDARD);
    }
    files[2].1 = header;
    assert_eq!(kinds(&tar(&files)), NONSTANDARD);
}

#[test]
fn nothing_is_hidden_behind_what_is_read_of_a_compressed_header() {
    let (limit, empty) = (1024 * 1024, gzip(b""));
    let mut header = gzip(&header_tar("single-file"));
    // Members without contents, the last one with a name of such a length that they end where reading does.
    let members = (limit - header.len()) / empty.len() - 2;
    header.extend_from_slice(&empty.repeat(members));
    let name = vec![b'x'; limit - header.len() - empty.len() - 1];
    let named = GzBuilder::new().filename(name).write(Vec::new(), Compression::default()).finish().unwrap();
    header.extend_from_slice(&named);
    assert_eq!(header.len(), limit);
    let mut files = harmless();
    files[2] = ("header.tar.gz".to_owned(), header);
    assert_eq!(kinds(&tar(&files)), SINGLE_FILE);
    files[2].1.extend_from_slice(&gzip(&header_tar("rootfs-image")));
    assert_eq!(kinds(&tar(&files)), NONSTANDARD);
}

#[test]
fn a_bomb_does_not_go_off() {
    let mut header = header_files(&["single-file"]);
    header.push(("scripts/bomb".to_owned(), vec![0; 64 * 1024 * 1024]));
    assert_eq!(kinds(&tar(&artifact_files(&tar(&header), true))), NONSTANDARD);
    let mut files = harmless();
    // Members without contents, for which no output is there to count.
    let (header, image) = (gzip(&header_tar("single-file")), gzip(&header_tar("rootfs-image")));
    for (members, expected) in [(40_000, SINGLE_FILE), (80_000, NONSTANDARD)] {
        files[2] = ("header.tar.gz".to_owned(), [&header[..], &gzip(b"").repeat(members)].concat());
        assert_eq!(kinds(&tar(&files)), expected, "{members} members");
        files[2].1.extend_from_slice(&image);
        assert_eq!(kinds(&tar(&files)), NONSTANDARD, "{members} members");
    }
    let many = (0..300).map(|number| (format!("data/{number:04}.tar"), Vec::new()));
    assert_eq!(kinds(&tar(&harmless().into_iter().take(3).chain(many).collect())), NONSTANDARD);
    let deep = format!("{{\"payloads\":{}", "[".repeat(100_000));
    assert_eq!(kinds(&with_header_info(&deep)), NONSTANDARD);
    let long = format!("{{\"payloads\":[{}{{\"type\":\"single-file\"}}]}}", "{},".repeat(100_000));
    assert_eq!(kinds(&with_header_info(&long)), NONSTANDARD);
}

#[test]
fn gigabytes_of_data_are_passed_over() {
    let single_file = header_tar("single-file");
    for (header_comes_first, expected) in [(true, SINGLE_FILE), (false, NONSTANDARD)] {
        let mut files = artifact_files(&single_file, false);
        let header = files.remove(2);
        files.truncate(2);
        let mut data = Header::new_ustar();
        data.set_path("data/0000.tar").unwrap();
        data.set_size(LONGEST_BYTES);
        data.set_cksum();
        let mut package = tempfile::tempfile().unwrap();
        let end = |files: &Files| tar(files)[..].len() as u64 - 1024;
        if header_comes_first {
            files.push(header.clone());
        }
        package.write_all(&tar(&files)[..end(&files) as usize]).unwrap();
        package.write_all(data.as_bytes()).unwrap();
        let after = end(&files) + 512 + LONGEST_BYTES.next_multiple_of(512);
        package.set_len(after + 1024).unwrap();
        if !header_comes_first {
            package.seek(SeekFrom::Start(after)).unwrap();
            package.write_all(&tar(&vec![header])).unwrap();
        }
        assert_eq!(kinds_of(package), expected);
    }
}

#[test]
fn lengths_are_believed_only_if_all_readers_read_them_alike() {
    for name in ["version", "header.tar", "data/0000.tar"] {
        let lengths: [&[u8; 12]; 6] = [
            b"77777777777\0",
            b"7777777777777".first_chunk().unwrap(),
            b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"        -1\0\0",
        ];
        for length in lengths {
            assert_eq!(kinds(&overwritten(name, 124, length)), NONSTANDARD, "{name}: {length:?}");
        }
    }
}

#[test]
fn entries_that_are_no_plain_files_are_refused() {
    for name in ["version", "header.tar", "data/0000.tar"] {
        for kind in b"1234567DKLMNSVXgx\xff" {
            assert_eq!(kinds(&overwritten(name, 156, &[*kind])), NONSTANDARD, "{name} as {}", *kind as char);
        }
        assert_eq!(kinds(&overwritten(name, 156, b"\0")), SINGLE_FILE, "the old mark of plain files");
        // The beginning of the name; the mark of another format; no format.
        assert_eq!(kinds(&overwritten(name, 345, b"x")), NONSTANDARD);
        assert_eq!(kinds(&overwritten(name, 508, b"tar\0")), NONSTANDARD);
        assert_eq!(kinds(&overwritten(name, 257, b"\0\0\0\0\0\0\0\0")), NONSTANDARD);
        assert_eq!(kinds(&overwritten(name, 257, b"ustar  \0")), SINGLE_FILE, "as GNU's tar writes it");
    }
}

#[test]
fn entries_that_change_the_next_one_are_refused() {
    let name = b"header.tar\0".as_slice();
    for before in ["version", "header.tar", "data/0000.tar"] {
        assert_eq!(kinds(&announced(before, EntryType::GNULongName, "././@LongLink", name)), NONSTANDARD);
        assert_eq!(kinds(&announced(before, EntryType::GNULongLink, "././@LongLink", name)), NONSTANDARD);
        assert_eq!(kinds(&announced(before, EntryType::Directory, "data", b"")), NONSTANDARD);
        assert_eq!(kinds(&announced(before, EntryType::XGlobalHeader, "pax", b"")), NONSTANDARD);
        for key in ["path", "size", "linkpath", "hdrcharset", "GNU.sparse.name", "GNU.sparse.size", "SCHILY.xattr.x"] {
            let package = announced(before, EntryType::XHeader, "pax", attribute(key, "10").as_bytes());
            assert_eq!(kinds(&package), NONSTANDARD, "{key} before {before}");
        }
    }
}

#[test]
fn attributes_of_the_owner_are_known() {
    let owner = [attribute("uname", "größe"), attribute("mtime", "1.5"), attribute("uid", "5000000")].concat();
    let path = attribute("path", "header.tar.gz");
    for before in ["version", "header.tar", "data/0000.tar"] {
        let with = |attributes: &str| kinds(&announced(before, EntryType::XHeader, "pax", attributes.as_bytes()));
        assert_eq!(with(&owner), SINGLE_FILE);
        assert_eq!(with(&[&owner[..], &path].concat()), NONSTANDARD);
        // Where some readers stop and others don't.
        assert_eq!(with(&[&owner[..], "\n", &path].concat()), NONSTANDARD);
        assert_eq!(with(&["\n", &path].concat()), NONSTANDARD);
        assert_eq!(with(owner.trim_end()), NONSTANDARD);
        assert_eq!(with("garbage\n"), NONSTANDARD);
        assert_eq!(with(&attribute("uid", "0").repeat(1000)), NONSTANDARD);
    }
    let two = announced("header.tar", EntryType::XHeader, "pax", owner.as_bytes());
    let position = position_of(&two, "pax");
    let twice = [&two[..position], &two[position..position + 1024], &two[position..]].concat();
    assert_eq!(kinds(&twice), NONSTANDARD);
}

#[test]
fn a_header_with_two_answers_is_refused() {
    let mut image = header_files(&["rootfs-image"]);
    let image_info = image.swap_remove(0).1;
    for name in ["header-info", "./header-info", "headers/../header-info", "/header-info", "headers//0000"] {
        for index in 0..=3 {
            let header = tar(&header_files(&["single-file"]));
            // As raw bytes, because the builder refuses some of these names.
            let mut entry = Header::new_ustar();
            entry.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            entry.set_size(image_info.len() as u64);
            entry.set_cksum();
            let mut padded = image_info.clone();
            padded.resize(image_info.len().next_multiple_of(512), 0);
            let position = ["header-info", "headers/0000/type-info", "headers/0000/meta-data"]
                .get(index)
                .map_or(header.len() - 1024, |name| position_of(&header, name));
            let header = [&header[..position], entry.as_bytes(), &padded, &header[position..]].concat();
            assert_eq!(kinds(&tar(&artifact_files(&header, false))), NONSTANDARD, "{name} at {index}");
        }
    }
}

#[test]
fn a_type_counts_wherever_it_is_stated() {
    let with_type_info = |type_info: &str| {
        let mut header = header_files(&["single-file"]);
        header[1].1 = type_info.as_bytes().to_vec();
        kinds(&tar(&artifact_files(&tar(&header), false)))
    };
    assert_eq!(with_type_info(r#"{"type":"single-file"}"#), SINGLE_FILE);
    assert_eq!(with_type_info("{}"), SINGLE_FILE);
    assert_eq!(with_type_info(r#"{"type":"rootfs-image"}"#), [SINGLE_FILE, ROOTFS_IMAGE].concat());
    for doubtful in ["", "[]", r#"{"type":null,"type":"rootfs-image"}"#, r#"{"Type":"rootfs-image"}"#] {
        assert_eq!(with_type_info(doubtful), NONSTANDARD, "{doubtful}");
    }
}

#[test]
fn json_that_can_be_taken_in_two_ways_is_refused() {
    let (single, image) = (r#"[{"type":"single-file"}]"#, r#"[{"type":"rootfs-image"}]"#);
    let doubtful = [
        format!(r#"{{"payloads":{single},"payloads":{image}}}"#),
        format!(r#"{{"payloads":{image},"payloads":{single}}}"#),
        format!(r#"{{"payloads":{single},"Payloads":{image}}}"#),
        format!(r#"{{"payloads":{single},"payload\u017f":{image}}}"#),
        format!(r#"{{"payloads":{single},"p\u0061yloads":{image}}}"#),
        format!(r#"{{"PAYLOADS":{single}}}"#),
        format!(r#"{{"payloads":{single},"updates":{image}}}"#),
        format!(r#"{{"payloads":{single}}}{{"payloads":{image}}}"#),
        format!("{{\"payloads\":{single}}}\0"),
        format!("\u{feff}{{\"payloads\":{single}}}"),
        format!(r#"{{"payloads":{single}"#),
        format!("[{single}]"),
        single.to_owned(),
        String::new(),
        "null".to_owned(),
        "{}".to_owned(),
    ];
    for info in doubtful {
        assert_eq!(kinds(&with_header_info(&info)), NONSTANDARD, "{info}");
    }
    let payloads = [
        "null",
        "{}",
        "[]",
        "[[]]",
        "[null]",
        "[{}]",
        r#"["single-file"]"#,
        r#"[{"type":null}]"#,
        r#"[{"type":["single-file"]}]"#,
        r#"[{"type":"single-file","type":"rootfs-image"}]"#,
        r#"[{"type":"single-file","Type":"rootfs-image"}]"#,
        r#"[{"type":"single-file","type":null}]"#,
        r#"[{"type":"single-file"},7]"#,
        r#"[{"type":"SINGLE-FILE"}]"#,
        r#"[{"type":"single-file\u0000"}]"#,
    ];
    for payloads in payloads {
        let info = format!(r#"{{"payloads":{payloads}}}"#);
        assert_eq!(kinds(&with_header_info(&info)), NONSTANDARD, "{info}");
    }
    assert_eq!(kinds(&with_header_info(r#"{"payloads":[{"type":"rootfs\u002dimage"}]}"#)), ROOTFS_IMAGE);
}
