//! Which client calls (RFC 6749, section 2.3): by the `Authorization` header, or by the body.

use super::basic::{self, Basic};
use super::error::OAuthError;
use super::form::{Credentials, Form};
use crate::domain::{Action, Actor, ActorKind, Deed};
use crate::http::Api;
use crate::http::error::ApiError;
use crate::http::exchange::Who;
use crate::http::guard::{Audience, Guard, Refusal};
use crate::http::request::{Head, Request};
use crate::store::clients::Client;
use crate::usecase::authenticate_client::ClientAttempt;

/// For endpoints that clients call, to do this.
#[derive(Clone, Copy)]
pub struct ClientOnly(pub Action);

/// A client that showed a right secret in the head, or a caller whose body will have to say who it is.
pub struct ClientCaller {
    client: Option<Client>,
    action: Action,
}

/// A client that has proven who it is, and its request.
pub struct Authenticated {
    /// The client.
    pub client: Client,
    /// What it is about to do.
    pub deed: Deed,
    /// What it asks for.
    pub form: Form,
    path: String,
}

impl Guard for ClientOnly {
    type Caller = ClientCaller;

    /// 401 if there is an `Authorization` header and it is not a client's. It makes no difference to clients whether the
    /// authentication of the API is switched off.
    async fn admit(&self, api: &Api, head: &Head) -> Result<ClientCaller, Refusal> {
        let client = match basic::read(&head.headers) {
            Basic::Missing => None,
            Basic::Credentials(credentials) => Some(prove(api, head, credentials, self.0).await?),
            Basic::Unusable => {
                let sentence = "the Authorization header must have the Basic scheme, with client_id and client_secret";
                return Err(OAuthError::invalid_client(sentence).into());
            }
            Basic::Repeated => {
                return Err(OAuthError::invalid_request("there is more than one Authorization header").into());
            }
        };
        Ok(ClientCaller { client, action: self.0 })
    }

    fn audience(&self) -> Audience {
        Audience::Client
    }

    fn action(&self) -> Option<Action> {
        Some(self.0)
    }

    fn who(&self, caller: &ClientCaller) -> Option<Who> {
        caller.client.as_ref().map(|client| Who::Actor(Actor::new(ActorKind::Client, client.name.clone())))
    }
}

impl ClientCaller {
    /// Reads the body; says which client this is. `invalid_client` if that is not proven, `invalid_request` if it is said
    /// twice.
    pub async fn authenticate(self, api: &Api, request: &mut Request) -> Result<Authenticated, ApiError> {
        let Self { client, action } = self;
        let form = Form::read(&mut request.body).await?;
        let client = match (client, form.credentials()) {
            (Some(client), _) => {
                // The identifier alone proves nothing and is no second way to authenticate; libraries send it along.
                let is_another = form.get("client_id").is_some_and(|id| id != client.id);
                if is_another || form.get("client_secret").is_some() {
                    let sentence = "the client authenticates twice, in the Authorization header and in the body";
                    return Err(OAuthError::invalid_request(sentence));
                }
                client
            }
            (None, Some(credentials)) => prove(api, &request.head, credentials, action).await?,
            (None, None) => {
                let sentence =
                    "client_id and client_secret are missing: put them into the Authorization header or the body";
                return Err(OAuthError::invalid_client(sentence));
            }
        };
        let actor = Actor::new(ActorKind::Client, client.name.clone());
        request.head.record.note_who(Who::Actor(actor.clone()));
        let deed = Deed { actor, address: api.addresses.client_address(&request.head), action };
        Ok(Authenticated { client, deed, form, path: request.head.target.path().to_owned() })
    }
}

impl Authenticated {
    /// Hands an answer on. If it is an error, that the client asked in vain is noted: the endpoint cannot do that, which does
    /// not know clients by their bodies.
    pub async fn noting_failure<T>(&self, api: &Api, answer: Result<T, ApiError>) -> Result<T, ApiError> {
        if let Err(error) = &answer {
            let entry = self.deed.clone().ended(error.outcome(), self.path.clone()).with(error.sentence());
            api.audit.note_failure(&api.store, entry).await;
        }
        answer
    }
}

/// The client whose credentials these are; `invalid_client` if they are nobody's.
async fn prove(api: &Api, head: &Head, credentials: Credentials, action: Action) -> Result<Client, ApiError> {
    let Credentials { id, secret } = credentials;
    let attempt = ClientAttempt { id, secret, address: api.addresses.client_address(head), action };
    let client = api.gatekeeper.authenticate(&api.store, &api.audit, attempt).await?;
    client.ok_or_else(|| OAuthError::invalid_client("the client's identifier or secret is wrong"))
}
