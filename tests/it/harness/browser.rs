//! A person's browser: keeps cookies, and says with each change which page it comes from.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::actors::{Reply, http_client, http_client_at};

/// What a browser knows of the server.
#[derive(Clone)]
pub struct Browser {
    url: String,
    client: Client,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    /// A browser on this machine that has never seen the server.
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), client: http_client(), cookies: BTreeMap::new() }
    }

    /// One that is elsewhere: all of 127.0.0.0/8 is this machine.
    pub fn at(url: &str, address: [u8; 4]) -> Self {
        Self { client: http_client_at(Ipv4Addr::from(address)), ..Self::new(url) }
    }

    /// Finds the server again after a restart.
    pub fn follow(&mut self, url: &str) {
        url.clone_into(&mut self.url);
    }

    /// A request with the cookies, as a page of the server causes it.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let is_safe = method.is_safe();
        let request = self.request_from_nowhere(method, path);
        if is_safe { request } else { request.header(ORIGIN, &self.url) }
    }

    /// A request with the cookies that does not say which page caused it.
    pub fn request_from_nowhere(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if cookies.is_empty() { request } else { request.header(COOKIE, cookies.join("; ")) }
    }

    /// Sends a request and keeps the cookies of its reply.
    pub async fn send(&mut self, request: RequestBuilder) -> Reply {
        let reply = Reply::of(request).await;
        for cookie in reply.headers.get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once("; ").unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&mut self, path: &str, body: Value) -> Reply {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn delete(&mut self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn log_in(&mut self, name: &str, password: &str) -> Reply {
        self.post("/api/tender/v1/session", json!({ "name": name, "password": password })).await
    }

    pub async fn claim(&mut self, code: &str, name: &str, password: &str) -> Reply {
        self.post("/api/tender/v1/claim", json!({ "code": code, "name": name, "password": password })).await
    }

    /// Who the server says is logged in.
    pub async fn user(&mut self) -> Option<String> {
        let session = self.get("/api/tender/v1/session").await.ok();
        session["user"]["name"].as_str().map(str::to_owned)
    }
}
