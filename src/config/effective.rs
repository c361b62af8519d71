//! The options that count, as they were given, for whoever is to see them: without anything that is secret.

use std::mem::take;

use clap::{Args, Command, FromArgMatches};
use serde_json::Value;

use super::options::read_file;
use super::{
    AddressOptions, BackupOptions, ConfigError, FileOption, ServeOptions, StorageOptions, TlsOptions, WebhookOptions,
};

/// What stands for what is not shown.
const HIDDEN: &str = "[hidden]";

/// Options of a server that takes them from this process' environment, from `storage` and from a file. Of addresses, users and
/// passwords are left out, and of webhooks and the identity provider all but the host; secrets are in files of their own, whose names alone are shown.
pub fn effective_options(storage: StorageOptions, file: &FileOption) -> Result<Value, ConfigError> {
    let mut contents = read_file(file)?;
    let command =
        BackupOptions::augment_args(AddressOptions::augment_args(TlsOptions::augment_args(Command::new("tender"))));
    let command = WebhookOptions::augment_args(ServeOptions::augment_args(command));
    let matches = command.try_get_matches_from(["tender"]);
    let matches = matches.map_err(|error| ConfigError(format!("the environment: {}", error.kind())))?;
    let read = |error: clap::Error| ConfigError(format!("the environment: {}", error.kind()));
    let address = AddressOptions::from_arg_matches(&matches).map_err(read)?;
    let backup = BackupOptions::from_arg_matches(&matches).map_err(read)?;
    let tls = TlsOptions::from_arg_matches(&matches).map_err(read)?;
    let serve = ServeOptions::from_arg_matches(&matches).map_err(read)?;
    let webhook = WebhookOptions::from_arg_matches(&matches).map_err(read)?;
    contents.storage = storage.or(take(&mut contents.storage));
    contents.address = address.or(take(&mut contents.address));
    contents.backup = backup.or(take(&mut contents.backup));
    contents.tls = tls.or(take(&mut contents.tls));
    contents.serve = serve.or(take(&mut contents.serve));
    let in_file = take(&mut contents.webhook);
    contents.webhook = WebhookOptions {
        webhook: webhook.webhook.or(in_file.webhook),
        webhook_secret_file: webhook.webhook_secret_file.or(in_file.webhook_secret_file),
    };
    let unreadable = |error: serde_json::Error| ConfigError(format!("the options cannot be shown: {error}"));
    let mut options = serde_json::to_value(contents).map_err(unreadable)?;
    hide(&mut options);
    Ok(options)
}

/// Hides what is secret in all texts, and leaves out what was not given.
fn hide(value: &mut Value) {
    match value {
        Value::String(text) => *text = without_secrets(text),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(hide);
        }
        _ => {}
    }
}

/// Of an address that leads to another machine, scheme and host; other texts as they are.
fn without_secrets(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    match (host, path) {
        // A file, such as that of the database.
        ("", path) if !path.contains(['@', '?']) => text.to_owned(),
        (host, "" | "/") if host.len() == authority.len() => text.to_owned(),
        (host, _) => format!("{scheme}://{host}/{HIDDEN}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_what_may_be_secret() {
        for (text, shown) in [
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("sqlite:////var/lib/tender/tender.sqlite", "sqlite:////var/lib/tender/tender.sqlite"),
            ("http://gateway.example:5000", "http://gateway.example:5000"),
            ("https://hooks.example/T0/B0/token", "https://hooks.example/[hidden]"),
            ("https://hooks.example?key=token", "https://hooks.example/[hidden]"),
            ("http://anna:token@hooks.example", "http://hooks.example/[hidden]"),
            ("postgresql://tender:token@db/tender", "postgresql://db/[hidden]"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
