//! `/.well-known/oauth-authorization-server`: what this authorization server can do, for libraries that find their way by it.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use crate::domain::Scope;
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Anonymous;
use crate::http::reply;
use crate::http::request::Request;

/// How clients may authenticate, at each endpoint.
const METHODS: [&str; 2] = ["client_secret_basic", "client_secret_post"];

/// RFC 8414, section 2.
#[derive(Serialize)]
struct MetadataReply {
    token_endpoint: String,
    token_endpoint_auth_methods_supported: [&'static str; 2],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: [&'static str; 2],
    grant_types_supported: [&'static str; 1],
    /// Required, though there is no authorization endpoint that would have any.
    response_types_supported: [&'static str; 0],
    scopes_supported: Vec<&'static str>,
    issuer: String,
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414)
///
/// - 200: the endpoints, under the address at which the client reaches this server
/// - 400: the request names a host that cannot be one
pub async fn show(api: Arc<Api>, _: Anonymous, (): (), request: Request) -> Result<Response, ApiError> {
    let issuer = api.addresses.base_url(&request.head)?;
    let metadata = MetadataReply {
        token_endpoint: format!("{issuer}/oauth/token"),
        token_endpoint_auth_methods_supported: METHODS,
        introspection_endpoint: format!("{issuer}/oauth/introspect"),
        introspection_endpoint_auth_methods_supported: METHODS,
        revocation_endpoint: format!("{issuer}/oauth/revoke"),
        revocation_endpoint_auth_methods_supported: METHODS,
        grant_types_supported: ["client_credentials"],
        response_types_supported: [],
        scopes_supported: Scope::ALL.iter().map(|scope| scope.name()).collect(),
        issuer,
    };
    Ok(reply::ok(&metadata)?)
}
