//! A server that runs, asked by its API.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::trust::TrustOption;
use crate::tls::{Trust, client_config};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Which server a command asks.
#[derive(Args)]
pub(super) struct ServerOptions {
    /// Ask the server that runs there, with the token in TENDER_TOKEN (rdfm_admin_ro is enough), instead of reading the data
    /// folder
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<Url>,
    /// A management token for --server
    #[arg(long, value_name = "TOKEN", env = "TENDER_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    #[command(flatten)]
    pub(super) trust: TrustOption,
}

/// A server, and what is shown to it.
pub(super) struct Remote {
    server: Url,
    token: Option<String>,
    client: Client,
}

impl ServerOptions {
    /// The server that is named, if one is.
    pub(super) fn remote(self) -> anyhow::Result<Option<Remote>> {
        let Self { server, token, trust } = self;
        let Some(server) = server else { return Ok(None) };
        let trust = trust.trust(server.scheme() == "https")?;
        Remote::new(server, trust, token, TIMEOUT).map(Some)
    }
}

impl Remote {
    /// A server that has so long to answer.
    pub(super) fn new(server: Url, trust: Trust, token: Option<String>, patience: Duration) -> anyhow::Result<Self> {
        let client = Client::builder().tls_backend_preconfigured(client_config(trust)?).timeout(patience).build()?;
        Ok(Self { server, token, client })
    }

    /// What it answers to a `GET`; an error says why that is nothing good.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let server = &self.server;
        let (status, text) = self.fetch(path, query).await?;
        let answer: Value =
            serde_json::from_str(&text).with_context(|| format!("{server} is no tender server, it seems"))?;
        if status != StatusCode::OK {
            let sentence = answer["error"].as_str().unwrap_or("no reason given");
            bail!("{server} answered {status}: {sentence}");
        }
        Ok(answer)
    }

    /// The text that it answers.
    pub(super) async fn get_text(&self, path: &str) -> anyhow::Result<String> {
        match self.fetch(path, &[]).await? {
            (StatusCode::OK, text) => Ok(text),
            (status, _) => Err(anyhow!("{} answered {status}", self.server)),
        }
    }

    async fn fetch(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<(StatusCode, String)> {
        let mut url = Url::parse(&format!("{}{path}", self.server.as_str().trim_end_matches('/')))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.get(url);
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let response = request.send().await.with_context(|| format!("cannot ask {}", self.server))?;
        let status = response.status();
        Ok((status, response.text().await.with_context(|| format!("cannot ask {}", self.server))?))
    }
}
