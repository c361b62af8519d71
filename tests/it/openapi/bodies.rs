//! Bodies of requests: what is described is taken, with and without what may be left out; what is not described is refused where the
//! description says so, and what is needed is needed.

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tender::domain::Role;

use crate::harness::description::{Operation, description};
use crate::harness::{Device, Operator, TestServer};

const MAC: &str = "00:11:22:33:44:55";
const AUTHORIZE: &str = "/api/v1/auth/device";
/// More than any JSON may have.
const TOO_LONG_BYTES: usize = 2 * 1024 * 1024 + 1;

/// A server with somebody of every kind.
struct Place {
    server: TestServer,
    admin: Operator,
    device: Device,
    people: usize,
}

impl Place {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let device = server.accepted_device(MAC).await;
        Self { admin: server.admin().await, server, device, people: 0 }
    }

    /// Sends this body to an operation, as somebody who may; the status.
    async fn send(&mut self, operation: &Operation, body: &Value) -> u16 {
        if operation.path == AUTHORIZE {
            return self.authorize(body).await;
        }
        let request = self.request(operation).await.json(body);
        self.server.anonymous().send(request).await.status
    }

    /// A request of somebody who may do this, without a body.
    async fn request(&mut self, operation: &Operation) -> RequestBuilder {
        let method: Method = operation.method.to_uppercase().parse().unwrap();
        let path = operation.path.replace("{upload}", "6f7483ac-5cde-467f-acf7-39e4b397e313");
        let path = ["{device}", "{group}", "{package}"].iter().fold(path, |path, name| path.replace(name, "1"));
        let security = description().operation(operation)["security"].to_string();
        if security.contains("managementToken") {
            self.admin.request(method, &path)
        } else if security.contains("session") {
            // Some requests change the password.
            self.people += 1;
            self.server.logged_in(&format!("anna{}", self.people), Role::Admin).await.request(method, &path)
        } else if security.contains("deviceToken") {
            self.device.request(method, &path)
        } else {
            self.server.anonymous().request(method, &path)
        }
    }

    /// The same with the key that the body is signed with.
    async fn authorize(&self, body: &Value) -> u16 {
        let mut body = body.clone();
        if body.get("public_key").is_some() {
            body["public_key"] = self.device.public_key_pem().into();
        }
        self.device.authorize_with(&body).await.status
    }
}

#[tokio::test]
async fn what_is_described_is_taken_and_nothing_else() {
    let mut place = Place::new().await;
    let description = description();
    let mut operations = 0;
    for operation in description.operations() {
        let described = description.operation(&operation);
        let Some(body) = described.pointer("/requestBody/content/application~1json") else { continue };
        operations += 1;
        let schema = description.at(&body["schema"]["$ref"].as_str().unwrap()[1..]).unwrap();
        let example = &body["example"];
        let is_taken = |status: u16| status != 400 && status != 415;
        let status = place.send(&operation, example).await;
        assert!(is_taken(status), "{operation:?}: {status}: the example is not taken");

        let mut more = example.clone();
        more["undescribed"] = json!("x");
        let status = place.send(&operation, &more).await;
        assert_eq!(
            is_taken(status),
            schema["additionalProperties"] != false,
            "{operation:?}: {status}: a property more"
        );

        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        for (name, _) in properties {
            let is_required = schema["required"].as_array().is_some_and(|required| required.contains(&json!(name)));
            assert!(example.get(name).is_some(), "{operation:?}: the example lacks {name}");
            let mut less = example.clone();
            less.as_object_mut().unwrap().remove(name);
            let status = place.send(&operation, &less).await;
            assert_eq!(is_taken(status), !is_required, "{operation:?}: {status}: without {name}");
        }

        // It is the signature that is looked at first there.
        if operation.path != AUTHORIZE {
            let json = place.request(&operation).await.header(CONTENT_TYPE, "application/json");
            let image = place.request(&operation).await.header(CONTENT_TYPE, "image/png");
            let anonymous = place.server.anonymous();
            anonymous.send(json.body(vec![b' '; TOO_LONG_BYTES])).await.error(413);
            anonymous.send(image.body("{}")).await.error(415);
        }
    }
    assert!(operations >= 20, "{operations}");
}
