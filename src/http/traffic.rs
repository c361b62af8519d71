//! What goes through the server, counted since its start: numbers for the metrics, each one relaxed atomic.
//!
//! By route as the table has it, so that nobody can make up labels; what no route takes is counted under one name.

use std::time::Duration;

use warp::http::{Method, StatusCode};

use super::endpoint::RouteSummary;
use super::guard::Audience;
use crate::count::{Count, Level};
use crate::usecase::check_update::NoUpdate;

/// The route of what no route takes.
pub const UNMATCHED: &str = "unmatched";
/// Methods that are told apart; all others are one.
pub const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"];
/// What replies are told apart by.
pub const STATUS_CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// Upper bounds of the classes of times, in microseconds: an update check takes some tens.
pub const TIME_BOUNDS_MICROSECONDS: [u64; 12] =
    [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000, 30_000_000];

/// Requests that come by themselves, again and again: when they go well there is one line about all of them each minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routine {
    /// Update checks that offered nothing.
    Check,
    /// Devices that got a token, or wait to be accepted.
    Authorization,
    /// What the page fetches, and what anybody may see.
    Page,
    /// Metrics and status, for machines that watch this one.
    Watch,
}

/// What devices and machines do all the time, and where.
const ROUTINES: [(&str, Routine); 6] = [
    ("/api/v1/update/check", Routine::Check),
    ("/api/v1/auth/device", Routine::Authorization),
    ("/metrics", Routine::Watch),
    ("/api/tender/v1/status", Routine::Watch),
    ("/health/live", Routine::Watch),
    ("/health/ready", Routine::Watch),
];

/// What goes through one route.
#[derive(Debug, Default)]
pub struct RouteTraffic {
    /// The route's path, with `{…}` where it has a parameter.
    pub path: &'static str,
    /// What successful requests are, if they are nothing special.
    pub routine: Option<Routine>,
    /// Replies by method and class of status.
    replies: [[Count; STATUS_CLASSES.len()]; METHODS.len()],
    /// Replies by how long they took, each in the first class that it fits.
    times: [Count; TIME_BOUNDS_MICROSECONDS.len()],
    /// Those that took longer than all bounds.
    longer: Count,
    /// How long all took together.
    microseconds: Count,
}

impl RouteTraffic {
    fn of(path: &'static str, summaries: &[RouteSummary]) -> Self {
        let known = ROUTINES.iter().find(|(routine, _)| *routine == path).map(|(_, routine)| *routine);
        // Downloads are open to anybody, too, and are what people want to see.
        let is_open = |summary: &RouteSummary| {
            summary.path == path && summary.method == Method::GET && summary.audience == Audience::Public
        };
        let is_page = path != super::DOWNLOADS && summaries.iter().any(is_open);
        Self { path, routine: known.or(is_page.then_some(Routine::Page)), ..Self::default() }
    }

    /// A reply of this status was ready after so long.
    pub fn replied(&self, method: &Method, status: StatusCode, time: Duration) {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status.as_u16() / 100).clamp(1, STATUS_CLASSES.len()) - 1;
        self.replies[method][class].add_one();
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let place = TIME_BOUNDS_MICROSECONDS.iter().position(|bound| microseconds <= *bound);
        place.map_or(&self.longer, |place| &self.times[place]).add_one();
        self.microseconds.add(microseconds);
    }

    /// Method, class of status and number, of those that there were.
    pub fn replies(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let classes = |(method, counts): (usize, &'_ [Count; STATUS_CLASSES.len()])| {
            let numbers: [u64; STATUS_CLASSES.len()] = std::array::from_fn(|class| counts[class].get());
            let class = move |(class, number)| (METHODS[method], STATUS_CLASSES[class], number);
            numbers.into_iter().enumerate().map(class)
        };
        self.replies.iter().enumerate().flat_map(classes).filter(|(.., number)| *number > 0)
    }

    /// How many seconds all replies took together, and how many there were in each class of times, the longest last.
    pub fn times(&self) -> (f64, Vec<(f64, u64)>) {
        let bounds = TIME_BOUNDS_MICROSECONDS.iter().map(|bound| seconds(*bound)).chain([f64::MAX]);
        let counts = self.times.iter().chain([&self.longer]).map(Count::get);
        (seconds(self.microseconds.get()), bounds.zip(counts).collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "times are no longer than that")]
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

/// Update checks by what came of them.
#[derive(Debug, Default)]
pub struct Checks {
    /// Those that were offered a package.
    pub offered: Count,
    nothing: [Count; NoUpdate::ALL.len()],
}

impl Checks {
    /// A check was offered nothing, for this reason.
    pub fn ended(&self, reason: NoUpdate) {
        self.nothing[reason as usize].add_one();
    }

    /// All outcomes by name.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let nothing = NoUpdate::ALL.iter().map(|reason| (reason.name(), self.nothing[*reason as usize].get()));
        [("offered", self.offered.get())].into_iter().chain(nothing)
    }
}

/// Downloads of packages, parts of them included.
#[derive(Debug, Default)]
pub struct DownloadCounts {
    /// Those that were let in.
    pub begun: Count,
    /// Those of which everything went out.
    pub complete: Count,
    /// Those that ended before.
    pub broken_off: Count,
    /// Bytes of packages that went out.
    pub bytes: Count,
}

/// Requests in the last minute that got no line of their own.
#[derive(Debug, Default)]
pub struct RoutineCounts {
    checks: Count,
    authorizations: Count,
    page: Count,
    watch: Count,
}

impl RoutineCounts {
    /// One more.
    pub fn note(&self, routine: Routine) {
        match routine {
            Routine::Check => self.checks.add_one(),
            Routine::Authorization => self.authorizations.add_one(),
            Routine::Page => self.page.add_one(),
            Routine::Watch => self.watch.add_one(),
        }
    }
}

/// What goes through the server.
#[derive(Debug)]
pub struct Traffic {
    /// By route, the one for what no route takes last.
    routes: Box<[RouteTraffic]>,
    /// Update checks by what came of them.
    pub checks: Checks,
    /// Downloads.
    pub downloads: DownloadCounts,
    /// Packages that were uploaded.
    pub uploads: Count,
    /// Bytes of uploads that came in, also of those that came to nothing.
    pub upload_bytes: Count,
    /// Connections that are open.
    pub connections: Level,
    /// Requests that are no news.
    pub routine: RoutineCounts,
    /// When this began, as the clock counts.
    started: Duration,
}

impl Traffic {
    /// Of a server with these routes that starts now.
    pub fn new(summaries: &[RouteSummary], now: Duration) -> Self {
        let mut routes: Vec<RouteTraffic> = Vec::new();
        for RouteSummary { path, .. } in summaries {
            if !routes.iter().any(|route| route.path == *path) {
                routes.push(RouteTraffic::of(path, summaries));
            }
        }
        routes.push(RouteTraffic { path: UNMATCHED, ..RouteTraffic::default() });
        Self {
            routes: routes.into(),
            checks: Checks::default(),
            downloads: DownloadCounts::default(),
            uploads: Count::default(),
            upload_bytes: Count::default(),
            connections: Level::default(),
            routine: RoutineCounts::default(),
            started: now,
        }
    }

    /// How long the server has run, when the clock has counted so far.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.started)
    }

    /// Which of the routes a path is.
    pub fn position(&self, path: &str) -> usize {
        self.routes.iter().position(|route| route.path == path).unwrap_or(self.routes.len() - 1)
    }

    /// The route at a position; beyond all, that of what no route takes.
    pub fn route(&self, position: usize) -> &RouteTraffic {
        &self.routes[position.min(self.routes.len() - 1)]
    }

    /// All routes.
    pub fn routes(&self) -> &[RouteTraffic] {
        &self.routes
    }

    /// Logs how many requests there were in the last minute that are no news, if there were any.
    pub fn tell_routine(&self) {
        let RoutineCounts { checks, authorizations, page, watch } = &self.routine;
        let [checks, authorizations, page, watch] = [checks, authorizations, page, watch].map(Count::take);
        if checks + authorizations + page + watch > 0 {
            tracing::info!(checks, authorizations, page, watch, "routine requests of the last minute");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        Traffic::new(&super::super::route_table(), Duration::ZERO)
    }

    #[test]
    fn replies_are_counted_by_route_method_and_status() {
        let traffic = traffic();
        let route = traffic.route(traffic.position("/api/v1/groups"));
        route.replied(&Method::GET, StatusCode::OK, Duration::from_micros(100));
        route.replied(&Method::GET, StatusCode::NO_CONTENT, Duration::from_micros(101));
        route.replied(&Method::TRACE, StatusCode::METHOD_NOT_ALLOWED, Duration::from_secs(60));
        assert_eq!(route.replies().collect::<Vec<_>>(), [("GET", "2xx", 2), ("other", "4xx", 1)]);
        let (seconds, times) = route.times();
        assert!((seconds - 60.000_201).abs() < 1e-9, "{seconds}");
        assert_eq!((times[0].1, times[1].1, times[12].1), (1, 1, 1));
    }

    #[test]
    fn what_no_route_takes_is_one_route() {
        let traffic = traffic();
        for position in [traffic.position("/nowhere"), usize::MAX] {
            assert_eq!(traffic.route(position).path, UNMATCHED);
        }
    }

    #[test]
    fn what_comes_by_itself_is_routine_and_downloads_are_not() {
        let traffic = traffic();
        let routine = |path| traffic.route(traffic.position(path)).routine;
        assert_eq!(routine("/api/v1/update/check"), Some(Routine::Check));
        assert_eq!(routine("/static/{name...}"), Some(Routine::Page));
        assert_eq!(routine("/metrics"), Some(Routine::Watch));
        for path in ["/local_storage/{name...}", "/api/v1/groups", "/api/tender/v1/claim", "/nowhere"] {
            assert_eq!(routine(path), None, "{path}");
        }
    }
}
