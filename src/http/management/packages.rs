//! `/api/v1/packages`: the stored packages.

use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use warp::reply::Response;

use super::upload;
use crate::domain::{Deed, Package, PackageId, Scopes, StorageDirectory, keys};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::{Operator, Uploader, require};
use crate::http::reply::{self, Date};
use crate::http::request::Request;
use crate::store::packages::{self, Deletion};
use crate::usecase::publish_package::{Examined, publish};
use crate::usecase::remove_package::remove_package;

/// A package on the wire: exactly these fields.
#[derive(Serialize)]
struct PackageReply<'a> {
    id: PackageId,
    created: Date,
    sha256: String,
    driver: &'static str,
    metadata: MetadataReply<'a>,
}

/// A package's metadata, with what the server says about its storage.
struct MetadataReply<'a>(&'a Package);

impl Serialize for MetadataReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(package) = self;
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in package.metadata().iter() {
            map.serialize_entry(key, value)?;
        }
        if let Some(directory) = package.description.directory() {
            map.serialize_entry(keys::LOCAL_DIRECTORY, StorageDirectory::as_str(directory))?;
        }
        map.serialize_entry(keys::LOCAL_LENGTH, &package.length_bytes)?;
        map.serialize_entry(keys::LOCAL_UUID, &package.uuid.to_string())?;
        map.end()
    }
}

impl<'a> From<&'a Package> for PackageReply<'a> {
    fn from(package: &'a Package) -> Self {
        Self {
            id: package.id,
            created: Date(package.created),
            sha256: package.sha256.to_string(),
            driver: "local",
            metadata: MetadataReply(package),
        }
    }
}

/// 404 for a package that is not there.
pub fn no_such_package() -> ApiError {
    ApiError::NotFound("no such package")
}

/// `GET /api/v1/packages`
///
/// - 200: all packages
pub async fn list(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let packages = api.store.read(packages::list).await?;
    Ok(reply::ok(&packages.iter().map(PackageReply::from).collect::<Vec<_>>())?)
}

/// `POST /api/v1/packages`
///
/// - 200: the new package
/// - 403: the scope that a package of this type needs is missing
/// - 400: no file, an empty one, an artifact that is not whole, metadata that is missing or reserved, or a body that breaks off
/// - 413: larger than packages may be
/// - 422: the file does not have the SHA-256 that `rdfm.storage.sha256` gives
/// - 507: there is no room for it
pub async fn upload(api: Arc<Api>, uploader: Uploader, (): (), request: Request) -> Result<Response, ApiError> {
    let (staged, submission) = upload::receive(&api, *request.body).await?;
    let examined = Examined::examine(staged, submission.expected_sha256(), &mut None).await??;
    require_scopes_of(&examined, &uploader.scopes)?;
    let description = submission.describe(examined.artifact())?;
    let package = publish(&api.store, examined, description, uploader.deed, |_| Ok(())).await?;
    api.traffic.uploads.add_one();
    reply_to(&package)
}

/// 403 unless `scopes` are enough for a package of this type.
pub(super) fn require_scopes_of(examined: &Examined, scopes: &Scopes) -> Result<(), ApiError> {
    examined.scopes().iter().try_for_each(|needed| require(scopes, needed))
}

/// One package.
pub(super) fn reply_to(package: &Package) -> Result<Response, ApiError> {
    Ok(reply::ok(&PackageReply::from(package))?)
}

/// `GET /api/v1/packages/{package}`
///
/// - 200: the package
/// - 404: no such package
pub async fn find(api: Arc<Api>, _: Operator, id: PackageId, _: Request) -> Result<Response, ApiError> {
    let package = api.store.read(move |connection| packages::find(connection, id)).await?;
    reply_to(&package.ok_or_else(no_such_package)?)
}

/// `DELETE /api/v1/packages/{package}`
///
/// - 200: the package is gone
/// - 404: no such package
/// - 409: a group has it
pub async fn delete(api: Arc<Api>, deed: Deed, id: PackageId, _: Request) -> Result<Response, ApiError> {
    match remove_package(&api.store, &api.packages, &api.open_packages, id, deed).await? {
        Deletion::Deleted(_) => Ok(reply::done()),
        Deletion::NotFound => Err(no_such_package()),
        Deletion::Assigned => {
            Err(ApiError::Conflict("delete failed, the package is assigned to at least one group".to_owned()))
        }
    }
}
