//! The account: its password, and the sessions in other browsers.

use crate::browser::Browser;
use crate::server::Server;

#[tokio::test]
async fn a_wrong_current_password_is_no_end_of_the_session() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    tab.fill("current", "wrong horse").await;
    tab.fill("new", "battery staple").await;
    tab.press("Enter").await;
    tab.alerts("The current password is wrong.").await;
    tab.shows_account_of("anna").await;
    tab.fill("current", "correct horse").await;
    tab.press("Enter").await;
    tab.shows("The password is changed.").await;
    tab.alerts("").await;
    tab.is_clean_but_for(&server.url(), &["401"]).await;
    browser.stop().await;
}

#[tokio::test]
async fn other_browsers_are_logged_out_with_the_password_and_by_the_button() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let (here, there) = (browser.somebody().await, browser.somebody().await);
    here.claim(&server.claim_url(), "anna", "correct horse").await;
    there.open(&server.url(), "Log in").await;
    there.log_in("anna", "correct horse").await;
    there.shows_account_of("anna").await;
    here.fill("current", "correct horse").await;
    here.fill("new", "battery staple").await;
    here.press("Enter").await;
    here.shows("Your sessions in other browsers have ended.").await;
    there.click("Log out").await;
    there.shows("Your session has ended: log in again.").await;

    there.log_in("anna", "battery staple").await;
    there.shows_account_of("anna").await;
    here.click("Log out everywhere").await;
    here.shows("You are logged out in every browser.").await;
    there.page.reload().await.unwrap();
    there.shows_view("Log in").await;
    here.is_clean(&server.url()).await;
    there.is_clean_but_for(&server.url(), &["401"]).await;
    browser.stop().await;
}

#[tokio::test]
async fn passwords_can_be_looked_at_and_managers_know_which_is_which() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    let fields = "[...document.querySelectorAll('input')].map((input) => `${input.autocomplete} ${input.type}`)";
    tab.open(&server.claim_url(), "Claim this server").await;
    assert_eq!(tab.value::<Vec<String>>(fields).await, ["username text", "new-password password"]);
    tab.fill("name", "anna").await;
    tab.fill("password", "correct horse").await;
    tab.click("Show").await;
    assert_eq!(tab.value::<Vec<String>>(fields).await, ["username text", "new-password text"]);
    // It is a password field again when it is sent.
    let password = "document.querySelector('[name=password]')";
    let listen = format!(
        "{password}.form.addEventListener('submit', ({{ target }}) => {{ window.sentAs = target.password.type }})"
    );
    tab.run(&listen).await;
    tab.click("Claim this server").await;
    tab.shows_account_of("anna").await;
    assert_eq!(tab.value::<String>("window.sentAs").await, "password");
    let expected = ["username text", "current-password password", "new-password password"];
    assert_eq!(tab.value::<Vec<String>>(fields).await, expected);
    assert_eq!(tab.value::<String>("document.querySelector('[autocomplete=username]').value").await, "anna");
    tab.click("Log out").await;
    tab.shows_view("Log in").await;
    assert_eq!(tab.value::<Vec<String>>(fields).await, ["username text", "current-password password"]);
    tab.is_clean(&server.url()).await;
    browser.stop().await;
}
