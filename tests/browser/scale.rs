//! A fleet of ten thousand devices: nobody waits, and the page is never busy for long.
//!
//! How long that takes depends on what else the machine does, and is printed. What is asserted is the processor time of the page.

use std::time::Duration;

use crate::browser::Browser;
use crate::server::Server;
use crate::stock::{device, says};
use crate::tab::LOST;

const DEVICES: i64 = 10_000;
/// The processor time that the page may take for turning to another page of the list and scrolling to its end, all in all: half
/// of it where nothing else goes on.
const MOST: Duration = Duration::from_millis(250);

/// Notes how long the page was busy at a stretch, and when something new of the list was painted.
const OBSERVE: &str = "window.longTasks = []; \
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: 'longtask', buffered: true }); \
    window.paints = []; \
    document.addEventListener('DOMContentLoaded', () => new MutationObserver((changes) => { \
        if (changes.some(({ target }) => target.closest?.('.view') && document.querySelector('.devices tbody'))) \
            requestAnimationFrame(() => setTimeout(() => window.paints.push(performance.now()))) \
    }).observe(document.body, { childList: true, subtree: true, characterData: true }));";

/// How long after each reply with a list something was painted, in ms.
const DELAYS: &str = "performance.getEntriesByType('resource').filter(({ name }) => /\\/api\\/tender\\/v1\\/devices\\?/.test(name)) \
    .map(({ responseEnd }) => (window.paints.find((at) => at > responseEnd) ?? NaN) - responseEnd).filter((delay) => !Number.isNaN(delay))";

#[tokio::test]
async fn ten_thousand_devices_are_paged_searched_and_sorted_without_long_tasks() {
    let Some(browser) = Browser::start().await else { return };
    let mut server = Server::start().await;
    let tab = browser.somebody().await;
    tab.claim(&server.claim_url(), "anna", "correct horse").await;
    server
        .insert(|tx| {
            for number in 1..=DEVICES {
                let name = format!("Pump {number:05}");
                device(tx, number, &name, &says(&format!("1.{}", number % 7), "pump"), None);
            }
        })
        .await;
    tab.page.evaluate_on_new_document(OBSERVE).await.unwrap();
    tab.page.reload().await.unwrap();
    tab.go("devices", "Devices").await;
    tab.shows("10,000 devices").await;
    tab.shows_row(&["Pump 00001"]).await;
    let rows: usize = tab.value("document.querySelectorAll('.devices tbody tr').length").await;
    assert!((20..=200).contains(&rows), "one page: {rows}");
    let (mut longest_tasks, mut delays, mut processor_times): (Vec<f64>, Vec<f64>, Vec<Duration>) = Default::default();
    for page in 1..=8 {
        tab.run("window.longTasks = []; performance.clearResourceTimings()").await;
        let before = tab.processor_time().await;
        tab.click_in(".pages", "Next").await;
        tab.shows_row(&[&format!("Pump {:05}", page * rows + 1)]).await;
        tab.run("document.querySelector('.table-frame').scrollTo(0, 1e6); scrollTo(0, 1e6)").await;
        tab.becomes(&format!("{DELAYS}.length > 0"), true).await;
        delays.extend(tab.value::<Vec<f64>>(DELAYS).await);
        processor_times.push(tab.processor_time().await - before);
        longest_tasks.push(tab.value("Math.max(0, ...window.longTasks)").await);
    }
    tab.click_in(".pages", "Back").await;
    tab.shows_row(&[&format!("Pump {:05}", 7 * rows + 1)]).await;
    tab.search("Pump 09999").await;
    tab.shows("1 device found").await;
    tab.shows_row(&["Pump 09999", "1.3"]).await;
    tab.search("").await;
    tab.shows("10,000 devices").await;
    tab.click_in("main thead", "Version").await;
    tab.shows_row(&["Pump 00007", "1.0"]).await;
    println!("from the reply to the list on the screen: {delays:.0?} ms");
    println!("the longest task of turning a page and scrolling to its end: {longest_tasks:.0?} ms");
    println!("the page's processor time for that: {processor_times:.0?}");
    // Waiting for a row costs some as well, the more the longer it takes: the least of them tells most of the page.
    assert!(processor_times.iter().min() < Some(&MOST), "{processor_times:?}");
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}
