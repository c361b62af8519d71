//! Where the server listens, in the two forms in which that can be said.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde::{Deserialize, Serialize};

use super::options::read_file;
use super::{ConfigError, FileOption, refuse};

pub(super) const DEFAULT_HOST: &str = "127.0.0.1";
pub(super) const DEFAULT_PORT: u16 = 5000;

/// Where to listen: options of `tender serve`, and of commands that look for the server. Field names are the keys of the
/// file.
#[derive(Debug, Clone, Default, Args, Deserialize, Serialize)]
pub struct AddressOptions {
    /// Address to listen on [default: 127.0.0.1:5000]
    #[arg(long, env = "TENDER_LISTEN", value_name = "ADDR:PORT")]
    pub(super) listen: Option<String>,
    /// Host name or address to listen on, the port apart (the reference server's form of --listen)
    #[arg(long, env = "RDFM_HOSTNAME", value_name = "HOST")]
    pub(super) hostname: Option<String>,
    /// Port to listen on, the host apart (the reference server's form of --listen)
    #[arg(long, env = "RDFM_API_PORT", value_name = "PORT")]
    pub(super) api_port: Option<u16>,
}

impl AddressOptions {
    /// Lets a flag win over a variable also where two options say the same thing. `matches` are those of the command.
    pub fn prefer_flags(mut self, matches: &ArgMatches) -> Self {
        let is_flag = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
        match (is_flag("listen"), is_flag("hostname") || is_flag("api_port")) {
            (true, false) => (self.hostname, self.api_port) = (None, None),
            (false, true) => self.listen = None,
            _ => {}
        }
        self
    }

    /// These, and where they say nothing, `other`: the two forms are not mixed.
    pub(super) fn or(self, other: Self) -> Self {
        let Self { listen, hostname, api_port } = &self;
        if listen.is_some() || hostname.is_some() || api_port.is_some() { self } else { other }
    }

    /// The same for a command that only has to do with this; reads the file.
    pub fn with_file(&self, file: &FileOption) -> Result<(String, u16), ConfigError> {
        self.resolve(&read_file(file)?.address)
    }

    /// Host and port: what these say, else what the file says, else the default. The host has no brackets.
    pub(super) fn resolve(&self, file: &Self) -> Result<(String, u16), ConfigError> {
        match self.address()? {
            Some(address) => Ok(address),
            None => Ok(file.address()?.unwrap_or((DEFAULT_HOST.to_owned(), DEFAULT_PORT))),
        }
    }

    /// Host and port, if anything is said about them.
    fn address(&self) -> Result<Option<(String, u16)>, ConfigError> {
        match (&self.listen, &self.hostname, self.api_port) {
            (None, None, None) => Ok(None),
            (Some(listen), None, None) => parse("listen", listen).map(Some),
            (Some(_), _, _) => {
                refuse("both listen and hostname or api_port (RDFM_HOSTNAME, RDFM_API_PORT) are given: give one form")
            }
            (None, host, port) => {
                let host = host.as_deref().map_or_else(|| DEFAULT_HOST.to_owned(), without_brackets);
                Ok(Some((host, port.unwrap_or(DEFAULT_PORT))))
            }
        }
    }
}

/// Host and port of `text`; `name` is for the sentence that says what is wrong.
pub(super) fn parse(name: &str, text: &str) -> Result<(String, u16), ConfigError> {
    let split = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match split {
        Some((host, port)) if !host.is_empty() => Ok((without_brackets(host), port)),
        _ => refuse(format!("{name} = \"{text}\" is not an address and port, such as 0.0.0.0:5000")),
    }
}

pub(super) fn without_brackets(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned()
}

/// Host and port as they stand in a URL.
pub fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
