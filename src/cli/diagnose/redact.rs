//! The second line of defence: nothing secret is put into the bundle, and what is secret all the same is taken out of it.

use std::env;
use std::fs;

use serde_json::Value;

use crate::store::DataFolder;

/// What stands where something was taken out.
const REDACTED: &str = "[redacted]";
/// Variables that hold secrets.
const VARIABLES: [&str; 4] = ["RDFM_JWT_SECRET", "RDFM_OAUTH_CLIENT_SEC", "TENDER_WEBHOOK_SECRET", "TENDER_TOKEN"];
/// What is shorter is found everywhere, and no secret.
const SHORTEST: usize = 4;

/// Takes secrets out of texts.
pub(super) struct Redactor(Vec<String>);

impl Redactor {
    /// Knows the secrets of an installation, of its options, and of this process.
    pub(super) fn new(folder: &DataFolder, options: Option<&Value>, token: Option<&str>) -> Self {
        let mut secrets: Vec<String> = VARIABLES.iter().filter_map(|name| env::var(name).ok()).collect();
        secrets.extend(token.map(str::to_owned));
        secrets.extend(folder.read_secret().ok().flatten());
        let mut files = Vec::new();
        collect_secret_files(options.unwrap_or(&Value::Null), &mut files);
        secrets.extend(files.iter().filter_map(|path| fs::read_to_string(path).ok()));
        Self::of(secrets)
    }

    fn of(secrets: Vec<String>) -> Self {
        let secrets = secrets.into_iter().map(|secret| secret.trim().to_owned());
        let mut secrets: Vec<String> = secrets.filter(|secret| secret.len() >= SHORTEST).collect();
        // Of two secrets, one of which contains the other, all of the longer goes.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text without known secrets, and without what looks like a token, a private key, the hash of a password, or a password
    /// in an address.
    pub(super) fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            text = text.replace(secret, REDACTED);
        }
        let mut cleaned = String::with_capacity(text.len());
        let mut is_private_key = false;
        for line in text.split_inclusive('\n') {
            if line.contains("-----BEGIN") && line.contains("PRIVATE KEY-----") {
                is_private_key = true;
                cleaned.push_str(REDACTED);
            }
            if !is_private_key {
                clean_words(line, &mut cleaned);
            }
            if line.contains("-----END") {
                is_private_key = false;
            }
        }
        cleaned
    }
}

/// Names of files that hold secrets, from the options that name them.
fn collect_secret_files(options: &Value, files: &mut Vec<String>) {
    match options {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(path) if key.ends_with("secret_file") => files.push(path.clone()),
                    value => collect_secret_files(value, files),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_secret_files(item, files)),
        _ => {}
    }
}

/// Copies a line word by word, without words that are secret by their look.
fn clean_words(line: &str, cleaned: &mut String) {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>');
    for word in line.split_inclusive(is_end) {
        let (body, end) = word.split_at(word.trim_end_matches(is_end).len());
        match body.split_once("://") {
            _ if is_secret(body) => cleaned.push_str(REDACTED),
            Some((scheme, rest)) if rest.split(['/', '?']).next().is_some_and(|authority| authority.contains('@')) => {
                let host = rest.split_once('@').map_or("", |(_, host)| host);
                cleaned.push_str(&format!("{scheme}://{REDACTED}@{host}"));
            }
            _ => cleaned.push_str(body),
        }
        cleaned.push_str(end);
    }
}

/// Signed tokens (RFC 7519), hashes of passwords in the PHC format, and webhooks' secrets.
fn is_secret(word: &str) -> bool {
    word.contains("$argon2")
        || word.contains("whsec_")
        || word.match_indices("eyJ").any(|(place, _)| word[place..].split('.').count() >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_goes_and_all_else_stays() {
        let redactor = Redactor::of(vec!["hunter2\n".to_owned(), "hunter2-longer".to_owned(), "a".to_owned()]);
        for (text, cleaned) in [
            ("a line\n  {\"key\": \"value\"}\n", "a line\n  {\"key\": \"value\"}\n"),
            ("x hunter2-longer=hunter2!", "x [redacted]=[redacted]!"),
            ("\"Bearer eyJhbGciOi.eyJzdWIi.c2ln\"", "\"Bearer [redacted]\""),
            ("eyJ is short", "eyJ is short"),
            ("hash $argon2id$v=19$m=1,t=1$c2FsdA$aGFzaA end", "hash [redacted] end"),
            ("at https://anna:pw@host:1/path?q now", "at https://[redacted]@host:1/path?q now"),
            ("mail anna@host", "mail anna@host"),
            ("a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb\n", "a\n[redacted]b\n"),
            (
                "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----\n",
                "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----\n",
            ),
        ] {
            assert_eq!(redactor.clean(text), cleaned, "{text}");
        }
    }
}
