//! A server that runs somewhere, which commands ask or tell something.

use std::error::Error;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use futures_util::Stream;
use reqwest::header::AUTHORIZATION;
use reqwest::{Body, Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use super::trust::TrustOption;
use crate::tls::client_config;

/// How long it may take to be heard, and for an answer to what is short.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which server, and who asks.
#[derive(Args)]
pub(super) struct Remote {
    /// Ask the server that runs there, with the token in TENDER_TOKEN, instead of working on the data folder
    #[arg(long, value_name = "URL")]
    server: Option<Url>,
    /// A management token for --server
    #[arg(long, value_name = "TOKEN", env = "TENDER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[command(flatten)]
    trust: TrustOption,
}

impl Remote {
    /// The server, if one is named.
    pub(super) fn server(self) -> anyhow::Result<Option<Server>> {
        let Some(url) = self.server else { return Ok(None) };
        let trust = self.trust.trust(url.scheme() == "https")?;
        let client =
            Client::builder().tls_backend_preconfigured(client_config(trust)?).connect_timeout(TIMEOUT).build()?;
        Ok(Some(Server { client, url, token: self.token }))
    }
}

/// A server, as a command sees it.
pub(super) struct Server {
    client: Client,
    url: Url,
    token: Option<String>,
}

impl Server {
    /// Asks for a path below the server's address, with these in its query.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let mut url = self.at(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.answer(self.client.get(url).timeout(TIMEOUT)).await
    }

    /// Posts this to a path below the server's address, and returns what it answers.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        self.answer(self.client.post(self.at(path)?).body(body).timeout(TIMEOUT)).await
    }

    /// The same with a body of any length, piece by piece.
    pub(super) async fn post_pieces<E>(
        &self,
        path: &str,
        pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> anyhow::Result<Value>
    where
        E: Into<Box<dyn Error + Send + Sync>> + 'static,
    {
        self.answer(self.client.post(self.at(path)?).body(Body::wrap_stream(pieces))).await
    }

    fn at(&self, path: &str) -> anyhow::Result<Url> {
        Ok(Url::parse(&format!("{}{path}", self.url.as_str().trim_end_matches('/')))?)
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let url = &self.url;
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        let response = request.send().await.with_context(|| format!("cannot ask {url}"))?;
        let status = response.status();
        let answer: Value = response.json().await.with_context(|| format!("{url} is no tender server, it seems"))?;
        if status != StatusCode::OK {
            let sentence = answer["error"].as_str().unwrap_or("no reason given");
            bail!("{url} answered {status}: {sentence}");
        }
        Ok(answer)
    }
}
