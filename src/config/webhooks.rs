//! Where events are sent: one address by flag, or any number in the file.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::options::{WebhookEntry, WebhookOptions, read_file};
use super::secrets::WEBHOOK;
use super::{ConfigError, FileOption, HttpUrl, refuse};
use crate::auth::{Secret, WebhookKey};
use crate::domain::{Backoff, EventFilter};

/// More than anybody has; each costs memory and a task.
const MOST_WEBHOOKS: usize = 32;
/// The largest batch: some 300 KiB.
const MOST_IN_BATCH: u32 = 1000;

/// A webhook: an address that is told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookConfig {
    /// Where requests go.
    pub url: HttpUrl,
    /// What they are signed with.
    pub key: WebhookKey,
    /// Which events are sent.
    pub events: EventFilter,
    /// How many events may come in one request, which then is an array; `None`: one, as an object.
    pub batch: Option<NonZeroU32>,
}

/// How hard it is tried to deliver events.
#[derive(Debug, Clone, Copy)]
pub struct WebhookLimits {
    /// How long a request may take.
    pub patience: Duration,
    /// When what failed is tried again.
    pub backoff: Backoff,
    /// How old events may become that cannot be delivered.
    pub give_up: Duration,
    /// How many events may wait for one webhook.
    pub most_queued: u32,
}

impl Default for WebhookLimits {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(10),
            backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60 * 60) },
            give_up: Duration::from_secs(3 * 24 * 60 * 60),
            // The updates of some ten thousand devices, in some 20 MB.
            most_queued: 50_000,
        }
    }
}

impl WebhookConfig {
    /// Makes sense of the options of a command that only has to do with webhooks.
    pub fn all(options: WebhookOptions, file: &FileOption) -> Result<Vec<Self>, ConfigError> {
        let contents = read_file(file)?;
        Self::resolve(options, contents.webhook, contents.webhooks)
    }

    /// The webhook of the options, if there is one, and those of the file. Those without a secret of their own have the one of
    /// the options.
    pub(super) fn resolve(
        options: WebhookOptions,
        file: WebhookOptions,
        entries: Vec<WebhookEntry>,
    ) -> Result<Vec<Self>, ConfigError> {
        let secret = WEBHOOK.resolve(options.webhook_secret_file.as_deref(), file.webhook_secret_file.as_deref())?;
        let url = options.webhook.or(file.webhook);
        let simple = url.map(|url| WebhookEntry { url, secret_file: None, events: None, batch: None });
        let entries: Vec<_> = simple.into_iter().chain(entries).collect();
        if entries.is_empty() && secret.is_some() {
            return refuse(
                "a secret for webhooks is given and no webhook: give its address with webhook or [[webhooks]]",
            );
        }
        if entries.len() > MOST_WEBHOOKS {
            return refuse(format!("there are more than {MOST_WEBHOOKS} webhooks: leave some out"));
        }
        let mut webhooks: Vec<Self> = Vec::new();
        for entry in entries {
            let webhook = Self::new(entry, secret.as_ref())?;
            if webhooks.iter().any(|other| other.url == webhook.url) {
                return refuse(format!("two webhooks at {} have the same address: give each once", webhook.url.host()));
            }
            webhooks.push(webhook);
        }
        Ok(webhooks)
    }

    fn new(entry: WebhookEntry, common_secret: Option<&Secret>) -> Result<Self, ConfigError> {
        let WebhookEntry { url, secret_file, events, batch } = entry;
        let Some(url) = HttpUrl::parse(&url) else {
            return refuse(
                "the address of a webhook is not an http or https one without user and password, such as \
                 https://hooks.example/tender",
            );
        };
        let host = url.host();
        let own_secret = secret_file.as_ref().map(|file: &PathBuf| WEBHOOK.read(file)).transpose()?;
        let Some(secret) = own_secret.as_ref().or(common_secret) else {
            return refuse(format!(
                "the webhook at {host} needs a secret that its receiver knows: give TENDER_WEBHOOK_SECRET, \
                 webhook_secret_file, or secret_file with it"
            ));
        };
        let key = WebhookKey::parse(secret).or_else(|invalid| refuse(format!("the webhook at {host}: {invalid}")))?;
        let events = events.map_or_else(|| Ok(EventFilter::all()), |names| EventFilter::parse(&names));
        let events = events.or_else(|invalid| refuse(format!("the webhook at {host}: {invalid}")))?;
        if batch.is_some_and(|batch| batch.get() > MOST_IN_BATCH) {
            return refuse(format!("the webhook at {host}: batch must be 1 to {MOST_IN_BATCH}"));
        }
        Ok(Self { url, key, events, batch })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::options::parse_file;
    use super::*;
    use crate::domain::EventType;

    fn read(text: &str) -> Result<Vec<WebhookConfig>, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let (secret, empty) = (folder.path().join("secret"), folder.path().join("empty"));
        fs::write(&secret, "whsec_YWJj\n").unwrap();
        fs::write(&empty, "\n").unwrap();
        let text = text.replace("SECRET", &secret.display().to_string()).replace("EMPTY", &empty.display().to_string());
        let contents = parse_file(Path::new("tender.toml"), &text)?;
        WebhookConfig::resolve(WebhookOptions::default(), contents.webhook, contents.webhooks)
    }

    #[test]
    fn one_webhook_by_option_and_more_in_the_file() {
        assert!(read("").unwrap().is_empty());
        let webhooks = read(
            r#"
            webhook = "https://hooks.example/a?key=hidden"
            webhook_secret_file = "SECRET"
            [[webhooks]]
            url = "http://127.0.0.1:8080/b"
            events = ["group.halted", "concern.*"]
            batch = 100
            [[webhooks]]
            url = "http://127.0.0.1:8080/c"
            secret_file = "SECRET"
            "#,
        )
        .unwrap();
        let hosts: Vec<_> = webhooks.iter().map(|webhook| webhook.url.host()).collect();
        assert_eq!(hosts, ["hooks.example", "127.0.0.1:8080", "127.0.0.1:8080"]);
        assert_eq!(webhooks[0].events, EventFilter::all());
        assert!(webhooks[1].events.takes(EventType::ConcernCleared));
        assert!(!webhooks[1].events.takes(EventType::GroupResumed));
        assert_eq!(
            webhooks.iter().map(|webhook| webhook.batch).collect::<Vec<_>>(),
            [None, NonZeroU32::new(100), None]
        );
    }

    #[test]
    fn what_cannot_work_is_refused_in_one_sentence() {
        let secret = "webhook_secret_file = \"SECRET\"";
        for (text, reason) in [
            ("webhook = \"http://a\"", "needs a secret"),
            ("webhook_secret_file = \"SECRET\"", "no webhook"),
            ("webhook = \"http://a\"\nwebhook_secret_file = \"EMPTY\"", "empty"),
            ("webhook = \"http://a\"\nwebhook_secret_file = \"/nowhere/secret\"", "/nowhere/secret"),
            (&format!("webhook = \"ftp://a/hidden\"\n{secret}"), "http or https"),
            (&format!("webhook = \"http://user:hidden@a\"\n{secret}"), "without user"),
            (&format!("{secret}\n[[webhooks]]\nevents = [\"group\"]"), "url"),
            (&format!("{secret}\n[[webhooks]]\nurl = \"http://a\"\nevents = [\"groups\"]"), "groups"),
            (&format!("{secret}\n[[webhooks]]\nurl = \"http://a\"\nevents = []"), "leave it out"),
            (&format!("{secret}\n[[webhooks]]\nurl = \"http://a\"\nbatch = 1001"), "batch"),
            (&format!("{secret}\n[[webhooks]]\nurl = \"http://a\"\nbatch = 0"), "zero"),
            (&format!("{secret}\n[[webhooks]]\nurl = \"http://a\"\nsecret = \"hidden\""), "unknown field"),
            (&format!("webhook = \"http://a\"\n{secret}\n[[webhooks]]\nurl = \"http://a/\""), "same address"),
        ] {
            let sentence = read(text).unwrap_err().to_string();
            assert!(sentence.contains(reason) && !sentence.contains('\n'), "{sentence}");
            assert!(!sentence.contains("hidden"), "{sentence}");
        }
    }
}
