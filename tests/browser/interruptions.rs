//! The server goes away in the middle of something, and comes back.

use std::fs;

#[allow(
    deprecated,
    reason = "what is to be used in its place is younger than the browsers that these tests run in"
)]
use chromiumoxide::cdp::browser_protocol::network::EmulateNetworkConditionsParams;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::browser::Browser;
use crate::server::Server;
use crate::tab::{LOST, Tab};

const GONE: &str = "The server does not answer. Trying again…";
const LENGTH: usize = 30 << 20;

/// How fast the browser may send, `-1.0`: as fast as it can.
#[allow(deprecated, reason = "as above")]
async fn limit_uploads(tab: &Tab, bytes_per_second: f64) {
    let conditions = EmulateNetworkConditionsParams::new(false, 0.0, -1.0, bytes_per_second);
    tab.page.execute(conditions).await.unwrap();
}

#[tokio::test]
async fn what_changed_while_the_server_was_away_is_seen_without_loading_the_page_again() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let (tab, other) = (browser.somebody().await, browser.somebody().await);
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    other.open(&server.url(), "Log in").await;
    other.log_in("anna", "correct horse").await;
    other.is_inside_as("anna").await;
    other.call("POST", "/api/v1/groups", json!({ "name": "North plant" })).await;
    tab.go("groups", "Groups").await;
    tab.shows_row(&["North plant", "None wanted"]).await;
    tab.run("window.isTheSamePage = true").await;
    server.stop().await;
    tab.shows(GONE).await;
    // What was known is still shown.
    tab.shows_row(&["North plant", "None wanted"]).await;
    server.run().await;
    other.call("POST", "/api/v1/groups/1/policy", json!({ "policy": "exact_match,2.0" })).await;
    tab.shows_row(&["North plant", "2.0"]).await;
    tab.becomes("document.getElementById('banner').hidden", true).await;
    // And what happens from then on.
    other.call("POST", "/api/v1/groups", json!({ "name": "South plant" })).await;
    tab.shows_row(&["South plant"]).await;
    assert!(tab.value::<bool>("window.isTheSamePage").await);
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}

#[tokio::test]
async fn an_upload_goes_on_by_itself_when_the_server_is_back() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pump-2.0.img");
    // No two parts of it are alike.
    let contents: Vec<u8> =
        (0..LENGTH / 8).flat_map(|number| (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()).collect();
    fs::write(&file, &contents).unwrap();
    tab.go("packages", "Packages").await;
    tab.run(
        "{ window.begun = 0; const { fetch } = window; window.fetch = (path, options) => { \
         window.begun += path.endsWith('/uploads') && options?.method === 'POST'; return fetch(path, options) } }",
    )
    .await;
    limit_uploads(&tab, 4.0 * 1024.0 * 1024.0).await;
    tab.attach("#choose-files", &file).await;
    tab.shows("What is this package?").await;
    tab.fill("version", "2.0").await;
    tab.fill("type", "pump").await;
    tab.send_dialog().await;
    let sent = "(document.querySelector('.upload progress')?.value ?? 0)";
    tab.becomes(&format!("{sent} > {}", LENGTH / 5), true).await;
    server.stop().await;
    tab.shows("Interrupted: trying again").await;
    let before: usize = tab.value(sent).await;
    assert!(before < LENGTH, "it was in the middle: {before}");
    limit_uploads(&tab, -1.0).await;
    server.run().await;
    tab.shows("Published").await;
    tab.click("Open package").await;
    tab.shows_view("2.0 for pump").await;
    tab.shows(&format!("{:x}", Sha256::digest(&contents))).await;
    // It did not begin anew.
    assert_eq!(tab.value::<usize>("window.begun").await, 1);
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}
