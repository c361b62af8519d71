//! What a person does with the parts of a view. Everything waits until what it is done to is there.

use std::path::Path;
use std::time::{Duration, Instant};

use chromiumoxide::cdp::browser_protocol::dom::SetFileInputFilesParams;
use chromiumoxide::layout::Point;
use serde_json::Value;

use crate::tab::{PATIENCE, Tab};

/// In JavaScript: what can be clicked on in `place` and is called `label`, by what it shows or by what is read out.
const FIND: &str = "(place, label) => [...(place?.querySelectorAll('a, button, summary, input') ?? [])].find((node) => \
                    node.checkVisibility() && (node.textContent.trim() === label || node.ariaLabel === label))";

impl Tab {
    /// Clicks with the mouse on the node that an expression finds, as soon as it is there, in order and not covered. If the page
    /// moves it away at that moment, once more, as a person would.
    pub async fn click_on(&self, node: &str) {
        let aim = format!(
            "(() => {{ const node = {node}; if (!node || node.disabled || node.ariaDisabled === 'true') return []; \
             node.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const {{ left, top, width, height }} = node.getClientRects()[0] ?? {{}}; \
             const [x, y] = [left + width / 2, top + height / 2]; \
             window.isClicked = false; \
             node.addEventListener('click', () => (window.isClicked = true), {{ once: true, capture: true }}); \
             return node.contains(document.elementFromPoint(x, y)) ? [x, y] : [] }})()"
        );
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let [x, y] = self.value::<Vec<f64>>(&aim).await[..] {
                self.page.click(Point::new(x, y)).await.unwrap();
                if self.value::<bool>("window.isClicked !== false").await {
                    return;
                }
            }
            assert!(Instant::now() < deadline, "nothing to click on at {node}; the page says: {}", self.text().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Clicks on a button or a link in the part of the page that a selector finds.
    pub async fn click_in(&self, place: &str, label: &str) {
        let place = Value::from(place);
        self.click_on(&format!("({FIND})(document.querySelector({place}), {})", Value::from(label))).await;
    }

    /// Clicks on a button, a link or a box in the dialog.
    pub async fn click_in_dialog(&self, label: &str) {
        self.click_in("dialog[open]", label).await;
    }

    /// Clicks on a button, a link or a box in the row, of a table or a list, with this text in it.
    pub async fn click_in_row(&self, text: &str, label: &str) {
        let rows = "document.querySelectorAll('main tbody tr, main li')";
        let row = format!("[...{rows}].find((row) => row.innerText.includes({}))", Value::from(text));
        self.click_on(&format!("({FIND})({row}, {})", Value::from(label))).await;
    }

    /// Sends the form of the dialog, whatever its button says, and waits until the dialog is gone.
    pub async fn send_dialog(&self) {
        self.click_on("document.querySelector('dialog[open] [type=submit]')").await;
        self.becomes("document.querySelector('dialog[open]') === null", true).await;
    }

    /// Chooses an option by the label of the field and the text of the option.
    pub async fn choose(&self, label: &str, option: &str) {
        let (label, option) = (Value::from(label), Value::from(option));
        // The list of options is a window of the system's, where nobody can click.
        self.becomes(
            &format!(
                "(() => {{ const field = [...document.querySelectorAll('label')].find((label) => label.innerText.trim() === {label})?.control; \
                 const option = [...(field?.options ?? [])].find((option) => option.text.trim() === {option}); \
                 if (!option) return false; \
                 field.value = option.value; \
                 return field.dispatchEvent(new Event('change', {{ bubbles: true }})) }})()"
            ),
            true,
        )
        .await;
    }

    /// Writes into the search field.
    pub async fn search(&self, text: &str) {
        self.click_on("document.querySelector('[type=search]')").await;
        self.run("document.activeElement.select()").await;
        if text.is_empty() {
            self.press("Backspace").await;
        } else {
            self.write(text).await;
        }
    }

    /// Gives a file to the field for files that a selector finds.
    pub async fn attach(&self, selector: &str, file: &Path) {
        self.becomes(&format!("document.querySelector({}) !== null", Value::from(selector)), true).await;
        let input = self.page.find_element(selector).await.unwrap();
        let files =
            SetFileInputFilesParams::builder().file(file.to_str().unwrap()).backend_node_id(input.backend_node_id);
        self.page.execute(files.build().unwrap()).await.unwrap();
    }

    /// Waits until a text is seen in the part of the page that an expression finds.
    pub async fn shows_in(&self, node: &str, text: &str) {
        self.becomes(&format!("{node}?.innerText.includes({}) ?? false", Value::from(text)), true).await;
    }

    /// Waits for a row, of a table or a list, with all these texts in it.
    pub async fn shows_row(&self, texts: &[&str]) {
        let rows = "[...document.querySelectorAll('main tbody tr, main li')]";
        let texts = Value::from(texts.to_vec());
        self.becomes(&format!("{rows}.some((row) => {texts}.every((text) => row.innerText.includes(text)))"), true)
            .await;
    }
}

/// The part of a view with this heading, for [`Tab::shows_in`].
pub fn card(title: &str) -> String {
    format!(
        "[...document.querySelectorAll('.card')].find((card) => card.querySelector('h2')?.innerText === {})",
        Value::from(title)
    )
}
