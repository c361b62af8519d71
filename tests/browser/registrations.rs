//! Who is let in: new devices, many at once, and those who claim to be a device that is there.

use serde_json::json;

use crate::browser::Browser;
use crate::hands::card;
use crate::server::Server;
use crate::stock::{device, mac, registration, says};
use crate::tab::LOST;

#[tokio::test]
async fn a_new_key_is_accepted_after_a_look_at_both() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    server
        .insert(|tx| {
            device(tx, 1, "Pump 1", &says("1.0", "pump"), None);
            registration(tx, 1, &says("1.0", "pump"), false);
        })
        .await;
    tab.go("devices/1", "Pump 1").await;
    tab.shows("Somebody asks to be this device with another key").await;
    tab.click_in("main", "Compare the keys").await;
    tab.shows_view("Registrations").await;
    let (had, asks) = ("0000 0000 0000 0001…", "0000 0000 0000 8001…");
    tab.shows_row(&[&mac(1), "Change of key", "Claims to be Pump 1", asks, had]).await;
    tab.click_in_row(&mac(1), &format!("Accept {}", mac(1))).await;
    let dialog = "document.querySelector('dialog[open]')";
    for text in ["Accept a new key", "If nobody did that, somebody else claims to be it.", had, asks, "Pump 1"] {
        tab.shows_in(dialog, text).await;
    }
    // Whoever changes their mind changes nothing.
    tab.click_in_dialog("Cancel").await;
    tab.becomes(&format!("{dialog} === null"), true).await;
    tab.shows_row(&[&mac(1), "Change of key"]).await;
    tab.click_in_row(&mac(1), &format!("Accept {}", mac(1))).await;
    tab.send_dialog().await;
    tab.shows("1 registration accepted.").await;
    tab.go("devices/1", "Pump 1").await;
    tab.shows_in(&card("Identity"), asks).await;
    assert!(!tab.text().await.contains("Somebody asks to be this device"));
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}

#[tokio::test]
async fn many_are_accepted_at_once_and_put_into_a_group() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    tab.call("POST", "/api/v1/groups", json!({ "name": "North plant" })).await;
    server.insert(|tx| (1..=120).for_each(|number| registration(tx, number, &says("1.0", "pump"), false))).await;
    tab.go("registrations", "Registrations").await;
    tab.shows("of 120").await;
    tab.click_on("document.querySelector('.all-registrations input')").await;
    tab.shows("registrations chosen").await;
    let chosen: usize = tab.value("parseInt(document.querySelector('.chosen-count').innerText)").await;
    assert!((20..120).contains(&chosen), "one page of them: {chosen}");
    tab.click_in(".chosen-bar", "Accept…").await;
    tab.shows_in("document.querySelector('dialog[open]')", &format!("{chosen} new devices are let in:")).await;
    tab.send_dialog().await;
    tab.shows(&format!("{chosen} devices are let in, and in no group yet.")).await;
    tab.becomes("document.querySelector('.badge')?.innerText", (120 - chosen).to_string()).await;
    tab.click_in(".notice", "Put into a group…").await;
    tab.send_dialog().await;
    tab.go("groups", "Groups").await;
    tab.shows_row(&["North plant", &chosen.to_string()]).await;
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}

#[tokio::test]
async fn who_was_rejected_can_be_accepted_after_all() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    server.insert(|tx| (1..=2).for_each(|number| registration(tx, number, &says("1.0", "pump"), false))).await;
    tab.go("registrations", "Registrations").await;
    tab.becomes("document.querySelector('.badge')?.innerText", "2".to_owned()).await;
    tab.click_in_row(&mac(2), &format!("Reject {}", mac(2))).await;
    tab.shows("1 registration rejected.").await;
    tab.becomes("document.querySelectorAll('.registration').length", 1).await;
    tab.becomes("document.querySelector('.badge')?.innerText", "1".to_owned()).await;
    // The focus is not lost with the button.
    tab.becomes("document.activeElement?.tagName", "H1".to_owned()).await;
    tab.click_in("main", "Rejected").await;
    tab.shows_row(&[&mac(2), "New device"]).await;
    tab.click_in_row(&mac(2), &format!("Accept {}", mac(2))).await;
    tab.shows("No registration was rejected.").await;
    tab.shows("is let in, and in no group yet.").await;
    tab.go("devices", "Devices").await;
    tab.shows_row(&[&mac(2), "Silent"]).await;
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}
