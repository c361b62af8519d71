//! THE status table: what a client is told when something is wrong, and with which status. Always JSON, never internals.

use std::error::Error;
use std::time::Duration;

use headers::{ContentRange, HeaderMapExt};
use humantime::format_duration;
use warp::http::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::oauth::OAuthError;
use super::reply;
use crate::domain::{Invalid, Outcome};
use crate::store::StoreError;
use crate::usecase::bundle::{BundleError, ImportError};
use crate::usecase::grant_token::GrantError;
use crate::usecase::log_in::LoginError;
use crate::usecase::publish_package::Unfit;
use crate::usecase::register_device::AuthorizationError;
use crate::usecase::room::Refusal;

/// How clients of the authorization server authenticate (RFC 7617, section 2).
const CLIENT_CHALLENGE: &str = "Basic realm=\"tender\", charset=\"UTF-8\"";

/// After which time some connections will have ended.
const DESCRIPTORS_WAIT: Duration = Duration::from_secs(1);

/// An answer that is not the one asked for. The texts are one clear sentence for the client.
#[derive(Debug)]
pub enum ApiError {
    /// 400: the request cannot be understood, or asks for something that cannot be.
    BadRequest(String),
    /// 401: no token, or none that is good (any more).
    Unauthorized(&'static str),
    /// 401 to a device that a person must accept first.
    NotAccepted,
    /// 403: a good token, but not for this.
    Forbidden(String),
    /// 404: what the path names is not there.
    NotFound(&'static str),
    /// 405: the path is there, the method is not; these are.
    MethodNotAllowed(Vec<Method>),
    /// 408: the client stopped sending.
    RequestTimeout,
    /// 409: not in the state that things are in.
    Conflict(String),
    /// 410: was there, and will not be again.
    Gone(&'static str),
    /// 412: a version of the upload protocol that is not spoken here.
    UnsupportedVersion,
    /// 413: more than is taken, which is so many bytes.
    PayloadTooLarge(u64),
    /// 415: the body is not of the type that is needed.
    UnsupportedMediaType(&'static str),
    /// 416: no byte of the range is in the file, which has this length.
    RangeNotSatisfiable(u64),
    /// 429: too much at once, or too many failures; again after so long.
    TooManyRequests(&'static str, Duration),
    /// 401 or 400 to a client of the authorization server, which knows errors of another form.
    OAuth(OAuthError),
    /// 500: our fault; the reason goes to the log, once.
    Internal(Box<dyn Error + Send + Sync>),
    /// 422: understood, but the contents are not what was expected.
    UnprocessableContent(String),
    /// 460: the piece of an upload was damaged on the way (tus 1.0, extension checksum).
    ChecksumMismatch,
    /// 503: what is asked for needs the disk, which takes no writes.
    ReadOnly(StoreError),
    /// 503: the disk failed at a file.
    DiskFails(StoreError),
    /// 503: the packages are not there.
    PackagesAway(StoreError),
    /// 503: too much goes on at the moment; again after so long.
    Busy(&'static str, Duration),
    /// 507: there is no room.
    InsufficientStorage(String),
    /// 507: there was room, and the disk is full all the same.
    DiskFull(StoreError),
}

impl ApiError {
    /// An error whose cause concerns only the log.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) | Self::NotAccepted => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Gone(_) => StatusCode::GONE,
            Self::UnsupportedVersion => StatusCode::PRECONDITION_FAILED,
            Self::UnprocessableContent(_) => StatusCode::UNPROCESSABLE_ENTITY,
            // No status of HTTP's own, so the library has no name for it.
            Self::ChecksumMismatch => StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST),
            Self::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TooManyRequests(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::OAuth(error) if error.is_about_the_client() => StatusCode::UNAUTHORIZED,
            Self::OAuth(_) => StatusCode::BAD_REQUEST,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::ReadOnly(_) | Self::DiskFails(_) | Self::PackagesAway(_) | Self::Busy(..) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::InsufficientStorage(_) | Self::DiskFull(_) => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// Whether the client could not have done better.
    pub fn is_our_fault(&self) -> bool {
        self.status().is_server_error()
    }

    /// What this means for the audit log.
    pub fn outcome(&self) -> Outcome {
        match self.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Outcome::Denied,
            _ if self.is_our_fault() => Outcome::Failed,
            _ => Outcome::Refused,
        }
    }

    /// What the client is told.
    pub fn sentence(&self) -> String {
        match self {
            Self::BadRequest(sentence)
            | Self::Forbidden(sentence)
            | Self::Conflict(sentence)
            | Self::UnprocessableContent(sentence)
            | Self::InsufficientStorage(sentence) => sentence.clone(),
            Self::DiskFull(_) => "the server's disk is full: delete packages that are not needed".to_owned(),
            Self::ReadOnly(_) => {
                "the server's disk cannot be written to: its log says why; devices still get their updates".to_owned()
            }
            Self::DiskFails(_) => "the server's disk fails: its log says where".to_owned(),
            Self::PackagesAway(_) => {
                "the server's package folder is not there: its file system must be mounted again".to_owned()
            }
            Self::UnsupportedVersion => "the header Tus-Resumable must be 1.0.0".to_owned(),
            Self::ChecksumMismatch => "this piece was damaged on the way: send it again".to_owned(),
            Self::Unauthorized(sentence) | Self::NotFound(sentence) | Self::Gone(sentence) => (*sentence).to_owned(),
            Self::OAuth(error) => error.sentence.clone().into_owned(),
            Self::TooManyRequests(sentence, wait) | Self::Busy(sentence, wait) => {
                format!("{sentence}: try again in {}", format_duration(whole_seconds(*wait)))
            }
            Self::NotAccepted => "the device is not accepted yet: a person must accept its registration".to_owned(),
            Self::MethodNotAllowed(allowed) => {
                format!("this path does not take this method, only {}", method_list(allowed))
            }
            Self::RequestTimeout => "the request's body did not arrive in time".to_owned(),
            Self::PayloadTooLarge(limit) => format!("the request is too large: at most {limit} bytes are taken here"),
            Self::UnsupportedMediaType(needed) => format!("the request's Content-Type must be {needed}"),
            Self::RangeNotSatisfiable(length) => format!("the range lies outside the file, which has {length} bytes"),
            Self::Internal(_) => "internal server error: the server's log says more".to_owned(),
        }
    }

    /// What only the log is to know: why something is our fault.
    pub fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(error) => Some(chain(&**error)),
            Self::DiskFull(error) | Self::ReadOnly(error) | Self::DiskFails(error) | Self::PackagesAway(error) => {
                Some(error.to_string())
            }
            _ => None,
        }
    }

    /// The reply to the client.
    pub fn into_response(self) -> Response {
        let body = match &self {
            Self::OAuth(OAuthError { name, sentence }) => {
                serde_json::json!({ "error": name, "error_description": sentence })
            }
            _ => serde_json::json!({ "error": self.sentence() }),
        };
        let mut response = reply::json(self.status(), body.to_string().into_bytes());
        if let Self::OAuth(_) = &self {
            reply::forbid_storing(&mut response);
        }
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::OAuth(error) if error.is_about_the_client() => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(CLIENT_CHALLENGE));
            }
            Self::MethodNotAllowed(allowed) => {
                if let Ok(list) = HeaderValue::try_from(method_list(&allowed)) {
                    headers.insert(ALLOW, list);
                }
            }
            Self::TooManyRequests(_, wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait).as_secs()));
            }
            Self::Busy(_, wait) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(wait).as_secs()));
                // Its connection is somebody else's meanwhile.
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::UnsupportedVersion => {
                headers.insert("tus-version", HeaderValue::from_static("1.0.0"));
            }
            Self::RangeNotSatisfiable(length) => headers.typed_insert(ContentRange::unsatisfied_bytes(length)),
            _ => {}
        }
        response
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_disk_full() {
            return Self::DiskFull(error);
        }
        if error.is_read_only() {
            return Self::ReadOnly(error);
        }
        if error.is_disk_failure() {
            return Self::DiskFails(error);
        }
        if error.is_out_of_descriptors() {
            return Self::Busy("the server has as many files open as it may", DESCRIPTORS_WAIT);
        }
        if let StoreError::PackagesAway(_) = error {
            return Self::PackagesAway(error);
        }
        Self::internal(error)
    }
}

impl From<Unfit> for ApiError {
    fn from(unfit: Unfit) -> Self {
        let sentence = format!("{unfit}; nothing of it is kept");
        match unfit {
            Unfit::OtherContents(_) => Self::UnprocessableContent(sentence),
            Unfit::Flawed(_) => Self::BadRequest(sentence),
        }
    }
}

impl From<serde_json::Error> for ApiError {
    /// A reply that cannot be written: requests are read with a 400 of their own.
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge(limit) => Self::PayloadTooLarge(limit.bytes()),
            Refusal::NoRoom(sentence) => Self::InsufficientStorage(sentence),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let sentence = error.to_string();
        match error {
            ImportError::Store(error) | ImportError::Bundle(BundleError::Store(error)) => error.into(),
            ImportError::Bundle(BundleError::NoBundle | BundleError::Cut { .. } | BundleError::Source(_)) => {
                Self::BadRequest(sentence)
            }
            ImportError::Bundle(_) | ImportError::Unfit { .. } => Self::UnprocessableContent(sentence),
            ImportError::UnknownSigner(_) => Self::Forbidden(sentence),
            ImportError::Room(refusal) => refusal.into(),
            ImportError::Meanwhile => Self::Conflict(sentence),
        }
    }
}

impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::Store(error) => error.into(),
            LoginError::Password(error) => Self::internal(error),
            LoginError::Random(error) => Self::internal(error),
        }
    }
}

impl From<GrantError> for ApiError {
    fn from(error: GrantError) -> Self {
        match error {
            GrantError::Store(error) => error.into(),
            GrantError::Signing(error) => Self::internal(error),
        }
    }
}

impl From<AuthorizationError> for ApiError {
    fn from(error: AuthorizationError) -> Self {
        match error {
            AuthorizationError::Store(error) => error.into(),
            AuthorizationError::Signing(error) => Self::internal(error),
        }
    }
}

/// The router's own errors. All that is left to it is a path that nothing answers: methods, bodies and types are judged
/// by the endpoints.
pub fn no_such_path() -> ApiError {
    ApiError::NotFound("no such path")
}

/// At least one second, so that nobody is told to come again at once.
fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(Duration::from_secs(1))
}

fn method_list(methods: &[Method]) -> String {
    methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
