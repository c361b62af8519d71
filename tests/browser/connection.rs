//! The server goes away, and comes back.

use crate::browser::Browser;
use crate::server::Server;
use crate::tab::LOST;

const GONE: &str = "The server does not answer. Trying again…";

#[tokio::test]
async fn a_banner_says_that_the_server_is_gone_until_it_is_back() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    server.stop().await;
    tab.fill("current", "correct horse").await;
    tab.fill("new", "battery staple").await;
    tab.press("Enter").await;
    tab.alerts("The server did not answer: try again when it is back.").await;
    tab.shows(GONE).await;
    server.run().await;
    tab.becomes("document.getElementById('banner').hidden", true).await;
    // What was typed is still there.
    tab.click("Change password").await;
    tab.shows("The password is changed.").await;
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}

#[tokio::test]
async fn a_page_that_nobody_touches_notices_it_too() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.url(), "This server is not set up yet").await;
    server.stop().await;
    tab.shows(GONE).await;
    server.run().await;
    tab.becomes("document.getElementById('banner').hidden", true).await;
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}
