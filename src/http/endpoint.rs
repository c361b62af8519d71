//! How a route is made: filters extract raw, guards and handlers judge. The only file that composes warp's filters.
//!
//! A warp rejection means "try another route" and nothing else. So a path that matches is answered here for good: a method
//! that it does not take is a 405, a guard's refusal is a 401 or 403, and no error falls through to another route.

use std::future::Future;
use std::sync::Arc;

use bytes::Buf;
use futures_util::Stream;
use futures_util::future::{BoxFuture, FutureExt};
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::http::{HeaderValue, Method};
use warp::reply::Response;

use super::Api;
use super::body::RequestBody;
use super::error::{ApiError, no_such_path};
use super::exchange::{RequestRecord, Who};
use super::guard::{Audience, Guard, Refusal};
use super::request::{Arrival, Head, Request, RequestTarget};
use crate::domain::{Action, Deed, Identifier};

/// A filter that answers a request or leaves it to the next one.
pub type Route = BoxedFilter<(Response,)>;

/// What the `{…}` of a path stands for. `()` for paths without one.
pub trait PathParameter: Send + Sized + 'static {
    /// Reads it; a text that is none makes the path one that does not exist.
    fn parse(text: &str) -> Option<Self>;
}

impl PathParameter for () {
    fn parse(text: &str) -> Option<Self> {
        text.is_empty().then_some(())
    }
}

impl<T: Identifier> PathParameter for T {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

type Run<P> = Arc<dyn Fn(Arc<Api>, P, Request) -> BoxFuture<'static, Response> + Send + Sync>;

/// A method of a path, with its guard and handler.
pub struct Endpoint<P> {
    method: Method,
    audience: Audience,
    action: Option<Action>,
    run: Run<P>,
}

/// What a path answers to `method`: who may call it, and what is done. `GET` answers `HEAD` as well.
pub fn on<P, G, H, F>(method: Method, guard: G, handler: H) -> Endpoint<P>
where
    P: PathParameter,
    G: Guard,
    H: Fn(Arc<Api>, G::Caller, P, Request) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    let (audience, action) = (guard.audience(), guard.action());
    // A client that hangs up takes its request's future with it. What people change must not stop half way.
    let runs_to_its_end = action.is_some();
    let run: Run<P> = Arc::new(move |api, parameter, request| {
        let record = request.head.record.clone();
        let target = action.map(|_| request.head.target.clone());
        let handling = handle(api.clone(), guard.clone(), handler.clone(), parameter, request).boxed();
        let answer = answer(api, record.clone(), target, handling).boxed();
        if runs_to_its_end { run_to_its_end(answer, record).boxed() } else { answer }
    });
    Endpoint { method, audience, action, run }
}

/// Why there is no reply from a handler.
enum Failure {
    /// The guard did not let the caller in.
    Refused(Refusal, Box<RequestBody>),
    /// The handler failed; what it was to do, if that is for the audit log.
    Failed(Option<Deed>, ApiError),
}

/// Lets the caller in and has the request handled. There is one of these in the program for each endpoint: what can be elsewhere
/// is.
async fn handle<P, G, H, F>(
    api: Arc<Api>,
    guard: G,
    handler: H,
    parameter: P,
    request: Request,
) -> Result<Response, Failure>
where
    P: PathParameter,
    G: Guard,
    H: Fn(Arc<Api>, G::Caller, P, Request) -> F + Send,
    F: Future<Output = Result<Response, ApiError>> + Send + 'static,
{
    let caller = match guard.admit(&api, &request.head).await {
        Ok(caller) => caller,
        Err(refusal) => return Err(Failure::Refused(refusal, request.body)),
    };
    if let Some(who) = guard.who(&caller) {
        request.head.record.note_who(who);
    }
    let deed = guard.deed(&caller);
    handler(api, caller, parameter, request).await.map_err(|error| Failure::Failed(deed, error))
}

/// Makes a reply of whatever comes of a request. A change that somebody known asked for in vain is noted: one that was made is
/// noted by its handler, with the change itself.
async fn answer(
    api: Arc<Api>,
    record: Arc<RequestRecord>,
    target: Option<RequestTarget>,
    handling: BoxFuture<'static, Result<Response, Failure>>,
) -> Response {
    match handling.await {
        Ok(response) => response,
        // Each request makes room for all that may come of it: what is rare has room of its own.
        Err(failure) => Box::pin(answer_failure(api, record, target, failure)).await,
    }
}

async fn answer_failure(
    api: Arc<Api>,
    record: Arc<RequestRecord>,
    target: Option<RequestTarget>,
    failure: Failure,
) -> Response {
    let (deed, error) = match failure {
        Failure::Failed(deed, error) => (deed, error),
        Failure::Refused(Refusal { error, deed }, mut body) => {
            if let Some(deed) = &deed {
                record.note_who(Who::Actor(deed.actor.clone()));
            }
            (deed, body.refuse(error).await)
        }
    };
    if let (Some(deed), Some(target)) = (deed, target) {
        let entry = deed.ended(error.outcome(), target.path()).with(error.sentence());
        api.audit.note_failure(&api.store, entry).await;
    }
    refuse(&record, error)
}

/// Has a request answered also when nobody waits for it any more.
async fn run_to_its_end(answer: BoxFuture<'static, Response>, record: Arc<RequestRecord>) -> Response {
    tokio::spawn(answer).await.unwrap_or_else(|error| refuse(&record, ApiError::internal(error)))
}

/// The reply to the client, and the reason for the log.
fn refuse(record: &RequestRecord, error: ApiError) -> Response {
    if let Some(cause) = error.cause() {
        record.note_cause(cause);
    }
    error.into_response()
}

/// One line of the route table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSummary {
    /// The path, with `{…}` where it has a parameter.
    pub path: &'static str,
    /// The method.
    pub method: Method,
    /// Who may call it.
    pub audience: Audience,
    /// What the audit log calls it; `None` if it changes nothing that people answer for.
    pub action: Option<Action>,
}

/// A path with its methods.
pub struct Resource {
    summaries: Vec<RouteSummary>,
    mount: Box<dyn FnOnce(Arc<Api>) -> Route>,
}

impl Resource {
    /// The same with a header in every response, errors included.
    pub fn saying(self, (name, value): (&'static str, &'static str)) -> Self {
        let Self { summaries, mount } = self;
        let mount = move |api: Arc<Api>| {
            let with_header = move |mut response: Response| {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
                response
            };
            mount(api).map(with_header).boxed()
        };
        Self { summaries, mount: Box::new(mount) }
    }
}

/// A path, such as `/api/v1/groups/{group}/policy`, and what it answers. It may have one `{parameter}`, and that may take in
/// all the rest of the path: `{parameter...}`.
pub fn at<P: PathParameter>(path: &'static str, endpoints: impl Into<Vec<Endpoint<P>>>) -> Resource {
    let endpoints: Vec<Endpoint<P>> = endpoints.into();
    let summary = |endpoint: &Endpoint<P>| {
        let Endpoint { method, audience, action, .. } = endpoint;
        RouteSummary { path, method: method.clone(), audience: *audience, action: *action }
    };
    let summaries = endpoints.iter().map(summary).collect();
    let mount = move |api: Arc<Api>| {
        let endpoints: Arc<[Endpoint<P>]> = endpoints.into();
        let position = api.traffic.position(path);
        matching::<P>(path)
            .and(warp::method())
            .and(warp::header::headers_cloned())
            .and(warp::ext::optional::<Arrival>())
            .and(warp::body::stream())
            .then(move |parameter, method, headers, arrival: Option<Arrival>, body| {
                let Arrival { target, connection, segments, record } = arrival.unwrap_or_default();
                let head = Head { method, target, headers, connection, segments, record };
                head.record.enter(position, api.addresses.client_address(&head));
                dispatch(&api, &endpoints, parameter, head, body)
            })
            .boxed()
    };
    Resource { summaries, mount: Box::new(mount) }
}

/// Answers a request whose path matched.
fn dispatch<P: PathParameter>(
    api: &Arc<Api>,
    endpoints: &[Endpoint<P>],
    parameter: P,
    head: Head,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send + Sync + 'static,
) -> BoxFuture<'static, Response> {
    let body = RequestBody::new(&head.headers, body);
    let wanted = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    match endpoints.iter().find(|endpoint| endpoint.method == *wanted) {
        Some(endpoint) => {
            (endpoint.run)(api.clone(), parameter, Request { head: Box::new(head), body: Box::new(body) })
        }
        None => method_not_allowed(endpoints.iter().map(|endpoint| endpoint.method.clone()).collect(), body).boxed(),
    }
}

async fn method_not_allowed(mut allowed: Vec<Method>, mut body: RequestBody) -> Response {
    if allowed.contains(&Method::GET) {
        allowed.push(Method::HEAD);
    }
    body.refuse(ApiError::MethodNotAllowed(allowed)).await.into_response()
}

/// Matches a path template against the whole path and extracts its parameter.
fn matching<P: PathParameter>(template: &'static str) -> BoxedFilter<(P,)> {
    warp::path::full()
        .and_then(move |path: FullPath| {
            let parameter = parameter_text(template, path.as_str()).and_then(P::parse);
            std::future::ready(parameter.ok_or_else(warp::reject::not_found))
        })
        .boxed()
}

/// The text that stands for the template's parameter (empty if it has none), if the path fits the template.
fn parameter_text<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, rest)) = template.split_once('{') else { return (template == path).then_some("") };
    let (name, after) = rest.split_once('}')?;
    let text = path.strip_prefix(before)?.strip_suffix(after)?;
    (!text.is_empty() && (name.ends_with("...") || !text.contains('/'))).then_some(text)
}

/// Every line of the table.
pub fn summaries(resources: &[Resource]) -> Vec<RouteSummary> {
    resources.iter().flat_map(|resource| resource.summaries.clone()).collect()
}

/// One route that tries each resource in turn and answers what none takes with a 404.
pub fn any_of(resources: Vec<Resource>, api: &Arc<Api>) -> Route {
    let unknown = warp::any().map(|| no_such_path().into_response()).boxed();
    // Folded from the end, so that the first resource is the outermost and is tried with the least ado.
    resources.into_iter().rev().fold(unknown, |rest, resource| (resource.mount)(api.clone()).or(rest).unify().boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_whole_paths() {
        assert_eq!(parameter_text("/a/b", "/a/b"), Some(""));
        assert_eq!(parameter_text("/a/b", "/a/b/"), None);
        assert_eq!(parameter_text("/a/{id}/c", "/a/12/c"), Some("12"));
        assert_eq!(parameter_text("/a/{id}/c", "/a//c"), None);
        assert_eq!(parameter_text("/a/{id}/c", "/a/c"), None);
        assert_eq!(parameter_text("/a/{id}/c", "/a/1/2/c"), None);
        assert_eq!(parameter_text("/a/{id}", "/a/12"), Some("12"));
        assert_eq!(parameter_text("/a/{name...}", "/a/b/c"), Some("b/c"));
        assert_eq!(parameter_text("/a/{name...}", "/a/"), None);
    }
}
