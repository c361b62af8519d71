//! A server that runs somewhere, which commands ask or tell something.

use std::error::Error;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::Args;
use futures_util::Stream;
use reqwest::header::AUTHORIZATION;
use reqwest::{Body, Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use super::trust::TrustOption;
use crate::tls::{Trust, client_config};

/// How long it may take to be heard, and for an answer to what is short.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which server, and who asks.
#[derive(Args)]
pub(super) struct Remote {
    /// Ask the server that runs there, with the token in TENDER_TOKEN, instead of working on the data folder
    #[arg(long, value_name = "URL")]
    pub(super) server: Option<Url>,
    /// A management token for --server
    #[arg(long, value_name = "TOKEN", env = "TENDER_TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    #[command(flatten)]
    pub(super) trust: TrustOption,
}

impl Remote {
    /// The server, if one is named.
    pub(super) fn server(self) -> anyhow::Result<Option<Server>> {
        let Self { server, token, trust } = self;
        let Some(url) = server else { return Ok(None) };
        let trust = trust.trust(url.scheme() == "https")?;
        Server::new(url, trust, token, TIMEOUT).map(Some)
    }
}

/// A server, as a command sees it.
pub(super) struct Server {
    client: Client,
    url: Url,
    token: Option<String>,
    patience: Duration,
}

impl Server {
    /// A server that has so long to answer what is short.
    pub(super) fn new(url: Url, trust: Trust, token: Option<String>, patience: Duration) -> anyhow::Result<Self> {
        let client = Client::builder().tls_backend_preconfigured(client_config(trust)?);
        Ok(Self { client: client.connect_timeout(patience).build()?, url, token, patience })
    }

    /// Asks for a path below the server's address, with these in its query.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let mut url = self.at(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(self.client.get(url).timeout(self.patience)).await
    }

    /// The same for what is answered as text.
    pub(super) async fn get_text(&self, path: &str) -> anyhow::Result<String> {
        let response = self.send(self.client.get(self.at(path)?).timeout(self.patience)).await?;
        let status = response.status();
        if status != StatusCode::OK {
            bail!("{} answered {status}", self.url);
        }
        response.text().await.with_context(|| format!("cannot ask {}", self.url))
    }

    /// Posts this to a path below the server's address, and returns what it answers.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> anyhow::Result<Value> {
        self.answer(self.client.post(self.at(path)?).body(body).timeout(self.patience)).await
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

    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        request.send().await.with_context(|| format!("cannot ask {}", self.url))
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let url = &self.url;
        let response = self.send(request).await?;
        let status = response.status();
        let answer: Value = response.json().await.with_context(|| format!("{url} is no tender server, it seems"))?;
        if status != StatusCode::OK {
            let sentence = answer["error"].as_str().unwrap_or("no reason given");
            bail!("{url} answered {status}: {sentence}");
        }
        Ok(answer)
    }
}
