//! Uploads packages as forms, and deletes them.

use std::collections::BTreeMap;

use reqwest::Method;

use super::{Died, contents, send};
use crate::crash::site::Found;
use crate::harness::{Operator, form, sha256};

/// So many packages are kept at most.
const KEPT: usize = 3;

pub struct Publisher {
    name: String,
    uploaded: usize,
    /// By their identifiers, with their hashes.
    kept: BTreeMap<i64, String>,
    /// The largest identifier so far.
    latest: i64,
    doubt: Option<Doubt>,
}

enum Doubt {
    Upload { version: String, sha256: String },
    Remove(i64),
}

impl Publisher {
    /// Its packages have versions that begin with its name.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), uploaded: 0, kept: BTreeMap::new(), latest: 0, doubt: None }
    }

    pub async fn work(&mut self, operator: &Operator, choice: u32) -> Result<(), Died> {
        let is_full = self.kept.len() >= KEPT;
        if !self.kept.is_empty() && (is_full || choice.is_multiple_of(3)) {
            self.remove(operator).await
        } else {
            self.upload(operator).await
        }
    }

    pub async fn upload(&mut self, operator: &Operator) -> Result<(), Died> {
        self.uploaded += 1;
        let version = format!("{} {}", self.name, self.uploaded);
        let contents = contents(&version, 20_000 + self.uploaded % 7 * 100_000);
        let directory = if self.uploaded.is_multiple_of(2) { "site a/images" } else { "" };
        let mut fields = vec![("rdfm.software.version", version.as_str()), ("rdfm.hardware.devtype", "dummy")];
        if !directory.is_empty() {
            fields.push(("rdfm.storage.directory", directory));
        }
        let request = operator.upload_request(form(&fields, Some(&contents)));
        let sha256 = sha256(&contents);
        self.doubt = Some(Doubt::Upload { version, sha256: sha256.clone() });
        let package = send(request).await?.ok();
        assert_eq!(package["sha256"], sha256);
        let id = package["id"].as_i64().unwrap();
        assert!(id > self.latest, "identifiers are never used again");
        self.latest = id;
        self.kept.insert(id, sha256);
        self.doubt = None;
        Ok(())
    }

    /// Deletes its oldest package; uploads one first if it has none.
    pub async fn remove(&mut self, operator: &Operator) -> Result<(), Died> {
        if self.kept.is_empty() {
            self.upload(operator).await?;
        }
        let id = *self.kept.keys().next().expect("one was uploaded");
        self.doubt = Some(Doubt::Remove(id));
        send(operator.request(Method::DELETE, &format!("/api/v1/packages/{id}"))).await?.ok();
        self.kept.remove(&id);
        self.doubt = None;
        Ok(())
    }

    pub fn compare(&mut self, found: &Found) {
        let there = found.packages_of(&self.name);
        match self.doubt.take() {
            Some(Doubt::Upload { version, sha256 }) => {
                if let Some(id) = found.package(&version) {
                    self.kept.insert(id, sha256);
                }
            }
            Some(Doubt::Remove(id)) if !there.contains_key(&id) => {
                self.kept.remove(&id);
            }
            _ => {}
        }
        assert_eq!(there, self.kept, "packages of {}", self.name);
    }
}
