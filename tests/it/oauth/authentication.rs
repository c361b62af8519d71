//! How clients prove who they are (RFC 6749, section 2.3), and what becomes of those who cannot.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use tender::domain::Action;

use crate::harness::TestServer;
use crate::harness::client::{Client, GRANT, INTROSPECT, REVOKE, TOKEN};
use crate::harness::raw::Raw;

const ENDPOINTS: [&str; 3] = [TOKEN, INTROSPECT, REVOKE];
const FORM: &str = "application/x-www-form-urlencoded";

fn basic(id_and_secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(id_and_secret))
}

async fn grant_with(client: &Client, authorization: &str) -> crate::harness::Reply {
    client.send(client.request(TOKEN).header(AUTHORIZATION, authorization).form(&[GRANT])).await
}

#[tokio::test]
async fn credentials_are_taken_from_the_head_and_from_the_body_at_every_endpoint() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    for path in ENDPOINTS {
        let fields = [GRANT, ("token", "x")];
        client.by_header(path, &fields).await.ok();
        client.by_body(path, &fields).await.ok();
        // Some libraries send the identifier along.
        client.by_header(path, &[GRANT, ("token", "x"), ("client_id", &client.id)]).await.ok();
    }
}

#[tokio::test]
async fn credentials_in_the_head_are_encoded_like_a_form() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let encoded: String = client.id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let Client { id, secret, .. } = &client;
    for good in [basic(&format!("{encoded}:{secret}")), basic(&format!("{id}:{secret}")).replace("Basic", "bAsIc")] {
        grant_with(&client, &good).await.ok();
    }
}

#[tokio::test]
async fn who_does_not_prove_to_be_a_client_is_told_how_to() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let another = server.client("another", "rdfm_admin_rw").await;
    let token = client.token().await;
    let (id, secret) = (client.id.as_str(), client.secret.as_str());
    let credentials = [
        format!("Bearer token={token}"),
        format!("Bearer {token}"),
        format!("Digest {}", STANDARD.encode(format!("{id}:{secret}"))),
        "Basic".to_owned(),
        "Basic !".to_owned(),
        basic(id),
        basic(""),
        STANDARD.encode(format!("{id}:{secret}")),
    ];
    for path in ENDPOINTS {
        for authorization in &credentials {
            let request = client.request(path).header(AUTHORIZATION, authorization).form(&[GRANT, ("token", "x")]);
            client.send(request).await.oauth_error(401, "invalid_client");
        }
        // Not in the body either, or only half of it.
        for fields in
            [&[][..], &[("client_id", id)], &[("client_secret", secret)], &[("client_id", id), ("client_secret", "")]]
        {
            client.send(client.request(path).form(fields)).await.oauth_error(401, "invalid_client");
        }
        // RFC 6749, section 2.3.1: never in the address, which ends up in logs.
        let path = format!("{path}?client_id={id}&client_secret={secret}");
        client.send(client.request(&path).form(&[GRANT])).await.oauth_error(401, "invalid_client");
    }
    grant_with(&client, &basic(&format!("{id}:{}", another.secret))).await.oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_client_are_answered_alike() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let wrong = client.with_secret("wrong");
    let unknown = Client::new(server.url(), "6f7483ac-5cde-467f-acf7-39e4b397e313", &client.secret);
    let by_name = Client::new(server.url(), "ci", &client.secret);
    let mut answers = Vec::new();
    for caller in [&wrong, &unknown, &by_name] {
        for reply in [caller.by_header(TOKEN, &[GRANT]).await, caller.by_body(TOKEN, &[GRANT]).await] {
            answers.push((reply.oauth_error(401, "invalid_client"), reply.headers.len()));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // Whom it was about is noted if it is known, and never a text that was typed.
    let noted = server.audited(Action::GrantToken);
    let actors: Vec<_> = noted.iter().map(|[kind, name, target, outcome, _]| [kind, name, target, outcome]).collect();
    let expected = [["client", "ci", "", "denied"], ["anonymous", "", "", "denied"]];
    assert_eq!(actors, [expected[0], expected[0], expected[1], expected[1], expected[1], expected[1]]);
}

#[tokio::test]
async fn to_authenticate_twice_is_a_mistake() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let Client { id, secret, .. } = &client;
    let refused = |reply: crate::harness::Reply| reply.oauth_error(400, "invalid_request");
    for path in ENDPOINTS {
        refused(client.by_header(path, &[GRANT, ("client_id", id), ("client_secret", secret)]).await);
        refused(client.by_header(path, &[GRANT, ("client_secret", secret)]).await);
        refused(client.by_header(path, &[GRANT, ("client_id", "another")]).await);
        let good = basic(&format!("{id}:{secret}"));
        let twice = client.request(path).header(AUTHORIZATION, &good).header(AUTHORIZATION, &good);
        refused(client.send(twice.form(&[GRANT])).await);
    }
}

#[tokio::test]
async fn a_wrong_secret_in_the_head_is_refused_before_the_body_is_looked_at() {
    let server = TestServer::start().await;
    let wrong = server.client("ci", "rdfm_admin_ro").await.with_secret("wrong");
    let request = wrong.request(TOKEN).header(CONTENT_TYPE, "image/png").body(vec![b'x'; 100_000]);
    let request = request.basic_auth(&wrong.id, Some(&wrong.secret));
    wrong.send(request).await.oauth_error(401, "invalid_client");
    // The body never comes.
    let mut connection = Raw::connect(&server).await;
    let authorization = basic(&format!("{}:wrong", wrong.id));
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: here\r\nAuthorization: {authorization}\r\nContent-Type: {FORM}\r\n\
         Content-Length: 29\r\nExpect: 100-continue\r\n\r\n"
    );
    connection.send(head).await;
    connection.reply().await.expect("an answer").oauth_error(401, "invalid_client");
}

#[tokio::test]
async fn a_body_that_is_no_form_is_an_invalid_request() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let Client { id, secret, .. } = &client;
    let good = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let bodies = [
        ("application/json", good.clone()),
        ("multipart/form-data; boundary=x", good.clone()),
        ("garbage", good.clone()),
        (FORM, format!("{good}&grant_type=client_credentials")),
        (FORM, format!("{good}&client%5Fid={id}")),
        (FORM, format!("{good}&anything=1&anything=2")),
        (FORM, format!("{good}&anything=%")),
        (FORM, format!("{good}&anything=%zz")),
        (FORM, format!("{good}&anything=%ff")),
        (FORM, format!("{good}&anything={}", "x".repeat(64 * 1024))),
    ];
    for path in ENDPOINTS {
        for (content_type, body) in &bodies {
            let request = client.request(path).header(CONTENT_TYPE, *content_type).body(body.clone());
            client.send(request).await.oauth_error(400, "invalid_request");
        }
        client.send(client.request(path).body(good.clone())).await.oauth_error(400, "invalid_request");
    }
    for content_type in [FORM, "application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-Urlencoded"]
    {
        let body = format!("{good}&unknown=is+ignored&scope=");
        client.send(client.request(TOKEN).header(CONTENT_TYPE, content_type).body(body)).await.ok();
    }
}

#[tokio::test]
async fn other_methods_are_answered_like_everywhere() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    for path in ENDPOINTS {
        let reply = anonymous.get(path).await;
        reply.error(405);
        assert_eq!(reply.header("allow"), "POST");
    }
    anonymous.send(anonymous.request(Method::POST, "/.well-known/oauth-authorization-server")).await.error(405);
    anonymous.get("/oauth/authorize").await.error(404);
}

#[tokio::test]
async fn who_guesses_waits_and_who_knows_does_not() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let wrong = client.with_secret("wrong");
    let mut waits = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        wrong.by_body(TOKEN, &[GRANT]).await.oauth_error(401, "invalid_client");
        waits.push(start.elapsed());
    }
    assert!(waits[4] >= Duration::from_millis(500) && waits[4] > waits[0], "{waits:?}");
    let start = Instant::now();
    client.token().await;
    assert!(start.elapsed() < waits[4], "a right secret is taken at once");
}

#[tokio::test]
async fn a_flood_of_guesses_does_not_pile_up() {
    let server = TestServer::start().await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    let wrong = client.with_secret("wrong");
    // So many that most would have to wait for seconds; those beyond the first 64 are answered at once.
    let mut answers: FuturesUnordered<_> = (0..120).map(|_| wrong.by_body(TOKEN, &[GRANT])).collect();
    let quick = async {
        for _ in 0..50 {
            answers.next().await.unwrap().oauth_error(401, "invalid_client");
        }
        client.token().await
    };
    tokio::time::timeout(Duration::from_secs(5), quick).await.expect("answers without a wait");
}

#[tokio::test]
async fn where_the_api_asks_nobody_clients_are_still_asked() {
    let server = TestServer::start_with(|config| config.authentication_is_off = true).await;
    let client = server.client("ci", "rdfm_admin_ro").await;
    client.with_secret("wrong").by_header(TOKEN, &[GRANT]).await.oauth_error(401, "invalid_client");
    let token = client.token().await;
    assert_eq!(client.introspect(&token).await["active"], true);
    client.revoke(&token).await.ok();
    assert_eq!(client.introspect(&token).await["active"], false);
}
