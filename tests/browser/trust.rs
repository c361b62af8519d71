//! What the page must not do, whatever the server says, and that these tests would notice.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::fetch::{
    EnableParams, EventRequestPaused, FulfillRequestParams, HeaderEntry, RequestPattern,
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::server::Server;
use crate::tab::Tab;

const MARKUP: &str = "<img src=x onerror=\"window.harmed=1\"><script>window.harmed=1</script><h1>&amp;";

/// Answers the requests to paths that match with this, in the server's place.
async fn answer(tab: &Tab, pattern: &str, status: i64, body: Value) {
    let pattern = RequestPattern::builder().url_pattern(pattern).build();
    tab.page.execute(EnableParams::builder().pattern(pattern).build()).await.unwrap();
    let mut paused = tab.page.event_listener::<EventRequestPaused>().await.unwrap();
    let page = tab.page.clone();
    tokio::spawn(async move {
        while let Some(request) = paused.next().await {
            let reply = FulfillRequestParams::builder()
                .request_id(request.request_id.clone())
                .response_code(status)
                .response_header(HeaderEntry::new("content-type", "application/json"))
                .body(STANDARD.encode(body.to_string()));
            page.execute(reply.build().unwrap()).await.unwrap();
        }
    });
}

#[tokio::test]
async fn a_hostile_name_and_role_are_text() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    let session = json!({ "setup": "done", "authentication": true, "user": { "name": MARKUP, "role": MARKUP } });
    answer(&tab, "*/api/tender/v1/session", 200, session).await;
    tab.open(&format!("{}/#/account", server.url()), "Account").await;
    tab.shows(&format!("Logged in as {MARKUP}")).await;
    tab.shows(&format!("Role: {MARKUP}")).await;
    assert_eq!(tab.value::<usize>("document.querySelectorAll('h1').length").await, 1);
    assert_eq!(tab.value::<usize>("document.querySelectorAll('.view img, .view script').length").await, 0);
    assert!(tab.value::<bool>("window.harmed === undefined").await);
    // Only the page believes in this session: the server lets nobody in.
    tab.is_clean_but_for(&server.url(), &["401"]).await;
    browser.stop().await;
}

#[tokio::test]
async fn a_hostile_sentence_is_text() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.claim_url(), "Claim this server").await;
    answer(&tab, "*/api/tender/v1/claim", 400, json!({ "error": MARKUP })).await;
    tab.fill("name", "anna").await;
    tab.fill("password", "correct horse").await;
    tab.press("Enter").await;
    tab.alerts(&format!("{MARKUP}.")).await;
    assert_eq!(tab.value::<usize>("document.querySelectorAll('[role=alert] *').length").await, 0);
    assert!(tab.value::<bool>("window.harmed === undefined").await);
    tab.is_clean_but_for(&server.url(), &["400"]).await;
    browser.stop().await;
}

/// Every test asserts that the browser has nothing to complain about: it would be worth nothing if it never had.
#[tokio::test]
async fn planted_violations_are_found() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let plants = [
        ("element.src = 'http://elsewhere.test/x.png'", "img", "img-src"),
        ("element.textContent = 'window.harmed = 1'", "script", "script-src"),
        ("element.textContent = 'body { color: red }'", "style", "style-src"),
        ("element.setAttribute('style', 'color: red')", "p", "style-src"),
        ("element.src = '/'", "iframe", "default-src"),
        ("fetch('http://elsewhere.test/').catch(() => {})", "p", "connect-src"),
        ("console.error('planted')", "p", "planted"),
        ("setTimeout(() => { throw new Error('planted') })", "p", "planted"),
    ];
    for (deed, tag, complaint) in plants {
        let tab = browser.somebody().await;
        tab.open(&server.url(), "This server is not set up yet").await;
        tab.is_clean(&server.url()).await;
        let plant =
            format!("{{ const element = document.createElement('{tag}'); {deed}; document.body.append(element) }}");
        tab.run(&plant).await;
        let complaints = tab.complaints_but_for(&[]).await;
        assert!(complaints.iter().any(|text| text.contains(complaint)), "{deed}: {complaints:?}");
        assert!(tab.value::<bool>("window.harmed === undefined").await, "{deed}");
    }
    browser.stop().await;
}
