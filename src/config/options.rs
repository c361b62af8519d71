//! The options as they are written: flags and environment (clap), and the file (TOML). What they mean is said in the module
//! above.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::{Deserialize, Serialize, Serializer};

use super::tls::TlsOptions;
use super::{AddressOptions, BackupOptions, ConfigError, refuse};
use crate::domain::Hours;

/// Where everything is kept: options of every command. Field names are the keys of the file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
pub struct StorageOptions {
    /// Folder for the database, the packages and the secret [default: $STATE_DIRECTORY, else ./tender-data]
    #[arg(long, env = "TENDER_DATA_DIR", value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Database, as a sqlite: URL such as sqlite:////var/lib/tender/tender.sqlite [default: in the data folder]
    #[arg(long, env = "RDFM_DB_CONNSTRING", value_name = "URL")]
    pub(super) db_connstring: Option<String>,
    /// Folder for the packages [default: in the data folder]
    #[arg(long, env = "RDFM_LOCAL_PACKAGE_DIR", value_name = "DIR")]
    pub(super) local_package_dir: Option<PathBuf>,
    /// File with the secret that tokens are signed with; RDFM_JWT_SECRET gives it directly [default: one is made]
    #[arg(long, env = "TENDER_JWT_SECRET_FILE", value_name = "FILE")]
    pub(super) jwt_secret_file: Option<PathBuf>,
}

/// How to serve: options of `tender serve`. Field names are the keys of the file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
pub struct ServeOptions {
    /// Address under which devices reach this server, for download links [default: as each request says]
    #[arg(long, env = "TENDER_PUBLIC_URL", value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// Whether download links work for everybody (public), or are signed and end after a day (signed) [default: public]
    #[arg(long, env = "TENDER_DOWNLOAD_URLS", value_name = "KIND")]
    pub(super) download_urls: Option<String>,
    /// Networks of proxies whose Forwarded and X-Forwarded-* headers are believed, such as 10.0.0.0/8
    #[arg(long, env = "TENDER_TRUSTED_PROXIES", value_name = "NETWORK", value_delimiter = ',')]
    pub(super) trusted_proxies: Option<Vec<String>>,
    /// Switch authentication off: everybody who reaches the server may do everything
    #[arg(long, env = "RDFM_DISABLE_API_AUTH", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = BoolishValueParser::new())]
    pub(super) no_api_auth: Option<bool>,
    /// Identity provider that is asked about management tokens that are not tender's own: its introspection endpoint
    #[arg(long, env = "RDFM_OAUTH_URL", value_name = "URL")]
    pub(super) oauth_url: Option<String>,
    /// Name under which the identity provider knows this server
    #[arg(long, env = "RDFM_OAUTH_CLIENT_ID", value_name = "NAME")]
    pub(super) oauth_client_id: Option<String>,
    /// File with the client secret for the identity provider; RDFM_OAUTH_CLIENT_SEC gives it directly
    #[arg(long, env = "TENDER_OAUTH_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub(super) oauth_client_secret_file: Option<PathBuf>,
    /// Connections that are served at once [default: 1024]
    #[arg(long, env = "TENDER_MAX_CONNECTIONS", value_name = "NUMBER")]
    pub(super) max_connections: Option<usize>,
    /// How much may be downloaded in a second by all devices together, such as 40MiB/s [default: no limit]
    #[arg(long, env = "TENDER_DOWNLOAD_RATE", value_name = "RATE")]
    pub(super) download_rate: Option<String>,
    /// How much may be downloaded in a second by one device: one address [default: no limit]
    #[arg(long, env = "TENDER_DOWNLOAD_RATE_DEVICE", value_name = "RATE")]
    pub(super) download_rate_device: Option<String>,
    /// How many packages may be downloaded at once; more wait [default: no limit]
    #[arg(long, env = "TENDER_MAX_DOWNLOADS", value_name = "NUMBER")]
    pub(super) max_downloads: Option<usize>,
    /// How long downloads may go on after the server was told to stop [default: 30s]
    #[arg(long, env = "TENDER_DRAIN_TIMEOUT", value_name = "DURATION")]
    pub(super) drain_timeout: Option<String>,
    /// How long a device is not heard until it is shown as silent [default: 1h]
    #[arg(long, env = "TENDER_SILENT_AFTER", value_name = "DURATION")]
    pub(super) silent_after: Option<String>,
    /// Room that uploads leave free, such as 1GiB [default: 256MiB, or 5 % of the file system if that is more]
    #[arg(long, env = "TENDER_STORAGE_RESERVE", value_name = "SIZE")]
    pub(super) storage_reserve: Option<String>,
    /// The largest package that is taken [default: no limit]
    #[arg(long, env = "TENDER_MAX_PACKAGE_SIZE", value_name = "SIZE")]
    pub(super) max_package_size: Option<String>,
    /// How much all packages together may take [default: no limit]
    #[arg(long, env = "TENDER_MAX_STORE_SIZE", value_name = "SIZE")]
    pub(super) max_store_size: Option<String>,
    /// How long an upload that nobody goes on with is kept [default: 24h]
    #[arg(long, env = "TENDER_UPLOAD_LIFETIME", value_name = "DURATION")]
    pub(super) upload_lifetime: Option<String>,
    /// How long entries of the audit log are kept [default: 400days]
    #[arg(long, env = "TENDER_AUDIT_AGE", value_name = "DURATION")]
    pub(super) audit_age: Option<String>,
    /// How many entries of the audit log are kept at most [default: 100000]
    #[arg(long, env = "TENDER_AUDIT_ENTRIES", value_name = "NUMBER")]
    pub(super) audit_entries: Option<u64>,
    /// How much of the stored packages is read again in a second, to find what has gone bad; "off": nothing [default: 4MiB]
    #[arg(long, env = "TENDER_SCRUB_RATE", value_name = "SIZE")]
    pub(super) scrub_rate: Option<String>,
    /// How long after it was last read a stored package is read again [default: 30days]
    #[arg(long, env = "TENDER_SCRUB_EVERY", value_name = "DURATION")]
    pub(super) scrub_every: Option<String>,
    /// Hours of the week in which stored packages are read again, such as "mon-fri 22:00-06:00; sat,sun" [default: always]
    #[arg(long, env = "TENDER_SCRUB_HOURS", value_name = "HOURS")]
    pub(super) scrub_hours: Option<String>,
    /// Whose clocks hours are told by, such as Europe/Berlin [default: the machine's own, else UTC]
    #[arg(long, env = "TENDER_TIME_ZONE", value_name = "NAME")]
    pub(super) time_zone: Option<String>,
    /// What to log: error, warn, info, debug or trace, also for a part, such as info,tender::store=debug [default: info]
    #[arg(long, env = "TENDER_LOG", value_name = "LEVELS")]
    pub(super) log: Option<String>,
    /// How lines of the log look: auto (as suits what stderr is), text, json or journal [default: auto]
    #[arg(long, env = "TENDER_LOG_FORMAT", value_name = "FORM")]
    pub(super) log_format: Option<String>,
    /// Address to serve /metrics on without authentication, and nothing else, such as 127.0.0.1:9500 [default: none]
    #[arg(long, env = "TENDER_METRICS_LISTEN", value_name = "ADDR:PORT")]
    pub(super) metrics_listen: Option<String>,
}

/// Where events are sent: options of `tender serve` and `tender webhook`. Field names are the keys of the file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
pub struct WebhookOptions {
    /// Address to which events are sent; the file may have more, as a list of webhooks
    #[arg(long, env = "TENDER_WEBHOOK", value_name = "URL")]
    pub(super) webhook: Option<String>,
    /// File with the secret that webhooks are signed with; TENDER_WEBHOOK_SECRET gives it directly
    #[arg(long, env = "TENDER_WEBHOOK_SECRET_FILE", value_name = "FILE")]
    pub(super) webhook_secret_file: Option<PathBuf>,
}

/// Which file to read options from.
#[derive(Debug, Clone, Default, Args)]
pub struct FileOption {
    /// File with options, as TOML; flags and environment come before it
    #[arg(long, env = "TENDER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

#[cfg(test)]
impl FileOption {
    /// As if `--config` named this file.
    pub(super) fn at(path: &Path) -> Self {
        Self { config: Some(path.to_owned()) }
    }
}

/// All options that a file may hold.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct FileContents {
    #[serde(flatten)]
    pub(super) storage: StorageOptions,
    #[serde(flatten)]
    pub(super) address: AddressOptions,
    #[serde(flatten)]
    pub(super) serve: ServeOptions,
    #[serde(flatten)]
    pub(super) tls: TlsOptions,
    #[serde(flatten)]
    pub(super) backup: BackupOptions,
    #[serde(flatten)]
    pub(super) webhook: WebhookOptions,
    /// More webhooks: these have no flag.
    #[serde(default)]
    pub(super) webhooks: Vec<WebhookEntry>,
    /// Other rates of downloads in some hours: these have no flag.
    #[serde(default)]
    pub(super) download_hours: Vec<DownloadHours>,
    #[serde(flatten)]
    unknown: toml::Table,
}

/// The rates of downloads in some hours; what is left out is as usual.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DownloadHours {
    #[serde(serialize_with = "as_text")]
    pub(super) hours: Hours,
    pub(super) rate: Option<String>,
    pub(super) rate_device: Option<String>,
}

fn as_text<S: Serializer>(hours: &Hours, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(hours)
}

/// A webhook of the file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookEntry {
    pub(super) url: String,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) events: Option<Vec<String>>,
    pub(super) batch: Option<NonZeroU32>,
}

impl StorageOptions {
    /// These, and where something is left out, `other`'s.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(other.data_dir),
            db_connstring: self.db_connstring.or(other.db_connstring),
            local_package_dir: self.local_package_dir.or(other.local_package_dir),
            jwt_secret_file: self.jwt_secret_file.or(other.jwt_secret_file),
        }
    }
}

impl ServeOptions {
    /// These, and where something is left out, `other`'s.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            public_url: self.public_url.or(other.public_url),
            download_urls: self.download_urls.or(other.download_urls),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            no_api_auth: self.no_api_auth.or(other.no_api_auth),
            oauth_url: self.oauth_url.or(other.oauth_url),
            oauth_client_id: self.oauth_client_id.or(other.oauth_client_id),
            oauth_client_secret_file: self.oauth_client_secret_file.or(other.oauth_client_secret_file),
            max_connections: self.max_connections.or(other.max_connections),
            download_rate: self.download_rate.or(other.download_rate),
            download_rate_device: self.download_rate_device.or(other.download_rate_device),
            max_downloads: self.max_downloads.or(other.max_downloads),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            silent_after: self.silent_after.or(other.silent_after),
            storage_reserve: self.storage_reserve.or(other.storage_reserve),
            max_package_size: self.max_package_size.or(other.max_package_size),
            max_store_size: self.max_store_size.or(other.max_store_size),
            upload_lifetime: self.upload_lifetime.or(other.upload_lifetime),
            audit_age: self.audit_age.or(other.audit_age),
            audit_entries: self.audit_entries.or(other.audit_entries),
            scrub_rate: self.scrub_rate.or(other.scrub_rate),
            scrub_every: self.scrub_every.or(other.scrub_every),
            scrub_hours: self.scrub_hours.or(other.scrub_hours),
            time_zone: self.time_zone.or(other.time_zone),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            metrics_listen: self.metrics_listen.or(other.metrics_listen),
        }
    }
}

/// Reads the file, if there is one.
pub(super) fn read_file(file: &FileOption) -> Result<FileContents, ConfigError> {
    let Some(path) = &file.config else { return Ok(FileContents::default()) };
    let text = fs::read_to_string(path)
        .or_else(|error| refuse(format!("cannot read the configuration file {}: {error}", path.display())))?;
    parse_file(path, &text)
}

/// Reads the text of a file. `path` is for the sentence that says what is wrong.
pub(super) fn parse_file(path: &Path, text: &str) -> Result<FileContents, ConfigError> {
    let contents: FileContents = toml::from_str(text).or_else(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = line.map_or_else(String::new, |line| format!(" (line {line})"));
        refuse(format!("cannot read the configuration file {}{place}: {}", path.display(), error.message()))
    })?;
    match contents.unknown.keys().next() {
        Some(key) => refuse(format!("unknown option \"{key}\" in the configuration file {}", path.display())),
        None => Ok(contents),
    }
}
