//! `/api/tender/v1/groups`: what is known about groups beside what the frozen API tells: how far their devices are, and what
//! people have written about them.

use std::sync::Arc;

use serde::Serialize;
use warp::reply::Response;

use super::groups::{no_such_group, read_metadata, target};
use super::rollouts::RolloutReply;
use crate::domain::rollout::Rollout;
use crate::domain::{Deed, Event, Group, GroupChange, GroupId, GroupMetadata, PackageId};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Moment};
use crate::http::request::Request;
use crate::store::{StoreError, audit, events, groups, rollouts};

/// All groups, ordered by identifier.
#[derive(Serialize)]
struct ListReply {
    groups: Vec<OverviewReply>,
}

#[derive(Serialize)]
struct OverviewReply {
    id: GroupId,
    created_at: Moment,
    metadata: GroupMetadata,
    policy: String,
    /// The version that the policy names; `null`: it names none.
    target: Option<String>,
    /// How many there are.
    devices: usize,
    packages: Vec<PackageId>,
    rollout: RolloutReply,
    /// `null`: packages are offered.
    halted: Option<HaltReply>,
}

/// Why nothing is offered in a group any more.
#[derive(Serialize)]
struct HaltReply {
    since: Moment,
    /// How many devices have failed on the way to the target.
    failed: usize,
}

impl OverviewReply {
    fn new(api: &Api, group: Group, rollout: &Rollout) -> Self {
        let rollout = RolloutReply::new(api, group.id, &group.policy, rollout);
        Self {
            id: group.id,
            created_at: Moment(group.created),
            policy: group.policy.to_string(),
            target: group.policy.target().map(str::to_owned),
            metadata: group.metadata,
            devices: group.devices.len(),
            packages: group.packages,
            halted: rollout.halt().map(|(since, failed)| HaltReply { since: Moment(since), failed }),
            rollout,
        }
    }
}

/// `GET /api/tender/v1/groups`
///
/// - 200: all groups, with how their devices get new versions and how far they are
pub async fn list(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let reading = api.store.read(move |connection| {
        let groups = groups::list(connection)?.into_iter();
        let with_rollout = |group: Group| Ok((rollouts::find(connection, group.id)?, group));
        groups.map(with_rollout).collect::<Result<Vec<_>, StoreError>>()
    });
    let found = reading.await?.into_iter();
    let groups = found.map(|(rollout, group)| OverviewReply::new(&api, group, &rollout)).collect();
    Ok(reply::ok(&ListReply { groups })?)
}

/// `GET /api/tender/v1/groups/{group}`
///
/// - 200: the group, as in the list
/// - 404: no such group
pub async fn show(api: Arc<Api>, _: Operator, id: GroupId, _: Request) -> Result<Response, ApiError> {
    let reading = api.store.read(move |connection| {
        let Some(group) = groups::find(connection, id)? else { return Ok(None) };
        Ok::<_, StoreError>(Some((rollouts::find(connection, id)?, group)))
    });
    let (rollout, group) = reading.await?.ok_or_else(no_such_group)?;
    Ok(reply::ok(&OverviewReply::new(&api, group, &rollout))?)
}

/// `PUT /api/tender/v1/groups/{group}/metadata`
///
/// - 200: the group has this metadata now, and no other
/// - 400: the body is not a JSON object
/// - 404: no such group
pub async fn set_metadata(api: Arc<Api>, deed: Deed, id: GroupId, mut request: Request) -> Result<Response, ApiError> {
    let metadata = read_metadata(&mut request).await?;
    let setting = api.store.write(move |tx| {
        let is_set = groups::set_metadata(tx, id, &metadata)?;
        if is_set {
            events::tell(tx, Event::group_changed(id, GroupChange::Metadata))?;
            audit::append(tx, &deed.done(target(id)).with(metadata.as_str()))?;
        }
        Ok::<_, StoreError>(is_set)
    });
    if setting.await? { Ok(reply::done()) } else { Err(no_such_group()) }
}
