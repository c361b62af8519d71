//! Texts of devices and uploaders that are meant to do harm, or are too long for any place.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::server::Server;
use crate::stock::{attempt, device, registration};
use crate::tab::{LOST, Tab};

const MARKUP: &str = "<script>window.harmed=1</script><img src=x onerror=\"window.harmed=1\"><h1>&amp;</h1>";
/// Has what comes after it run from right to left, until it is ended: it ends what keeps it apart, and begins what is never ended.
const OVERRIDE: &str = "\u{2069}\u{202e}gnp.exe\u{2066}";

/// Nearly as long as all metadata of something may be.
const LONG: usize = 60 << 10;

/// Metadata with a hostile version and type, and more of it, and a long value without a place to break it.
fn metadata(beginning: &str) -> Value {
    let long = "w".repeat(LONG);
    json!({
        "rdfm.software.version": format!("{beginning}1.0"),
        "rdfm.hardware.devtype": format!("{beginning}pump"),
        MARKUP: MARKUP,
        OVERRIDE: OVERRIDE,
        "__proto__": "javascript:window.harmed=1",
        "long": long,
    })
}

/// Whether what is shown is text and no more, and stays in its place.
async fn is_harmless(tab: &Tab, view: &str) {
    for (width, height) in [(1280, 800), (360, 640)] {
        tab.resize(width, height).await;
        tab.becomes("innerWidth", width).await;
        let scrolled: i64 = tab.value("document.documentElement.scrollWidth").await;
        assert!(scrolled <= width, "{view} is {scrolled} px wide on {width} px");
        tab.picture(&format!("hostile-{}-{width}", view.replace('/', "-"))).await;
    }
    assert_eq!(tab.value::<usize>("document.querySelectorAll('.view script, .view img, dialog img').length").await, 0);
    assert_eq!(tab.value::<usize>("document.querySelectorAll('h1').length").await, 1, "{view}");
    assert_eq!(tab.value::<usize>("document.querySelectorAll('a[href^=javascript]').length").await, 0, "{view}");
    assert!(tab.value::<bool>("window.harmed === undefined && ({}).harmed === undefined").await, "{view}");
    // A text that is not ours cannot turn those around that are: it is in a <bdi>, without characters that end that earlier or later,
    // or there is nothing of ours beside it.
    let loose = "(() => { const walker = document.createTreeWalker(document.querySelector('.view'), NodeFilter.SHOW_TEXT); const found = []; \
                 while (walker.nextNode()) { const { data, parentElement } = walker.currentNode; \
                 const isAlone = parentElement.closest('svg, option, pre, h1, h2') !== null; \
                 const isKept = parentElement.closest('bdi') !== null && !/[\\u2066-\\u2069]/.test(data); \
                 if (/[\\u202e\\u2066-\\u2069]/.test(data) && !isAlone && !isKept) found.push(parentElement.outerHTML.slice(0, 200)) } return found })()";
    assert_eq!(tab.value::<Vec<String>>(loose).await, Vec::<String>::new(), "{view}");
}

#[tokio::test]
async fn what_devices_and_uploaders_say_is_text_and_stays_in_its_place() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    let package = tab.upload(&metadata(MARKUP), "one").await;
    let other = tab.upload(&metadata(OVERRIDE), "two").await;
    let description = json!({ "name": MARKUP, "description": "w".repeat(LONG), OVERRIDE: MARKUP });
    let group = tab.group(description, &[package, other], Some(&format!("{MARKUP}1.0"))).await;
    tab.group(json!({ "name": format!("{OVERRIDE}{}", "w".repeat(LONG)) }), &[], None).await;
    server
        .insert(|tx| {
            for (number, name) in [(1, MARKUP), (2, OVERRIDE), (3, "w".repeat(LONG).as_str())] {
                let id = device(tx, number, name, &metadata(name), Some(group));
                attempt(tx, id, group, package, [None, Some("failed"), Some("reverted")][number as usize - 1]);
                registration(tx, number, &metadata(name), false);
                registration(tx, number + 10, &metadata(name), true);
            }
        })
        .await;
    let views = [
        "",
        "devices",
        "devices/1",
        "devices/2",
        "devices/3",
        "registrations",
        "registrations?state=rejected",
        "packages",
        "packages/1",
        "packages/2",
        "groups",
        "groups/1",
        "groups/2",
        "activity?tab=updates",
        "activity?tab=events",
        "activity?tab=log",
    ];
    for view in views {
        tab.go("account", "Account").await;
        tab.run(&format!("location.hash = '#/{view}'")).await;
        tab.becomes("!['', 'Account'].includes(document.querySelector('h1')?.textContent ?? '')", true).await;
        tab.becomes("document.querySelectorAll('.loading, .old').length", 0).await;
        is_harmless(&tab, view).await;
    }
    // What unfolds, and what asks.
    tab.go("registrations", "Registrations").await;
    tab.becomes("document.querySelectorAll('.registration').length", 3).await;
    tab.run("document.querySelectorAll('details').forEach((details) => { details.open = true })").await;
    tab.shows(MARKUP).await;
    is_harmless(&tab, "registrations unfolded").await;
    tab.click_on("document.querySelector('.all-registrations input')").await;
    tab.click_in(".chosen-bar", "Accept…").await;
    tab.shows("Accept 3 new keys").await;
    is_harmless(&tab, "registrations accepted").await;
    tab.click_in_dialog("Cancel").await;
    tab.run("location.hash = '#/devices/1'").await;
    tab.click_in("main", "Remove…").await;
    tab.shows("This cannot be undone.").await;
    is_harmless(&tab, "device removed").await;
    tab.click_in_dialog("Cancel").await;
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}
