//! `/api/v1/auth/pending` and `/api/v1/auth/register`: devices that wait, and letting them in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::BODY_LIMIT_BYTES;
use crate::auth::PublicKey;
use crate::domain::{Deed, MacAddress, Metadata, Registration};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::guard::Operator;
use crate::http::reply::{self, Date};
use crate::http::request::Request;
use crate::store::registrations;
use crate::usecase::register_device::{self, JudgementError};

/// A registration on the wire: exactly these fields.
#[derive(Serialize)]
struct RegistrationReply<'a> {
    mac_address: &'a str,
    public_key: &'a str,
    metadata: &'a Metadata,
    last_appeared: Date,
}

impl<'a> From<&'a Registration> for RegistrationReply<'a> {
    fn from(registration: &'a Registration) -> Self {
        Self {
            mac_address: registration.mac_address.as_str(),
            public_key: &registration.public_key,
            metadata: &registration.metadata,
            last_appeared: Date(registration.last_appeared),
        }
    }
}

/// Which registration to accept. More fields are left unread, so that a pending entry can be sent back as it came.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct AcceptBody {
    mac_address: String,
    public_key: String,
}

/// `GET /api/v1/auth/pending`
///
/// - 200: all registrations that nobody has accepted or rejected
pub async fn list(api: Arc<Api>, _: Operator, (): (), _: Request) -> Result<Response, ApiError> {
    let presence = api.store.presence().clone();
    let pending = api.store.read(move |connection| registrations::list(connection, &presence)).await?;
    Ok(reply::ok(&pending.iter().map(RegistrationReply::from).collect::<Vec<_>>())?)
}

/// `POST /api/v1/auth/register`
///
/// - 200: the device is let in, with this key
/// - 400: the body is not what it should be
/// - 404: no device with this MAC address and key has asked to be
pub async fn accept(api: Arc<Api>, deed: Deed, (): (), mut request: Request) -> Result<Response, ApiError> {
    let body: AcceptBody = request.body.read_json(BODY_LIMIT_BYTES).await?;
    let not_found = || ApiError::NotFound("the specified registration request does not exist");
    // What is no MAC address or no key cannot have registered.
    let mac_key = MacAddress::parse(&body.mac_address).map_err(|_| not_found())?.key();
    let fingerprint = PublicKey::from_pem(&body.public_key).map_err(|_| not_found())?.fingerprint();
    match register_device::accept(&api.store, vec![(mac_key, fingerprint)], deed).await {
        Ok(_) => Ok(reply::done()),
        Err(JudgementError::NoSuchRegistration) => Err(not_found()),
        Err(JudgementError::Store(error)) => Err(error.into()),
    }
}
