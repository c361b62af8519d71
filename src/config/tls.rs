//! Whether the server speaks HTTPS, and with which certificate.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{ConfigError, refuse};

/// How often there is a look whether a certificate has changed on disk, or has to be renewed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// So that a mistyped list does not become a certificate that no client reads.
const MOST_NAMES: usize = 64;

/// HTTPS: options of `tender serve`. Field names are the keys of the file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
pub struct TlsOptions {
    /// HTTPS with a certificate that tender makes itself (auto), or plain HTTP (off) [default: off, unless a certificate is
    /// given]
    #[arg(long, env = "TENDER_TLS", value_name = "MODE")]
    pub(super) tls: Option<String>,
    /// File with the certificate for HTTPS and those that lead to its authority, as PEM
    #[arg(long, env = "RDFM_SERVER_CERT", value_name = "FILE")]
    pub(super) server_cert: Option<PathBuf>,
    /// File with the private key of that certificate, as PEM
    #[arg(long, env = "RDFM_SERVER_KEY", value_name = "FILE")]
    pub(super) server_key: Option<PathBuf>,
    /// Names and addresses by which clients reach this server, beside those that it finds itself, for --tls auto
    #[arg(long, env = "TENDER_TLS_NAMES", value_name = "NAME", value_delimiter = ',')]
    pub(super) tls_names: Option<Vec<String>>,
    /// Address for plain HTTP beside HTTPS, for devices that cannot speak that [default: none]
    #[arg(long, env = "TENDER_PLAIN_LISTEN", value_name = "ADDR:PORT")]
    pub(super) plain_listen: Option<String>,
}

/// Whether the server speaks HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsConfig {
    /// It speaks plain HTTP.
    Off,
    /// With a certificate that somebody else made.
    Given {
        /// The certificate and those that lead to its authority: PEM.
        certificate: PathBuf,
        /// Its private key: PEM.
        key: PathBuf,
    },
    /// With a certificate of an authority of our own.
    Auto {
        /// Names and addresses that it is also good for.
        names: Vec<String>,
    },
}

/// How often a certificate is looked at. No option: tests have less time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookInterval(pub Duration);

impl Default for LookInterval {
    fn default() -> Self {
        Self(LOOK_INTERVAL)
    }
}

impl TlsOptions {
    /// These, and where something is left out, `other`'s.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            tls: self.tls.or(other.tls),
            server_cert: self.server_cert.or(other.server_cert),
            server_key: self.server_key.or(other.server_key),
            tls_names: self.tls_names.or(other.tls_names),
            plain_listen: self.plain_listen.or(other.plain_listen),
        }
    }

    /// What they mean; `public_url` has a name that clients use.
    pub(super) fn resolve(&self, public_url: Option<&str>) -> Result<TlsConfig, ConfigError> {
        let given = self.server_cert.clone().zip(self.server_key.clone());
        if given.is_none() && (self.server_cert.is_some() || self.server_key.is_some()) {
            return refuse("server_cert and server_key (RDFM_SERVER_CERT, RDFM_SERVER_KEY) belong together: give both");
        }
        let config = match (self.tls.as_deref(), given) {
            (Some("off"), _) | (None, None) => TlsConfig::Off,
            (None, Some((certificate, key))) => TlsConfig::Given { certificate, key },
            (Some("auto"), None) => TlsConfig::Auto { names: self.names(public_url)? },
            (Some("auto"), Some(_)) => {
                return refuse("both tls = \"auto\" and a certificate (server_cert) are given: give one");
            }
            (Some(other), _) => return refuse(format!("tls = \"{other}\" is neither auto nor off")),
        };
        if config == TlsConfig::Off && self.plain_listen.is_some() {
            return refuse("plain_listen is for servers with HTTPS: this one speaks plain HTTP at listen already");
        }
        Ok(config)
    }

    fn names(&self, public_url: Option<&str>) -> Result<Vec<String>, ConfigError> {
        let given = self.tls_names.iter().flatten().map(|name| name.trim()).filter(|name| !name.is_empty());
        let mut names = given.map(name).collect::<Result<Vec<_>, _>>()?;
        let public_host = public_url.and_then(|url| Some(url.parse::<http::Uri>().ok()?.host()?.to_owned()));
        // One that no certificate can be for is the choice of whoever gave it.
        names.extend(public_host.and_then(|host| name(&host).ok()));
        if names.len() > MOST_NAMES {
            return refuse(format!("tls_names are more than {MOST_NAMES}"));
        }
        Ok(names)
    }
}

/// A host name, with `*` for its first label if need be, or an address.
fn name(text: &str) -> Result<String, ConfigError> {
    let name = super::address::without_brackets(text).to_ascii_lowercase();
    if name.parse::<std::net::IpAddr>().is_ok() || is_host_name(name.strip_prefix("*.").unwrap_or(&name)) {
        Ok(name)
    } else {
        refuse(format!("tls_names: \"{text}\" is not a host name or address, such as gateway.example"))
    }
}

/// RFC 1123, section 2.1, and the underscores that people use all the same.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::options::parse_file;
    use super::*;

    fn resolve(text: &str) -> Result<TlsConfig, ConfigError> {
        let contents = parse_file(Path::new("tender.toml"), text)?;
        contents.tls.resolve(Some("https://updates.example:5000/base"))
    }

    #[test]
    fn a_certificate_or_auto_switch_https_on() {
        assert_eq!(resolve("").unwrap(), TlsConfig::Off);
        assert_eq!(resolve("tls = \"off\"").unwrap(), TlsConfig::Off);
        let given = TlsConfig::Given { certificate: "a.pem".into(), key: "b.pem".into() };
        assert_eq!(resolve("server_cert = \"a.pem\"\nserver_key = \"b.pem\"").unwrap(), given);
        let off = "tls = \"off\"\nserver_cert = \"a.pem\"\nserver_key = \"b.pem\"";
        assert_eq!(resolve(off).unwrap(), TlsConfig::Off);
        let names = ["gateway", "*.plant.example", "10.0.0.7", "fd00::7", "updates.example"];
        assert_eq!(
            resolve("tls = \"auto\"\ntls_names = [\"Gateway\", \"*.plant.example\", \"10.0.0.7\", \"[fd00::7]\"]")
                .unwrap(),
            TlsConfig::Auto { names: names.map(str::to_owned).to_vec() }
        );
    }

    #[test]
    fn what_cannot_work_is_refused_in_one_sentence() {
        for (text, reason) in [
            ("tls = \"on\"", "neither auto nor off"),
            ("server_cert = \"a.pem\"", "give both"),
            ("server_key = \"b.pem\"", "give both"),
            ("tls = \"auto\"\nserver_cert = \"a.pem\"\nserver_key = \"b.pem\"", "give one"),
            ("tls = \"auto\"\ntls_names = [\"https://gateway\"]", "https://gateway"),
            ("tls = \"auto\"\ntls_names = [\"a..b\"]", "a..b"),
            ("tls = \"auto\"\ntls_names = [\"-a\"]", "-a"),
            ("plain_listen = \"0.0.0.0:5001\"", "plain HTTP"),
        ] {
            let sentence = resolve(text).unwrap_err().to_string();
            assert!(sentence.contains(reason) && !sentence.contains('\n'), "{sentence}");
        }
    }
}
