//! `/api/tender/v1/packages`: what is known about the stored packages beside what the frozen API tells: what they say about
//! themselves, and whether they are whole.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use crate::domain::{Artifact, GroupId, Metadata, PackageId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::integrity::{self, Standing};
use crate::store::{StoreError, artifacts, packages};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

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
    let (after, limit) = query(request.head.target.query())?;
    let page = api.store.read(move |connection| {
        // One more than asked for tells whether there is a next page.
        let mut standings = integrity::page(connection, after, limit + 1)?;
        let has_next = standings.len() > limit as usize;
        standings.truncate(limit as usize);
        let next = standings.last().filter(|_| has_next).map(|standing| standing.id);
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

fn query(text: &str) -> Result<(PackageId, u32), ApiError> {
    let (mut after, mut limit) = (PackageId(0), DEFAULT_LIMIT);
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let wrong = |needed: &str| ApiError::BadRequest(format!("the parameter {name} must be {needed}"));
        match name.as_ref() {
            "after" => after = value.parse().map_err(|_| wrong("a number"))?,
            "limit" => {
                let given = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                limit = given.ok_or_else(|| wrong(&format!("a number from 1 to {MAX_LIMIT}")))?;
            }
            unknown => return Err(ApiError::BadRequest(format!("there is no parameter \"{unknown}\" here"))),
        }
    }
    Ok((after, limit))
}
