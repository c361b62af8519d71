//! A tab of the browser: what a person does there and sees, and what the browser complains about.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chromiumoxide::Page;
use chromiumoxide::cdp::browser_protocol::emulation::{MediaFeature, SetDeviceMetricsOverrideParams};
use chromiumoxide::cdp::browser_protocol::input::InsertTextParams;
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel};
use chromiumoxide::cdp::browser_protocol::network::{EventRequestWillBeSent, EventRequestWillBeSentExtraInfo};
use chromiumoxide::cdp::js_protocol::runtime::{
    ConsoleApiCalledType, EvaluateParams, EventConsoleApiCalled, EventExceptionThrown,
};
use chromiumoxide::page::ScreenshotParams;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How long something may take to appear: much, as machines that test are busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the browser complains about while the server is away, however the connection ended or could not be made.
pub const LOST: &str = "net::ERR_";

/// What the browser noted.
#[derive(Debug, Default)]
struct Evidence {
    /// Errors and warnings: the console's, uncaught exceptions, violations of the Content-Security-Policy.
    complaints: Vec<String>,
    /// What was asked for, wherever.
    urls: Vec<String>,
    /// The headers of requests, as text.
    heads: Vec<String>,
}

pub struct Tab {
    pub page: Page,
    evidence: Arc<Mutex<Evidence>>,
}

impl Tab {
    pub async fn new(page: Page) -> Self {
        let tab = Self { page, evidence: Arc::default() };
        tab.page.enable_log().await.unwrap();
        tab.page.enable_runtime().await.unwrap();
        tab.note(|evidence, event: &EventEntryAdded| {
            if matches!(event.entry.level, LogEntryLevel::Error | LogEntryLevel::Warning) {
                evidence.complaints.push(format!("{:?}: {}", event.entry.source, event.entry.text));
            }
        })
        .await;
        tab.note(|evidence, event: &EventConsoleApiCalled| {
            if matches!(event.r#type, ConsoleApiCalledType::Error | ConsoleApiCalledType::Warning) {
                evidence.complaints.push(format!("console: {:?}", event.args));
            }
        })
        .await;
        tab.note(|evidence, event: &EventExceptionThrown| {
            evidence.complaints.push(format!("exception: {:?}", event.exception_details));
        })
        .await;
        tab.note(|evidence, event: &EventRequestWillBeSent| {
            evidence.urls.push(event.request.url.clone());
        })
        .await;
        tab.note(|evidence, event: &EventRequestWillBeSentExtraInfo| {
            evidence.heads.push(event.headers.inner().to_string());
        })
        .await;
        tab.resize(1280, 800).await;
        tab
    }

    async fn note<T: chromiumoxide::cdp::IntoEventKind + Unpin>(
        &self,
        note: impl Fn(&mut Evidence, &T) + Send + 'static,
    ) {
        let mut events = self.page.event_listener::<T>().await.unwrap();
        let evidence = self.evidence.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                note(&mut evidence.lock().unwrap(), &event);
            }
        });
    }

    pub async fn resize(&self, width: i64, height: i64) {
        let metrics = SetDeviceMetricsOverrideParams::new(width, height, 1.0, width < 600);
        self.page.execute(metrics).await.unwrap();
    }

    /// `light` or `dark`.
    pub async fn prefer(&self, scheme: &str) {
        self.page.emulate_media_features(vec![MediaFeature::new("prefers-color-scheme", scheme)]).await.unwrap();
    }

    /// Opens an address and waits for what it shows.
    pub async fn open(&self, url: &str, heading: &str) {
        self.page.goto(url).await.unwrap();
        self.shows_view(heading).await;
    }

    /// The value of a JavaScript expression.
    pub async fn value<T: DeserializeOwned>(&self, expression: &str) -> T {
        self.page.evaluate_expression(expression).await.unwrap().into_value().unwrap()
    }

    /// Does something in the page, as a script of its own could.
    pub async fn run(&self, statements: &str) {
        self.page.evaluate_expression(statements).await.unwrap();
    }

    /// The value of the promise that a JavaScript expression makes.
    pub async fn promised<T: DeserializeOwned>(&self, expression: &str) -> T {
        let promise = EvaluateParams::builder().expression(expression).await_promise(true).return_by_value(true);
        let found = self.page.execute(promise.build().unwrap()).await.unwrap();
        let value = found.result.result.value.clone();
        serde_json::from_value(value.unwrap_or_else(|| panic!("{expression}: {:?}", found.result))).unwrap()
    }

    /// How long the page's own thread has run on a processor.
    pub async fn processor_time(&self) -> Duration {
        let metrics = self.page.metrics().await.unwrap();
        let metric = metrics.iter().find(|metric| metric.name == "ThreadTime");
        Duration::from_secs_f64(metric.unwrap_or_else(|| panic!("no processor time: {metrics:?}")).value)
    }

    /// Waits until an expression has this value.
    pub async fn becomes<T: DeserializeOwned + PartialEq + Debug>(&self, expression: &str, expected: T) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Between two pages there is nothing to ask.
            let found = self.page.evaluate_expression(expression).await.ok();
            let found = found.and_then(|found| found.into_value::<T>().ok());
            if found.as_ref() == Some(&expected) {
                return;
            }
            if Instant::now() > deadline {
                panic!("{expression}: {found:?} instead of {expected:?}; the page says: {}", self.text().await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All text that can be seen.
    pub async fn text(&self) -> String {
        self.value("document.body.innerText").await
    }

    /// Waits for a view by its heading.
    pub async fn shows_view(&self, heading: &str) {
        self.becomes("document.querySelector('h1')?.textContent", heading.to_owned()).await;
        // The window gets its title after the view was painted.
        self.becomes("document.title.endsWith(' – tender')", true).await;
    }

    /// Waits for a text to be seen.
    pub async fn shows(&self, text: &str) {
        self.becomes(&format!("document.body.innerText.includes({})", Value::from(text)), true).await;
    }

    /// Waits for what is said to be wrong.
    pub async fn alerts(&self, sentence: &str) {
        let said = "[...document.querySelectorAll('[role=alert]')].map((line) => line.textContent).join('')";
        self.becomes(said, sentence.to_owned()).await;
    }

    /// Waits until the field of this name has the focus.
    pub async fn has_focus(&self, field: &str) {
        self.becomes("document.activeElement?.name", field.to_owned()).await;
    }

    /// Writes where the focus is.
    pub async fn write(&self, text: &str) {
        self.page.execute(InsertTextParams::new(text)).await.unwrap();
    }

    /// Presses one key.
    pub async fn press(&self, key: &str) {
        self.page.find_element("body").await.unwrap().press_key(key).await.unwrap();
    }

    /// Writes into a field, in the place of what is there.
    pub async fn fill(&self, field: &str, text: &str) {
        let input = self.page.find_element(format!("[name={field}]")).await.unwrap();
        input.click().await.unwrap();
        self.run("document.activeElement.select()").await;
        self.press("Backspace").await;
        self.write(text).await;
        let typed: String = self.value(&format!("document.querySelector('[name={field}]').value")).await;
        assert_eq!(typed, text);
    }

    /// Clicks on the button with this label.
    pub async fn click(&self, label: &str) {
        self.click_in("body", label).await;
    }

    /// Claims the server, from its claim address to the account.
    pub async fn claim(&self, url: &str, name: &str, password: &str) {
        self.open(url, "Claim this server").await;
        self.claim_here(name, password).await;
    }

    /// Fills the claim form in and sends it.
    pub async fn claim_here(&self, name: &str, password: &str) {
        self.fill("name", name).await;
        self.fill("password", password).await;
        self.click("Claim this server").await;
        self.shows_account_of(name).await;
    }

    /// Fills the form in and sends it.
    pub async fn log_in(&self, name: &str, password: &str) {
        self.shows_view("Log in").await;
        self.fill("name", name).await;
        self.fill("password", password).await;
        self.click("Log in").await;
    }

    /// Waits until this user is let in.
    pub async fn is_inside_as(&self, name: &str) {
        self.becomes("document.querySelector('.user')?.textContent.trim()", name.to_owned()).await;
    }

    /// Waits until this user is let in, and goes to the account view.
    pub async fn shows_account_of(&self, name: &str) {
        self.is_inside_as(name).await;
        self.go("account", "Account").await;
        self.shows(&format!("Logged in as {name}")).await;
    }

    /// Goes to a view by its address in the page.
    pub async fn go(&self, place: &str, heading: &str) {
        self.run(&format!("location.hash = '#/{place}'")).await;
        self.shows_view(heading).await;
    }

    /// What axe finds: what people who do not see, or use no mouse, would stumble over.
    pub async fn violations(&self) -> Vec<String> {
        if !self.value::<bool>("window.axe !== undefined").await {
            self.run(include_str!("axe/axe.min.js")).await;
        }
        let run = "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.map(\
                   ({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' ')}`))";
        self.promised(run).await
    }

    /// Keeps a picture of the whole page, if somebody wants to look at it: in the folder `TENDER_SCREENSHOTS`.
    pub async fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("TENDER_SCREENSHOTS") else { return };
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        self.page.save_screenshot(ScreenshotParams::builder().build(), path).await.unwrap();
    }

    /// What was asked for so far.
    pub fn urls(&self) -> Vec<String> {
        self.evidence.lock().unwrap().urls.clone()
    }

    /// The headers of all requests so far.
    pub fn heads(&self) -> String {
        self.evidence.lock().unwrap().heads.join("\n")
    }

    /// What the browser complained about so far, but for complaints with one of these texts in them.
    pub async fn complaints_but_for(&self, expected: &[&str]) -> Vec<String> {
        // What the page has caused until now comes before the answer to this.
        let a_while = EvaluateParams::builder().expression("new Promise((done) => setTimeout(done, 200))");
        self.page.execute(a_while.await_promise(true).build().unwrap()).await.unwrap();
        let evidence = self.evidence.lock().unwrap();
        let is_expected = |text: &String| expected.iter().any(|expected| text.contains(expected));
        evidence.complaints.iter().filter(|text| !is_expected(text)).cloned().collect()
    }

    /// Asserts that the browser has nothing to complain about, and that nothing was asked for elsewhere.
    pub async fn is_clean(&self, server: &str) {
        self.is_clean_but_for(server, &[]).await;
    }

    /// The same, but for complaints that the test has caused.
    pub async fn is_clean_but_for(&self, server: &str, expected: &[&str]) {
        assert_eq!(self.complaints_but_for(expected).await, Vec::<String>::new());
        let server = format!("{server}/");
        // The browser's own pictures, such as the calendar in a field for a date, are loaded from nowhere.
        let is_elsewhere = |url: &String| !url.starts_with(&server) && !url.starts_with("data:");
        let elsewhere: Vec<String> = self.urls().into_iter().filter(is_elsewhere).collect();
        assert_eq!(elsewhere, Vec::<String>::new());
    }
}
