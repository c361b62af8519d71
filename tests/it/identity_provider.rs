//! The external identity provider is asked as RFC 7662 says, believed for 30 s, and let nobody in when it fails.

mod machine;
mod serving;

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tender::auth::Secret;
use tender::clock::{Clock, ManualTime};
use tender::config::{HttpUrl, IdentityProviderConfig};
use tender::identity_provider::{Holder, IdentityProvider, PATIENCE};
use tokio::net::TcpListener;
use tracing::subscriber::DefaultGuard;

use crate::harness::provider::{Conduct, Provider, json_response, response};
use crate::harness::{START, eventually};

const TOKEN: &str = "a.very-secret.token";
const CLIENT_SECRET: &str = "s&cret: ä+/=";
/// What HTTP Basic makes of it, alone and with the client's name.
const ENCODED_SECRET: &str = "s%26cret%3A+%C3%A4%2B%2F%3D";

/// Somebody who asks a provider about tokens.
struct Asker {
    provider: IdentityProvider,
    clock: Clock,
    time: ManualTime,
}

impl Asker {
    fn new(url: &str) -> Self {
        Self::with_patience(url, PATIENCE)
    }

    fn with_patience(url: &str, patience: Duration) -> Self {
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH + START);
        let provider = IdentityProvider::with_patience(&config(url), clock.clone(), patience).unwrap();
        Self { provider, clock, time }
    }

    async fn ask(&self, token: &str) -> Option<Holder> {
        self.provider.introspect(token, self.clock.now()).await
    }

    fn advance(&self, seconds: u64) {
        self.time.advance(Duration::from_secs(seconds));
    }
}

/// The configuration for a provider at `url`.
pub fn config(url: &str) -> IdentityProviderConfig {
    IdentityProviderConfig {
        url: HttpUrl::parse(url).unwrap(),
        client_id: "tender: plant/1".to_owned(),
        client_secret: Secret::parse(CLIENT_SECRET).unwrap(),
    }
}

fn good() -> Value {
    json!({"active": true, "scope": "openid rdfm_admin_ro", "username": "ada"})
}

/// `exp` so many seconds after the tests' time.
fn good_until(seconds: i64) -> Value {
    let mut answer = good();
    answer["exp"] = json!(START.as_secs() as i64 + seconds);
    answer
}

/// What is logged on this thread, of every level, while it lives.
struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn listen() -> Self {
        let text: Arc<Mutex<Vec<u8>>> = Arc::default();
        let writer = Arc::clone(&text);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(move || LogWriter(Arc::clone(&writer)))
            .finish();
        Self { text, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The warnings so far. Whatever was said, it was not the token or the secret.
    fn warnings(&self) -> Vec<String> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        for hidden in [TOKEN, CLIENT_SECRET, ENCODED_SECRET, "Basic"] {
            assert!(!text.contains(hidden), "{text}");
        }
        text.lines().filter(|line| line.contains(" WARN ")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn the_question_is_that_of_rfc_7662() {
    let provider = Provider::answering(&good()).await;
    let holder = Asker::new(&provider.url()).ask("a.b-c_d+/=&x").await.unwrap();
    assert_eq!((holder.name.as_str(), holder.scopes.to_string().as_str()), ("ada", "rdfm_admin_ro"));

    let questions = provider.questions();
    let [question] = questions.as_slice() else { panic!("one question: {questions:?}") };
    assert_eq!(question.head.lines().next(), Some("POST /realms/plant/introspect HTTP/1.1"));
    assert_eq!(question.body, "token=a.b-c_d%2B%2F%3D%26x&token_type_hint=access_token");
    assert_eq!(question.header("content-type"), ["application/x-www-form-urlencoded"]);
    assert_eq!(question.header("accept"), ["application/json"]);
    assert_eq!(question.header("host"), [provider.host()]);
    // printf '%s' 'tender%3A+plant%2F1:s%26cret%3A+%C3%A4%2B%2F%3D' | base64
    let basic = "Basic dGVuZGVyJTNBK3BsYW50JTJGMTpzJTI2Y3JldCUzQSslQzMlQTQlMkIlMkYlM0Q=";
    assert_eq!(question.header("authorization"), [basic]);
}

#[tokio::test]
async fn scopes_come_from_scope_and_from_the_roles_of_the_realm() {
    let provider = Provider::answering(&json!(null)).await;
    let asker = Asker::new(&provider.url());
    for (number, (roles, expected)) in [
        (json!("rdfm_admin_rw"), "rdfm_admin_ro rdfm_admin_rw"),
        (json!(["offline_access", "rdfm_upload_single_file"]), "rdfm_admin_ro rdfm_upload_single_file"),
        (json!({"rdfm_admin_rw": 1}), "rdfm_admin_ro"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut answer = good();
        answer["realm_access"] = json!({"roles": roles});
        provider.will(json_response(&answer));
        assert_eq!(asker.ask(&number.to_string()).await.unwrap().scopes.to_string(), expected);
    }
}

#[tokio::test]
async fn tokens_that_are_not_good_are_no_failures() {
    let log = Log::listen();
    let provider = Provider::answering(&json!({"active": false, "scope": "rdfm_admin_rw", "username": "ada"})).await;
    let asker = Asker::new(&provider.url());
    assert_eq!(asker.ask("inactive").await, None);
    provider.will(json_response(&json!({"active": true, "realm_access": {"roles": ["rdfm_admin_rw"]}})));
    assert_eq!(asker.ask("without scope").await, None);
    assert_eq!((provider.count(), log.warnings()), (2, vec![]));
    // The provider said so: it is not asked again.
    provider.will(json_response(&good()));
    assert_eq!((asker.ask("inactive").await, asker.ask("without scope").await, provider.count()), (None, None, 2));
}

#[tokio::test]
async fn what_cannot_be_a_token_is_not_asked_about() {
    let provider = Provider::answering(&good()).await;
    let asker = Asker::new(&provider.url());
    assert_eq!((asker.ask("").await, asker.ask(&"x".repeat(16 * 1024 + 1)).await), (None, None));
    assert_eq!(provider.count(), 0);
    assert!(asker.ask(&"x".repeat(16 * 1024)).await.is_some());
}

#[tokio::test]
async fn a_provider_that_fails_lets_nobody_in_and_the_log_says_what_to_check() {
    let provider = Provider::answering(&good()).await;
    let elsewhere = format!("Location: http://{}/elsewhere\r\n", provider.host());
    let long = format!("{{\"active\": true, \"scope\": \"rdfm_admin_rw\", \"x\": \"{}\"}}", "x".repeat(64 * 1024));
    let chunked =
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n", long.len());
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"active\": true, \"scope\": \"rdfm_admin_rw\"}";
    let body = good().to_string();
    let failures = [
        (response("500 Internal Server Error", "", body.as_bytes()), "HTTP 500"),
        (response("201 Created", "", body.as_bytes()), "HTTP 201"),
        (response("404 Not Found", "", b""), "oauth_url"),
        (response("401 Unauthorized", "", b""), "oauth_client_id and the client secret"),
        (response("302 Found", &elsewhere, b""), "HTTP 302"),
        (response("307 Temporary Redirect", &elsewhere, b""), "HTTP 307"),
        (response("200 OK", "", b"<html>Welcome</html>"), "is not JSON"),
        (response("200 OK", "", b"{\"active\": \"true\", \"scope\": \"\"}"), "active"),
        (response("200 OK", "", b""), "is not JSON"),
        (response("200 OK", "", long.as_bytes()), "longer than 64 KiB"),
        (Conduct::Respond(chunked.into_bytes()), "longer than 64 KiB"),
        (Conduct::Respond(cut.to_vec()), "check"),
        (Conduct::Respond(b"SSH-2.0-OpenSSH\r\n".to_vec()), "check"),
        (Conduct::Respond(Vec::new()), "check"),
        (Conduct::Hang, "no answer within 1s"),
        (Conduct::Drip, "no answer within 1s"),
    ];
    for (conduct, expected) in failures {
        let log = Log::listen();
        let patience = if expected.starts_with("no answer") { Duration::from_secs(1) } else { PATIENCE };
        let asker = Asker::with_patience(&provider.url(), patience);
        let before = provider.count();
        provider.will(conduct);
        assert_eq!(asker.ask(TOKEN).await, None, "{expected}");
        assert_eq!(provider.count(), before + 1, "{expected}");
        let warnings = log.warnings();
        let [line] = warnings.as_slice() else { panic!("one line: {warnings:?}") };
        assert!(line.contains(expected) && line.contains(&provider.url()), "{line}");
        // A failure is not remembered, but one that kept somebody waiting is for two seconds: others need not wait for it, too.
        provider.will(json_response(&good()));
        if expected.starts_with("no answer") {
            assert_eq!(asker.ask(TOKEN).await, None, "{expected}");
            assert_eq!(provider.count(), before + 1, "{expected}");
            asker.advance(2);
        }
        assert!(asker.ask(TOKEN).await.is_some(), "{expected}");
    }
}

#[tokio::test]
async fn a_provider_that_is_down_lets_nobody_in() {
    let log = Log::listen();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let asker = Asker::new(&format!("http://{free}/introspect?key=hidden"));
    assert_eq!(asker.ask(TOKEN).await, None);
    let warnings = log.warnings();
    assert!(warnings[0].contains("refused") && warnings[0].contains("check that it runs"), "{warnings:?}");
    assert!(!warnings[0].contains("hidden"), "{warnings:?}");
}

#[test]
fn questions_may_take_5_s() {
    assert_eq!(PATIENCE, Duration::from_secs(5));
}

#[tokio::test]
async fn the_log_hears_of_failures_once_a_minute() {
    let log = Log::listen();
    let provider = Provider::answering(&json!("no answer")).await;
    let asker = Asker::new(&provider.url());
    for seconds in [0, 0, 30, 29] {
        asker.advance(seconds);
        assert_eq!(asker.ask(TOKEN).await, None);
    }
    assert_eq!(log.warnings().len(), 1);
    asker.advance(1);
    asker.ask(TOKEN).await;
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 2);
    assert!(warnings[0].contains("held_back=0") && warnings[1].contains("held_back=3"), "{warnings:?}");
    assert_eq!(provider.count(), 5);
}

#[tokio::test]
async fn an_answer_is_believed_for_30_s() {
    for answer in [good(), good_until(3600), json!({"active": false})] {
        let provider = Provider::answering(&answer).await;
        let asker = Asker::new(&provider.url());
        let first = asker.ask(TOKEN).await;
        provider.will(Conduct::Respond(Vec::new()));
        asker.advance(29);
        assert_eq!(asker.ask(TOKEN).await, first);
        assert_eq!(provider.count(), 1, "{answer}");
        // Another day on the wall changes nothing about that.
        if answer.get("exp").is_none() {
            asker.time.set_wall(SystemTime::UNIX_EPOCH + START + Duration::from_secs(24 * 3600));
            assert_eq!((asker.ask(TOKEN).await, provider.count()), (first, 1));
        }
        asker.advance(1);
        assert_eq!((asker.ask(TOKEN).await, provider.count()), (None, 2), "{answer}");
    }
}

#[tokio::test]
async fn no_answer_is_believed_past_the_end_of_the_token() {
    let provider = Provider::answering(&good_until(10)).await;
    let asker = Asker::new(&provider.url());
    for (seconds, questions) in [(0, 1), (9, 1), (1, 2)] {
        asker.advance(seconds);
        assert!(asker.ask(TOKEN).await.is_some());
        assert_eq!(provider.count(), questions, "after {seconds} s more");
    }
    // The token has ended by our clock: the provider is believed, and asked each time.
    assert!(asker.ask(TOKEN).await.is_some());
    assert_eq!(provider.count(), 3);
}

#[tokio::test]
async fn many_who_show_the_same_token_wait_for_one_answer() {
    let provider = Provider::answering(&good()).await;
    provider.open(false);
    let asker = Asker::new(&provider.url());
    let all = join_all((0..100).map(|_| asker.ask(TOKEN)));
    let opened = async {
        eventually("the question is asked", || provider.waiting() == 1).await;
        provider.open(true);
    };
    let (holders, ()) = tokio::join!(all, opened);
    assert!(holders.iter().all(|holder| holder.as_ref().is_some_and(|holder| holder.name == "ada")));
    assert_eq!(provider.count(), 1);

    // A failure is shared as well, by those who wait for it.
    provider.will(response("500 Internal Server Error", "", b""));
    let holders = join_all((0..100).map(|_| asker.ask("another"))).await;
    assert!(holders.iter().all(Option::is_none));
    assert_eq!(provider.count(), 2);
}

#[tokio::test]
async fn a_question_goes_on_as_long_as_anybody_waits() {
    let provider = Provider::answering(&good()).await;
    provider.open(false);
    let asker = Arc::new(Asker::new(&provider.url()));
    let ask = || {
        let asker = Arc::clone(&asker);
        tokio::spawn(async move { asker.ask(TOKEN).await })
    };
    let first = ask();
    eventually("the question is asked", || provider.waiting() == 1).await;
    let second = ask();
    tokio::task::yield_now().await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    provider.open(true);
    assert!(second.await.unwrap().is_some());
    assert_eq!(provider.count(), 1);

    // When nobody does, it ends, and the next one asks anew.
    asker.advance(30);
    provider.open(false);
    let alone = ask();
    eventually("the question is asked", || provider.waiting() == 1).await;
    alone.abort();
    eventually("the question has ended", || provider.waiting() == 0).await;
    provider.open(true);
    assert!(ask().await.unwrap().is_some());
    assert_eq!(provider.count(), 3);
}

#[tokio::test]
async fn the_provider_is_asked_16_questions_at_once() {
    let provider = Provider::answering(&good()).await;
    provider.open(false);
    let asker = Asker::new(&provider.url());
    let tokens: Vec<String> = (0..40).map(|number| format!("token {number}")).collect();
    let all = join_all(tokens.iter().map(|token| asker.ask(token)));
    let opened = async {
        eventually("16 are asked", || provider.waiting() == 16).await;
        // Time for a 17th, if there were one.
        tokio::time::sleep(Duration::from_millis(50)).await;
        provider.open(true);
    };
    let (holders, ()) = tokio::join!(all, opened);
    assert!(holders.iter().all(Option::is_some));
    assert_eq!((provider.count(), provider.most_waiting()), (40, 16));
}

#[tokio::test]
async fn waiting_for_a_turn_is_part_of_the_time() {
    let provider = Provider::answering(&good()).await;
    provider.will(Conduct::Hang);
    let asker = Asker::with_patience(&provider.url(), Duration::from_millis(200));
    let tokens: Vec<String> = (0..320).map(|number| format!("token {number}")).collect();
    let begin = std::time::Instant::now();
    let holders = join_all(tokens.iter().map(|token| asker.ask(token))).await;
    assert!(holders.iter().all(Option::is_none));
    // In turns of 16, each with its own 200 ms, it would take 4 s.
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn at_most_1024_answers_are_remembered() {
    let provider = Provider::answering(&good()).await;
    let asker = Asker::new(&provider.url());
    asker.ask("first").await;
    asker.advance(1);
    for number in 0..1023 {
        asker.ask(&number.to_string()).await;
    }
    asker.ask("first").await;
    assert_eq!(provider.count(), 1024, "all of them are remembered");
    asker.ask("one too many").await;
    asker.ask("0").await;
    assert_eq!(provider.count(), 1025);
    asker.ask("first").await;
    assert_eq!(provider.count(), 1026, "the one that ends first has gone");
}

#[tokio::test]
async fn nothing_that_is_printed_shows_a_secret() {
    let asker = Asker::new("http://127.0.0.1:1/introspect?key=hidden");
    let printed = format!("{:?} {:?}", asker.provider, config("http://127.0.0.1:1/"));
    for hidden in [CLIENT_SECRET, ENCODED_SECRET, "Basic", "hidden"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    assert!(printed.contains("http://127.0.0.1:1/introspect"), "{printed}");
}
