//! The whole way: from a server that nobody has claimed to a device that runs what its group wants, by the page alone.

use std::fs;

use crate::browser::Browser;
use crate::fleet::simulate;
use crate::hands::card;
use crate::server::Server;

const MAC: &str = "02:00:00:00:00:01";

#[tokio::test]
async fn from_an_empty_server_to_a_device_that_is_up_to_date() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    tab.click("Log out").await;
    tab.log_in("anna", "correct horse").await;
    tab.is_inside_as("anna").await;

    // Nothing of what follows loads the page again.
    tab.run("window.isTheSamePage = true").await;
    tab.go("registrations", "Registrations").await;
    tab.shows("No device waits to be let in.").await;
    simulate(&server, &["--devtype", "pump", "--version", "1.0", "--first-mac", MAC]).await;
    tab.shows_row(&[MAC, "New device", "pump, 1.0"]).await;
    tab.click_in_row(MAC, "Accept").await;
    tab.shows("is let in, and in no group yet.").await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pump-2.0.img");
    fs::write(&file, "what pumps run").unwrap();
    tab.go("packages", "Packages").await;
    tab.attach("#choose-files", &file).await;
    tab.shows("What is this package?").await;
    tab.fill("version", "2.0").await;
    tab.fill("type", "pump").await;
    tab.send_dialog().await;
    tab.shows_row(&["2.0", "pump", "Whole"]).await;

    tab.go("groups", "Groups").await;
    tab.click("Create a group").await;
    tab.fill("name", "North plant").await;
    tab.send_dialog().await;
    tab.shows_view("North plant").await;
    tab.click_in("main", "Add devices").await;
    tab.click_in_dialog(&format!("Choose {MAC}")).await;
    tab.click_in_dialog("Add 1 device").await;
    tab.shows_row(&[MAC, "pump", "1.0", "No target"]).await;
    tab.click_in("main", "Add packages").await;
    tab.click_in_dialog("Choose package 1, 2.0").await;
    tab.click_in_dialog("Add 1 package").await;
    tab.choose("Version to reach", "2.0").await;
    // What that would mean, before it is so.
    let preview = "[...document.querySelectorAll('.compare tbody tr')].map((row) => row.innerText.replaceAll('\\t', ' ').trim()).join('; ')";
    tab.becomes(&format!("{preview}.includes('Have a way there 0 1')"), true).await;
    tab.shows_row(&["1 device", "any version", "2.0"]).await;
    tab.shows_row(&[MAC, "1.0", "No target"]).await;
    tab.click_in(".draft-bar", "Save").await;
    tab.shows("The changes are saved.").await;

    tab.shows_row(&[MAC, "2.0", "Up to date"]).await;
    tab.click_in_row(MAC, MAC).await;
    tab.shows_view(MAC).await;
    tab.shows_in(&card("What it is offered, and why"), "names version 2.0, and the device runs it.").await;
    tab.shows_row(&["1.0 → 2.0", "Package 1", "Succeeded"]).await;
    assert!(tab.value::<bool>("window.isTheSamePage").await);
    tab.is_clean(&server.url()).await;
    browser.stop().await;
}
