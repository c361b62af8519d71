//! The stream of events: what listeners are told, in which order, what they miss, and when it ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tender::domain::{DeviceId, Event, Role};
use tender::http::serve::{Limits, serve};
use tender::http::{Api, route};
use tender::installation::Installation;
use tender::store::Since;
use tender::usecase::track_progress::Tracker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::harness::description::{Question, description};
use crate::harness::raw::PATIENCE;
use crate::harness::{Operator, TestServer};

const EVENTS: &str = "/api/tender/v1/events";
const MAC: &str = "00:11:22:33:44:55";

/// One message of the stream.
#[derive(Debug, Clone, PartialEq)]
struct Message {
    name: String,
    id: Option<String>,
    data: Value,
}

/// Somebody who listens.
struct Listener {
    response: Response,
    received: String,
    messages: VecDeque<Message>,
    heartbeats: usize,
}

impl Listener {
    async fn open(request: RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let question = Question::of(&request);
        let response = client.execute(request).await.unwrap();
        question.assert_answer(response.status().as_u16(), response.headers(), None);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { response, received: String::new(), messages: VecDeque::new(), heartbeats: 0 }
    }

    /// Somebody new, and whether nothing was missed.
    async fn new(operator: &Operator, query: &str, last: Option<&str>) -> (Self, bool) {
        let mut request = operator.request(Method::GET, &format!("{EVENTS}{query}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut listener = Self::open(request).await;
        let hello = listener.next().await.unwrap();
        assert_eq!(hello.name, "hello");
        let is_resumed = hello.data["resumed"].as_bool().unwrap();
        assert_eq!(hello.data["version"], env!("CARGO_PKG_VERSION"));
        assert!(hello.data["started"].is_string());
        (listener, is_resumed)
    }

    /// Reads what has come; `false`: that was all.
    async fn read(&mut self) -> bool {
        let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("the stream says nothing");
        let Ok(Some(chunk)) = chunk else { return false };
        self.received += str::from_utf8(&chunk).unwrap();
        while let Some((message, rest)) = self.received.split_once("\n\n") {
            match message {
                ":" => self.heartbeats += 1,
                _ => self.messages.push_back(parse(message)),
            }
            self.received = rest.to_owned();
        }
        true
    }

    /// The next message; `None`: the stream has ended.
    async fn next(&mut self) -> Option<Message> {
        while self.messages.is_empty() {
            if !self.read().await {
                return None;
            }
        }
        self.messages.pop_front()
    }

    /// The next event: what is to be named after it, and what it is.
    async fn event(&mut self) -> (String, Value) {
        loop {
            let message = self.next().await.expect("an event");
            if message.name == "event" {
                return (message.id.unwrap(), message.data);
            }
        }
    }

    /// The next news of devices.
    async fn devices(&mut self) -> Value {
        loop {
            let message = self.next().await.expect("news of devices");
            if message.name == "devices" {
                assert_eq!(message.id, None);
                return message.data;
            }
        }
    }

    async fn has_ended(mut self) {
        while self.next().await.is_some() {}
    }
}

fn parse(text: &str) -> Message {
    let mut message = Message { name: String::new(), id: None, data: Value::Null };
    for line in text.lines() {
        match line.split_once(": ").unwrap() {
            ("event", name) => name.clone_into(&mut message.name),
            ("id", id) => message.id = Some(id.to_owned()),
            ("data", data) => message.data = serde_json::from_str(data).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    let schema = match &*message.name {
        "hello" => "StreamHello",
        "devices" => "StreamDevices",
        _ => "Event",
    };
    description().assert_fits(schema, &message.data);
    message
}

/// Something happens: a package is uploaded.
async fn upload(operator: &Operator, version: &str) {
    operator.package(version, &[], version.as_bytes()).await;
}

#[tokio::test]
async fn what_happens_is_told_within_a_second_in_order() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (mut listener, is_resumed) = Listener::new(&admin, "", None).await;
    assert!(!is_resumed);
    let package = admin.package("v1", &[], b"contents").await;
    admin.delete(&format!("/api/v1/packages/{package}")).await.ok();
    let (_, first) = listener.event().await;
    assert_eq!(first["type"], "package.uploaded");
    let (_, second) = listener.event().await;
    assert_eq!(second["type"], "package.deleted");
    assert!(second["id"].as_i64() > first["id"].as_i64());
}

#[tokio::test]
async fn who_comes_again_is_told_what_was_missed_and_nothing_twice() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (mut listener, _) = Listener::new(&admin, "", None).await;
    upload(&admin, "v1").await;
    let (last, _) = listener.event().await;
    drop(listener);
    for version in ["v2", "v3"] {
        upload(&admin, version).await;
    }
    let (mut listener, is_resumed) = Listener::new(&admin, "", Some(&last)).await;
    assert!(is_resumed);
    upload(&admin, "v4").await;
    for version in ["v2", "v3", "v4"] {
        assert_eq!(listener.event().await.1["data"]["version"], version);
    }

    // Without anything in between, and with something that this server has never said.
    let (latest, _) = Listener::new(&admin, "?recent=1", None).await.0.event().await;
    assert!(Listener::new(&admin, "", Some(&latest)).await.1);
    for unknown in ["0", "", "x", &format!("{latest}0"), &format!("0{latest}"), latest.split_once('-').unwrap().1] {
        assert!(!Listener::new(&admin, "", Some(unknown)).await.1, "{unknown}");
    }
}

/// Replay and what is told live meet somewhere: nothing may be missing there, or be told twice.
#[tokio::test]
async fn nothing_is_lost_where_what_was_and_what_is_meet() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let (mut listener, _) = Listener::new(&admin, "", None).await;
    upload(&admin, "first").await;
    let (first, _) = listener.event().await;
    let (url, token) = (server.url().to_owned(), admin.token.clone());
    let happening = tokio::spawn(async move {
        let admin = Operator::new(&url, token);
        for number in 0..30 {
            upload(&admin, &number.to_string()).await;
        }
    });
    let mut last = first.clone();
    let mut heard = Vec::new();
    while heard.len() < 30 {
        // Comes and goes all the time.
        let (mut listener, is_resumed) = Listener::new(&admin, "", Some(&last)).await;
        assert!(is_resumed);
        for _ in 0..1 + heard.len() % 3 {
            if heard.len() < 30 {
                let (id, _) = listener.event().await;
                last.clone_from(&id);
                heard.push(id);
            }
        }
    }
    happening.await.unwrap();
    let (mut whole, _) = Listener::new(&admin, "", Some(&first)).await;
    let mut all = Vec::new();
    while all.len() < 30 {
        all.push(whole.event().await.0);
    }
    assert_eq!(heard, all);
}

#[tokio::test]
async fn after_a_restart_listeners_know_that_they_have_missed_something() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let (mut listener, _) = Listener::new(&admin, "", None).await;
    upload(&admin, "v1").await;
    let (last, _) = listener.event().await;
    server.stop().await;
    listener.has_ended().await;
    // In the same second: what is new has the identifiers of what was.
    server.run().await;
    let admin = Operator::new(server.url(), admin.token);
    let (mut listener, is_resumed) = Listener::new(&admin, "", Some(&last)).await;
    assert!(!is_resumed);
    for version in ["v2", "v3"] {
        upload(&admin, version).await;
        listener.event().await;
    }
    assert!(!Listener::new(&admin, "", Some(&last)).await.1);
}

#[tokio::test]
async fn some_of_the_latest_events_can_be_had() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for version in ["v1", "v2", "v3"] {
        upload(&admin, version).await;
    }
    let (mut listener, is_resumed) = Listener::new(&admin, "?recent=2", None).await;
    assert!(!is_resumed);
    for version in ["v2", "v3"] {
        assert_eq!(listener.next().await.unwrap().data["data"]["version"], version);
    }
    for (query, sentence) in
        [("?recent=201", "from 0 to 200"), ("?recent=-1", "must be a number"), ("?last=1", "no parameter")]
    {
        let error = admin.get(&format!("{EVENTS}{query}")).await.error(400);
        assert!(error.contains(sentence), "{error}");
    }
}

#[tokio::test]
async fn devices_that_are_heard_are_told_and_whether_they_say_something_else() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device(MAC).await;
    let id = admin.device_id(&device).await;
    device.check().await;
    let (mut listener, _) = Listener::new(&admin, "", None).await;
    device.check().await;
    assert_eq!(listener.devices().await, json!({ "heard": [id], "changed": [] }));
    device.report("rdfm.software.version", "v9");
    device.check().await;
    device.check().await;
    let news = listener.devices().await;
    assert_eq!(news["heard"], json!([id]));
    assert_eq!(news["changed"], json!([id]));
}

/// Both ends must notice when the other is gone, and proxies end connections on which nothing is said.
#[tokio::test]
async fn something_is_said_when_nothing_happens() {
    let server = TestServer::start_with(|config| config.heartbeat = Some(Duration::from_millis(20))).await;
    let admin = server.admin().await;
    let (mut listener, _) = Listener::new(&admin, "", None).await;
    while listener.heartbeats < 3 {
        assert!(listener.read().await);
    }
    assert!(listener.messages.is_empty());
}

#[tokio::test]
async fn it_ends_with_the_session_or_the_token() {
    let server = TestServer::start_with(|config| config.heartbeat = Some(Duration::from_millis(20))).await;
    let mut browser = server.logged_in("anna", Role::Viewer).await;
    let listener = Listener::open(browser.request(Method::GET, EVENTS)).await;
    browser.send(browser.request(Method::DELETE, "/api/tender/v1/session")).await.ok();
    listener.has_ended().await;

    let lifetime = Duration::from_secs(3600);
    let token = server.issue_token("somebody", [tender::domain::Scope::ReadOnly].into_iter().collect(), Some(lifetime));
    let operator = Operator::new(server.url(), token.await);
    let (listener, _) = Listener::new(&operator, "", None).await;
    server.time.advance(lifetime);
    listener.has_ended().await;
}

/// A page that is merely open does not keep anybody logged in.
#[tokio::test]
async fn listening_is_no_use_of_a_session() {
    let server = TestServer::start_with(|config| config.heartbeat = Some(Duration::from_millis(20))).await;
    let browser = server.logged_in("anna", Role::Viewer).await;
    let mut listener = Listener::open(browser.request(Method::GET, EVENTS)).await;
    for _ in 0..13 {
        server.time.advance(Duration::from_secs(60 * 60));
        let before = listener.heartbeats;
        while listener.heartbeats < before + 2 {
            if !listener.read().await {
                return;
            }
        }
    }
    panic!("the session goes on for ever");
}

#[tokio::test]
async fn only_so_many_listen_at_once() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut listeners = Vec::new();
    for _ in 0..64 {
        listeners.push(Listener::new(&admin, "", None).await.0);
    }
    let reply = admin.get(EVENTS).await;
    assert_eq!(reply.header(RETRY_AFTER.as_str()), "10");
    assert!(reply.error(503).contains("too many listen"));
    listeners.clear();
    // The server notices in its own time that they are gone.
    let a_place = async {
        while admin.request(Method::GET, EVENTS).send().await.unwrap().status() != 200 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, a_place).await.expect("no place is free");
}

/// Whoever does not read is let go: nothing piles up for them.
#[tokio::test]
async fn who_does_not_read_is_dropped() {
    let mut server = TestServer::start().await;
    server.stop().await;
    // The same server, but for a hand on its events: no client makes so many in so short a time.
    let Installation { store, keys, packages } = server.beside();
    let tracker = Arc::new(Tracker::restore(&store).await.unwrap());
    let api = Arc::new(Api { authentication_is_off: true, ..Api::new(store.clone(), packages, keys, tracker) });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let limits = Limits::new(10, Duration::from_secs(1));
    tokio::spawn(serve(listener, route(&api), api.traffic.clone(), limits, shutdown.clone(), shutdown.clone()));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(format!("GET {EVENTS} HTTP/1.1\r\nHost: tender.example\r\nConnection: close\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut beginning = [0; 12];
    slow.read_exact(&mut beginning).await.unwrap();
    assert_eq!(&beginning, b"HTTP/1.1 200");

    // More than there are buffers on the way, and places in the queue.
    let devices: Vec<_> = (0..200).map(|number| DeviceId(1_000_000 + number)).collect();
    let (mut last, mut told_bytes) = (0, 0);
    while told_bytes < 32 * 1024 * 1024 {
        for event in Event::devices_removed(&devices) {
            told_bytes += serde_json::to_string(&devices).unwrap().len();
            store.events().publish(store.clock().now(), event);
            last = store.events().listen(Since::Latest(0)).position;
        }
        tokio::task::yield_now().await;
    }
    // What was on its way comes, and then the end instead of the rest.
    let mut received = Vec::new();
    timeout(PATIENCE, slow.read_to_end(&mut received)).await.expect("the stream goes on").unwrap();
    let received = String::from_utf8_lossy(&received);
    assert!(received.contains("event: event") && !received.contains(&last.to_string()));
    shutdown.cancel();
    store.close().await;
}

/// The end of the server waits for nobody who only listens.
#[tokio::test]
async fn the_server_ends_at_once_though_somebody_listens() {
    let mut server = TestServer::start().await;
    let admin = server.admin().await;
    let (listener, _) = Listener::new(&admin, "", None).await;
    timeout(Duration::from_secs(10), server.stop()).await.expect("listeners hold nothing up");
    listener.has_ended().await;
}
