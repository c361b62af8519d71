//! `/api/v1/auth/device`: a device asks for a token.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use warp::reply::Response;

use super::REPORT_LIMIT_BYTES;
use crate::auth::{PublicKey, device_token};
use crate::domain::{DeviceReport, Metadata, Timestamp};
use crate::http::Api;
use crate::http::body::parse_json;
use crate::http::error::ApiError;
use crate::http::exchange::Who;
use crate::http::guard::Anonymous;
use crate::http::reply;
use crate::http::request::Request;
use crate::usecase::hold_back::Asking;
use crate::usecase::register_device::{self, Authorization, AuthorizationRequest};

const SIGNATURE_HEADER: &str = "X-RDFM-Device-Signature";

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct AuthorizationBody {
    metadata: Metadata,
    public_key: String,
    /// The device's clock, in POSIX seconds. A wrong one is no reason to refuse.
    timestamp: i64,
}

#[derive(Serialize)]
struct TokenReply {
    expires: u64,
    token: String,
}

/// `POST /api/v1/auth/device`
///
/// - 200: the device is registered with this key; its token, and for how many seconds it is good
/// - 400: the signature header is missing, the body is not what it should be, or the signature does not fit it
/// - 413: the request is longer than is taken, or kept of a device that nobody has accepted
/// - 401: a person must accept the device first; it is among the pending registrations now
///
/// Whoever asks too often waits for the answer; it is never a 429, on which the Linux client would ask again at once.
pub async fn authorize(api: Arc<Api>, _: Anonymous, (): (), request: Request) -> Result<Response, ApiError> {
    let address = api.addresses.client_address(&request.head);
    let judged = judge(&api, request, address).await;
    if judged.is_err() {
        // Whether it waits or not makes no difference to the answer.
        let _ = api.hold_back.wait(Asking::Address(address), api.store.clock().steady()).await;
    }
    match judged? {
        Some(token) => Ok(reply::ok(&TokenReply { expires: device_token::LIFETIME.as_secs(), token })?),
        None => Err(ApiError::NotAccepted),
    }
}

/// The token, if the device is registered with the key that the request was signed with.
async fn judge(api: &Api, mut request: Request, address: Option<IpAddr>) -> Result<Option<String>, ApiError> {
    let Some(signature) = request.head.headers.get(SIGNATURE_HEADER).cloned() else {
        let missing = ApiError::BadRequest(format!("the header {SIGNATURE_HEADER} is missing"));
        return Err(request.body.refuse(missing).await);
    };
    let message = request.body.read_json_text(REPORT_LIMIT_BYTES).await?;
    let body: AuthorizationBody = parse_json(&message)?;
    let report = DeviceReport::for_registration(body.metadata)?;
    let public_key = PublicKey::from_pem(&body.public_key)?;
    let bad_signature = || ApiError::BadRequest("the signature does not fit the body and public key".to_owned());
    let signature = STANDARD.decode(signature.as_bytes().trim_ascii()).map_err(|_| bad_signature())?;

    let authorization = AuthorizationRequest {
        report,
        public_key,
        public_key_pem: body.public_key,
        message,
        signature,
        device_time: Timestamp::from_unix_seconds(body.timestamp),
        address,
    };
    let who = Who::Device(authorization.report.mac_address.clone());
    let result =
        register_device::authorize(&api.store, &api.keys, &api.signature_turns, &api.hold_back, authorization).await?;
    if let Authorization::Granted(_) | Authorization::Pending = result {
        request.head.record.note_who(who);
    }
    match result {
        Authorization::Granted(token) => Ok(Some(token)),
        Authorization::Pending => Ok(None),
        Authorization::TooLong => Err(ApiError::PayloadTooLarge(register_device::REGISTRATION_LIMIT_BYTES as u64)),
        Authorization::BadSignature => Err(bad_signature()),
    }
}
