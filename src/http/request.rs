//! A request, as guards and handlers see it.

use std::sync::Arc;

use headers::HeaderMap;
use warp::http::{Method, Uri};

use super::body::RequestBody;
use super::connection::Connection;
use super::exchange::RequestRecord;
use super::sendfile::Segments;

/// What is known of a request before its body is read.
pub struct Head {
    /// Its method: `GET` handlers see `HEAD` too.
    pub method: Method,
    /// What it asks for.
    pub target: RequestTarget,
    /// Its headers.
    pub headers: HeaderMap,
    /// The connection that it came on.
    pub connection: Connection,
    /// What is sent of files on that connection; `None` where files have to be read.
    pub segments: Option<Segments>,
    /// What becomes known of it, for the log.
    pub record: Arc<RequestRecord>,
}

/// What the connection adds to a request on its way to the routes.
#[derive(Clone, Default)]
pub struct Arrival {
    /// What it asks for.
    pub target: RequestTarget,
    /// The connection that it came on.
    pub connection: Connection,
    /// What is sent of files on that connection; `None` where files have to be read.
    pub segments: Option<Segments>,
    /// What becomes known of it, for the log.
    pub record: Arc<RequestRecord>,
}

/// Path and query, as sent but for empty segments.
#[derive(Debug, Clone, Default)]
pub struct RequestTarget(pub Uri);

impl RequestTarget {
    /// The path.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// What stands after the `?`; empty if nothing does.
    pub fn query(&self) -> &str {
        self.0.query().unwrap_or_default()
    }
}

/// A request whose body is not read yet. It is handed on from future to future, each of which has room for it: little.
pub struct Request {
    /// What came before the body.
    pub head: Box<Head>,
    /// The body.
    pub body: Box<RequestBody>,
}
