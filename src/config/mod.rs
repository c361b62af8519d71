//! The configuration: flags over environment over file, made into one [`Config`] that can work, or refused with one sentence.

mod address;
mod backups;
mod difference;
mod downloads;
mod effective;
mod hours;
mod http_url;
mod identity_provider;
mod options;
mod secrets;
mod tls;
mod watch;
mod webhooks;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::filter::Targets;

use crate::auth::Secret;
use crate::domain::downloads::DownloadLimits;
use crate::domain::fleet::DEFAULT_SILENT_AFTER;
use crate::domain::{AuditRetention, ByteSize, DownloadUrls, Invalid, LocalHours, ScrubPlan, StorageLimits};
pub use address::{AddressOptions, host_and_port};
use address::{DEFAULT_HOST, DEFAULT_PORT};
pub use backups::{BackupConfig, BackupOptions, backup_passphrase};
pub use difference::Difference;
use downloads::download_limits;
pub use effective::effective_options;
use hours::{local_hours, time_zone};
pub use http_url::HttpUrl;
pub use identity_provider::IdentityProviderConfig;
use options::read_file;
pub use options::{FileOption, ServeOptions, StorageOptions, WebhookOptions};
pub use tls::{LookInterval, TlsConfig, TlsOptions};
pub use watch::LogFormat;
pub use webhooks::{WebhookConfig, WebhookLimits};

const DEFAULT_DATA_FOLDER: &str = "tender-data";
const DEFAULT_CONNECTIONS: usize = 1024;
/// More than any gateway has file descriptors for.
const MOST_CONNECTIONS: usize = 1_000_000;
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);
/// Some 20 GB: no gateway has room for more.
const MOST_AUDIT_ENTRIES: u64 = 100_000_000;
const DEFAULT_UPLOAD_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Each package costs a write when it was read again: more often would wear out flash.
const SHORTEST_SCRUB: Duration = Duration::from_secs(60 * 60);
/// So that no date is past the end of time.
const LONGEST_SCRUB: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
const DEFAULT_LOG: &str = "info";

/// Why a configuration cannot work: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

fn refuse<T>(sentence: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError(Invalid::new(sentence.into()).to_string()))
}

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageConfig {
    /// The data folder.
    pub data_folder: PathBuf,
    /// The database, if not in the data folder.
    pub database: Option<PathBuf>,
    /// The package folder, if not in the data folder.
    pub packages: Option<PathBuf>,
    /// The secret, if it was given.
    pub secret: Option<Secret>,
}

/// All that the server must be told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept.
    pub storage: StorageConfig,
    /// Host name or address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Whether it speaks HTTPS there.
    pub tls: TlsConfig,
    /// Host name or address, and port, for plain HTTP beside HTTPS.
    pub plain_address: Option<(String, u16)>,
    /// How often its certificate is looked at.
    pub certificate_look: LookInterval,
    /// Address for download links, without a slash at its end.
    pub public_url: Option<String>,
    /// Whether download links work for everybody.
    pub download_urls: DownloadUrls,
    /// Proxies whose word is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Everybody may do everything.
    pub authentication_is_off: bool,
    /// Who is asked about management tokens that are not tender's own.
    pub identity_provider: Option<IdentityProviderConfig>,
    /// Where events are sent.
    pub webhooks: Vec<WebhookConfig>,
    /// How hard it is tried.
    pub webhook_limits: WebhookLimits,
    /// Connections at once.
    pub max_connections: usize,
    /// How much may be downloaded at once.
    pub downloads: DownloadLimits,
    /// How long the end may take.
    pub drain_timeout: Duration,
    /// How often those who listen to events are sent something; `None`: as usual. No option: tests have less time.
    pub heartbeat: Option<Duration>,
    /// After how long a device that is not heard counts as silent.
    pub silent_after: Duration,
    /// How much may be stored.
    pub storage_limits: StorageLimits,
    /// How long an upload that nobody goes on with is kept.
    pub upload_lifetime: Duration,
    /// How much of the audit log is kept.
    pub audit_retention: AuditRetention,
    /// How stored packages are read again.
    pub scrub: ScrubPlan,
    /// What backups the server makes by itself.
    pub backups: Option<BackupConfig>,
    /// What is logged.
    pub log: Targets,
    /// How lines of the log look.
    pub log_format: LogFormat,
    /// Host and port of a listener for metrics alone.
    pub metrics_listen: Option<(String, u16)>,
}

impl StorageConfig {
    /// Everything in one folder.
    pub fn in_folder(data_folder: impl Into<PathBuf>) -> Self {
        Self { data_folder: data_folder.into(), database: None, packages: None, secret: None }
    }

    /// Makes sense of the options of a command that is not `serve`.
    pub fn new(options: StorageOptions, file: &FileOption) -> Result<Self, ConfigError> {
        let contents = read_file(file)?;
        Self::resolve(options, contents.storage)
    }

    fn resolve(options: StorageOptions, file: StorageOptions) -> Result<Self, ConfigError> {
        let secret = secrets::TOKENS.resolve(options.jwt_secret_file.as_deref(), file.jwt_secret_file.as_deref())?;
        let options = options.or(file);
        Ok(Self {
            data_folder: options.data_dir.unwrap_or_else(default_data_folder),
            database: options.db_connstring.as_deref().map(database_path).transpose()?,
            packages: options.local_package_dir,
            secret,
        })
    }
}

impl Config {
    /// The defaults, with everything in one folder.
    pub fn in_folder(data_folder: impl Into<PathBuf>) -> Self {
        Self {
            storage: StorageConfig::in_folder(data_folder),
            host: DEFAULT_HOST.to_owned(),
            port: DEFAULT_PORT,
            tls: TlsConfig::Off,
            plain_address: None,
            certificate_look: LookInterval::default(),
            public_url: None,
            download_urls: DownloadUrls::Public,
            trusted_proxies: Vec::new(),
            authentication_is_off: false,
            identity_provider: None,
            webhooks: Vec::new(),
            webhook_limits: WebhookLimits::default(),
            max_connections: DEFAULT_CONNECTIONS,
            downloads: DownloadLimits::default(),
            drain_timeout: DEFAULT_DRAIN,
            heartbeat: None,
            silent_after: DEFAULT_SILENT_AFTER,
            storage_limits: StorageLimits::default(),
            upload_lifetime: DEFAULT_UPLOAD_LIFETIME,
            audit_retention: AuditRetention::default(),
            scrub: ScrubPlan::default(),
            backups: None,
            log: Targets::new(),
            log_format: LogFormat::Auto,
            metrics_listen: None,
        }
    }

    /// Makes sense of the options of `serve`.
    pub fn new(
        storage: StorageOptions,
        address: &AddressOptions,
        serve: ServeOptions,
        tls: TlsOptions,
        backup: BackupOptions,
        webhook: WebhookOptions,
        file: &FileOption,
    ) -> Result<Self, ConfigError> {
        let contents = read_file(file)?;
        let (host, port) = address.resolve(&contents.address)?;
        let identity_provider = IdentityProviderConfig::resolve(&serve, &contents.serve)?;
        let options = serve.or(contents.serve);
        let max_connections = options.max_connections.unwrap_or(DEFAULT_CONNECTIONS);
        if !(1..=MOST_CONNECTIONS).contains(&max_connections) {
            return refuse(format!("max_connections must be 1 to {MOST_CONNECTIONS}"));
        }
        let zone = time_zone(options.time_zone.as_deref())?;
        let downloads = download_limits(&options, contents.download_hours, max_connections, &zone)?;
        let scrub_hours = options.scrub_hours.as_deref();
        let scrub_hours = scrub_hours.map(|text| local_hours("scrub_hours", text, &zone)).transpose()?;
        let tls = tls.or(contents.tls);
        let public_url = options.public_url.as_deref().map(public_url).transpose()?;
        Ok(Self {
            storage: StorageConfig::resolve(storage, contents.storage)?,
            host,
            port,
            tls: tls.resolve(public_url.as_deref())?,
            plain_address: tls.plain_listen.as_deref().map(|text| address::parse("plain_listen", text)).transpose()?,
            certificate_look: LookInterval::default(),
            public_url,
            download_urls: options.download_urls.as_deref().map_or(Ok(DownloadUrls::Public), download_urls)?,
            trusted_proxies: options
                .trusted_proxies
                .unwrap_or_default()
                .iter()
                .filter(|text| !text.trim().is_empty())
                .map(|text| network(text))
                .collect::<Result<_, _>>()?,
            authentication_is_off: options.no_api_auth.unwrap_or(false),
            identity_provider,
            webhooks: WebhookConfig::resolve(webhook, contents.webhook, contents.webhooks)?,
            webhook_limits: WebhookLimits::default(),
            max_connections,
            downloads,
            heartbeat: None,
            drain_timeout: options
                .drain_timeout
                .as_deref()
                .map_or(Ok(DEFAULT_DRAIN), |text| duration("drain_timeout", text))?,
            silent_after: silent_after(options.silent_after.as_deref())?,
            storage_limits: StorageLimits {
                reserve: size("storage_reserve", options.storage_reserve.as_deref())?,
                package: size("max_package_size", options.max_package_size.as_deref())?,
                store: size("max_store_size", options.max_store_size.as_deref())?,
            },
            upload_lifetime: options
                .upload_lifetime
                .as_deref()
                .map_or(Ok(DEFAULT_UPLOAD_LIFETIME), |text| duration("upload_lifetime", text))?,
            audit_retention: audit_retention(options.audit_age.as_deref(), options.audit_entries)?,
            backups: BackupConfig::resolve(backup, contents.backup, &zone)?,
            scrub: scrub_plan(options.scrub_rate.as_deref(), options.scrub_every.as_deref(), scrub_hours)?,
            log: log_levels(options.log.as_deref().unwrap_or(DEFAULT_LOG))?,
            log_format: watch::log_format(options.log_format.as_deref())?,
            metrics_listen: options.metrics_listen.as_deref().map(watch::metrics_listen).transpose()?,
        })
    }
}

/// The folder that systemd gave, or one in the current folder.
fn default_data_folder() -> PathBuf {
    let given = env::var_os("STATE_DIRECTORY").filter(|folders| !folders.is_empty());
    // systemd separates several with colons; the first is the service's own.
    given.and_then(|folders| env::split_paths(&folders).next()).unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_FOLDER))
}

/// The file that a `sqlite:` URL names, written as for SQLAlchemy: three slashes before a relative path, four before an
/// absolute one.
fn database_path(url: &str) -> Result<PathBuf, ConfigError> {
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return refuse(format!(
            "the database \"{}\" is not SQLite: tender needs no other; give a sqlite: URL",
            scheme(url)
        ));
    };
    let path = rest.strip_prefix("///").unwrap_or(rest);
    if path.is_empty() || path == "//" || path.contains(":memory:") {
        return refuse("a database in memory would be lost at every stop: give a sqlite: URL with a file");
    }
    if path.starts_with("//") || path.contains('?') {
        return refuse(format!(
            "the database URL \"{url}\" is not like sqlite:///relative/file or sqlite:////absolute/file"
        ));
    }
    Ok(PathBuf::from(path))
}

/// What stands before the colon of a URL: the rest may hold a password.
fn scheme(url: &str) -> &str {
    url.split(':').next().unwrap_or_default()
}

fn public_url(text: &str) -> Result<String, ConfigError> {
    let wrong = || refuse(format!("public_url = \"{text}\" is not an address such as http://updates.example:5000"));
    let Ok(uri) = text.parse::<http::Uri>() else { return wrong() };
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let has_host =
        uri.authority().is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    if !is_http || !has_host || uri.query().is_some() || text.contains('#') {
        return wrong();
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn download_urls(text: &str) -> Result<DownloadUrls, ConfigError> {
    text.parse().or_else(|_| refuse(format!("download_urls = \"{text}\" is neither public nor signed")))
}

fn network(text: &str) -> Result<IpNet, ConfigError> {
    let text = text.trim();
    text.parse::<IpNet>()
        .or_else(|_| text.parse().map(|address: std::net::IpAddr| IpNet::from(address)))
        .or_else(|_| refuse(format!("trusted_proxies: \"{text}\" is not an address or network, such as 10.0.0.0/8")))
}

fn duration(name: &str, text: &str) -> Result<Duration, ConfigError> {
    humantime::parse_duration(text)
        .or_else(|_| refuse(format!("{name} = \"{text}\" is not a duration, such as 30s or 5min")))
}

fn silent_after(text: Option<&str>) -> Result<Duration, ConfigError> {
    let duration = text.map_or(Ok(DEFAULT_SILENT_AFTER), |text| duration("silent_after", text))?;
    if duration < Duration::from_secs(1) { refuse("silent_after must be at least 1s") } else { Ok(duration) }
}

fn size(name: &str, text: Option<&str>) -> Result<Option<ByteSize>, ConfigError> {
    text.map(str::parse).transpose().or_else(|invalid| refuse(format!("{name}: {invalid}")))
}

fn audit_retention(age: Option<&str>, entries: Option<u64>) -> Result<AuditRetention, ConfigError> {
    let default = AuditRetention::default();
    let age = age.map_or(Ok(default.age), |text| duration("audit_age", text))?;
    let entries = entries.unwrap_or(default.entries);
    if age < Duration::from_secs(1) || !(1..=MOST_AUDIT_ENTRIES).contains(&entries) {
        return refuse(format!("audit_age must be at least 1s, and audit_entries 1 to {MOST_AUDIT_ENTRIES}"));
    }
    Ok(AuditRetention { age, entries })
}

/// A size in a second, with or without `/s`; `None` if something is switched off. `name` is for the sentence that says what is
/// wrong.
fn rate_or_off(name: &str, text: &str) -> Result<Option<ByteSize>, ConfigError> {
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let size = text.trim();
    match size.strip_suffix("/s").unwrap_or(size).parse::<ByteSize>() {
        Ok(size) => Ok(Some(size).filter(|size| size.bytes() > 0)),
        Err(error) => refuse(format!("{name}: {error}, or \"off\"")),
    }
}

fn scrub_plan(rate: Option<&str>, every: Option<&str>, hours: Option<LocalHours>) -> Result<ScrubPlan, ConfigError> {
    let default = ScrubPlan::default();
    let rate = rate.map_or(Ok(default.rate), |text| rate_or_off("scrub_rate", text))?;
    let every = every.map_or(Ok(default.every), |text| duration("scrub_every", text))?;
    if !(SHORTEST_SCRUB..=LONGEST_SCRUB).contains(&every) {
        return refuse("scrub_every must be at least 1h, and at most 100 years");
    }
    Ok(ScrubPlan { rate, every, hours })
}

fn log_levels(text: &str) -> Result<Targets, ConfigError> {
    text.parse().or_else(|_| refuse(format!("log = \"{text}\" is not a level: use error, warn, info, debug or trace")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap::{Arg, Args, Command};

    use super::options::parse_file;
    use super::*;

    fn serve(text: &str) -> Result<Config, ConfigError> {
        let contents = parse_file(Path::new("tender.toml"), text)?;
        Config::new(
            contents.storage,
            &contents.address,
            contents.serve,
            contents.tls,
            contents.backup,
            contents.webhook,
            &FileOption::default(),
        )
    }

    fn command() -> Command {
        let command = AddressOptions::augment_args(StorageOptions::augment_args(Command::new("tender")));
        let command = TlsOptions::augment_args(ServeOptions::augment_args(command));
        WebhookOptions::augment_args(BackupOptions::augment_args(command))
    }

    #[test]
    fn every_option_is_a_flag_a_variable_and_a_key() {
        let command = command();
        let options: Vec<&Arg> = command.get_arguments().collect();
        assert_eq!(options.len(), 46);
        for option in options {
            let flag = option.get_long().unwrap();
            assert!(option.get_env().is_some(), "--{flag} has no environment variable");
            let key = flag.replace('-', "_");
            let accepted = ["\"text\"", "1", "true", "[\"text\"]"]
                .iter()
                .any(|value| parse_file(Path::new("tender.toml"), &format!("{key} = {value}")).is_ok());
            assert!(accepted, "--{flag} has no key in the file");
        }
    }

    #[test]
    fn the_sample_configuration_is_accepted_and_shows_every_option() {
        let sample = include_str!("../../packaging/tender.toml");
        serve(sample).unwrap();
        let all = sample.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).collect::<Vec<_>>().join("\n");
        let contents = parse_file(Path::new("tender.toml"), &all).unwrap();
        let command = command();
        for option in command.get_arguments() {
            let key = option.get_long().unwrap().replace('-', "_");
            assert!(all.lines().any(|line| line.starts_with(&format!("{key} ="))), "{key} is not in the sample");
        }
        assert!(contents.storage.data_dir.is_some());
    }

    #[test]
    fn addresses_come_in_two_forms_but_not_both() {
        let address = |text: &str| serve(text).map(|config| (config.host, config.port));
        assert_eq!(address("").unwrap(), ("127.0.0.1".into(), 5000));
        assert_eq!(address("listen = \"0.0.0.0:80\"").unwrap(), ("0.0.0.0".into(), 80));
        assert_eq!(address("listen = \"[::1]:80\"").unwrap(), ("::1".into(), 80));
        assert_eq!(address("hostname = \"gateway\"").unwrap(), ("gateway".into(), 5000));
        assert_eq!(address("api_port = 81").unwrap(), ("127.0.0.1".into(), 81));
        assert!(address("listen = \"0.0.0.0:80\"\napi_port = 81").is_err());
        assert!(address("listen = \"80\"").is_err());
        assert!(address("listen = \"gateway:99999\"").is_err());
    }

    #[test]
    fn flags_come_before_the_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "listen = \"0.0.0.0:80\"\nmax_connections = 7\ndata_dir = \"/file\"").unwrap();
        let option = FileOption::at(file.path());
        let flags = AddressOptions { api_port: Some(81), ..AddressOptions::default() };
        let storage = StorageOptions { data_dir: Some("/flag".into()), ..StorageOptions::default() };
        let (serve, tls, backup) = (ServeOptions::default(), TlsOptions::default(), BackupOptions::default());
        let config = Config::new(storage, &flags, serve, tls, backup, WebhookOptions::default(), &option).unwrap();
        assert_eq!((config.host.as_str(), config.port, config.max_connections), ("127.0.0.1", 81, 7));
        assert_eq!(config.storage.data_folder, Path::new("/flag"));
    }

    #[test]
    fn an_identity_provider_is_told_in_full_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "the client's\r\n").unwrap();
        let (url, id) = ("oauth_url = \"https://idp.example/introspect\"", "oauth_client_id = \"tender\"");
        let secret = format!("oauth_client_secret_file = \"{}\"", file.display());

        assert!(serve("").unwrap().identity_provider.is_none());
        let config = serve(&[url, id, &secret].join("\n")).unwrap();
        assert!(!format!("{config:?}").contains("the client's"), "{config:?}");
        let provider = config.identity_provider.unwrap();
        assert_eq!(provider.url.as_str(), "https://idp.example/introspect");
        assert_eq!((provider.client_id.as_str(), provider.client_secret.reveal()), ("tender", "the client's"));

        for part in [vec![url], vec![id], vec![&secret], vec![url, id], vec![url, &secret], vec![id, &secret]] {
            let sentence = serve(&part.join("\n")).unwrap_err().to_string();
            assert!(sentence.contains("all three") && !sentence.contains('\n'), "{sentence}");
        }
        assert!(serve(&[url, "oauth_client_id = \" \"", &secret].join("\n")).is_err());
        fs::write(&file, "\n").unwrap();
        let sentence = serve(&[url, id, &secret].join("\n")).unwrap_err().to_string();
        assert!(sentence.contains("client secret"), "{sentence}");
    }

    #[test]
    fn scrubbing_has_a_rate_or_is_off() {
        let plan = |text: &str| serve(text).unwrap().scrub;
        assert_eq!(plan(""), ScrubPlan::default());
        assert_eq!(plan("scrub_rate = \"500 kB\"").rate, Some(ByteSize::from_bytes(500_000)));
        for off in ["0", "off", "OFF", "0MiB"] {
            assert_eq!(plan(&format!("scrub_rate = \"{off}\"")).rate, None, "{off}");
        }
        assert_eq!(plan("scrub_every = \"7days\"").every, Duration::from_secs(7 * 24 * 60 * 60));
    }

    #[test]
    fn hours_are_told_by_the_clocks_of_a_zone() {
        let hours =
            |text: &str| serve(&format!("scrub_hours = \"sun 01:00-05:00\"\n{text}")).unwrap().scrub.hours.unwrap();
        let sunday = crate::domain::Timestamp::from_unix_seconds(1_800_144_000);
        let next = |text: &str| hours(text).next_change(sunday).map(|change| sunday.until(change).as_secs() / 3600);
        assert_eq!(next("time_zone = \"UTC\""), Some(1));
        assert_eq!(next("time_zone = \"Europe/Berlin\""), Some(4));
        assert_eq!(next("time_zone = \"America/New_York\""), Some(6));
        // Whatever this machine's is.
        assert!(next("").is_some());
    }

    #[test]
    fn databases_are_files() {
        assert_eq!(database_path("sqlite:///a/b.db").unwrap(), Path::new("a/b.db"));
        assert_eq!(database_path("sqlite:////a/b.db").unwrap(), Path::new("/a/b.db"));
        assert_eq!(database_path("sqlite:/a/b.db").unwrap(), Path::new("/a/b.db"));
        for url in ["sqlite://", "sqlite:", "sqlite:///:memory:", "sqlite://host/db", "sqlite:///a?mode=ro", "a.db"] {
            assert!(database_path(url).is_err(), "{url}");
        }
        let error = database_path("postgresql://user:password@host/db").unwrap_err().to_string();
        assert!(error.contains("postgresql") && !error.contains("password"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_refused_in_one_sentence() {
        let refused = [
            "colour = 1",
            "max_connections = 0",
            "max_connections = \"many\"",
            "public_url = \"updates.example\"",
            "public_url = \"ftp://updates.example\"",
            "public_url = \"http://a/?q\"",
            "download_urls = \"secret\"",
            "trusted_proxies = [\"everybody\"]",
            "drain_timeout = \"soon\"",
            "silent_after = \"late\"",
            "silent_after = \"0s\"",
            "max_store_size = \"much\"",
            "upload_lifetime = \"soon\"",
            "audit_age = \"0s\"",
            "audit_entries = 0",
            "scrub_rate = \"fast\"",
            "scrub_rate = \"4M\"",
            "scrub_every = \"1s\"",
            "scrub_every = \"101years\"",
            "scrub_hours = \"always\"",
            "scrub_hours = \"\"",
            "scrub_hours = \"08:00-08:00\"",
            "time_zone = \"Europe/Atlantis\"",
            "time_zone = \"\"",
            "download_rate = \"fast\"",
            "download_rate = \"40MiB/h\"",
            "download_rate = \"1000\"",
            "download_rate_device = \"1000 B/s\"",
            "max_downloads = 0",
            "max_downloads = 513",
            "max_connections = 10\nmax_downloads = 6",
            "log = \"loud=very\"",
            "silent_after = \"1\\n\"",
            "listen = ",
        ];
        for text in refused {
            let sentence = serve(text).unwrap_err().to_string();
            assert!(!sentence.contains('\n'), "{sentence}");
        }
        assert_eq!(serve("public_url = \"https://a/b/\"").unwrap().public_url.as_deref(), Some("https://a/b"));
        let download_urls = |text| serve(text).unwrap().download_urls;
        assert_eq!(download_urls(""), DownloadUrls::Public);
        assert_eq!(download_urls("download_urls = \"public\""), DownloadUrls::Public);
        assert_eq!(download_urls("download_urls = \"signed\""), DownloadUrls::Signed);
    }
}
