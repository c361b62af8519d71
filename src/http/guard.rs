//! Guards: who may call an endpoint. Each hands its handler proof of the caller, so that a handler cannot exist without one.
//!
//! Judged from the request's head alone, before a byte of the body is read.

use std::future::Future;

use super::Api;
use super::error::ApiError;
use super::exchange::Who;
use super::identity::{self, Identity, bearer_token};
use super::request::Head;
use crate::auth::device_token;
use crate::auth::download_url::{self, Verdict};
use crate::domain::{Action, Actor, Deed, DownloadUrls, Scope, Scopes};
use crate::store::sessions::Session;

/// Lets a caller in, or not.
pub trait Guard: Clone + Send + Sync + 'static {
    /// Proof of who calls.
    type Caller: Send;

    /// Judges a request by its head.
    fn admit(&self, api: &Api, head: &Head) -> impl Future<Output = Result<Self::Caller, Refusal>> + Send;

    /// Who may call, for the list of routes.
    fn audience(&self) -> Audience;

    /// What a call of this endpoint does, if it is a change that somebody answers for.
    fn action(&self) -> Option<Action> {
        None
    }

    /// Who does what with this call, if that belongs into the audit log.
    fn deed(&self, _: &Self::Caller) -> Option<Deed> {
        None
    }

    /// Who called, for the log.
    fn who(&self, caller: &Self::Caller) -> Option<Who> {
        self.deed(caller).map(|deed| Who::Actor(deed.actor))
    }
}

/// A caller who is not let in.
pub struct Refusal {
    /// What the caller is told.
    pub error: ApiError,
    /// What somebody known tried to do.
    pub deed: Option<Deed>,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { error, deed: None }
    }
}

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Anybody.
    Public,
    /// A device with a device token.
    Device,
    /// A person or script with this scope.
    Management(Scope),
    /// A person or script with one of the scopes for uploads.
    Uploader,
    /// A person who has logged in, with the browser's cookie.
    Session,
    /// A program that authenticates as a client of the authorization server, in the head or the body (RFC 6749, section 2.3).
    Client,
}

/// For endpoints that anybody may call.
#[derive(Clone, Copy)]
pub struct Public;

/// For downloads: anybody, with a signed address where addresses are signed; who may look at all packages needs none.
#[derive(Clone, Copy)]
pub struct Downloading;

/// For endpoints that need a device token.
#[derive(Clone, Copy)]
pub struct DeviceOnly;

/// For endpoints that show something to people and scripts with this scope. Also where a question needs a body: nothing may
/// be changed behind this guard.
#[derive(Clone, Copy)]
pub struct Management(pub Scope);

/// For what people and scripts with this scope are told for as long as they like. That is no use of a session: a page that is
/// merely open keeps nobody logged in.
#[derive(Clone, Copy)]
pub struct Listening(pub Scope);

/// For endpoints at which people and scripts with this scope change something.
#[derive(Clone, Copy)]
pub struct Change(pub Scope, pub Action);

/// For uploads, and what is done on the way: which scope they need is seen when the package is there.
#[derive(Clone, Copy)]
pub struct Uploading(pub Action);

/// For looking at one's own uploads.
#[derive(Clone, Copy)]
pub struct OwnUploads;

/// For endpoints at which somebody who has logged in changes something about that.
#[derive(Clone, Copy)]
pub struct InSession(pub Action);

/// Nobody in particular.
pub struct Anonymous;

/// A device that showed a good token.
pub struct TokenHolder(
    /// Whose token it is; `None` where authentication is switched off.
    pub Option<device_token::Holder>,
);

/// A person or script that may look.
pub struct Operator(
    /// Who that is.
    pub Actor,
);

/// Somebody who may upload some kind of package.
pub struct Uploader {
    /// Who uploads.
    pub deed: Deed,
    /// What they may do.
    pub scopes: Scopes,
}

/// Somebody who has logged in.
pub struct SessionHolder {
    /// The session.
    pub session: Session,
    /// What they are about to do.
    pub deed: Deed,
}

impl Guard for Public {
    type Caller = Anonymous;

    async fn admit(&self, _: &Api, _: &Head) -> Result<Anonymous, Refusal> {
        Ok(Anonymous)
    }

    fn audience(&self) -> Audience {
        Audience::Public
    }
}

impl Guard for Downloading {
    type Caller = Anonymous;

    /// 403 without a good signature, where addresses are signed, or credentials that do without.
    async fn admit(&self, api: &Api, head: &Head) -> Result<Anonymous, Refusal> {
        if api.download_urls == DownloadUrls::Public || api.authentication_is_off {
            return Ok(Anonymous);
        }
        let (clock, target) = (api.store.clock(), &head.target);
        let sentence = match download_url::verify(&api.keys, target.path(), target.query(), clock.now(), clock.steady())
        {
            Verdict::Good => return Ok(Anonymous),
            Verdict::Unsigned if may_look(api, head).await => return Ok(Anonymous),
            Verdict::Unsigned => "this address is not signed: download from the address that an update check gives",
            Verdict::Forged => "the signature of this address is wrong: use the address as the update check gave it",
            Verdict::Expired => "this address has expired: check for an update again to get a new one",
        };
        Err(ApiError::Forbidden(sentence.to_owned()).into())
    }

    fn audience(&self) -> Audience {
        Audience::Public
    }
}

impl Guard for DeviceOnly {
    type Caller = TokenHolder;

    /// 401 without a good device token.
    async fn admit(&self, api: &Api, head: &Head) -> Result<TokenHolder, Refusal> {
        if api.authentication_is_off {
            return Ok(TokenHolder(None));
        }
        let now = api.store.clock().steady();
        let holder = bearer_token(&head.headers).and_then(|token| device_token::verify(&api.keys, token, now));
        match holder {
            Some(holder) => Ok(TokenHolder(Some(holder))),
            None => Err(ApiError::Unauthorized("a valid device token is needed: authorize again").into()),
        }
    }

    fn audience(&self) -> Audience {
        Audience::Device
    }

    fn who(&self, TokenHolder(holder): &TokenHolder) -> Option<Who> {
        holder.as_ref().map(|holder| Who::Device(holder.mac_address.clone()))
    }
}

impl Guard for Management {
    type Caller = Operator;

    /// 401 without good credentials, 403 if their scopes do not reach.
    async fn admit(&self, api: &Api, head: &Head) -> Result<Operator, Refusal> {
        let identity = identity::identify(api, head).await?;
        require(&identity.scopes, self.0)?;
        Ok(Operator(identity.actor))
    }

    fn audience(&self) -> Audience {
        Audience::Management(self.0)
    }

    fn who(&self, Operator(actor): &Operator) -> Option<Who> {
        Some(Who::Actor(actor.clone()))
    }
}

impl Listening {
    /// Whether somebody who was let in would still be.
    pub async fn still_admits(&self, api: &Api, head: &Head) -> bool {
        self.admit(api, head).await.is_ok()
    }
}

impl Guard for Listening {
    type Caller = Operator;

    /// 401 without good credentials, 403 if their scopes do not reach.
    async fn admit(&self, api: &Api, head: &Head) -> Result<Operator, Refusal> {
        let identity = identity::identify_listener(api, head).await?;
        require(&identity.scopes, self.0)?;
        Ok(Operator(identity.actor))
    }

    fn audience(&self) -> Audience {
        Audience::Management(self.0)
    }

    fn who(&self, Operator(actor): &Operator) -> Option<Who> {
        Some(Who::Actor(actor.clone()))
    }
}

impl Guard for Change {
    type Caller = Deed;

    /// 401 without good credentials, 403 if their scopes do not reach.
    async fn admit(&self, api: &Api, head: &Head) -> Result<Deed, Refusal> {
        let Self(scope, action) = *self;
        let (deed, scopes) = begin(api, head, identity::identify(api, head).await?, action)?;
        match require(&scopes, scope) {
            Ok(()) => Ok(deed),
            Err(error) => Err(Refusal { error, deed: Some(deed) }),
        }
    }

    fn audience(&self) -> Audience {
        Audience::Management(self.0)
    }

    fn action(&self) -> Option<Action> {
        Some(self.1)
    }

    fn deed(&self, caller: &Deed) -> Option<Deed> {
        Some(caller.clone())
    }
}

impl Guard for Uploading {
    type Caller = Uploader;

    /// 401 without good credentials, 403 if they are for no upload at all.
    async fn admit(&self, api: &Api, head: &Head) -> Result<Uploader, Refusal> {
        let identity = identity::identify(api, head).await?;
        let (deed, scopes) = begin(api, head, identity, self.0)?;
        if Scope::UPLOADS.iter().any(|scope| scopes.allow(*scope)) {
            return Ok(Uploader { deed, scopes });
        }
        Err(Refusal { error: no_upload_scope(), deed: Some(deed) })
    }

    fn audience(&self) -> Audience {
        Audience::Uploader
    }

    fn action(&self) -> Option<Action> {
        Some(self.0)
    }

    fn deed(&self, caller: &Uploader) -> Option<Deed> {
        Some(caller.deed.clone())
    }
}

impl Guard for OwnUploads {
    type Caller = Actor;

    /// 401 without good credentials, 403 if they are for no upload at all.
    async fn admit(&self, api: &Api, head: &Head) -> Result<Actor, Refusal> {
        let identity = identity::identify(api, head).await?;
        if Scope::UPLOADS.iter().any(|scope| identity.scopes.allow(*scope)) {
            return Ok(identity.actor);
        }
        Err(no_upload_scope().into())
    }

    fn audience(&self) -> Audience {
        Audience::Uploader
    }

    fn who(&self, actor: &Actor) -> Option<Who> {
        Some(Who::Actor(actor.clone()))
    }
}

impl Guard for InSession {
    type Caller = SessionHolder;

    /// 401 without a session's cookie, 403 if the request comes from another site's page.
    async fn admit(&self, api: &Api, head: &Head) -> Result<SessionHolder, Refusal> {
        let session = identity::session(api, head).await?.ok_or_else(identity::not_logged_in)?;
        let (deed, _) = begin(api, head, Identity::of_session(&session), self.0)?;
        Ok(SessionHolder { session, deed })
    }

    fn audience(&self) -> Audience {
        Audience::Session
    }

    fn action(&self) -> Option<Action> {
        Some(self.0)
    }

    fn deed(&self, caller: &SessionHolder) -> Option<Deed> {
        Some(caller.deed.clone())
    }
}

/// Whether the caller may look at everything.
async fn may_look(api: &Api, head: &Head) -> bool {
    let identity = identity::identify(api, head).await;
    identity.is_ok_and(|identity| identity.scopes.allow(Scope::ReadOnly))
}

/// Who is about to do what, and what they may do. 403 if another site's page may have caused the request: the browser sends the
/// cookie along whoever does.
fn begin(api: &Api, head: &Head, identity: Identity, action: Action) -> Result<(Deed, Scopes), Refusal> {
    let Identity { actor, scopes, is_by_cookie } = identity;
    let deed = Deed { actor, address: api.addresses.client_address(head), action };
    if is_by_cookie && identity::own_page(api, head) != Some(true) {
        return Err(Refusal { error: identity::other_page(), deed: Some(deed) });
    }
    Ok((deed, scopes))
}

fn no_upload_scope() -> ApiError {
    let scopes = Scope::UPLOADS.map(Scope::name).join(", ");
    ApiError::Forbidden(format!("a scope for uploads is missing: one of {scopes}"))
}

/// 403 that names the scope which is missing.
pub fn require(scopes: &Scopes, needed: Scope) -> Result<(), ApiError> {
    if scopes.allow(needed) { Ok(()) } else { Err(ApiError::Forbidden(format!("the scope {needed} is missing"))) }
}
