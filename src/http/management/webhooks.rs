//! `/api/tender/v1/webhooks`: how the webhooks are.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::webhooks::{self, Standing};

#[derive(Serialize)]
struct WebhooksReply<'a> {
    webhooks: Vec<WebhookReply<'a>>,
}

/// A webhook. Of its address only the host is shown: the rest may be as good as a password.
#[derive(Serialize)]
struct WebhookReply<'a> {
    host: &'a str,
    queued: u64,
    dropped: u64,
    failures: u32,
    failing_since: Option<Moment>,
    last_error: Option<&'a str>,
}

impl<'a> From<&'a Standing> for WebhookReply<'a> {
    fn from(standing: &'a Standing) -> Self {
        Self {
            host: &standing.host,
            queued: standing.queued,
            dropped: standing.dropped,
            failures: standing.failures,
            failing_since: standing.failing_since.map(Moment),
            last_error: standing.last_error.as_deref(),
        }
    }
}

/// `GET /api/tender/v1/webhooks`
///
/// - 200: the webhooks: how many events wait for each and were dropped, and since when and why it takes none, if that is so
pub async fn list(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let webhooks = api.store.read(webhooks::list).await?;
    Ok(reply::ok(&WebhooksReply { webhooks: webhooks.iter().map(WebhookReply::from).collect() })?)
}
