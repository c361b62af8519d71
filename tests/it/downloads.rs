//! Downloads: `/local_storage/…`, whole and in parts.

mod fields;
mod files;
mod places;
mod rates;
mod signed;

use std::time::Duration;

use reqwest::Method;

use crate::harness::{Reply, START, TestServer, contents, sha256};

const LENGTH: u32 = 300_000;

/// A server with one package; where it is, and its bytes.
struct Download {
    server: TestServer,
    path: String,
    uuid: String,
    bytes: Vec<u8>,
}

impl Download {
    async fn start(more: &[(&str, &str)]) -> Self {
        Self::start_on(TestServer::start().await, more).await
    }

    async fn start_on(server: TestServer, more: &[(&str, &str)]) -> Self {
        let admin = server.admin().await;
        let bytes = contents(LENGTH);
        let package = admin.package("v1", more, &bytes).await;
        let shown = admin.show_package(package).await;
        let uuid = shown["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap().to_owned();
        Self { server, path: format!("/local_storage/{uuid}"), uuid, bytes }
    }

    async fn get(&self, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, headers).await
    }

    async fn send(&self, method: Method, headers: &[(&str, &str)]) -> Reply {
        let anonymous = self.server.anonymous();
        let request = anonymous.request(method, &self.path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        anonymous.send(request).await
    }

    fn entity_tag(&self) -> String {
        format!("\"{}\"", sha256(&self.bytes))
    }

    fn assert_whole(&self, reply: &Reply) {
        assert_eq!(reply.status, 200);
        assert_eq!(sha256(&reply.body), sha256(&self.bytes));
        assert_eq!(reply.header("content-length"), LENGTH.to_string());
        assert_eq!(reply.header("content-range"), "");
    }

    fn assert_part(&self, reply: &Reply, first: usize, last: usize) {
        assert_eq!(reply.status, 206);
        assert_eq!(reply.header("content-range"), format!("bytes {first}-{last}/{LENGTH}"));
        assert_eq!(reply.header("content-length"), (last - first + 1).to_string());
        assert_eq!(reply.body, self.bytes[first..=last]);
    }
}

fn http_date(since_epoch: Duration) -> String {
    httpdate::fmt_http_date(std::time::SystemTime::UNIX_EPOCH + since_epoch)
}

#[tokio::test]
async fn a_package_is_downloaded_whole_by_anybody() {
    let download = Download::start(&[]).await;
    let reply = download.get(&[]).await;
    download.assert_whole(&reply);
    assert_eq!(reply.header("content-type"), "application/octet-stream");
    assert_eq!(reply.header("accept-ranges"), "bytes");
    assert_eq!(reply.header("etag"), download.entity_tag());
    assert_eq!(reply.header("last-modified"), http_date(START));
}

#[tokio::test]
async fn head_says_the_same_without_the_bytes() {
    let download = Download::start(&[]).await;
    let (head, get) = (download.send(Method::HEAD, &[]).await, download.get(&[]).await);
    assert_eq!((head.status, head.body.len()), (200, 0));
    for header in ["content-length", "content-type", "accept-ranges", "etag", "last-modified"] {
        assert_eq!(head.header(header), get.header(header), "{header}");
    }
}

#[tokio::test]
async fn a_range_is_answered_with_those_bytes() {
    let download = Download::start(&[]).await;
    let end = LENGTH as usize - 1;
    let ranges = [
        ("bytes=0-0", 0, 0),
        ("bytes=100-299", 100, 299),
        ("bytes=131071-131072", 131_071, 131_072),
        ("bytes=0-", 0, end),
        ("bytes=299990-", 299_990, end),
        ("bytes=299990-999999", 299_990, end),
        ("bytes=-10", end - 9, end),
        ("bytes=-999999", 0, end),
    ];
    for (range, first, last) in ranges {
        let reply = download.get(&[("Range", range)]).await;
        download.assert_part(&reply, first, last);
        assert_eq!(reply.header("etag"), download.entity_tag());
        assert_eq!(reply.header("accept-ranges"), "bytes");
    }
}

#[tokio::test]
async fn a_range_past_the_end_is_a_416_that_tells_the_length() {
    let download = Download::start(&[]).await;
    for range in ["bytes=300000-", "bytes=300000-300001", "bytes=-0", "bytes=99999999999999999999-"] {
        let reply = download.get(&[("Range", range)]).await;
        reply.error(416);
        assert_eq!(reply.header("content-range"), format!("bytes */{LENGTH}"), "{range}");
    }
}

#[tokio::test]
async fn several_ranges_or_none_that_can_be_read_are_answered_with_the_whole() {
    let download = Download::start(&[]).await;
    for range in ["bytes=0-1,5-6", "bytes=0-1, 300000-", "bytes=5-2", "bytes=a-b", "bytes=-", "bytes", "items=0-1", ""]
    {
        download.assert_whole(&download.get(&[("Range", range)]).await);
    }
}

#[tokio::test]
async fn a_client_that_has_the_package_gets_a_304() {
    let download = Download::start(&[]).await;
    let tag = download.entity_tag();
    let has_it = [
        ("If-None-Match", tag.clone()),
        ("If-None-Match", format!("W/{tag}")),
        ("If-None-Match", format!("\"another\", {tag}")),
        ("If-None-Match", "*".to_owned()),
        ("If-Modified-Since", http_date(START)),
        ("If-Modified-Since", http_date(START + Duration::from_secs(60))),
    ];
    for (header, value) in has_it {
        for method in [Method::GET, Method::HEAD] {
            let reply = download.send(method, &[(header, &value)]).await;
            assert_eq!((reply.status, reply.body.len()), (304, 0), "{header}: {value}");
            assert_eq!(reply.header("etag"), tag);
        }
        // The condition comes before the range.
        assert_eq!(download.get(&[(header, &value), ("Range", "bytes=0-1")]).await.status, 304);
    }
}

#[tokio::test]
async fn a_client_that_has_another_version_gets_the_package() {
    let download = Download::start(&[]).await;
    let older = http_date(START - Duration::from_secs(1));
    for condition in [("If-None-Match", "\"another\""), ("If-Modified-Since", &older), ("If-Modified-Since", "garbage")]
    {
        download.assert_whole(&download.get(&[condition]).await);
    }
    // Where there is a tag, it decides.
    let both = [("If-None-Match", "\"another\""), ("If-Modified-Since", &http_date(START))];
    download.assert_whole(&download.get(&both).await);
}

#[tokio::test]
async fn a_range_holds_only_for_the_version_named() {
    let download = Download::start(&[]).await;
    let (tag, range) = (download.entity_tag(), ("Range", "bytes=10-19"));
    for same in [tag.clone(), http_date(START)] {
        download.assert_part(&download.get(&[range, ("If-Range", &same)]).await, 10, 19);
    }
    let older = http_date(START - Duration::from_secs(1));
    // A weak tag says nothing about single bytes.
    for other in ["\"another\"", &older, &format!("W/{tag}")] {
        download.assert_whole(&download.get(&[range, ("If-Range", other)]).await);
    }
    let past_the_end = [("Range", "bytes=300000-"), ("If-Range", "\"another\"")];
    download.assert_whole(&download.get(&past_the_end).await);
}

#[tokio::test]
async fn a_download_is_resumed_where_it_broke_off() {
    let download = Download::start(&[]).await;
    let mut bytes = download.get(&[("Range", "bytes=0-123455")]).await.body;
    let rest = download.get(&[("Range", "bytes=123456-"), ("If-Range", &download.entity_tag())]).await;
    download.assert_part(&rest, 123_456, LENGTH as usize - 1);
    bytes.extend(rest.body);
    assert_eq!(sha256(&bytes), sha256(&download.bytes));
}

#[tokio::test]
async fn head_with_a_range_or_an_unknown_name_has_no_body() {
    let mut download = Download::start(&[]).await;
    let reply = download.send(Method::HEAD, &[("Range", "bytes=0-9")]).await;
    // Ranges are for GET alone.
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-length"), LENGTH.to_string());
    assert_eq!(reply.header("accept-ranges"), "bytes");
    download.path = "/local_storage/6f7483ac-5cde-467f-acf7-39e4b397e313".to_owned();
    let reply = download.send(Method::HEAD, &[]).await;
    assert_eq!((reply.status, reply.body.len()), (404, 0));
}

#[tokio::test]
async fn the_storage_directory_may_stand_in_the_path_if_it_is_the_right_one() {
    let download = Download::start(&[("rdfm.storage.directory", "site a/images")]).await;
    let Download { server, uuid, .. } = &download;
    let anonymous = server.anonymous();
    for path in [uuid.clone(), format!("site%20a/images/{uuid}"), format!("site%20a%2fimages/{uuid}")] {
        download.assert_whole(&anonymous.get(&format!("/local_storage/{path}")).await);
    }
    for directory in ["images", "site%20a", "site%20a/images/more", "site%20a/images/..", ".uploads"] {
        server.raw_get(&format!("/local_storage/{directory}/{uuid}")).await.error(404);
    }
}

#[tokio::test]
async fn names_of_no_package_are_a_404() {
    let download = Download::start(&[]).await;
    let Download { server, uuid, .. } = &download;
    let names = [
        "6f7483ac-5cde-467f-acf7-39e4b397e313".to_owned(),
        "1".to_owned(),
        "file.img".to_owned(),
        String::new(),
        format!("{uuid}/"),
        format!("{uuid}.img"),
        format!("site-a/{uuid}"),
        format!("%FF{uuid}"),
    ];
    for name in names {
        server.raw_get(&format!("/local_storage/{name}")).await.error(404);
    }
    server.raw_get("/local_storage").await.error(404);
}

#[tokio::test]
async fn no_path_leads_out_of_the_package_folder() {
    let download = Download::start(&[]).await;
    let Download { server, uuid, .. } = &download;
    let data = server.data();
    let outside = "6f7483ac-5cde-467f-acf7-39e4b397e313";
    std::fs::write(data.join(outside), "not a package").unwrap();
    std::fs::write(data.join("packages").join(outside), "not a package either").unwrap();
    let attempts = [
        "..".to_owned(),
        "../tender.sqlite".to_owned(),
        "../secret".to_owned(),
        "..%2ftender.sqlite".to_owned(),
        "%2e%2e/tender.sqlite".to_owned(),
        "%2e%2e%2ftender.sqlite".to_owned(),
        "..%5ctender.sqlite".to_owned(),
        "/etc/passwd".to_owned(),
        "%2fetc%2fpasswd".to_owned(),
        "../../../../../../../etc/passwd".to_owned(),
        format!("../{outside}"),
        format!("%2e%2e%2f{outside}"),
        outside.to_owned(),
        format!("x/../{uuid}"),
        format!("../packages/{uuid}"),
        format!("./{uuid}"),
        format!(".uploads/{uuid}"),
        format!("{uuid}%00"),
        format!("%252e%252e%252f{outside}"),
        format!("{}/{outside}", data.display()),
    ];
    for attempt in attempts {
        server.raw_get(&format!("/local_storage/{attempt}")).await.error(404);
    }
}
