//! Uploads in pieces by tus, makes packages of what is complete, and gives some up.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;

use super::{Died, contents, send};
use crate::crash::site::Found;
use crate::harness::{Operator, sha256};
use crate::uploads::{PIECE, UPLOADS, metadata, request};

/// So many packages are kept at most.
const KEPT: usize = 3;
/// How far apart the lengths of two resumers' uploads are, at least: by their length they are told apart.
const APART: usize = 300_000;

pub struct Resumer {
    name: String,
    number: usize,
    begun: usize,
    current: Option<Upload>,
    /// By their identifiers, with their hashes.
    kept: BTreeMap<i64, String>,
    doubt: Option<Doubt>,
}

struct Upload {
    version: String,
    contents: Vec<u8>,
    /// Empty as long as it is not known.
    location: String,
    offset: usize,
}

enum Doubt {
    Begin,
    /// Up to here.
    Append(usize),
    Finish,
    Discard,
    Remove(i64),
}

impl Resumer {
    /// No two have the same number.
    pub fn new(name: &str, number: usize) -> Self {
        Self { name: name.to_owned(), number, begun: 0, current: None, kept: BTreeMap::new(), doubt: None }
    }

    pub async fn work(&mut self, operator: &Operator, choice: u32) -> Result<(), Died> {
        let Some(upload) = &self.current else { return self.begin(operator).await };
        match choice % 16 {
            0 => self.discard(operator).await,
            _ if upload.offset < upload.contents.len() => self.append(operator).await,
            _ => self.finish(operator).await,
        }
    }

    /// Begins an upload, having come to an end with the one before.
    pub async fn begin(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.current.is_some() {
            self.discard(operator).await?;
        }
        if self.kept.len() >= KEPT {
            self.remove(operator).await?;
        }
        self.begun += 1;
        let version = format!("{} {}", self.name, self.begun);
        let length = self.number * APART + self.begun;
        let contents = contents(&version, length);
        self.current = Some(Upload { version: version.clone(), contents, location: String::new(), offset: 0 });
        self.doubt = Some(Doubt::Begin);
        let about = [("rdfm.software.version", version.as_str()), ("rdfm.hardware.devtype", "dummy")];
        let request = request(operator, Method::POST, UPLOADS).header("Upload-Length", length);
        let reply = send(request.header("Upload-Metadata", metadata(&about))).await?;
        assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
        reply.header("location").clone_into(&mut self.upload().location);
        self.doubt = None;
        Ok(())
    }

    /// Sends a piece: a third of all, or what is missing. Begins an upload first if there is nothing to send.
    pub async fn append(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.current.as_ref().is_none_or(|upload| upload.offset == upload.contents.len()) {
            self.begin(operator).await?;
        }
        let upload = self.upload();
        // No whole blocks of the hash.
        let end = (upload.offset + upload.contents.len() / 3 + 7).min(upload.contents.len());
        let request = request(operator, Method::PATCH, &upload.location).header("Upload-Offset", upload.offset);
        let request = request.header("Content-Type", PIECE).body(upload.contents[upload.offset..end].to_vec());
        self.doubt = Some(Doubt::Append(end));
        let reply = send(request).await?;
        assert_eq!(reply.status, 204, "{}", String::from_utf8_lossy(&reply.body));
        self.upload().offset = end;
        self.doubt = None;
        Ok(())
    }

    /// Makes a package of the upload; sends what is missing first.
    pub async fn finish(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.current.is_none() {
            self.begin(operator).await?;
        }
        while self.upload().offset < self.upload().contents.len() {
            self.append(operator).await?;
        }
        let path = format!("{}/package", self.upload().location);
        self.doubt = Some(Doubt::Finish);
        let reply = send(operator.request(Method::POST, &path).json(&json!({ "metadata": {} }))).await?;
        let package = reply.ok();
        let sha256 = sha256(&self.upload().contents);
        assert_eq!(package["sha256"], sha256);
        self.kept.insert(package["id"].as_i64().unwrap(), sha256);
        self.current = None;
        self.doubt = None;
        Ok(())
    }

    /// Gives the upload up; begins one first if there is none.
    pub async fn discard(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.current.is_none() {
            Box::pin(self.begin(operator)).await?;
        }
        self.doubt = Some(Doubt::Discard);
        let location = self.upload().location.clone();
        let reply = send(request(operator, Method::DELETE, &location)).await?;
        assert_eq!(reply.status, 204);
        self.current = None;
        self.doubt = None;
        Ok(())
    }

    async fn remove(&mut self, operator: &Operator) -> Result<(), Died> {
        let id = *self.kept.keys().next().expect("there are some");
        self.doubt = Some(Doubt::Remove(id));
        send(operator.request(Method::DELETE, &format!("/api/v1/packages/{id}"))).await?.ok();
        self.kept.remove(&id);
        self.doubt = None;
        Ok(())
    }

    fn upload(&mut self) -> &mut Upload {
        self.current.as_mut().expect("an upload that goes on")
    }

    pub fn compare(&mut self, found: &Found) {
        let packages = found.packages_of(&self.name);
        let own = self.number * APART..(self.number + 1) * APART;
        let mut listed = found.uploads.iter().filter(|upload| own.contains(&number(&upload["length"])));
        let (listed, second) = (listed.next(), listed.next());
        assert!(second.is_none(), "{} works on one upload at a time: {second:?}", self.name);
        match (self.doubt.take(), &mut self.current) {
            (Some(Doubt::Begin), Some(upload)) => match listed {
                Some(listed) => upload.location = format!("{UPLOADS}/{}", listed["id"].as_str().unwrap()),
                None => self.current = None,
            },
            (Some(Doubt::Append(end)), Some(upload)) => {
                let offset = listed.map(|upload| number(&upload["offset"])).expect("an upload that was begun is there");
                assert!((upload.offset..=end).contains(&offset), "{offset}: {} to {end}", upload.offset);
                upload.offset = offset;
            }
            (Some(Doubt::Finish), Some(upload)) => {
                if let Some(id) = found.package(&upload.version) {
                    self.kept.insert(id, sha256(&upload.contents));
                    self.current = None;
                }
            }
            (Some(Doubt::Discard), _) if listed.is_none() => self.current = None,
            (Some(Doubt::Remove(id)), _) if !packages.contains_key(&id) => {
                self.kept.remove(&id);
            }
            _ => {}
        }
        assert_eq!(packages, self.kept, "packages of {}", self.name);
        let offset = listed.map(|upload| number(&upload["offset"]));
        assert_eq!(offset, self.current.as_ref().map(|upload| upload.offset), "the upload of {}", self.name);
    }
}

fn number(value: &serde_json::Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}
