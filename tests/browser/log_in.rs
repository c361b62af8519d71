//! In and out, and what is said to those who stay outside.

use std::time::Duration;

use crate::browser::{Browser, PLAIN_HOST};
use crate::server::Server;

#[tokio::test]
async fn claim_log_out_log_in_change_the_password() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    tab.click("Log out").await;
    tab.shows("You are logged out.").await;
    tab.log_in("anna", "correct horse").await;
    tab.shows_account_of("anna").await;

    tab.fill("current", "correct horse").await;
    tab.fill("new", "battery staple").await;
    tab.press("Enter").await;
    tab.shows("The password is changed.").await;
    assert_eq!(
        tab.value::<String>("[...document.querySelectorAll('input[name]')].map((i) => i.value).join('')").await,
        ""
    );
    tab.click("Log out").await;
    // What the page was just asking for when the session ended is answered with 401.
    tab.is_clean_but_for(&server.url(), &["401"]).await;

    tab.log_in("anna", "correct horse").await;
    tab.alerts("The name or the password is wrong.").await;
    tab.log_in("anna", "battery staple").await;
    tab.shows_account_of("anna").await;
    tab.is_clean_but_for(&server.url(), &["401"]).await;
    browser.stop().await;
}

#[tokio::test]
async fn a_wrong_password_is_answered_with_a_sentence_and_nothing_moves() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    tab.click("Log out").await;
    tab.shows_view("Log in").await;
    tab.fill("name", "anna").await;
    tab.fill("password", "wrong horse").await;
    let places = "JSON.stringify([...document.querySelectorAll('h1, .card, label, input, button')]\
                  .map((part) => part.getBoundingClientRect()))";
    let before: String = tab.value(places).await;
    tab.press("Enter").await;
    tab.alerts("The name or the password is wrong.").await;
    tab.becomes("document.activeElement?.role", "alert".to_owned()).await;
    assert_eq!(tab.value::<String>(places).await, before);
    tab.fill("password", "correct horse").await;
    tab.press("Enter").await;
    tab.shows_account_of("anna").await;
    browser.stop().await;
}

#[tokio::test]
async fn a_session_that_ends_leads_back_to_log_in() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    server.time.advance(Duration::from_secs(13 * 60 * 60));
    tab.fill("current", "correct horse").await;
    tab.fill("new", "battery staple").await;
    tab.press("Enter").await;
    tab.shows_view("Log in").await;
    tab.shows("Your session has ended: log in again.").await;
    tab.has_focus("name").await;
    // The sentence is read out with the field that has the focus.
    let described = "document.getElementById(document.activeElement.getAttribute('aria-describedby'))?.textContent";
    assert_eq!(tab.value::<String>(described).await, "Your session has ended: log in again.");
    tab.log_in("anna", "correct horse").await;
    tab.shows_account_of("anna").await;
    tab.is_clean_but_for(&server.url(), &["401"]).await;
    browser.stop().await;
}

/// In a plant's network there is no certificate: browsers send less there, and the server must know its own page.
#[tokio::test]
async fn it_works_where_browsers_trust_the_address_less() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    let url = format!("http://{PLAIN_HOST}:{}", server.port());
    tab.claim(&format!("{url}/#claim={}", server.claim_code()), "anna", "correct horse").await;
    assert!(!tab.value::<bool>("isSecureContext").await);
    tab.fill("current", "correct horse").await;
    tab.fill("new", "battery staple").await;
    tab.press("Enter").await;
    tab.shows("The password is changed.").await;
    tab.click("Log out everywhere").await;
    tab.shows("You are logged out in every browser.").await;
    tab.log_in("anna", "battery staple").await;
    tab.shows_account_of("anna").await;
    // Browsers say on such addresses that they leave this header out of account. What the page was just asking for when the
    // sessions ended is answered with 401.
    tab.is_clean_but_for(&url, &["Cross-Origin-Opener-Policy header has been ignored", "401"]).await;
    browser.stop().await;
}
