//! The first administrator: from the address that the server printed to the account.

use std::time::Duration;

use crate::browser::Browser;
use crate::server::Server;

const TOO_LATE: &str = "This claim address is not good any more";

#[tokio::test]
async fn whoever_has_the_address_becomes_the_administrator_with_the_keyboard_alone() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.claim_url(), "Claim this server").await;
    tab.has_focus("name").await;
    tab.write("anna").await;
    tab.press("Tab").await;
    tab.has_focus("password").await;
    tab.write("correct horse").await;
    tab.press("Enter").await;
    tab.shows_account_of("anna").await;
    tab.shows("Administrator: may see and change everything.").await;
    tab.becomes("document.title", "Account – tender".to_owned()).await;
    tab.page.reload().await.unwrap();
    tab.shows_account_of("anna").await;
    tab.is_clean(&server.url()).await;
    browser.stop().await;
}

#[tokio::test]
async fn the_code_stays_in_the_page() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.claim_url(), "Claim this server").await;
    let code = server.claim_code();
    assert_eq!(tab.value::<String>("location.href").await, format!("{}/", server.url()));
    assert_eq!(tab.value::<usize>("history.length").await, 2, "the empty page and ours: none with the code");
    tab.claim_here("anna", "correct horse").await;
    assert!(!tab.urls().iter().any(|url| url.contains(&code)));
    assert!(tab.urls().len() > 5 && !tab.heads().is_empty() && !tab.heads().contains(&code));
    assert!(!tab.heads().to_lowercase().contains("\"referer\""), "{}", tab.heads());
    assert!(!tab.value::<String>("document.documentElement.outerHTML").await.contains(&code));
    browser.stop().await;
}

#[tokio::test]
async fn without_the_code_the_page_says_where_it_is() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.url(), "This server is not set up yet").await;
    tab.shows("When the server started, it printed an address").await;
    tab.shows("restart the server: it prints a new one").await;
    // Into the window that is open already: the browser loads nothing then.
    tab.run(&format!("location.href = '/#claim={}'", server.claim_code())).await;
    tab.shows_view("Claim this server").await;
    tab.has_focus("name").await;
    assert_eq!(tab.value::<String>("location.hash").await, "");
    tab.is_clean(&server.url()).await;
    browser.stop().await;
}

#[tokio::test]
async fn the_second_person_is_too_late() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let (first, second, third) = (browser.somebody().await, browser.somebody().await, browser.somebody().await);
    second.open(&server.claim_url(), "Claim this server").await;
    first.claim(&server.claim_url(), "anna", "correct horse").await;

    // Whoever was on the same page at the same time learns it when sending the form …
    second.fill("name", "bert").await;
    second.fill("password", "battery staple").await;
    second.click("Claim this server").await;
    second.shows_view("Log in").await;
    second.shows("This server has its administrator: log in.").await;
    second.has_focus("name").await;
    second.is_clean_but_for(&server.url(), &["410"]).await;

    // … and whoever comes later at once.
    third.open(&server.claim_url(), "Log in").await;
    third.shows(TOO_LATE).await;
    third.is_clean(&server.url()).await;
    // Whoever is logged in learns it too, and stays.
    first.run(&format!("location.href = '/#claim={}'", server.claim_code())).await;
    first.shows(TOO_LATE).await;
    first.shows_account_of("anna").await;
    browser.stop().await;
}

#[tokio::test]
async fn an_old_code_is_refused_with_a_sentence() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let old = server.claim_url();
    server.stop().await;
    server.run().await;
    let tab = browser.somebody().await;
    tab.open(&old, "Claim this server").await;
    tab.fill("name", "anna").await;
    tab.fill("password", "correct horse").await;
    tab.click("Claim this server").await;
    tab.alerts("That is not the claim code which the server printed at its start.").await;
    tab.is_clean_but_for(&server.url(), &["403"]).await;
    browser.stop().await;
}

#[tokio::test]
async fn an_address_that_is_too_old_says_what_to_do() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    server.time.advance(Duration::from_secs(30 * 60));
    let tab = browser.somebody().await;
    for url in [server.claim_url(), server.url()] {
        tab.page.goto("about:blank").await.unwrap();
        tab.open(&url, "This server is not set up yet").await;
        tab.shows("Restart the server: it prints a new one.").await;
    }
    tab.is_clean(&server.url()).await;
    browser.stop().await;
}

#[tokio::test]
async fn without_authentication_the_page_warns() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start_without_authentication().await;
    let tab = browser.somebody().await;
    tab.open(&server.url(), "Overview").await;
    tab.shows("Authentication is off: everybody who reaches this server may do everything.").await;
    tab.go("account", "Account").await;
    tab.shows("start the server without --no-api-auth").await;
    tab.is_clean(&server.url()).await;
    browser.stop().await;
}

#[tokio::test]
async fn what_a_password_must_be_is_said_before_it_is_refused() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.claim_url(), "Claim this server").await;
    tab.shows("At least 10 characters.").await;
    tab.click("Claim this server").await;
    tab.alerts("Type a name.").await;
    tab.has_focus("name").await;
    tab.write("anna").await;
    // Nine characters, in more bytes.
    tab.fill("password", "äöüäöüäöü").await;
    tab.press("Enter").await;
    tab.alerts("The password is too short: use at least 10 characters.").await;
    tab.has_focus("password").await;
    assert_eq!(tab.value::<String>("document.activeElement.ariaInvalid").await, "true");
    tab.is_clean(&server.url()).await;
    // What only the server knows, it says.
    tab.fill("password", "1234567890").await;
    tab.press("Enter").await;
    tab.alerts("The password is one of those that are tried first: choose another.").await;
    tab.becomes("document.activeElement?.role", "alert".to_owned()).await;
    tab.is_clean_but_for(&server.url(), &["400"]).await;
    browser.stop().await;
}
