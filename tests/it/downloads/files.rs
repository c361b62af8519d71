//! Packages that go while they are downloaded, and files that are not as long as they should be.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use reqwest::Method;
use rustix::fs::{Advice, fadvise};

use super::Download;
use crate::harness::raw::Raw;
use crate::harness::{TestServer, contents};

/// More than sockets and buffers hold.
const LARGE: u32 = 32 * 1024 * 1024;

async fn large() -> (TestServer, i64, String, Vec<u8>) {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let bytes = contents(LARGE);
    let package = admin.package("v1", &[], &bytes).await;
    let shown = admin.show_package(package).await;
    let path = format!("/local_storage/{}", shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    (server, package, path, bytes)
}

/// Where the only package's file is.
fn stored_file(server: &TestServer) -> PathBuf {
    let files = server.package_files();
    let file = files.iter().find(|file| !file.starts_with(".uploads") && !file.ends_with(".tender")).unwrap();
    server.data().join("packages").join(file)
}

#[tokio::test]
async fn what_is_not_in_memory_comes_from_the_disk() {
    let (server, _, path, bytes) = large().await;
    let file = File::open(stored_file(&server)).unwrap();
    // The kernel may not do it; then this tests what others test.
    let forget = || fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    let anonymous = server.anonymous();
    for (range, first, last) in [("bytes=0-", 0, bytes.len() - 1), ("bytes=20000000-20002047", 20_000_000, 20_002_047)]
    {
        forget();
        let reply = anonymous.send(anonymous.request(Method::GET, &path).header("Range", range)).await;
        assert_eq!(reply.status, 206);
        assert!(reply.body == bytes[first..=last], "{range}");
    }
    forget();
    assert!(anonymous.get(&path).await.body == bytes);
}

#[tokio::test]
async fn replies_on_one_connection_come_in_order_and_each_with_its_own_bytes() {
    let (server, _, path, bytes) = large().await;
    let admin = server.admin().await;
    let other_bytes: Vec<u8> = bytes.iter().rev().map(|byte| !byte).collect();
    let other = admin.package("v2", &[], &other_bytes).await;
    let other = admin.show_package(other).await;
    let other_path = format!("/local_storage/{}", other["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    // Lengths on both sides of everything that is done at once, and none of them.
    let wishes = [
        (&path, &bytes, 0, 0),
        (&other_path, &other_bytes, 7, 5_000_000),
        (&path, &bytes, 1_048_575, 2_097_152),
        (&path, &bytes, 3, 32_770),
        (&other_path, &other_bytes, 0, 32_768),
        (&other_path, &other_bytes, 20_000_000, 20_262_144),
        (&path, &bytes, 0, LARGE as usize - 1),
    ];
    let request = |(path, _, first, last): &(&String, &Vec<u8>, usize, usize)| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: here\r\nRange: bytes={first}-{last}\r\n\r\n\
             GET /nothing HTTP/1.1\r\nHost: here\r\n\r\nHEAD {path} HTTP/1.1\r\nHost: here\r\n\r\n"
        )
    };
    let mut client = Raw::connect(&server).await;
    // All at once: the next request is there before the reply to the one before has gone.
    client.send(wishes.iter().map(request).collect::<String>()).await;
    for (_, bytes, first, last) in wishes {
        let part = client.reply().await.unwrap();
        assert_eq!(part.status, 206);
        assert!(part.body == bytes[first..=last], "bytes {first} to {last} are not those of the package");
        assert_eq!(client.reply().await.unwrap().status, 404);
        assert_eq!(client.reply_to_head().await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_deleted_package_is_gone_at_once_and_for_each_range() {
    let download = Download::start(&[]).await;
    let range = ("Range", "bytes=10-19");
    for _ in 0..3 {
        download.assert_part(&download.get(&[range]).await, 10, 19);
    }
    download.server.admin().await.delete("/api/v1/packages/1").await.ok();
    download.get(&[range]).await.error(404);
    assert!(download.server.package_files().is_empty());
}

#[tokio::test]
async fn a_download_goes_on_to_its_end_while_its_package_is_deleted() {
    let (server, package, path, bytes) = large().await;
    let mut client = Raw::connect(&server).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
    assert_eq!(client.head().await, 200);
    server.admin().await.delete(&format!("/api/v1/packages/{package}")).await.ok();
    let reply = client.reply().await.unwrap();
    assert!(reply.body == bytes, "the download is not what the package was");
}

#[tokio::test]
async fn the_space_of_a_deleted_package_is_free_at_once() {
    let (server, package, path, _) = large().await;
    let range = format!("GET {path} HTTP/1.1\r\nHost: here\r\nRange: bytes=30000000-30002047");
    assert_eq!(server.raw(&range).await.body.len(), 2048);
    server.admin().await.delete(&format!("/api/v1/packages/{package}")).await.ok();
    let root = server.data().join("packages");
    let open_files = std::fs::read_dir("/proc/self/fd").unwrap();
    let kept = open_files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    let kept: Vec<_> = kept.filter(|path| path.starts_with(&root) && !path.ends_with(".tender")).collect();
    assert!(kept.is_empty(), "{kept:?} is deleted and open");
}

#[tokio::test]
async fn a_file_that_was_cut_off_breaks_the_download_off() {
    let (server, _, path, bytes) = large().await;
    // It is open, and was whole when it was opened: otherwise it would not be delivered at all.
    assert_eq!(server.raw(&format!("GET {path} HTTP/1.1\r\nHost: here\r\nRange: bytes=0-9")).await.body, bytes[..10]);
    let file = OpenOptions::new().write(true).open(stored_file(&server)).unwrap();
    file.set_len(1_000_000).unwrap();
    for range in ["bytes=999990-1000000", "bytes=0-", "bytes=20000000-20002047"] {
        let mut client = Raw::connect(&server).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\nRange: {range}\r\n\r\n")).await;
        assert!(client.reply().await.is_none_or(|reply| reply.status >= 500), "{range}: an answer of the right length");
    }
    // What is there is still served.
    let reply = server.raw(&format!("GET {path} HTTP/1.1\r\nHost: here\r\nRange: bytes=999990-999999")).await;
    assert_eq!(reply.body, bytes[999_990..1_000_000]);
}
