//! Whom a command believes that asks a server over HTTPS.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::tls::Trust;

/// Whom to believe.
#[derive(Args)]
pub(super) struct TrustOption {
    /// File with the authorities that vouch for the server, as PEM, such as `tender ca export` prints [default: those of the
    /// operating system]
    #[arg(long, value_name = "FILE", env = "TENDER_CA")]
    ca: Option<PathBuf>,
}

impl TrustOption {
    /// Whether somebody said so.
    pub(super) fn is_given(&self) -> bool {
        self.ca.is_some()
    }

    /// Whom to believe when a server is asked over HTTPS, or not over that.
    pub(super) fn trust(&self, is_https: bool) -> anyhow::Result<Trust> {
        let Some(path) = &self.ca else {
            return Ok(if is_https { Trust::OperatingSystem } else { Trust::Nobody });
        };
        let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Trust::in_authorities(&pem).with_context(|| {
            format!("no certificates of authorities can be read in {}: they must be PEM", path.display())
        })
    }
}
