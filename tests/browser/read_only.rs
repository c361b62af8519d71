//! Those who may see everything, and change nothing.

use std::collections::BTreeSet;

use tender::domain::Role;

use crate::browser::Browser;
use crate::server::Server;
use crate::stock::{VIEWS, stock};
use crate::tab::Tab;

/// What can be pressed, typed or chosen in the view, but for links.
async fn controls(tab: &Tab) -> BTreeSet<String> {
    let all = "[...document.querySelectorAll('button, input, select, textarea, summary, [contenteditable]')]\
               .filter((node) => node.checkVisibility()).map((node) => node.ariaLabel ?? node.labels?.[0]?.innerText ?? node.textContent.trim())";
    tab.value::<Vec<String>>(all).await.into_iter().collect()
}

/// What of that nobody minds in a view: it sorts, narrows down, turns pages, unfolds, copies, or is about the viewer's own session.
fn harmless(place: &str) -> &'static [&'static str] {
    match place {
        "devices" => {
            &["Name", "Version", "Type", "Last heard", "MAC address", "Search", "State", "Group", "Back", "Next"]
        }
        "devices/1" => &["What each of them means for it"],
        "registrations" => &["Search", "1 more value"],
        "registrations?state=rejected" => &["Search"],
        "packages" => &["Search", "Version", "Device type", "State", "Size", "Uploaded▼"],
        "packages/1" | "packages/3" => &["Copy SHA-256"],
        "groups/1" => &["The same as a list", "What keeps device 4 from each package"],
        "activity?tab=updates" => &["Device", "Group", "Outcome", "Package"],
        "activity?tab=log" => &["From", "Until", "What", "On what", "Who", "Outcome"],
        "account" => &[
            "Log out",
            "Log out everywhere",
            "Current password",
            "New password",
            "Show current password",
            "Show new password",
            "Change password",
        ],
        _ => &[],
    }
}

/// Whether an administrator can change something in a view of the stock. Package 1 is in a group, and so cannot be deleted.
fn changes(place: &str) -> bool {
    let is_elsewhere = ["", "account", "packages/1"].contains(&place) || place.starts_with("activity");
    !is_elsewhere
}

#[tokio::test]
async fn viewers_see_everything_and_can_press_nothing_that_changes_it() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let anna = browser.somebody().await;
    anna.claim(&server.claim_url(), "anna", "correct horse").await;
    stock(&mut server, &anna).await;
    server.add_user("victor", Role::Viewer, "correct horse").await;
    let victor = browser.somebody().await;
    victor.open(&server.url(), "Log in").await;
    victor.log_in("victor", "correct horse").await;
    victor.is_inside_as("victor").await;
    for view in VIEWS {
        victor.sees(view).await;
        victor.shows("Read only").await;
        let allowed: BTreeSet<String> = harmless(view.0).iter().map(|&label| label.to_owned()).collect();
        let found = controls(&victor).await;
        assert_eq!(found, allowed, "{view:?}");
        // Whoever may change things has more where there is something to change.
        anna.sees(view).await;
        let others: Vec<String> = controls(&anna).await.difference(&found).cloned().collect();
        assert_eq!(!others.is_empty(), changes(view.0), "{view:?}: {others:?}");
    }
    victor.is_clean(&server.url()).await;
    browser.stop().await;
}
