//! `/api/tender/v1/bundles`: packages and groups that come from another installation in one signed file.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde::Serialize;
use warp::reply::Response;

use crate::domain::{Deed, GroupId, PackageId};
use crate::http::Api;
use crate::http::body::RequestBody;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::usecase::bundle::{Importer, Report, SourceError};

/// What becomes of a bundle, on the wire: exactly these fields.
#[derive(Serialize)]
pub struct BundleReply<'a> {
    bundle: String,
    created: Moment,
    signer: &'a str,
    changes_nothing: bool,
    packages: Vec<PackageReply<'a>>,
    groups: Vec<GroupReply>,
}

#[derive(Serialize)]
struct PackageReply<'a> {
    package: Option<PackageId>,
    is_new: bool,
    version: &'a str,
    device_type: &'a str,
    length_bytes: u64,
}

#[derive(Serialize)]
struct GroupReply {
    group: Option<GroupId>,
    is_new: bool,
    changes: Vec<&'static str>,
}

impl<'a> From<&'a Report> for BundleReply<'a> {
    fn from(report: &'a Report) -> Self {
        let packages = report.packages.iter().map(|package| PackageReply {
            package: package.package,
            is_new: package.is_new,
            version: &package.version,
            device_type: &package.device_type,
            length_bytes: package.length_bytes,
        });
        let groups = report.groups.iter().map(|group| GroupReply {
            group: group.group,
            is_new: group.is_new,
            changes: group.changes.iter().map(|change| change.name()).collect(),
        });
        Self {
            bundle: report.bundle.to_string(),
            created: Moment(report.created),
            signer: &report.signer,
            changes_nothing: report.changes_nothing(),
            packages: packages.collect(),
            groups: groups.collect(),
        }
    }
}

/// `POST /api/tender/v1/bundles/plan`, with a bundle or its beginning up to the signature
///
/// - 200: what its import would change; nothing is changed, and its packages are not looked at
/// - 400: it is no bundle, or cut off
/// - 403: its signer is not trusted
/// - 422: it was damaged or changed
/// - 413, 507: there is no room for it
pub async fn plan(api: Arc<Api>, _: Operator, (): (), mut request: Request) -> Result<Response, ApiError> {
    let planned = importer(&api).plan(pieces(&mut request.body)).await;
    match planned {
        Ok(report) => Ok(reply::ok(&BundleReply::from(&report))?),
        Err(error) => Err(request.body.refuse(error.into()).await),
    }
}

/// `POST /api/tender/v1/bundles`, with a bundle
///
/// - 200: everything that is in it is there now; the reply says what was not before
/// - 400: it is no bundle, or cut off
/// - 403: its signer is not trusted
/// - 409: a package of it was deleted meanwhile
/// - 422: it was damaged or changed, or a package in it is
/// - 413, 507: there is no room for it
pub async fn import(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let imported = importer(&api).import(pieces(&mut request.body), deed).await;
    match imported {
        Ok(report) => Ok(reply::ok(&BundleReply::from(&report))?),
        Err(error) => Err(request.body.refuse(error.into()).await),
    }
}

fn importer(api: &Api) -> Importer {
    Importer::new(api.store.clone(), api.packages.clone(), api.room.clone())
}

fn pieces(body: &mut RequestBody) -> impl Stream<Item = Result<Bytes, SourceError>> + Unpin + Send {
    Box::pin(stream::unfold(body, |body| async move {
        let piece = body.next_piece().await?;
        let piece = piece.map_err(|error| match error {
            ApiError::RequestTimeout => SourceError("the bundle did not come in time".to_owned()),
            _ => SourceError("the bundle did not come to its end: send it again".to_owned()),
        });
        Some((piece, body))
    }))
}
