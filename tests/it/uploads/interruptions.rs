//! Broken connections, restarts and sudden death: what was acknowledged is there, and the upload goes on.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use reqwest::Body;
use reqwest::Method;

use super::{PIECE, append, begin, contents, finish, offset, request};
use crate::harness::{Operator, TestServer, eventually, sha256};

#[tokio::test]
async fn the_hash_goes_on_over_restarts() {
    let mut server = TestServer::start().await;
    let token = server.admin().await.token;
    let file = contents(300_007);
    let mut operator = server.holder_of(&token);
    let upload = begin(&operator, file.len()).await;
    let mut sent = 0;
    // Lengths that are no whole blocks.
    for length in [1, 62, 64, 65, 100_000, 199_815] {
        assert_eq!(append(&operator, &upload, sent, &file[sent..sent + length]).await.status, 204);
        sent += length;
        server.restart().await;
        operator = server.holder_of(&token);
        assert_eq!(offset(&operator, &upload).await, sent);
    }
    assert_eq!(sent, file.len());
    assert_eq!(finish(&operator, &upload, &[]).await.ok()["sha256"], sha256(&file));
}

/// Sends the head of a piece and some of it, and hangs up.
async fn break_off(operator: &Operator, upload: &str, from: usize, piece: Vec<u8>) {
    let chunks = [Ok(piece), Err(std::io::Error::other("the Wi-Fi is gone"))];
    let request = request(operator, Method::PATCH, upload).header("Upload-Offset", from);
    let body = Body::wrap_stream(stream::iter(chunks));
    assert!(request.header("Content-Type", PIECE).body(body).send().await.is_err());
}

#[tokio::test]
async fn what_came_before_the_connection_broke_counts() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = contents(1_000_000);
    let upload = begin(&admin, file.len()).await;
    break_off(&admin, &upload, 0, file[..600_000].to_vec()).await;
    let mut sent = 0;
    eventually("what came is noted", || {
        let found = server.database().query_row("SELECT offset_bytes FROM uploads", [], |row| row.get::<_, i64>(0));
        sent = usize::try_from(found.unwrap()).unwrap();
        sent > 0
    })
    .await;
    assert_eq!(offset(&admin, &upload).await, sent);
    assert_eq!(append(&admin, &upload, sent, &file[sent..]).await.status, 204);
    assert_eq!(finish(&admin, &upload, &[]).await.ok()["sha256"], sha256(&file));
}

#[tokio::test]
async fn a_client_that_comes_again_does_not_wait_for_its_dead_connection() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let file = contents(1_000_000);
    let upload = begin(&admin, file.len()).await;
    // A connection that says nothing more, and that nobody knows to be dead.
    let silence = stream::unfold(Some(file[..500_000].to_vec()), |piece| async move {
        match piece {
            Some(piece) => Some((Ok::<_, std::io::Error>(piece), None)),
            None => std::future::pending().await,
        }
    });
    let stale = request(&admin, Method::PATCH, &upload).header("Upload-Offset", 0).header("Content-Type", PIECE);
    let stale = tokio::spawn(stale.body(Body::wrap_stream(silence)).send());
    let uploads = server.data().join("packages/.resumable");
    eventually("some of the first half is written", || {
        let files = std::fs::read_dir(&uploads).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>() > 0
    })
    .await;
    let asked = std::time::Instant::now();
    let sent = offset(&admin, &upload).await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!((1..=500_000).contains(&sent), "{sent}");
    assert_eq!(append(&admin, &upload, sent, &file[sent..]).await.status, 204);
    assert_eq!(finish(&admin, &upload, &[]).await.ok()["sha256"], sha256(&file));
    stale.abort();
}

#[tokio::test]
async fn a_long_piece_counts_while_it_is_on_its_way() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let upload = begin(&admin, 100_000_000).await;
    let trickle = stream::unfold(server.time.clone(), |time| async {
        tokio::task::yield_now().await;
        time.advance(Duration::from_secs(1));
        Some((Ok::<_, std::io::Error>(contents(1000)), time))
    });
    let sending = request(&admin, Method::PATCH, &upload).header("Upload-Offset", 0).header("Content-Type", PIECE);
    let sending = tokio::spawn(sending.body(Body::wrap_stream(trickle.take(90_000))).send());
    eventually("what has come is noted", || {
        let noted = server.database().query_row("SELECT offset_bytes FROM uploads", [], |row| row.get::<_, i64>(0));
        noted.unwrap() > 0
    })
    .await;
    assert!(!sending.is_finished());
    sending.abort();
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_is_given_up() {
    let mut server = TestServer::start().await;
    let token = server.issue_token("ci", [tender::domain::Scope::ReadWrite].into_iter().collect(), None).await;
    let operator = server.holder_of(&token);
    let upload = begin(&operator, 10).await;
    server.time.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(append(&operator, &upload, 0, b"12345").await.status, 204);
    server.time.advance(Duration::from_secs(23 * 60 * 60));
    assert_eq!(offset(&operator, &upload).await, 5, "its time begins again with each piece");
    server.time.advance(Duration::from_secs(60 * 60));
    append(&operator, &upload, 5, b"67890").await.error(404);
    server.restart().await;
    eventually("it is cleared away", || server.rows("uploads") == 0 && server.package_files().is_empty()).await;
}

#[tokio::test]
async fn a_clock_that_is_set_ends_no_upload_that_goes_on() {
    let server = TestServer::start_at(std::time::SystemTime::UNIX_EPOCH, |_| {}).await;
    let token = server.issue_token("ci", [tender::domain::Scope::ReadWrite].into_iter().collect(), None).await;
    let operator = server.holder_of(&token);
    let upload = begin(&operator, 10).await;
    server.time.set_wall(std::time::SystemTime::UNIX_EPOCH + crate::harness::START);
    assert_eq!(append(&operator, &upload, 0, b"12345").await.status, 204);
    server.time.advance(Duration::from_secs(24 * 60 * 60));
    append(&operator, &upload, 5, b"67890").await.error(404);
}

#[tokio::test]
async fn files_without_an_upload_are_swept_at_the_start() {
    let mut server = TestServer::start().await;
    let token = server.admin().await.token;
    let upload = begin(&server.holder_of(&token), 10).await;
    server.stop().await;
    let stray = server.data().join("packages/.resumable/6f7483ac-5cde-467f-acf7-39e4b397e313");
    std::fs::write(&stray, "left over").unwrap();
    server.run().await;
    assert!(!stray.exists());
    assert_eq!(offset(&server.holder_of(&token), &upload).await, 0);
}
