//! `/api/tender/v1/packages`: what is known about the stored packages beside what the frozen API tells: what they say about
//! themselves, and whether they are whole.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use super::packages::no_such_package;
use super::paging::{number, parameters};
use crate::domain::{Artifact, GroupId, Metadata, PackageId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::integrity::{self, Standing};
use crate::store::{StoreError, artifacts, packages};

/// Packages, ordered by identifier.
#[derive(Serialize)]
struct PageReply {
    packages: Vec<OverviewReply>,
    /// What to give as `after` for the next page; `null` if this is the last.
    next: Option<PackageId>,
}

#[derive(Serialize)]
struct OverviewReply {
    id: PackageId,
    state: &'static str,
    /// `null`: the file was not read since it was uploaded.
    verified_at: Option<Moment>,
    found_at: Option<Moment>,
    detail: Option<String>,
    length: u64,
    groups: Vec<GroupId>,
    /// What counts: what the uploader gave, and what the artifact offered for the rest.
    metadata: Metadata,
    /// What the artifact itself says; `null`: a plain file, or one that was uploaded before artifacts were read.
    artifact: Option<Artifact>,
}

impl OverviewReply {
    fn new(standing: Standing, metadata: Metadata, artifact: Option<Artifact>) -> Self {
        Self {
            id: standing.id,
            state: standing.state.name(),
            verified_at: standing.verified.map(Moment),
            found_at: standing.found.map(Moment),
            detail: standing.detail,
            length: standing.length_bytes,
            groups: standing.groups,
            metadata,
            artifact,
        }
    }
}

/// `GET /api/tender/v1/packages`, with `limit` (1 to 1000) and `after` (the `next` of the page before)
///
/// - 200: a page of packages, with what is known about them and their files
/// - 400: a parameter is unknown, or its value is none
pub async fn list(api: Arc<Api>, _: Operator, (): (), request: Request) -> Result<Response, ApiError> {
    let mut after = PackageId(0);
    let limit = parameters(request.head.target.query(), |name, value| {
        match name {
            "after" => after = number(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let page = api.store.read(move |connection| {
        let mut standings = integrity::page(connection, after, limit.with_one_more())?;
        let next = limit.cut(&mut standings, |standing| standing.id);
        let mut overviews = Vec::with_capacity(standings.len());
        for standing in standings {
            let artifact = artifacts::find(connection, standing.id)?;
            // Between two queries it may have been deleted.
            if let Some(package) = packages::find(connection, standing.id)? {
                overviews.push(OverviewReply::new(standing, package.metadata().clone(), artifact));
            }
        }
        Ok::<_, StoreError>(PageReply { packages: overviews, next })
    });
    Ok(reply::ok(&page.await?)?)
}

/// `GET /api/tender/v1/packages/{package}`
///
/// - 200: the package, as in the list
/// - 404: no such package
pub async fn show(api: Arc<Api>, _: Operator, id: PackageId, _: Request) -> Result<Response, ApiError> {
    let shown = api.store.read(move |connection| {
        let (found, package) = (integrity::find(connection, id)?, packages::find(connection, id)?);
        let Some((standing, package)) = found.zip(package) else { return Ok(None) };
        let artifact = artifacts::find(connection, id)?;
        Ok::<_, StoreError>(Some(OverviewReply::new(standing, package.metadata().clone(), artifact)))
    });
    Ok(reply::ok(&shown.await?.ok_or_else(no_such_package)?)?)
}
