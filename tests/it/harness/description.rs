//! The description of the API (`src/http/openapi/`), and what every exchange of the tests is held against it.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock, Mutex};

use flate2::read::GzDecoder;
use jsonschema::{Draft, Validator};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Request};
use serde_json::{Map, Value, json};

/// Where tests note which statuses they saw, if this variable names a file.
pub const SEEN: &str = "TENDER_SEEN_STATUSES";

/// Headers that any reply may have.
const COMMON_HEADERS: [&str; 6] =
    ["allow", "connection", "content-length", "content-type", "date", "transfer-encoding"];
/// Where each reply names the version of tus.
const UPLOADS: &str = "/api/tender/v1/uploads";

static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
    let mut text = String::new();
    let compressed = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.gz"));
    GzDecoder::new(&compressed[..]).read_to_string(&mut text).unwrap();
    Description { document: serde_json::from_str(&text).unwrap(), validators: Mutex::default() }
});

/// The description, as the build has joined it.
pub struct Description {
    pub document: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// What is known of a path and method.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    pub path: String,
    pub method: String,
}

/// The description of the program that is tested.
pub fn description() -> &'static Description {
    &DESCRIPTION
}

impl Description {
    /// All operations.
    pub fn operations(&self) -> BTreeSet<Operation> {
        let methods = ["get", "head", "options", "post", "put", "patch", "delete"];
        let of_path = |(path, item): (&String, &Value)| {
            let there = methods.into_iter().filter(|method| item.get(method).is_some());
            let path = path.clone();
            there.map(move |method| Operation { path: path.clone(), method: method.to_owned() }).collect::<Vec<_>>()
        };
        self.document["paths"].as_object().unwrap().iter().flat_map(of_path).collect()
    }

    /// What stands there, references followed. What stands beside a reference counts more than what it leads to.
    pub fn at(&self, pointer: &str) -> Option<Value> {
        Some(self.follow(self.document.pointer(pointer)?))
    }

    fn follow(&self, value: &Value) -> Value {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value.clone() };
        let target = reference.strip_prefix('#').and_then(|pointer| self.at(pointer));
        let mut whole = target.unwrap_or_else(|| panic!("{reference} leads nowhere"));
        let beside = value.as_object().unwrap().iter().filter(|(name, _)| *name != "$ref");
        whole.as_object_mut().unwrap().extend(beside.map(|(name, value)| (name.clone(), value.clone())));
        whole
    }

    /// An operation.
    pub fn operation(&self, operation: &Operation) -> Value {
        self.at(&operation.pointer()).unwrap()
    }

    /// The parameters of an operation that are of this kind: `path`, `query` or `header`.
    pub fn parameters(&self, operation: &Operation, kind: &str) -> Vec<Value> {
        let all = [operation.path_pointer(), operation.pointer()].into_iter().flat_map(|pointer| {
            let listed = self.document.pointer(&format!("{pointer}/parameters")).and_then(Value::as_array);
            listed.into_iter().flatten().map(|parameter| self.follow(parameter)).collect::<Vec<_>>()
        });
        all.filter(|parameter| parameter["in"] == kind).collect()
    }

    /// What is wrong with a value that should fit this schema, which may refer to others.
    pub fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        let validator = self.validator(schema);
        let errors: Vec<_> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }

    /// Asserts that a value fits the schema of this name.
    #[track_caller]
    pub fn assert_fits(&self, name: &str, value: &Value) {
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        if let Some(misfit) = self.misfit(&schema, value) {
            panic!("{value} is no {name}: {misfit}");
        }
    }

    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let key = schema.to_string();
        if let Some(validator) = self.validators.lock().unwrap().get(&key) {
            return validator.clone();
        }
        // References of the description begin at its root, so what they lead to is put under the root of this schema.
        let mut root = schema.as_object().unwrap().clone();
        root.insert("components".to_owned(), self.document["components"].clone());
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        let validator = Arc::new(options.build(&Value::Object(root)).unwrap());
        self.validators.lock().unwrap().insert(key, validator.clone());
        validator
    }

    /// The operation that a request asks for: the path as it is described, and whether it has that method.
    fn find(&self, method: &Method, path: &str) -> Option<(Operation, bool)> {
        let paths = self.document["paths"].as_object().unwrap().keys();
        // A path without parameters comes first, as it does in the server.
        let mut fitting: Vec<&String> = paths.filter(|template| fits(template, path)).collect();
        fitting.sort_by_key(|template| template.contains('{'));
        let template = *fitting.first()?;
        let named = |method: &str| Operation { path: template.clone(), method: method.to_owned() };
        let is_there = |operation: &Operation| self.document.pointer(&operation.pointer()).is_some();
        let asked = named(&method.as_str().to_ascii_lowercase());
        if *method == Method::HEAD && !is_there(&asked) {
            let get = named("get");
            let is_there = is_there(&get);
            return Some((get, is_there));
        }
        let is_there = is_there(&asked);
        Some((asked, is_there))
    }
}

impl Operation {
    /// Where it stands in the description.
    pub fn pointer(&self) -> String {
        format!("{}/{}", self.path_pointer(), self.method)
    }

    fn path_pointer(&self) -> String {
        format!("/paths/{}", self.path.replace('~', "~0").replace('/', "~1"))
    }
}

/// Whether a path is one of those that a template describes. The name of a package may have slashes in it.
fn fits(template: &str, path: &str) -> bool {
    let Some((before, rest)) = template.split_once('{') else { return template == path };
    let (name, after) = rest.split_once('}').unwrap();
    let text = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    text.is_some_and(|text| !text.is_empty() && (name == "name" || !text.contains('/')))
}

/// A request, kept until it is answered.
pub struct Question {
    method: Method,
    path: String,
    query: String,
    content_type: Option<String>,
    body: Option<Vec<u8>>,
}

impl Question {
    /// What is about to be sent.
    pub fn of(request: &Request) -> Self {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Self {
            method: request.method().clone(),
            path: request.url().path().to_owned(),
            query: request.url().query().unwrap_or_default().to_owned(),
            content_type: content_type.map(str::to_owned),
            body: request.body().and_then(reqwest::Body::as_bytes).map(<[u8]>::to_vec),
        }
    }

    /// What the head of a request says, as it is written. `None` if it says nothing that HTTP knows, or of no path here.
    pub fn of_head(head: &str) -> Option<Self> {
        let (line, _) = head.split_once("\r\n")?;
        let [method, target, "HTTP/1.1"] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let method = method.parse().ok().filter(|_| path.starts_with('/'))?;
        Some(Self { method, path: path.to_owned(), query: query.to_owned(), content_type: None, body: None })
    }

    /// Asserts that the answer is one that the description knows for this question. Of a reply that is not read to its end, `body` is
    /// `None`.
    pub fn assert_answer(&self, status: u16, headers: &HeaderMap, body: Option<&[u8]>) {
        let misfits = self.misfits(status, headers, body);
        if let Some((operation, true)) = description().find(&self.method, &self.asked_path()) {
            note(&operation, status);
        }
        let Self { method, path, query, .. } = self;
        assert!(
            misfits.is_empty(),
            "{method} {path}?{query}: {status}: src/http/openapi/ says otherwise: {misfits:#?}"
        );
    }

    /// In what the answer is not one that the description knows.
    pub fn misfits(&self, status: u16, headers: &HeaderMap, body: Option<&[u8]>) -> Vec<String> {
        let path = self.asked_path();
        // The page for browsers is no API.
        if path == "/" || path.starts_with("/static/") {
            return Vec::new();
        }
        let description = description();
        let Some((operation, is_there)) = description.find(&self.method, &path) else {
            let misfit = if status == 404 { self.error_misfit(body) } else { Some("there is no such path".to_owned()) };
            return misfit.into_iter().collect();
        };
        if !is_there {
            let is_known = status == 405 || status == 404;
            let misfit = if is_known { self.error_misfit(body) } else { Some("there is no such method".to_owned()) };
            return misfit.into_iter().collect();
        }
        let Some(response) = description.at(&format!("{}/responses/{status}", operation.pointer())) else {
            return vec!["there is no such status".to_owned()];
        };
        let mut misfits = header_misfits(&response, headers, path.starts_with(UPLOADS));
        misfits.extend(self.body_misfits(&response, headers, body));
        if (200..300).contains(&status) {
            misfits.extend(self.question_misfits(&operation));
        }
        misfits
    }

    /// The path as the server takes it: without empty segments.
    fn asked_path(&self) -> String {
        let mut path = self.path.clone();
        while path.contains("//") {
            path = path.replace("//", "/");
        }
        path
    }

    /// In what a body is no error, if there is one.
    fn error_misfit(&self, body: Option<&[u8]>) -> Option<String> {
        let body = body.filter(|_| self.method != Method::HEAD)?;
        let error = serde_json::from_slice(body).unwrap_or(Value::Null);
        description().misfit(&json!({ "$ref": "#/components/schemas/Error" }), &error)
    }

    fn body_misfits(&self, response: &Value, headers: &HeaderMap, body: Option<&[u8]>) -> Option<String> {
        let given = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap().split(';').next().unwrap());
        let Some(types) = response.get("content").and_then(Value::as_object) else {
            return given
                .map(|given| format!("there is a body, of the type {given}"))
                .filter(|_| self.method != Method::HEAD);
        };
        let Some(given) = given else { return Some("there is no Content-Type".to_owned()) };
        let Some(described) = types.get(given) else { return Some(format!("the type {given} is not described")) };
        let is_readable = given == "application/json" && !headers.contains_key(CONTENT_ENCODING);
        if !is_readable || self.method == Method::HEAD {
            return None;
        }
        let value = serde_json::from_slice(body?).map_err(|error| error.to_string());
        value.map_or_else(Some, |value| description().misfit(&described["schema"], &value))
    }

    /// What was taken although it is not described.
    fn question_misfits(&self, operation: &Operation) -> Vec<String> {
        let description = description();
        let mut misfits = Vec::new();
        let parameters = description.parameters(operation, "query");
        for (name, value) in form_urlencoded::parse(self.query.as_bytes()).filter(|_| !parameters.is_empty()) {
            let Some(parameter) = parameters.iter().find(|parameter| parameter["name"] == *name) else {
                misfits.push(format!("the parameter {name} was taken"));
                continue;
            };
            let as_number = value.parse::<i64>().ok().map(Value::from);
            let fits = |value: &Value| description.misfit(&parameter["schema"], value).is_none();
            if !fits(&Value::from(&*value)) && !as_number.as_ref().is_some_and(fits) {
                misfits.push(format!("the parameter {name} was taken as {value}"));
            }
        }
        let described = description.at(&format!("{}/requestBody/content", operation.pointer()));
        let is_json = self.content_type.as_deref().is_none_or(|name| name.starts_with("application/json"));
        let schema = described.as_ref().and_then(|types| types.pointer("/application~1json/schema"));
        if let (true, Some(schema), Some(body)) = (is_json, schema, &self.body)
            && let Some(misfit) = description.misfit(schema, &serde_json::from_slice(body).unwrap())
        {
            misfits.push(format!("the body was taken: {misfit}"));
        }
        misfits
    }
}

fn header_misfits(response: &Value, headers: &HeaderMap, is_upload: bool) -> Vec<String> {
    let nothing = Map::new();
    let described = response.get("headers").and_then(Value::as_object).unwrap_or(&nothing);
    let mut misfits = Vec::new();
    let mut names: BTreeSet<String> = COMMON_HEADERS.iter().map(ToString::to_string).collect();
    names.extend(is_upload.then(|| "tus-resumable".to_owned()));
    let common = json!({ "X-Request-Id": { "$ref": "#/components/headers/X-Request-Id" } });
    for (name, header) in described.iter().chain(common.as_object().unwrap()) {
        let header = description().follow(header);
        names.insert(name.to_ascii_lowercase());
        let Some(value) = headers.get(name) else {
            if header["required"] == true {
                misfits.push(format!("the header {name} is missing"));
            }
            continue;
        };
        let text = value.to_str().unwrap();
        let value = match header["schema"]["type"].as_str() {
            Some("integer") => text.parse::<u64>().map_or(Value::from(text), Value::from),
            _ => Value::from(text),
        };
        misfits.extend(description().misfit(&header["schema"], &value).map(|misfit| format!("{name}: {misfit}")));
    }
    let undescribed = headers.keys().filter(|name| !names.contains(name.as_str()));
    misfits.extend(undescribed.map(|name| format!("the header {name} is not described")));
    misfits
}

/// Writes down that this was seen, once for each run.
fn note(operation: &Operation, status: u16) {
    static NOTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Some(path) = std::env::var_os(SEEN) else { return };
    let line = format!("{} {} {status}\n", operation.method, operation.path);
    if NOTED.lock().unwrap().insert(line.clone()) {
        // Whole lines, appended: other processes may write, too.
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
}
