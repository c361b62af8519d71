//! Who talks to the server: a device with its own key, an operator with a token, and somebody without anything.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::rand_core::OsRng;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tender::tls::{Trust, client_config};

use super::description::Question;

/// A reply, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    /// Sends a request, and holds what comes against the description of the API.
    pub(super) async fn of(request: RequestBuilder) -> Self {
        Self::try_of(request).await.unwrap()
    }

    /// The same of a server that may die meanwhile: then there is no whole reply.
    pub async fn try_of(request: RequestBuilder) -> reqwest::Result<Self> {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let question = Question::of(&request);
        let response = client.execute(request).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let reply = Self { status, headers, body: response.bytes().await?.to_vec() };
        question.assert_answer(status, &reply.headers, Some(&reply.body));
        Ok(reply)
    }

    /// A header as text; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of a 200 as JSON.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The sentence of an error with this status.
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        let Value::Object(fields) = self.json() else { panic!("an error is an object: {self:?}") };
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["error"], "{self:?}");
        fields["error"].as_str().unwrap().to_owned()
    }
}

/// A client for plain HTTP; reqwest has no TLS of its own here.
pub(super) fn http_client() -> Client {
    client_builder().build().unwrap()
}

fn client_builder() -> ClientBuilder {
    Client::builder().tls_backend_preconfigured(client_config(Trust::Nobody).unwrap())
}

/// A client that is at an address of its own: all of 127.0.0.0/8 is this machine.
fn http_client_elsewhere() -> Client {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [_, high, middle, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    http_client_at(Ipv4Addr::new(127, high.max(1), middle, low))
}

pub(super) fn http_client_at(address: Ipv4Addr) -> Client {
    client_builder().local_address(Some(address.into())).build().unwrap()
}

/// Somebody without a token, who may ask anything.
pub struct Anonymous {
    url: String,
    client: Client,
}

impl Anonymous {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), client: http_client() }
    }

    /// Somebody at an address where nobody was before: what fails too often from one waits for its answer.
    pub fn elsewhere(url: &str) -> Self {
        // Of IPv6 this machine has one address only.
        let client = if url.contains("://[") { http_client() } else { http_client_elsewhere() };
        Self { url: url.to_owned(), client }
    }

    /// A request that is not sent yet; `path` begins with a slash.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::of(request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(&body)).await
    }
}

/// A person or script with a management token.
pub struct Operator {
    anonymous: Anonymous,
    pub token: String,
}

impl Operator {
    pub fn new(url: &str, token: String) -> Self {
        Self { anonymous: Anonymous::new(url), token }
    }

    /// Where the server answers.
    pub fn url(&self) -> &str {
        &self.anonymous.url
    }

    /// A request with the token that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous.request(method, path).header(AUTHORIZATION, format!("Bearer token={}", self.token))
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::of(request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::PATCH, path).json(&body)).await
    }

    /// Uploads a form made with [`form`].
    pub async fn upload(&self, form: (String, Vec<u8>)) -> Reply {
        Reply::of(self.upload_request(form)).await
    }

    /// The upload of a form made with [`form`], not sent yet.
    pub fn upload_request(&self, (boundary, body): (String, Vec<u8>)) -> RequestBuilder {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        self.request(Method::POST, "/api/v1/packages").header(CONTENT_TYPE, content_type).body(body)
    }

    /// Accepts a device that has asked to be let in.
    pub async fn accept(&self, device: &Device) {
        assert_eq!(self.post("/api/v1/auth/register", device.registration()).await.ok(), json!({}));
    }

    /// A package for devices of type `dummy`; its identifier.
    pub async fn package(&self, version: &str, more: &[(&str, &str)], contents: &[u8]) -> i64 {
        let mut fields = vec![("rdfm.software.version", version), ("rdfm.hardware.devtype", "dummy")];
        fields.extend_from_slice(more);
        self.upload(form(&fields, Some(contents))).await.ok()["id"].as_i64().unwrap()
    }

    /// A group with these devices and packages and this policy; its identifier.
    pub async fn group(&self, devices: &[i64], packages: &[i64], policy: &str) -> i64 {
        let group = self.post("/api/v1/groups", json!({})).await.ok()["id"].as_i64().unwrap();
        let path = format!("/api/v1/groups/{group}");
        self.patch(&format!("{path}/devices"), json!({ "add": devices, "remove": [] })).await.ok();
        self.post(&format!("{path}/package"), json!({ "packages": packages })).await.ok();
        self.post(&format!("{path}/policy"), json!({ "policy": policy })).await.ok();
        group
    }

    /// A group as it is now.
    pub async fn show_group(&self, group: i64) -> Value {
        self.get(&format!("/api/v1/groups/{group}")).await.ok()
    }

    /// A package as it is now.
    pub async fn show_package(&self, package: i64) -> Value {
        self.get(&format!("/api/v1/packages/{package}")).await.ok()
    }

    /// A device as it is now.
    pub async fn show_device(&self, device: &Device) -> Value {
        self.get(&format!("/api/v1/devices/{}", self.device_id(device).await)).await.ok()
    }

    /// The registrations that wait.
    pub async fn pending(&self) -> Vec<Value> {
        let Value::Array(pending) = self.get("/api/v1/auth/pending").await.ok() else { panic!("not a list") };
        pending
    }

    /// The identifier of an accepted device.
    pub async fn device_id(&self, device: &Device) -> i64 {
        let devices = self.get("/api/v1/devices").await.ok();
        let found = devices.as_array().unwrap().iter().find(|found| found["mac_address"] == *device.mac_address);
        found.unwrap()["id"].as_i64().unwrap()
    }
}

/// A device client: its key, what it reports, and its token.
pub struct Device {
    anonymous: Anonymous,
    key: RsaPrivateKey,
    pub mac_address: String,
    /// All that it reports; change it as the device changes.
    pub metadata: Map<String, Value>,
    /// From its last successful authorization.
    pub token: Option<String>,
}

impl Device {
    pub fn new(url: &str, mac_address: &str) -> Self {
        let key = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
        let metadata = Self::reports(mac_address);
        Self { anonymous: Anonymous::new(url), key, mac_address: mac_address.to_owned(), metadata, token: None }
    }

    /// What a new device reports.
    pub fn reports(mac_address: &str) -> Map<String, Value> {
        let metadata = json!({
            "rdfm.software.version": "v0",
            "rdfm.hardware.devtype": "dummy",
            "rdfm.hardware.macaddr": mac_address,
        });
        let Value::Object(metadata) = metadata else { unreachable!("it is an object") };
        metadata
    }

    /// Makes a new key, as a device does that was reinstalled.
    pub fn change_key(&mut self) {
        self.key = RsaPrivateKey::new(&mut OsRng, 1024).unwrap();
    }

    /// Goes back to an earlier key, or to one made elsewhere.
    pub fn set_key(&mut self, key: RsaPrivateKey) {
        self.key = key;
    }

    pub fn key(&self) -> RsaPrivateKey {
        self.key.clone()
    }

    /// Finds the server again after a restart.
    pub fn follow(&mut self, url: &str) {
        self.anonymous = Anonymous::new(url);
    }

    /// Says something else about itself from now on.
    pub fn report(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.into());
    }

    pub fn public_key(&self) -> RsaPublicKey {
        self.key.to_public_key()
    }

    pub fn public_key_pem(&self) -> String {
        self.public_key().to_public_key_pem(LineEnding::LF).unwrap()
    }

    /// Base64 of the signature of `message`.
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(SigningKey::<Sha256>::new(self.key.clone()).sign(message).to_bytes())
    }

    /// The body of an authorization request.
    pub fn authorization_body(&self) -> Value {
        json!({ "metadata": self.metadata, "public_key": self.public_key_pem(), "timestamp": 1_694_414_456 })
    }

    /// What says of a registration that it is this device's.
    pub fn registration(&self) -> Value {
        json!({ "mac_address": self.mac_address, "public_key": self.public_key_pem() })
    }

    /// Asks for a token, and keeps it.
    pub async fn authorize(&mut self) -> Reply {
        let reply = self.authorize_with(&self.authorization_body()).await;
        if reply.status == 200 {
            self.token = Some(reply.json()["token"].as_str().unwrap().to_owned());
        }
        reply
    }

    /// Asks for a token with this body, properly signed.
    pub async fn authorize_with(&self, body: &Value) -> Reply {
        let message = serde_json::to_vec(body).unwrap();
        let signature = self.sign(&message);
        self.send_authorization(message, &signature).await
    }

    /// Sends these bytes with this signature, each time from another address.
    pub async fn send_authorization(&self, message: Vec<u8>, signature: &str) -> Reply {
        Reply::of(self.request_authorization(message, signature)).await
    }

    /// The same, not sent yet.
    pub fn request_authorization(&self, message: Vec<u8>, signature: &str) -> RequestBuilder {
        let anonymous = Anonymous::elsewhere(&self.anonymous.url);
        let request = anonymous.request(Method::POST, "/api/v1/auth/device");
        let request = request.header(CONTENT_TYPE, "application/json").header("X-RDFM-Device-Signature", signature);
        request.body(message)
    }

    /// A request with the device's token that is not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let token = self.token.as_deref().expect("a device that was authorized");
        self.anonymous.request(method, path).header(AUTHORIZATION, format!("Bearer token={token}"))
    }

    pub async fn send(&self, request: RequestBuilder) -> Reply {
        Reply::of(request).await
    }

    /// Asks for an update with what it reports.
    pub async fn check(&self) -> Reply {
        Reply::of(self.request(Method::POST, "/api/v1/update/check").json(&self.metadata)).await
    }

    /// Downloads what an update check offered.
    pub async fn download(&self, offer: &Value) -> Vec<u8> {
        let reply = Reply::of(http_client().get(offer["uri"].as_str().unwrap())).await;
        assert_eq!(reply.status, 200);
        reply.body
    }
}

/// A multipart form: the fields, then the file. Returns the boundary and the body.
pub fn form(fields: &[(&str, &str)], file: Option<&[u8]>) -> (String, Vec<u8>) {
    let boundary = "----a-boundary-that-is-in-no-file".to_owned();
    let mut body = Vec::new();
    for (name, value) in fields {
        let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    if let Some(contents) = file {
        let header = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file.img\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(header.as_bytes());
        body.extend_from_slice(contents);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (boundary, body)
}

/// The fields that every package needs.
pub fn metadata(version: &str) -> Vec<(&str, &str)> {
    vec![("rdfm.software.version", version), ("rdfm.hardware.devtype", "dummy")]
}
