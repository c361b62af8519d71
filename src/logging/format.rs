//! How an event becomes a line: as text, as JSON, or as text for the journal.

use std::fmt::{self, Write};
use std::time::SystemTime;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The field by which an event says, with a number, what makes it the same as another. It is not written.
const LIMITED_BY: &str = "limited_by";
/// Fields that are another each time also where the same thing happens.
const VARYING: [&str; 4] = ["request", "milliseconds", "bytes", "peer"];

/// What lines look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Date, level, message and fields.
    Text {
        /// Whether levels have colours, for terminals.
        is_coloured: bool,
    },
    /// The same without a date, which the journal notes, and with the level as it reads it: `<6>` (sd-daemon(3)).
    Journal,
    /// One object.
    Json,
}

/// What an event says that makes it the same as another, if it says so. Nothing else of the event is read for it: of many that are
/// the same, few are written.
pub(super) fn limited_by(event: &Event<'_>) -> Option<u64> {
    struct LimitedBy(Option<u64>);
    impl Visit for LimitedBy {
        fn record_u64(&mut self, field: &Field, value: u64) {
            if field.name() == LIMITED_BY {
                self.0 = Some(value);
            }
        }

        fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
    }
    let mut found = LimitedBy(None);
    event.record(&mut found);
    found.0
}

/// What an event says.
pub(super) struct Line {
    level: Level,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl Line {
    /// Reads an event.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let level = *event.metadata().level();
        let mut line = Self { level, message: String::new(), fields: Vec::new() };
        event.record(&mut line);
        line
    }

    /// How often another line was not written.
    pub(super) fn of_suppressed(level: Level, message: &str, times: u64) -> Self {
        let message = format!("suppressed {times} times: {message}");
        Self { level, message, fields: Vec::new() }
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// All that is the same where the same thing happens again.
    pub(super) fn gist(&self) -> String {
        let mut gist = self.message.clone();
        for (name, value) in self.fields.iter().filter(|(name, _)| !VARYING.contains(name)) {
            // Writing to a String does not fail.
            let _ = write!(gist, "\n{name}={value}");
        }
        gist
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (LIMITED_BY, _) => {}
            (name, value) => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

impl Form {
    /// The line, with its end.
    pub(super) fn render(self, line: &Line, wall: SystemTime) -> String {
        let date = || humantime::format_rfc3339_millis(wall);
        let Line { level, .. } = line;
        match self {
            Self::Text { is_coloured: false } => format!("{} {level:>5} {}\n", date(), Words(line)),
            Self::Text { is_coloured: true } => {
                format!("\x1b[2m{}\x1b[0m \x1b[{}m{level:>5}\x1b[0m {}\n", date(), colour(*level), Words(line))
            }
            Self::Journal => format!("<{}>{}\n", priority(*level), Words(line)),
            Self::Json => json(line, date()),
        }
    }
}

/// One object: `time`, `level`, `message`, and the fields by their names.
fn json(line: &Line, date: impl fmt::Display) -> String {
    let own = [
        ("time", Value::from(date.to_string())),
        ("level", Value::from(line.level.as_str().to_ascii_lowercase())),
        ("message", Value::from(line.message.as_str())),
    ];
    let mut text = String::from("{");
    for (name, value) in own.iter().chain(&line.fields) {
        let comma = if text.len() > 1 { "," } else { "" };
        // Writing to a String does not fail.
        let _ = write!(text, "{comma}{}:{value}", Value::from(*name));
    }
    text.push_str("}\n");
    text
}

/// Message and fields, `name=value`; nothing in them ends the line or means something to a terminal.
struct Words<'a>(&'a Line);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_harmless(f, &self.0.message)?;
        for (name, value) in &self.0.fields {
            match value {
                Value::String(text) if is_word(text) => write!(f, " {name}={text}")?,
                Value::String(text) => {
                    write!(f, " {name}=\"")?;
                    write_quoted(f, text)?;
                    f.write_char('"')?;
                }
                value => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

/// Whether a value can be told from what stands around it without quotes.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || is_harmful(c) || matches!(c, '"' | '=' | '\\'))
}

/// Control characters, and those that turn the direction of writing around or are not seen.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn write_harmless(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| if is_harmful(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
}

fn write_quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '"' | '\\' => write!(f, "\\{c}"),
        c if is_harmful(c) => write!(f, "{}", c.escape_default()),
        c => f.write_char(c),
    })
}

/// syslog's severities (RFC 5424, section 6.2.1).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// ANSI colours: red, yellow, green, blue.
fn colour(level: Level) -> u8 {
    match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        _ => 34,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn line() -> Line {
        let fields = vec![
            ("address", json!("127.0.0.1:5000")),
            ("error", json!("said \"no\"\n<3>forged")),
            ("bytes", json!(7)),
            ("empty", json!("")),
        ];
        Line { level: Level::WARN, message: "it\x1b[2J\u{202e} failed\r\n".into(), fields }
    }

    fn rendered(form: Form) -> String {
        form.render(&line(), SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123))
    }

    #[test]
    fn nothing_in_a_line_ends_it_or_moves_the_cursor() {
        let words =
            r#"it\u{1b}[2J\u{202e} failed\r\n address=127.0.0.1:5000 error="said \"no\"\n<3>forged" bytes=7 empty="""#;
        assert_eq!(rendered(Form::Text { is_coloured: false }), format!("2027-01-15T08:00:00.123Z  WARN {words}\n"));
        assert_eq!(rendered(Form::Journal), format!("<4>{words}\n"));
        let coloured = rendered(Form::Text { is_coloured: true });
        assert!(coloured.contains("\x1b[33m WARN\x1b[0m") && coloured.ends_with(&format!("{words}\n")));
    }

    #[test]
    fn json_has_one_object_for_each_line() {
        let text = rendered(Form::Json);
        assert_eq!(text.matches('\n').count(), 1);
        let object: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "time": "2027-01-15T08:00:00.123Z", "level": "warn", "message": "it\u{1b}[2J\u{202e} failed\r\n",
            "address": "127.0.0.1:5000", "error": "said \"no\"\n<3>forged", "bytes": 7, "empty": ""
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn what_varies_is_not_of_the_gist() {
        let gist = line().gist();
        assert!(gist.contains("forged") && !gist.contains("bytes"), "{gist}");
    }
}
