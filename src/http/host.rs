//! Under which address a client reaches this server: what stands before the path in a download URL.

use std::net::IpAddr;

use headers::HeaderMap;
use ipnet::IpNet;
use warp::http::HeaderName;
use warp::http::header::{FORWARDED, HOST};
use warp::http::uri::Authority;

use super::endpoint::Request;
use super::error::ApiError;

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How the server's own address is found.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// The address, if it was configured; without a slash at its end.
    pub public_url: Option<String>,
    /// Proxies whose word about the client's request is taken.
    pub trusted_proxies: Vec<IpNet>,
}

impl Addresses {
    /// Scheme and authority of this server as the client of `request` sees it, such as `http://10.0.0.2:5000`.
    ///
    /// 400 if the request names a host that cannot be one.
    pub fn base_url(&self, request: &Request) -> Result<String, ApiError> {
        if let Some(url) = &self.public_url {
            return Ok(url.clone());
        }
        let peer = request.connection.peer.map(|peer| peer.ip().to_canonical());
        let forwarded = if peer.is_some_and(|peer| self.trusts(peer)) {
            Forwarded::of(&request.headers)
        } else {
            Forwarded::default()
        };
        let scheme = match forwarded.scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
            Some(_) => "http",
            None if request.connection.is_secure => "https",
            None => "http",
        };
        let host = forwarded.host.or_else(|| request.headers.get(HOST)?.to_str().ok().map(str::to_owned));
        match (host, request.connection.local) {
            (Some(host), _) => Ok(format!("{scheme}://{}", authority(&host)?)),
            // HTTP/1.0 knows no Host: the address that the client connected to is one that it can reach.
            (None, Some(local)) => Ok(format!("{scheme}://{local}")),
            (None, None) => Err(ApiError::BadRequest("the Host header is missing".to_owned())),
        }
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }
}

fn authority(host: &str) -> Result<Authority, ApiError> {
    host.parse::<Authority>()
        .ok()
        .filter(|authority| {
            !authority.as_str().contains('@') && !authority.host().is_empty() && has_good_port(authority)
        })
        .ok_or_else(|| ApiError::BadRequest("the Host header is not a host name or address".to_owned()))
}

/// Whether there is a port number, or none: the parser takes any text after the colon.
fn has_good_port(authority: &Authority) -> bool {
    authority.port_u16().is_some() || matches!(authority.as_str().strip_prefix(authority.host()), Some("" | ":"))
}

/// What the nearest proxy says: it appends, so its word is the last, and what stands before came from outside.
#[derive(Default)]
struct Forwarded {
    host: Option<String>,
    scheme: Option<String>,
}

impl Forwarded {
    fn of(headers: &HeaderMap) -> Self {
        let standard = last_element(headers, &FORWARDED);
        let parameter = |wanted: &str| {
            standard.as_deref()?.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
            })
        };
        Self {
            host: parameter("host").or_else(|| last_element(headers, &FORWARDED_HOST)),
            scheme: parameter("proto").or_else(|| last_element(headers, &FORWARDED_PROTO)),
        }
    }
}

fn last_element(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(|element| element.trim().to_owned()).filter(|element| !element.is_empty())
}
