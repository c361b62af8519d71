//! How the views look: on desktops and telephones, in the light and in the dark, complete and readable.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::browser::Browser;
use crate::server::Server;
use crate::stock::{VIEWS, mac, stock};
use crate::tab::Tab;

const SIZES: [(i64, i64); 2] = [(1280, 800), (360, 640)];
const SCHEMES: [&str; 2] = ["light", "dark"];

/// What is wrong with what is shown now, by our own rules.
async fn our_faults(tab: &Tab) -> Vec<String> {
    tab.value(include_str!("inspect.js")).await
}

/// The same, and by those of axe.
async fn faults(tab: &Tab) -> Vec<String> {
    let ours = our_faults(tab).await;
    ours.into_iter().chain(tab.violations().await).collect()
}

/// What is wrong with what is shown now, in every size and scheme.
async fn inspect(tab: &Tab, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (width, height) in SIZES {
        tab.resize(width, height).await;
        for scheme in SCHEMES {
            tab.prefer(scheme).await;
            tab.becomes(
                &format!("innerWidth == {width} && matchMedia('(prefers-color-scheme: {scheme})').matches"),
                true,
            )
            .await;
            tab.picture(&format!("{name}-{scheme}-{width}")).await;
            // Axe takes long, and no rule of its is about sizes and colours at once.
            let is_new_to_axe = width == SIZES[0].0 || scheme == SCHEMES[0];
            let faults = if is_new_to_axe { faults(tab).await } else { our_faults(tab).await };
            found.extend(faults.into_iter().map(|fault| format!("{name}, {scheme}, {width} px wide: {fault}")));
        }
    }
    tab.resize(SIZES[0].0, SIZES[0].1).await;
    found
}

/// Asserts that nothing is.
async fn look(tab: &Tab, name: &str) {
    assert_eq!(inspect(tab, name).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_view_is_complete_and_readable_everywhere() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.open(&server.url(), "This server is not set up yet").await;
    look(&tab, "unclaimed").await;
    // A name as long as they get, without a place to break it.
    let name = "w".repeat(64);
    tab.page.goto("about:blank").await.unwrap();
    tab.open(&server.claim_url(), "Claim this server").await;
    look(&tab, "claim").await;
    tab.click("Claim this server").await;
    tab.alerts("Type a name.").await;
    look(&tab, "claim-refused").await;
    tab.claim_here(&name, "correct horse").await;
    look(&tab, "account").await;
    tab.fill("current", "wrong horse").await;
    tab.fill("new", "battery staple").await;
    tab.press("Enter").await;
    tab.alerts("The current password is wrong.").await;
    look(&tab, "account-refused").await;
    tab.fill("current", "correct horse").await;
    tab.click("Change password").await;
    tab.shows("The password is changed.").await;
    look(&tab, "account-changed").await;
    tab.click("Log out").await;
    tab.shows("You are logged out.").await;
    look(&tab, "logged-out").await;
    tab.log_in("nobody", "correct horse").await;
    tab.alerts("The name or the password is wrong.").await;
    look(&tab, "log-in-refused").await;
    server.stop().await;
    tab.shows("The server does not answer.").await;
    look(&tab, "gone").await;
    browser.stop().await;
}

#[tokio::test]
async fn views_that_only_say_something_are_readable_everywhere() {
    let Some(browser) = Browser::start().await else { return };
    let tab = browser.somebody().await;
    let server = Server::start_without_authentication().await;
    tab.open(&server.url(), "Overview").await;
    tab.go("account", "Account").await;
    look(&tab, "open-to-all").await;
    let server = Server::start().await;
    server.time.advance(Duration::from_secs(30 * 60));
    tab.open(&server.url(), "This server is not set up yet").await;
    look(&tab, "expired").await;
    browser.stop().await;
}

#[tokio::test]
async fn every_view_of_a_server_in_use_is_complete_and_readable_everywhere() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    let mut faults = Vec::new();
    for place in ["", "devices", "registrations", "packages", "groups", "activity?tab=events"] {
        let heading = VIEWS.iter().find(|(view, _)| *view == place).unwrap().1;
        tab.sees((place, heading)).await;
        faults.extend(inspect(&tab, &format!("empty-{}", name_of(place))).await);
    }
    stock(&mut server, &tab).await;
    tab.becomes("document.getElementById('banner').hidden", true).await;
    for view in VIEWS {
        tab.sees(view).await;
        faults.extend(inspect(&tab, &format!("full-{}", name_of(view.0))).await);
    }
    tab.sees(VIEWS[0]).await;
    let text = tab.text().await;
    assert!(["Disk", "Packages", "Database", "Uploads", "Version"].iter().all(|fact| text.contains(fact)), "{text}");
    assert_eq!(faults, Vec::<String>::new());
    browser.stop().await;
}

/// The name of a place in the page, for a picture.
fn name_of(place: &str) -> String {
    if place.is_empty() { "overview".to_owned() } else { place.replace(['/', '?', '='], "-") }
}

#[tokio::test]
async fn what_asks_before_something_changes_is_complete_and_readable_everywhere() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    stock(&mut server, &tab).await;
    tab.becomes("document.getElementById('banner').hidden", true).await;
    let mut faults = Vec::new();
    // A group with changes that are not saved, and what they would mean.
    tab.sees(("groups/1", "North plant")).await;
    tab.choose("Version to reach", "2.0").await;
    tab.shows("Not saved yet: version.").await;
    tab.becomes("document.querySelectorAll('.compare .changed').length > 0", true).await;
    faults.extend(inspect(&tab, "group-draft").await);
    for button in ["Add packages", "Edit the rollout", "Edit", "Delete…"] {
        tab.click_in("main", button).await;
        tab.becomes("document.querySelectorAll('dialog .loading, dialog .old').length", 0).await;
        faults.extend(inspect(&tab, &format!("group-dialog-{button}")).await);
        let close = if button == "Delete…" { "Close" } else { "Cancel" };
        tab.click_in_dialog(close).await;
    }
    tab.sees(("devices/1", "Pump 1")).await;
    for button in ["Rename…", "Change group…", "Remove…"] {
        tab.click_in("main", button).await;
        faults.extend(inspect(&tab, &format!("device-dialog-{button}")).await);
        tab.click_in_dialog("Cancel").await;
    }
    tab.sees(("devices", "Devices")).await;
    tab.click_on("document.querySelector('thead [type=checkbox]')").await;
    tab.shows("devices chosen").await;
    faults.extend(inspect(&tab, "devices-chosen").await);
    tab.sees(("registrations", "Registrations")).await;
    tab.click_in_row(&mac(1), &format!("Accept {}", mac(1))).await;
    tab.shows("Accept a new key").await;
    faults.extend(inspect(&tab, "registration-dialog").await);
    tab.click_in_dialog("Cancel").await;
    tab.sees(("packages/3", "9.0 for valve")).await;
    tab.click_in("main", "Delete package").await;
    faults.extend(inspect(&tab, "package-dialog").await);
    tab.click_in_dialog("Keep it").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pump.img");
    fs::write(&file, "what pumps run").unwrap();
    tab.sees(("packages", "Packages")).await;
    tab.attach("#choose-files", &file).await;
    tab.shows("What is this package?").await;
    tab.click_in_dialog("Add requirement").await;
    tab.click_in_dialog("More").await;
    faults.extend(inspect(&tab, "upload-dialog").await);
    tab.click_in_dialog("Later").await;
    tab.shows("Complete: describe it to publish it").await;
    faults.extend(inspect(&tab, "uploads").await);
    assert_eq!(faults, Vec::<String>::new());
    browser.stop().await;
}

/// What has been painted stays where it is while the page loads.
#[tokio::test]
async fn nothing_moves_while_the_page_loads() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    let observe = "window.shifts = 0; new PerformanceObserver((list) => list.getEntries().forEach((entry) => { \
                   window.shifts += entry.value })).observe({ type: 'layout-shift', buffered: true })";
    tab.page.evaluate_on_new_document(observe).await.unwrap();
    tab.open(&server.claim_url(), "Claim this server").await;
    assert!(tab.complaints_but_for(&[]).await.is_empty());
    assert_eq!(tab.value::<f64>("window.shifts").await, 0.0);
    browser.stop().await;
}

/// Views have stylesheets of their own, which all hold at once: what a class means in one of them it must not mean otherwise in another.
#[test]
fn a_class_looks_as_one_stylesheet_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../static");
    let of_views = fs::read_dir(folder.join("style")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for stylesheet in of_views.chain([folder.join("style.css")]) {
        let text = fs::read_to_string(&stylesheet).unwrap();
        for class in text.lines().filter_map(|line| line.strip_prefix('.')?.strip_suffix(" {")) {
            let before = found.insert(class.to_owned(), stylesheet.clone());
            assert!(before.is_none_or(|before| before == stylesheet), ".{class} is in two stylesheets");
        }
    }
    assert!(found.len() > 50, "{found:?}");
}

#[tokio::test]
async fn planted_faults_are_found() {
    let Some(browser) = Browser::start().await else { return };
    let server = Server::start().await;
    let tab = browser.somebody().await;
    let plants = [
        ("document.querySelector('label').remove()", "has no label"),
        (
            "document.querySelector('h1').after(document.createElement('h1')); document.querySelectorAll('h1')[1].append('x')",
            "not one heading",
        ),
        ("document.querySelector('.card p').style.color = '#999'", "has a contrast of"),
        ("document.querySelector('.card').style.width = '2000px'", "scrolls sideways"),
        (
            "document.querySelector('.primary').style.minHeight = '0px'; document.querySelector('.primary').style.padding = '0'",
            "hard to hit",
        ),
        ("document.querySelector('input').id = 'field-password'", "is there twice"),
    ];
    for (deed, fault) in plants {
        tab.page.goto("about:blank").await.unwrap();
        tab.open(&server.claim_url(), "Claim this server").await;
        assert_eq!(faults(&tab).await, Vec::<String>::new());
        tab.run(deed).await;
        let found = faults(&tab).await;
        assert!(found.iter().any(|found| found.contains(fault)), "{deed}: {found:?}");
    }
    browser.stop().await;
}
