//! The description of the API: it is served, it is sound, and it is about this program. That each reply of every test fits it is seen to in
//! `harness/description.rs`.

mod bodies;
mod names;
mod statuses;

use std::collections::BTreeSet;
use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value, json};
use tender::domain::Scope;
use tender::http::{Audience, RouteSummary, route_table};

use crate::harness::TestServer;
use crate::harness::description::{Operation, Question, description};

const PATH: &str = "/api/openapi.json";

/// Calls `look` with each value of the description that is an object, and where it stands.
fn each_object(value: &Value, place: &str, look: &mut impl FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            look(place, fields);
            for (name, value) in fields {
                each_object(value, &format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), look);
            }
        }
        Value::Array(values) => {
            for (position, value) in values.iter().enumerate() {
                each_object(value, &format!("{place}/{position}"), look);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn anybody_is_shown_it() {
    let server = TestServer::start().await;
    let anonymous = server.anonymous();
    let plain = anonymous.get(PATH).await;
    assert_eq!(plain.ok(), description().document);
    assert_eq!(plain.json()["info"]["version"], env!("CARGO_PKG_VERSION"));

    let request = || anonymous.request(Method::GET, PATH).header("accept-encoding", "gzip");
    let compressed = anonymous.send(request()).await;
    assert_eq!((compressed.status, compressed.header("content-encoding")), (200, "gzip"));
    let mut text = Vec::new();
    GzDecoder::new(&compressed.body[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    assert!(compressed.body.len() < 64 * 1024, "{} bytes", compressed.body.len());

    assert_ne!(compressed.header("etag"), plain.header("etag"));
    let known = anonymous.send(request().header("if-none-match", compressed.header("etag"))).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(anonymous.send(anonymous.request(Method::HEAD, PATH)).await.status, 200);
}

/// The paths that are for browsers and no API.
fn is_page(route: &RouteSummary) -> bool {
    route.path == "/" || route.path.starts_with("/static/")
}

fn operation_of(route: &RouteSummary) -> Operation {
    Operation { path: route.path.replace("...", ""), method: route.method.as_str().to_ascii_lowercase() }
}

#[test]
fn it_has_every_route_and_no_other() {
    let served: BTreeSet<_> = route_table().iter().filter(|route| !is_page(route)).map(operation_of).collect();
    let mut described = description().operations();
    // HEAD is described where clients need it, and is answered wherever GET is.
    described.retain(|operation| {
        let get = Operation { method: "get".to_owned(), ..operation.clone() };
        operation.method != "head" || !served.contains(&get)
    });
    let only_in = |here: &BTreeSet<Operation>, there: &BTreeSet<Operation>| here.difference(there).cloned().collect();
    let (missing, unknown): (Vec<_>, Vec<_>) = (only_in(&served, &described), only_in(&described, &served));
    assert!(missing.is_empty() && unknown.is_empty(), "not described: {missing:#?}\nnot served: {unknown:#?}");
}

#[test]
fn it_says_of_every_route_who_may_call_it() {
    let with_scope = |scope: Scope| json!({ "managementToken": [scope.name()] });
    let session = || json!({ "session": [] });
    for route in route_table().iter().filter(|route| !is_page(route)) {
        let expected = match route.audience {
            Audience::Public => vec![],
            Audience::Device => vec![json!({ "deviceToken": [] })],
            Audience::Management(scope) => vec![with_scope(scope), session()],
            Audience::Uploader => Scope::UPLOADS.map(with_scope).into_iter().chain([session()]).collect(),
            Audience::Session => vec![session()],
            // The credentials may also be in the body.
            Audience::Client => vec![json!({ "clientSecret": [] }), json!({})],
        };
        let operation = operation_of(route);
        let head = Operation { method: "head".to_owned(), ..operation.clone() };
        let is_there = description().operations().contains(&head);
        for operation in [Some(operation), is_there.then_some(head)].into_iter().flatten() {
            let security = &description().operation(&operation)["security"];
            assert_eq!(*security, Value::Array(expected.clone()), "{operation:?}");
        }
    }
    let token = &description().document["components"]["securitySchemes"]["managementToken"]["description"];
    for scope in Scope::ALL {
        assert!(token.as_str().unwrap().contains(&format!("- `{scope}`: ")), "{scope} is not described");
    }
}

#[test]
fn every_operation_is_introduced() {
    let description = description();
    let tags: BTreeSet<_> =
        description.document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).map(Value::to_string).collect();
    let (mut identifiers, mut used) = (BTreeSet::new(), BTreeSet::new());
    for operation in description.operations() {
        let described = description.operation(&operation);
        let text = |field: &str| described[field].as_str().unwrap_or_default();
        assert!(identifiers.insert(text("operationId").to_owned()), "{operation:?}: the operationId is taken");
        let (summary, sentences) = (text("summary"), text("description"));
        assert!(!summary.is_empty() && !summary.ends_with('.') && sentences.ends_with('.'), "{operation:?}");
        used.extend(described["tags"].as_array().unwrap().iter().map(Value::to_string));
        let in_path = operation.path.matches('{').count();
        let named = description.parameters(&operation, "path");
        assert_eq!(named.len(), in_path, "{operation:?}");
        assert!(
            named
                .iter()
                .all(|parameter| operation.path.contains(&format!("{{{}}}", parameter["name"].as_str().unwrap())))
        );
        let parameters = ["path", "query", "header"].map(|kind| description.parameters(&operation, kind)).concat();
        assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{operation:?}");
        let responses = described["responses"].as_object().unwrap();
        for status in responses.keys() {
            let response = description.at(&format!("{}/responses/{status}", operation.pointer())).unwrap();
            assert!(response["description"].is_string(), "{operation:?}: {status}");
        }
    }
    assert_eq!(used, tags);
}

#[test]
fn references_lead_somewhere_and_nothing_lies_about() {
    let description = description();
    let mut used = BTreeSet::new();
    each_object(&description.document, "", &mut |place, fields| {
        if let Some(Value::String(reference)) = fields.get("$ref") {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.document.pointer(pointer).is_some(), "{place} refers to {reference}");
            used.insert(pointer.to_owned());
        }
    });
    // The stream's messages are named in words: its type has no schema.
    used.extend(["StreamHello", "StreamDevices"].map(|name| format!("/components/schemas/{name}")));
    for kind in ["schemas", "responses", "headers", "parameters"] {
        for name in description.document["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("/components/{kind}/{name}")), "nobody uses the {kind} {name}");
        }
    }
}

/// A client that is made from the description finds every property in it, and knows which are always there.
#[test]
fn objects_are_closed_and_complete() {
    // What is left out of these is as it was, or not known.
    let with_optional = [
        "ActiveToken",
        "HypotheticalDevice",
        "PackageForm",
        "PreviewRequest",
        "RolloutSettings",
        "StoredPackageMetadata",
        "UploadCompletion",
    ];
    each_object(&description().document, "", &mut |place, fields| {
        let Some(Value::Object(properties)) = fields.get("properties") else { return };
        if !fields.contains_key("type") || place.contains("/properties/properties") {
            return;
        }
        assert!(fields.contains_key("additionalProperties"), "{place} does not say whether there are more properties");
        let required: Vec<_> = fields.get("required").and_then(Value::as_array).into_iter().flatten().collect();
        assert!(required.iter().all(|name| properties.contains_key(name.as_str().unwrap())), "{place}");
        let may_lack = with_optional.iter().any(|name| place.ends_with(&format!("/schemas/{name}")))
            || place.contains("x-www-form-urlencoded");
        assert!(may_lack || required.len() == properties.len(), "{place}: not all properties are required");
    });
}

#[test]
fn examples_are_what_they_should_be() {
    let description = description();
    let mut examples = 0;
    each_object(&description.document, "", &mut |place, fields| {
        // A schema with examples, or a body with one.
        let of_schema = fields.get("examples").and_then(Value::as_array).into_iter().flatten();
        let of_schema = of_schema.map(|example| (Value::Object(fields.clone()), example));
        let of_body =
            fields.get("schema").zip(fields.get("example")).map(|(schema, example)| (schema.clone(), example));
        for (schema, example) in of_schema.chain(of_body) {
            if !schema.is_object() || place.contains("/examples/") || place.contains("/example/") {
                continue;
            }
            examples += 1;
            if let Some(misfit) = description.misfit(&schema, example) {
                panic!("{place}: {example}: {misfit}");
            }
        }
    });
    assert!(examples > 70, "{examples}");
    for operation in description.operations() {
        let described = description.operation(&operation);
        let request = described.pointer("/requestBody/content/application~1json");
        assert!(request.is_none_or(|body| body.get("example").is_some()), "{operation:?}: the request has no example");
    }
}

/// What holds replies against the description notices whatever is not in it.
#[test]
fn what_is_not_described_does_not_fit() {
    let misfits = |head: &str, status: u16, headers: &[(&'static str, &str)], body: &Value| {
        let mut all: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        all.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        let question = Question::of_head(&format!("{head} HTTP/1.1\r\n")).unwrap();
        question.misfits(status, &all, Some(body.to_string().as_bytes()))
    };
    let attempts = "GET /api/tender/v1/attempts";
    let page = json!({ "attempts": [], "next": null });
    assert_eq!(misfits(attempts, 200, &[], &page), [""; 0]);
    let wrong = [
        misfits(attempts, 200, &[], &json!({ "attempts": [], "next": null, "total": 0 })),
        misfits(attempts, 200, &[], &json!({ "attempts": [] })),
        misfits(attempts, 200, &[], &json!({ "attempts": [], "next": "9" })),
        misfits(attempts, 200, &[("x-more", "1")], &page),
        misfits(attempts, 418, &[], &page),
        misfits("GET /api/tender/v1/attempts?colour=red", 200, &[], &page),
        misfits("GET /api/tender/v1/attempts?outcome=red", 200, &[], &page),
        misfits("PUT /api/tender/v1/attempts", 200, &[], &page),
        misfits("GET /api/tender/v1/attempt", 200, &[], &page),
        misfits(attempts, 401, &[], &json!({ "error": "no" })),
    ];
    for (position, misfits) in wrong.iter().enumerate() {
        assert_eq!(misfits.len(), 1, "{position}: {misfits:?}");
    }
}
