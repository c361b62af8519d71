//! Signed addresses: good for who was given one, for a day.

use std::time::{Duration, SystemTime};

use reqwest::Method;
use tender::domain::{DownloadUrls, Role, Scope};

use super::Download;
use crate::harness::{Device, START, TestServer};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A server that signs addresses, and a device with an update waiting.
async fn start() -> (Download, Device) {
    let server = TestServer::start_with(|config| config.download_urls = DownloadUrls::Signed).await;
    let device = server.accepted_device("00:11:22:33:44:55").await;
    let mut download = Download::start_on(server, &[]).await;
    let admin = download.server.admin().await;
    admin.group(&[admin.device_id(&device).await], &[1], "exact_match,v1").await;
    download.path = offered(&download.server, &device).await;
    (download, device)
}

/// Path and query of what the device is offered.
async fn offered(server: &TestServer, device: &Device) -> String {
    let offer = device.check().await.ok();
    offer["uri"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned()
}

#[tokio::test]
async fn an_offered_address_is_signed_and_good_whole_and_in_parts() {
    let (download, device) = start().await;
    let (path, query) = download.path.split_once('?').unwrap();
    assert_eq!(path, format!("/local_storage/{}", download.uuid));
    let (expires, signature) = query.split_once('&').unwrap();
    assert_eq!(expires, format!("expires={}", (START + DAY).as_secs()));
    assert_eq!(signature.strip_prefix("signature=").unwrap().len(), 43);

    let reply = download.get(&[]).await;
    download.assert_whole(&reply);
    assert!(reply.header("cache-control").starts_with("private"), "{reply:?}");
    download.assert_part(&download.get(&[("Range", "bytes=10-19")]).await, 10, 19);
    assert_eq!(download.send(Method::HEAD, &[]).await.status, 200);
    assert_eq!(device.download(&device.check().await.ok()).await, download.bytes);
}

#[tokio::test]
async fn any_other_address_is_a_403() {
    let (mut download, _device) = start().await;
    let good = download.path.clone();
    let (path, query) = good.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();
    let later = format!("expires={}", (START + 2 * DAY).as_secs());
    let mut sentences = Vec::new();
    for bad in [
        path.to_owned(),
        format!("{path}?{expires}"),
        format!("{path}?{signature}"),
        format!("{path}?{later}&{signature}"),
        format!("{path}?{expires}&signature="),
        format!("{path}?{}", query.to_ascii_lowercase()),
        format!("{path}?{expires}&{}", &signature[..signature.len() - 1]),
        format!("/local_storage/site-a/{}?{query}", download.uuid),
        // Who may not download is not told what there is.
        format!("/local_storage/6f7483ac-5cde-467f-acf7-39e4b397e313?{query}"),
        "/local_storage/6f7483ac-5cde-467f-acf7-39e4b397e313".to_owned(),
    ] {
        download.path = bad;
        let reply = download.get(&[("Range", "bytes=0-9")]).await;
        sentences.push(reply.error(403));
        assert_eq!((reply.header("etag"), reply.header("cache-control")), ("", ""), "{}", download.path);
        let head = download.send(Method::HEAD, &[]).await;
        assert_eq!((head.status, head.body.len()), (403, 0));
    }
    assert!(
        sentences
            .iter()
            .all(|sentence| sentence.contains("update check gave") || sentence.contains("update check gives")),
        "{sentences:?}"
    );
    download.path = good;
    download.assert_whole(&download.get(&[]).await);
}

#[tokio::test]
async fn an_address_ends_after_a_day_and_the_next_check_gives_another() {
    let (mut download, mut device) = start().await;
    download.server.time.advance(DAY - Duration::from_secs(1));
    assert_eq!(download.get(&[]).await.status, 200);
    download.server.time.advance(Duration::from_secs(1));
    assert!(download.get(&[]).await.error(403).contains("expired"));
    device.authorize().await.ok();
    download.path = offered(&download.server, &device).await;
    download.assert_whole(&download.get(&[]).await);
}

#[tokio::test]
async fn an_address_survives_a_clock_that_is_set_and_a_restart() {
    let (mut download, device) = start().await;
    let before = download.path.clone();
    let month = SystemTime::UNIX_EPOCH + START + 30 * DAY;
    download.server.time.set_wall(month);
    download.assert_whole(&download.get(&[]).await);
    let after = offered(&download.server, &device).await;
    download.server.restart().await;
    download.path = after;
    download.assert_whole(&download.get(&[]).await);
    // By no clock that is left has it been less than a day.
    download.path = before;
    assert!(download.get(&[]).await.error(403).contains("expired"));
}

#[tokio::test]
async fn addresses_are_not_asked_for_where_authentication_is_off() {
    let server = TestServer::start_with(|config| {
        config.download_urls = DownloadUrls::Signed;
        config.authentication_is_off = true;
    })
    .await;
    let download = Download::start_on(server, &[]).await;
    download.assert_whole(&download.get(&[]).await);
}

#[tokio::test]
async fn who_may_look_at_all_packages_needs_no_signature() {
    let (download, device) = start().await;
    let path = format!("/local_storage/{}", download.uuid);
    let mut viewer = download.server.logged_in("vera", Role::Viewer).await;
    download.assert_whole(&viewer.get(&path).await);
    let script = download.server.operator(Scope::ReadOnly).await;
    download.assert_whole(&script.get(&path).await);
    // A device has no business with other packages than those that it is offered, nor who only uploads.
    device.send(device.request(Method::GET, &path)).await.error(403);
    download.server.operator(Scope::UploadSingleFile).await.get(&path).await.error(403);
    let forged = format!("{path}?expires=4000000000&signature={}", "A".repeat(43));
    viewer.get(&forged).await.error(403);
}

#[tokio::test]
async fn public_addresses_take_no_notice_of_a_query() {
    let mut download = Download::start(&[]).await;
    download.path = format!("{}?expires=1&signature=AAAA", download.path);
    let reply = download.get(&[]).await;
    download.assert_whole(&reply);
    assert!(reply.header("cache-control").starts_with("public"), "{reply:?}");
}
