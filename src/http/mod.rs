//! The HTTP side: thin, and the only user of warp. Handlers read a request, call the store or a use case, and write a reply.
//!
//! `resources` is the whole route table. `device` is what devices call, `management` what people and scripts call, and
//! `oauth` the authorization server, where scripts get their tokens; none knows another.

mod assets;
mod body;
mod connection;
mod device;
mod endpoint;
mod error;
mod exchange;
mod guard;
mod health;
mod host;
mod identity;
mod management;
mod oauth;
mod openapi;
mod range;
mod reply;
mod request;
mod sendfile;
pub mod serve;
mod session_cookie;
mod traffic;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use warp::http::Method;

use crate::auth::Keys;
use crate::domain::Action::{
    AcceptDevice, AssignDevices, BeginUpload, ChangeGroupDevices, ContinueUpload, CreateGroup, DeleteGroup,
    DeletePackage, DiscardUpload, GrantToken, ImportBundle, IntrospectToken, LogOut, RejectDevice, ReleaseDevice,
    RemoveDevices, ResumeGroup, RevokeToken, SetDeviceName, SetGroupMetadata, SetGroupPackages, SetGroupPolicy,
    SetGroupRollout, SetPassword, UploadPackage,
};
use crate::domain::Scope::{self, ReadOnly, ReadWrite};
use crate::domain::downloads::DownloadLimits;
use crate::domain::fleet::DEFAULT_SILENT_AFTER;
use crate::domain::{DownloadUrls, StorageLimits};
use crate::identity_provider::IdentityProvider;
use crate::store::{PackageFolder, Store};
use crate::usecase::audit_log::AuditLog;
use crate::usecase::authenticate_client::Gatekeeper;
use crate::usecase::claim::Claim;
use crate::usecase::health::HealthCheck;
use crate::usecase::hold_back::HoldBack;
use crate::usecase::log_in::Doorkeeper;
use crate::usecase::open_packages::OpenPackages;
use crate::usecase::planner::Planner;
use crate::usecase::register_device::SignatureTurns;
use crate::usecase::resume_upload::ResumableUploads;
use crate::usecase::room::Room;
use crate::usecase::schedule_backups::BackupSchedule;
use crate::usecase::survey_fleet::FleetSurvey;
use crate::usecase::track_progress::Tracker;
pub use body::RequestBody;
pub use device::download::{Downloads, OpenPackage, StoredName};
use device::{auth, download, update};
pub use endpoint::{PathParameter, RouteSummary};
use endpoint::{Resource, Route, any_of, at, on};
pub use error::ApiError;
pub use guard::Audience;
use guard::{Change, DeviceOnly, Downloading, InSession, Management, OwnUploads, Public, Uploading};
pub use host::Addresses;
pub use management::bundles::BundleReply;
pub use management::decision::DecisionReply;
pub use management::events::EventStreams;
pub use management::status::StatusReply;
use management::{
    admissions, attempts, audit, bundles, decision, device_changes, devices, events, fleet, group_overview, groups,
    metrics, package_overview, packages, preview, registrations, rollouts, session, status, uploads, webhooks,
};
pub use management::{tus, upload};
use oauth::client::ClientOnly;
use oauth::{introspection, metadata, revocation, token};
pub use range::{ByteRange, RangeRequest};
pub use traffic::Traffic;

/// What handlers work with.
pub struct Api {
    /// The database and what devices reported.
    pub store: Store,
    /// The package files.
    pub packages: PackageFolder,
    /// What is taken in.
    pub room: Room,
    /// Uploads that can be resumed.
    pub uploads: ResumableUploads,
    /// Those that are being downloaded.
    pub open_packages: OpenPackages<OpenPackage>,
    /// How much is downloaded at once.
    pub downloads: Downloads,
    /// The keys of tokens.
    pub keys: Keys,
    /// The compiled plans.
    pub planner: Planner,
    /// How the devices of the fleet are.
    pub survey: FleetSurvey,
    /// How far devices are with what they were offered.
    pub tracker: Arc<Tracker>,
    /// Who is asked about tokens that are not our own.
    pub identity_provider: Option<IdentityProvider>,
    /// What slows down devices that ask for tokens too often.
    pub hold_back: HoldBack,
    /// What stands between guessers and passwords.
    pub doorkeeper: Doorkeeper,
    /// What stands between guessers and the secrets of clients.
    pub gatekeeper: Gatekeeper,
    /// The code that makes somebody the first administrator, if nobody was when the server started.
    pub claim: Option<Claim>,
    /// What was noted in the audit log of late.
    pub audit: AuditLog,
    /// How many signatures may be checked at once.
    pub signature_turns: SignatureTurns,
    /// Who listens to events.
    pub event_streams: EventStreams,
    /// Whether the server is ready.
    pub health: HealthCheck,
    /// Under which address clients reach this server.
    pub addresses: Addresses,
    /// Whether packages' addresses are signed.
    pub download_urls: DownloadUrls,
    /// The backups that the server makes by itself.
    pub backups: Option<Arc<BackupSchedule>>,
    /// What goes through the server.
    pub traffic: Arc<Traffic>,
    /// Everybody may do everything.
    pub authentication_is_off: bool,
}

impl Api {
    /// With nothing configured.
    pub fn new(store: Store, packages: PackageFolder, keys: Keys, tracker: Arc<Tracker>) -> Self {
        let room = Room::new(store.clone(), packages.clone(), StorageLimits::default());
        let uploads =
            ResumableUploads::new(store.clone(), packages.clone(), room.clone(), Duration::from_secs(24 * 60 * 60));
        let downloads = Downloads::new(DownloadLimits::default(), store.clock().clone());
        let event_streams = EventStreams::new(store.clock().now(), CancellationToken::new(), usize::MAX);
        let planner = Planner::default();
        let traffic = Arc::new(Traffic::new(&route_table(), store.clock().elapsed()));
        let survey = FleetSurvey::new(store.clone(), planner.clone(), tracker.clone(), DEFAULT_SILENT_AFTER);
        Self {
            store,
            packages,
            room,
            uploads,
            open_packages: OpenPackages::default(),
            downloads,
            keys,
            planner,
            survey,
            tracker,
            identity_provider: None,
            hold_back: HoldBack::default(),
            doorkeeper: Doorkeeper::default(),
            gatekeeper: Gatekeeper::default(),
            claim: None,
            audit: AuditLog::default(),
            signature_turns: SignatureTurns::new(available_parallelism().map_or(1, usize::from)),
            event_streams,
            health: HealthCheck::new(CancellationToken::new()),
            addresses: Addresses::default(),
            download_urls: DownloadUrls::Public,
            backups: None,
            traffic,
            authentication_is_off: false,
        }
    }
}

const GET: Method = Method::GET;
const OPTIONS: Method = Method::OPTIONS;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

/// The route of packages' bytes.
const DOWNLOADS: &str = "/local_storage/{name...}";
/// The route of what Prometheus reads.
const METRICS: &str = "/metrics";

/// Every path that the server answers, those called most first.
fn resources() -> Vec<Resource> {
    vec![
        at("/api/v1/update/check", [on(POST, DeviceOnly, update::check)]),
        at(DOWNLOADS, [on(GET, Downloading, download::package)]),
        at("/api/v1/auth/device", [on(POST, Public, auth::authorize)]),
        at("/api/v1/auth/pending", [on(GET, Management(ReadOnly), registrations::list)]),
        at("/api/v1/auth/register", [on(POST, Change(ReadWrite, AcceptDevice), registrations::accept)]),
        at("/api/v1/devices", [on(GET, Management(ReadOnly), devices::list)]),
        at("/api/v1/devices/{device}", [on(GET, Management(ReadOnly), devices::find)]),
        at(
            "/api/v1/packages",
            [on(GET, Management(ReadOnly), packages::list), on(POST, Uploading(UploadPackage), packages::upload)],
        ),
        at(
            "/api/v1/packages/{package}",
            [
                on(GET, Management(ReadOnly), packages::find),
                on(DELETE, Change(ReadWrite, DeletePackage), packages::delete),
            ],
        ),
        at(
            "/api/v1/groups",
            [
                on(GET, Management(ReadOnly), groups::list),
                on(POST, Change(Scope::CreateGroup, CreateGroup), groups::create),
            ],
        ),
        at(
            "/api/v1/groups/{group}",
            [on(GET, Management(ReadOnly), groups::find), on(DELETE, Change(ReadWrite, DeleteGroup), groups::delete)],
        ),
        at(
            "/api/v1/groups/{group}/devices",
            [on(PATCH, Change(ReadWrite, ChangeGroupDevices), groups::change_devices)],
        ),
        at("/api/v1/groups/{group}/package", [on(POST, Change(ReadWrite, SetGroupPackages), groups::set_packages)]),
        at("/api/v1/groups/{group}/policy", [on(POST, Change(ReadWrite, SetGroupPolicy), groups::set_policy)]),
        at(
            "/api/tender/v1/session",
            [
                on(GET, Public, session::show),
                on(POST, Public, session::log_in),
                on(DELETE, InSession(LogOut), session::log_out),
            ],
        ),
        at("/api/tender/v1/sessions", [on(DELETE, InSession(LogOut), session::log_out_everywhere)]),
        at("/api/tender/v1/session/password", [on(POST, InSession(SetPassword), session::change_password)]),
        at("/api/tender/v1/claim", [on(POST, Public, session::claim)]),
        at(
            "/api/tender/v1/uploads",
            [
                on(OPTIONS, Public, uploads::describe),
                on(GET, OwnUploads, uploads::list),
                on(POST, Uploading(BeginUpload), uploads::begin),
            ],
        )
        .saying(tus::RESUMABLE),
        at(
            "/api/tender/v1/uploads/{upload}",
            [
                on(GET, OwnUploads, uploads::show),
                on(PATCH, Uploading(ContinueUpload), uploads::append),
                on(POST, Uploading(ContinueUpload), uploads::overridden),
                on(DELETE, Uploading(DiscardUpload), uploads::discard),
            ],
        )
        .saying(tus::RESUMABLE),
        at("/api/tender/v1/uploads/{upload}/package", [on(POST, Uploading(UploadPackage), uploads::finish)]),
        at("/api/tender/v1/audit", [on(GET, Management(ReadOnly), audit::list)]),
        at("/api/tender/v1/events", [on(GET, events::GUARD, events::listen)]),
        at("/api/tender/v1/webhooks", [on(GET, Management(ReadOnly), webhooks::list)]),
        at("/api/tender/v1/packages", [on(GET, Management(ReadOnly), package_overview::list)]),
        at("/api/tender/v1/packages/{package}", [on(GET, Management(ReadOnly), package_overview::show)]),
        at("/api/tender/v1/bundles", [on(POST, Change(ReadWrite, ImportBundle), bundles::import)]),
        at("/api/tender/v1/bundles/plan", [on(POST, Management(ReadOnly), bundles::plan)]),
        at("/api/tender/v1/registrations", [on(GET, Management(ReadOnly), admissions::list)]),
        at("/api/tender/v1/registrations/accept", [on(POST, Change(ReadWrite, AcceptDevice), admissions::accept)]),
        at("/api/tender/v1/registrations/reject", [on(POST, Change(ReadWrite, RejectDevice), admissions::reject)]),
        at("/api/tender/v1/overview", [on(GET, Management(ReadOnly), fleet::overview)]),
        at("/api/tender/v1/devices", [on(GET, Management(ReadOnly), fleet::list)]),
        at("/api/tender/v1/devices/assign", [on(POST, Change(ReadWrite, AssignDevices), device_changes::assign)]),
        at("/api/tender/v1/devices/remove", [on(POST, Change(ReadWrite, RemoveDevices), device_changes::remove)]),
        at("/api/tender/v1/devices/{device}", [on(GET, Management(ReadOnly), fleet::show)]),
        at("/api/tender/v1/devices/{device}/name", [on(PUT, Change(ReadWrite, SetDeviceName), device_changes::rename)]),
        at("/api/tender/v1/attempts", [on(GET, Management(ReadOnly), attempts::list)]),
        at("/api/tender/v1/devices/{device}/attempts", [on(GET, Management(ReadOnly), attempts::of_device)]),
        at("/api/tender/v1/devices/{device}/release", [on(POST, Change(ReadWrite, ReleaseDevice), attempts::release)]),
        at("/api/tender/v1/groups", [on(GET, Management(ReadOnly), group_overview::list)]),
        at("/api/tender/v1/groups/{group}", [on(GET, Management(ReadOnly), group_overview::show)]),
        at(
            "/api/tender/v1/groups/{group}/metadata",
            [on(PUT, Change(ReadWrite, SetGroupMetadata), group_overview::set_metadata)],
        ),
        at(
            "/api/tender/v1/groups/{group}/rollout",
            [on(GET, Management(ReadOnly), rollouts::show), on(PUT, Change(ReadWrite, SetGroupRollout), rollouts::set)],
        ),
        at("/api/tender/v1/groups/{group}/resume", [on(POST, Change(ReadWrite, ResumeGroup), rollouts::resume)]),
        at("/api/tender/v1/status", [on(GET, Management(ReadOnly), status::show)]),
        at(
            "/api/tender/v1/decision",
            [
                on(GET, Management(ReadOnly), decision::of_address),
                on(POST, Management(ReadOnly), decision::of_hypothetical_device),
            ],
        ),
        at("/api/tender/v1/devices/{device}/decision", [on(GET, Management(ReadOnly), decision::of_device)]),
        at("/api/tender/v1/groups/{group}/preview", [on(POST, Management(ReadOnly), preview::preview)]),
        at(METRICS, [on(GET, Management(ReadOnly), metrics::show)]),
        at("/health/live", [on(GET, Public, health::live)]),
        at("/health/ready", [on(GET, Public, health::ready)]),
        at("/oauth/token", [on(POST, ClientOnly(GrantToken), token::grant)]),
        at("/oauth/introspect", [on(POST, ClientOnly(IntrospectToken), introspection::introspect)]),
        at("/oauth/revoke", [on(POST, ClientOnly(RevokeToken), revocation::revoke)]),
        at("/.well-known/oauth-authorization-server", [on(GET, Public, metadata::show)]),
        at("/api/openapi.json", [on(GET, Public, openapi::show)]),
        at("/", [on(GET, Public, assets::page)]),
        at("/static/{name...}", [on(GET, Public, assets::file)]),
    ]
}

/// The route of all paths, and a JSON 404 for the rest.
pub fn route(api: &Arc<Api>) -> Route {
    assets::prepare();
    openapi::prepare();
    any_of(resources(), api)
}

/// The route of a listener that serves metrics to everybody, and nothing else.
pub fn metrics_route(api: &Arc<Api>) -> Route {
    any_of(vec![at(METRICS, [on(GET, Public, metrics::show_to_everybody)])], api)
}

/// The route table as data: which path takes which method from whom.
pub fn route_table() -> Vec<RouteSummary> {
    endpoint::summaries(&resources())
}
