//! `/api/v1/groups`: groups, their devices, packages and policies.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use crate::domain::{
    Deed, DeviceChange, DeviceId, Event, Group, GroupChange, GroupId, GroupMetadata, MembershipChange, PackageId,
    Policy,
};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Date};
use crate::http::request::Request;
use crate::store::groups::{self, AssignmentError, Deletion, MembershipError};
use crate::store::{StoreError, audit, events};

/// A group on the wire: exactly these fields.
#[derive(Serialize)]
struct GroupReply<'a> {
    id: GroupId,
    created: Date,
    devices: &'a [DeviceId],
    packages: &'a [PackageId],
    metadata: &'a GroupMetadata,
    policy: String,
}

impl<'a> From<&'a Group> for GroupReply<'a> {
    fn from(group: &'a Group) -> Self {
        Self {
            id: group.id,
            created: Date(group.created),
            devices: &group.devices,
            packages: &group.packages,
            metadata: &group.metadata,
            policy: group.policy.to_string(),
        }
    }
}

/// A device's identifier, as a number or as a numeric string: clients write both.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a device's identifier is a number")]
enum WrittenDeviceId {
    Number(i64),
    Text(String),
}

impl WrittenDeviceId {
    fn read(self) -> Result<DeviceId, ApiError> {
        match self {
            Self::Number(number) => Ok(DeviceId(number)),
            Self::Text(text) => Ok(text.parse()?),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct MembershipBody {
    add: Vec<WrittenDeviceId>,
    remove: Vec<WrittenDeviceId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PackagesBody {
    packages: Vec<PackageId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct PolicyBody {
    policy: String,
}

/// What the audit log calls a group.
pub fn target(id: GroupId) -> String {
    format!("group/{id}")
}

/// Identifiers for people, such as `1, 2`; `none` if there are none.
fn numbers<T: ToString>(identifiers: &[T]) -> String {
    if identifiers.is_empty() {
        return "none".to_owned();
    }
    identifiers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// 404 for a group that is not there.
pub fn no_such_group() -> ApiError {
    ApiError::NotFound("no such group")
}

impl From<AssignmentError> for ApiError {
    fn from(error: AssignmentError) -> Self {
        match error {
            AssignmentError::NoSuchGroup => no_such_group(),
            AssignmentError::NoSuchPackage(_) => Self::NotFound("one of the packages does not exist"),
            AssignmentError::Store(error) => error.into(),
        }
    }
}

/// `GET /api/v1/groups`
///
/// - 200: all groups
pub async fn list(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let groups = api.store.read(groups::list).await?;
    Ok(reply::ok(&groups.iter().map(GroupReply::from).collect::<Vec<_>>())?)
}

/// `POST /api/v1/groups`
///
/// - 200: the new group; the body is its metadata
/// - 400: the body is not a JSON object
pub async fn create(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let metadata = read_metadata(&mut request).await?;
    let creating = api.store.write(move |tx| {
        let group = groups::create(tx, metadata)?;
        fail_point!("group.row");
        events::tell(tx, Event::group_created(group.id))?;
        audit::append(tx, &deed.done(target(group.id)))?;
        Ok::<_, StoreError>(group)
    });
    let group = creating.await?;
    Ok(reply::ok(&GroupReply::from(&group))?)
}

/// A body that is a group's metadata.
pub async fn read_metadata(request: &mut Request) -> Result<GroupMetadata, ApiError> {
    let text = request.body.read_json_text(BODY_LIMIT_BYTES).await?;
    let text =
        str::from_utf8(&text).map_err(|_| ApiError::BadRequest("group metadata is not UTF-8 text".to_owned()))?;
    Ok(GroupMetadata::parse(text)?)
}

/// `GET /api/v1/groups/{group}`
///
/// - 200: the group
/// - 404: no such group
pub async fn find(api: Arc<Api>, _: Operator, id: GroupId, _: Request) -> Result<Response, ApiError> {
    let group = api.store.read(move |connection| groups::find(connection, id)).await?;
    Ok(reply::ok(&GroupReply::from(&group.ok_or_else(no_such_group)?))?)
}

/// `DELETE /api/v1/groups/{group}`
///
/// - 200: the group is gone; its packages stay
/// - 404: no such group
/// - 409: it has devices
pub async fn delete(api: Arc<Api>, deed: Deed, id: GroupId, _: Request) -> Result<Response, ApiError> {
    let deleting = api.store.write(move |tx| {
        let deletion = groups::delete(tx, id)?;
        if deletion == Deletion::Deleted {
            events::tell(tx, Event::group_deleted(id))?;
            audit::append(tx, &deed.done(target(id)))?;
        }
        Ok::<_, StoreError>(deletion)
    });
    match deleting.await? {
        Deletion::Deleted => {
            api.tracker.forget_group(id);
            Ok(reply::done())
        }
        Deletion::NotFound => Err(no_such_group()),
        Deletion::HasDevices => {
            Err(ApiError::Conflict("delete failed, at least one device is still assigned to the group".to_owned()))
        }
    }
}

/// `PATCH /api/v1/groups/{group}/devices`
///
/// - 200: the devices were added and removed
/// - 400: the body is not what it should be
/// - 404: no such group
/// - 409: one of the devices cannot be added or removed; nothing was changed
pub async fn change_devices(
    api: Arc<Api>,
    deed: Deed,
    id: GroupId,
    mut request: Request,
) -> Result<Response, ApiError> {
    let body: MembershipBody = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let read_all =
        |written: Vec<WrittenDeviceId>| written.into_iter().map(WrittenDeviceId::read).collect::<Result<_, _>>();
    let change = MembershipChange { add: read_all(body.add)?, remove: read_all(body.remove)? };
    let changing = api.store.write(move |tx| {
        groups::change_members(tx, id, &change)?;
        events::tell_all(tx, Event::devices_changed(&change.add, &DeviceChange::Group(Some(id))))?;
        events::tell_all(tx, Event::devices_changed(&change.remove, &DeviceChange::Group(None)))?;
        let detail = format!("added {}; removed {}", numbers(&change.add), numbers(&change.remove));
        Ok(audit::append(tx, &deed.done(target(id)).with(detail))?)
    });
    changing.await.map_err(|error| match error {
        MembershipError::NoSuchGroup => no_such_group(),
        MembershipError::Store(error) => error.into(),
        conflict => ApiError::Conflict(format!("nothing was changed: {conflict}")),
    })?;
    Ok(reply::done())
}

/// `POST /api/v1/groups/{group}/package`
///
/// - 200: the group has these packages now, and no others
/// - 400: the body is not what it should be
/// - 404: no such group, or one of the packages does not exist; nothing was changed
pub async fn set_packages(api: Arc<Api>, deed: Deed, id: GroupId, mut request: Request) -> Result<Response, ApiError> {
    let PackagesBody { packages } = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let setting = api.store.write(move |tx| {
        groups::set_packages(tx, id, &packages)?;
        fail_point!("assign.packages-set");
        events::tell(tx, Event::group_changed(id, GroupChange::Packages))?;
        Ok::<_, AssignmentError>(audit::append(tx, &deed.done(target(id)).with(numbers(&packages)))?)
    });
    setting.await?;
    Ok(reply::done())
}

/// `POST /api/v1/groups/{group}/policy`
///
/// - 200: the group has this policy now
/// - 400: the body is not what it should be, or no policy
/// - 404: no such group
pub async fn set_policy(api: Arc<Api>, deed: Deed, id: GroupId, mut request: Request) -> Result<Response, ApiError> {
    let body: PolicyBody = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let policy: Policy = body.policy.parse()?;
    let setting = api.store.write(move |tx| {
        let is_set = groups::set_policy(tx, id, &policy)?;
        if is_set {
            events::tell(tx, Event::group_changed(id, GroupChange::Policy))?;
            audit::append(tx, &deed.done(target(id)).with(policy.to_string()))?;
        }
        Ok::<_, StoreError>(is_set)
    });
    if setting.await? { Ok(reply::done()) } else { Err(no_such_group()) }
}
