//! Under which address a client reaches this server: what stands before the path in a download URL.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use headers::HeaderMap;
use ipnet::IpNet;
use warp::http::HeaderName;
use warp::http::header::{FORWARDED, HOST};
use warp::http::uri::Authority;

use super::error::ApiError;
use super::request::Head;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
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
    /// Scheme and authority of this server as the client sees it, such as `http://10.0.0.2:5000`.
    ///
    /// 400 if the request names a host that cannot be one.
    pub fn base_url(&self, head: &Head) -> Result<String, ApiError> {
        if let Some(url) = &self.public_url {
            return Ok(url.clone());
        }
        let scheme = if self.is_secure(head) { "https" } else { "http" };
        match (self.host(head), head.connection.local) {
            (Some(host), _) => Ok([scheme, "://", authority(&host)?.as_str()].concat()),
            // HTTP/1.0 knows no Host: the address that the client connected to is one that it can reach.
            (None, Some(local)) => Ok(format!("{scheme}://{local}")),
            (None, None) => Err(ApiError::BadRequest("the Host header is missing".to_owned())),
        }
    }

    /// Whether the client's own connection is encrypted, up to a proxy if need be.
    pub fn is_secure(&self, head: &Head) -> bool {
        match self.forwarded(head).scheme {
            Some(scheme) => scheme.eq_ignore_ascii_case("https"),
            None => head.connection.is_secure,
        }
    }

    /// Where the request came from: the nearest address that is no trusted proxy's.
    pub fn client_address(&self, head: &Head) -> Option<IpAddr> {
        let mut nearest = head.connection.peer?.ip().to_canonical();
        if !self.trusts(nearest) {
            return Some(nearest);
        }
        let mut before = addresses_before(&head.headers);
        while self.trusts(nearest) {
            let Some(address) = before.pop().flatten() else { break };
            nearest = address;
        }
        Some(nearest)
    }

    /// Whether this server is the origin that a browser says a request's page is from, such as `http://10.0.0.2:5000`. The
    /// scheme is left out: a proxy may have taken TLS off without saying so.
    pub fn is_own_origin(&self, head: &Head, origin: &str) -> bool {
        let without_scheme = |url: &str| url.split_once("://").map(|(_, rest)| rest.to_ascii_lowercase());
        let Some(origin) = without_scheme(origin) else { return false };
        let public = self.public_url.as_deref().and_then(without_scheme);
        let public = public.as_deref().and_then(|rest| rest.split('/').next());
        let host = self.host(head);
        public == Some(origin.as_str()) || host.is_some_and(|host| host.eq_ignore_ascii_case(&origin))
    }

    /// The host that the client asked for, with its port if that is not the usual one.
    fn host<'a>(&self, head: &'a Head) -> Option<Cow<'a, str>> {
        // HTTP/2 has it in the target, and who writes one in HTTP/1.1 means it (RFC 9112, section 3.2.2).
        let asked = || head.target.0.authority().map(|authority| authority.as_str().into());
        let named = || head.headers.get(HOST)?.to_str().ok().map(Cow::from);
        self.forwarded(head).host.map(Cow::from).or_else(asked).or_else(named)
    }

    /// What the nearest proxy says, if it is trusted.
    fn forwarded(&self, head: &Head) -> Forwarded {
        let peer = head.connection.peer.map(|peer| peer.ip().to_canonical());
        if peer.is_some_and(|peer| self.trusts(peer)) { Forwarded::of(&head.headers) } else { Forwarded::default() }
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
        let parameter = |wanted: &str| parameter(standard.as_deref()?, wanted);
        Self {
            host: parameter("host").or_else(|| last_element(headers, &FORWARDED_HOST)),
            scheme: parameter("proto").or_else(|| last_element(headers, &FORWARDED_PROTO)),
        }
    }
}

/// A parameter of one element of `Forwarded` (RFC 7239, section 4).
fn parameter(element: &str, wanted: &str) -> Option<String> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The addresses that the request passed through before it came to us, the nearest last; `None` where one is hidden or
/// cannot be read.
fn addresses_before(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let elements = |name: &HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).map(|element| element.trim().to_owned()).collect()
    };
    let standard = elements(&FORWARDED);
    if standard.is_empty() {
        return elements(&FORWARDED_FOR).iter().map(|element| address(element)).collect();
    }
    standard.iter().map(|element| address(&parameter(element, "for")?)).collect()
}

/// An address as proxies write it: with or without port, IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets).map(|address: IpAddr| address.to_canonical())
}

fn last_element(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(|element| element.trim().to_owned()).filter(|element| !element.is_empty())
}
