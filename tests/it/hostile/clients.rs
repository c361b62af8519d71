//! Clients that break off, are slow, or ask for everything at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tender::http::serve::{Limits, serve};
use tender::http::{Api, route};
use tender::installation::Installation;
use tender::usecase::track_progress::Tracker;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{assert_nothing_stored, assert_still_serves};
use crate::harness::raw::{Raw, json_head, list_groups};
use crate::harness::{TestServer, form, metadata};

#[tokio::test]
async fn an_upload_that_breaks_off_anywhere_leaves_nothing() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (boundary, body) = form(&metadata("v1"), Some(&[7; 5_000]));
    let head = format!(
        "POST /api/v1/packages HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={}\r\n\
         Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {}\r\n\r\n",
        admin.token,
        body.len()
    );
    let request = [head.as_bytes(), &body].concat();
    // Everywhere in the head and the parts' headers, and here and there in the file.
    let places = (0..request.len()).step_by(97);
    join_all(places.map(async |place| {
        let mut client = Raw::connect(&server).await;
        client.send(&request[..place]).await;
    }))
    .await;
    assert_nothing_stored(&server).await;
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn a_client_that_is_gone_before_the_answer_harms_nobody() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let body = json!({ "name": "somebody who left" }).to_string();
    let request = json_head("POST /api/v1/groups", &admin.token, body.len()) + &body;
    join_all((0..50).map(async |_| {
        let mut client = Raw::connect(&server).await;
        client.send(&request).await;
    }))
    .await;
    // Each was made as a whole or not at all.
    for group in admin.get("/api/v1/groups").await.ok().as_array().unwrap() {
        assert_eq!(group["metadata"], json!({ "name": "somebody who left" }));
    }
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn downloads_that_break_off_harm_nobody() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let contents = vec![7; 8 * 1024 * 1024];
    let id = admin.package("v1", &[], &contents).await;
    let package = admin.get(&format!("/api/v1/packages/{id}")).await.ok();
    let path = format!("/local_storage/{}", package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    join_all((0..20).map(async |_| {
        let mut client = Raw::connect(&server).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
        assert_eq!(client.head().await, 200);
    }))
    .await;
    assert_eq!(server.anonymous().get(&path).await.body, contents);
    assert_still_serves(&server, &admin).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut requests = String::new();
    for number in 0..50 {
        let body = json!({ "number": number }).to_string();
        requests += &json_head("POST /api/v1/groups", &admin.token, body.len());
        requests += &body;
        // An error in between changes nothing for those that follow.
        requests += "GET /nowhere HTTP/1.1\r\nHost: here\r\n\r\n";
    }
    let mut client = Raw::connect(&server).await;
    client.send(requests).await;
    for number in 0..50 {
        assert_eq!(client.reply().await.unwrap().ok()["metadata"]["number"], number);
        client.reply().await.unwrap().error(404);
    }
}

#[tokio::test]
async fn slow_clients_lose_their_connection_and_others_get_their_place() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    // A second server on the same data, with little patience and little room.
    let Installation { store, keys, packages } = server.beside();
    let tracker = Arc::new(Tracker::restore(&store).await.unwrap());
    let api = Arc::new(Api::new(store, packages, keys, tracker));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let head = Duration::from_millis(200);
    let limits = Limits { head, ..Limits::new(4, Duration::from_secs(1)) };
    let serving = tokio::spawn(serve(
        listener,
        route(&api),
        api.traffic.clone(),
        limits,
        shutdown.clone(),
        CancellationToken::new(),
    ));

    // Some say nothing, some begin and stop, some ask once and then sit there.
    let asked = Instant::now();
    let mut idle = Raw::to(&url).await;
    let mut slow = Raw::to(&url).await;
    slow.send("GET /api/v1/groups HTTP/1.1\r\nHost: h").await;
    let mut trickling = Raw::to(&url).await;
    let mut resting = Raw::to(&url).await;
    resting.send(list_groups(&admin.token)).await;
    assert_eq!(resting.reply().await.unwrap().status, 200);
    let trickle = async {
        for _ in 0..200 {
            if trickling.try_send("x").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("a byte now and then holds a connection for ever");
    };
    let mut patient = Raw::to(&url).await;
    patient.send(list_groups(&admin.token)).await;
    let (patient, (), idle, slow, resting) =
        tokio::join!(patient.reply(), trickle, idle.replies(), slow.replies(), resting.replies());
    assert_eq!(patient.expect("a place became free").status, 200);
    for replies in [idle, slow, resting] {
        assert!(replies.iter().all(|reply| reply.status == 408), "{replies:?}");
    }
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    shutdown.cancel();
    serving.await.unwrap();
}
