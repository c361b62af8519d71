//! How the server is watched: the form of its log, and a listener for metrics.

use super::{ConfigError, address, refuse};

/// What lines of the log look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// As suits what stderr is: text, coloured on a terminal, or for the journal.
    Auto,
    /// Date, level, message and fields.
    Text,
    /// One object for each line.
    Json,
    /// Text without a date, and with the level as the journal reads it.
    Journal,
}

pub(super) fn log_format(text: Option<&str>) -> Result<LogFormat, ConfigError> {
    match text {
        None | Some("auto") => Ok(LogFormat::Auto),
        Some("text") => Ok(LogFormat::Text),
        Some("json") => Ok(LogFormat::Json),
        Some("journal") => Ok(LogFormat::Journal),
        Some(other) => refuse(format!("log_format = \"{other}\" is none of auto, text, json and journal")),
    }
}

pub(super) fn metrics_listen(text: &str) -> Result<(String, u16), ConfigError> {
    address::parse("metrics_listen", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_the_log_are_named() {
        assert_eq!(log_format(None).unwrap(), LogFormat::Auto);
        assert_eq!(log_format(Some("json")).unwrap(), LogFormat::Json);
        assert!(log_format(Some("xml")).unwrap_err().to_string().contains("xml"));
    }

    #[test]
    fn metrics_are_served_on_an_address_and_port() {
        assert_eq!(metrics_listen("[::1]:9500").unwrap(), ("::1".to_owned(), 9500));
        for text in ["9500", ":9500", "127.0.0.1", "127.0.0.1:http"] {
            assert!(metrics_listen(text).unwrap_err().to_string().contains("metrics_listen"), "{text}");
        }
    }
}
