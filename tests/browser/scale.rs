//! A fleet of ten thousand devices: nobody waits, and the page is never busy for long.

use std::time::Duration;

use crate::browser::Browser;
use crate::server::Server;
use crate::stock::{device, says};
use crate::tab::LOST;

const DEVICES: i64 = 10_000;
/// On a machine that is busy with other tests. Where it is not, 50 ms are what people notice.
const LONGEST_TASK: Duration = Duration::from_millis(250);
/// From the last byte of the reply until the list is on the screen: the same.
const LONGEST_PAINT: Duration = Duration::from_millis(1_000);

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
    for page in 1..=5 {
        tab.click_in(".pages", "Next").await;
        tab.shows_row(&[&format!("Pump {:05}", page * rows + 1)]).await;
        tab.run("document.querySelector('.table-frame').scrollTo(0, 1e6); scrollTo(0, 1e6)").await;
    }
    tab.click_in(".pages", "Back").await;
    tab.shows_row(&[&format!("Pump {:05}", 4 * rows + 1)]).await;
    tab.search("Pump 09999").await;
    tab.shows("1 device found").await;
    tab.shows_row(&["Pump 09999", "1.3"]).await;
    tab.search("").await;
    tab.shows("10,000 devices").await;
    tab.click_in("main thead", "Version").await;
    tab.shows_row(&["Pump 00007", "1.0"]).await;
    let tasks: Vec<f64> = tab.value("window.longTasks").await;
    let delays: Vec<f64> = tab.value(DELAYS).await;
    let longest = |durations: &[f64]| durations.iter().copied().fold(0.0, f64::max);
    println!("{} lists painted, at the latest {:.0} ms after the reply: {delays:.0?}", delays.len(), longest(&delays));
    println!("{} tasks of more than 50 ms, the longest of {:.0} ms", tasks.len(), longest(&tasks));
    assert!(delays.len() >= 8, "{delays:?}");
    assert!(longest(&delays) < LONGEST_PAINT.as_secs_f64() * 1e3, "{delays:?}");
    assert!(longest(&tasks) < LONGEST_TASK.as_secs_f64() * 1e3, "{tasks:?}");
    tab.is_clean_but_for(&server.url(), &[LOST]).await;
    browser.stop().await;
}
