//! `/metrics`: what is counted, that the README has all of it, and who may see it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use tender::config::BackupConfig;
use tender::domain::{BackupPlan, Scope};

use crate::harness::raw::Raw;
use crate::harness::{Operator, TestServer};
use crate::webhooks::webhook;

const README: &str = include_str!("../../README.md");

/// The samples of a page of metrics, by name and labels as they are written.
struct Metrics(String);

impl Metrics {
    async fn of(admin: &Operator) -> Self {
        let reply = admin.get("/metrics").await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.ends_with("# EOF\n"), "{text}");
        Self(text)
    }

    fn samples(&self) -> BTreeMap<&str, f64> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    /// The value of a sample; nothing counts as 0.
    fn get(&self, name: &str) -> f64 {
        self.samples().get(name).copied().unwrap_or_default()
    }

    /// Names as they are queried: of a histogram, what stands before `_bucket`.
    fn names(&self) -> BTreeSet<String> {
        let described = self.0.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let name = |line: &str| {
            let (name, kind) = line.split_once(' ').unwrap();
            match kind {
                "counter" => format!("{name}_total"),
                "info" => format!("{name}_info"),
                _ => name.to_owned(),
            }
        };
        described.map(name).collect()
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    admin.get("/api/v1/groups").await.ok();
    admin.get("/api/v1/groups/7").await.error(404);
    admin.get("/api/v1/groups/8").await.error(404);
    for path in ["/nowhere", "/api/v1/groups/x/y/z", "/admin.php?route=\"a\"}"] {
        server.anonymous().get(path).await.error(404);
    }
    let metrics = Metrics::of(&admin).await;
    let requests = |route: &str, method: &str, status: &str| {
        metrics.get(&format!("tender_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}"))
    };
    assert_eq!(requests("/api/v1/groups", "GET", "2xx"), 1.0);
    assert_eq!(requests("/api/v1/groups/{group}", "GET", "4xx"), 2.0);
    assert_eq!(requests("unmatched", "GET", "4xx"), 3.0);
    assert!(!metrics.0.contains("nowhere") && !metrics.0.contains("php"), "{}", metrics.0);

    let name = "tender_http_request_duration_seconds";
    let route = "route=\"/api/v1/groups/{group}\"";
    assert_eq!(metrics.get(&format!("{name}_count{{{route}}}")), 2.0);
    let buckets: Vec<f64> = metrics
        .0
        .lines()
        .filter(|line| line.starts_with(&format!("{name}_bucket")) && line.contains(route))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert_eq!((buckets.len(), buckets.last()), (13, Some(&2.0)), "{}", metrics.0);
    assert!(buckets.is_sorted(), "{buckets:?}");
}

#[tokio::test]
async fn an_update_is_seen_in_the_numbers() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut device = server.accepted_device("00:11:22:33:44:55").await;
    let checks =
        |metrics: &Metrics, outcome: &str| metrics.get(&format!("tender_update_checks_total{{outcome=\"{outcome}\"}}"));
    device.check().await;
    let contents = vec![7; 100_000];
    let package = admin.package("v1", &[], &contents).await;
    admin.group(&[admin.device_id(&device).await], &[package], "exact_match,v1").await;
    let offer = device.check().await.ok();
    device.download(&offer).await;
    device.report("rdfm.software.version", "v1");
    device.check().await;

    let stage = |stage: &str| format!("tender_downloads_total{{stage=\"{stage}\"}}");
    // It ends when its last byte has gone, which the device may see before that is counted.
    let metrics = loop {
        let metrics = Metrics::of(&admin).await;
        if metrics.get(&stage("complete")) == 1.0 {
            break metrics;
        }
    };
    assert_eq!(["no_target", "offered", "up_to_date"].map(|outcome| checks(&metrics, outcome)), [1.0; 3]);
    assert_eq!([stage("begun"), stage("broken_off")].map(|name| metrics.get(&name)), [1.0, 0.0]);
    assert_eq!(metrics.get("tender_download_bytes_total"), 100_000.0);
    assert_eq!(metrics.get("tender_upload_bytes_total"), 100_000.0);
    assert_eq!(metrics.get("tender_uploads_total"), 1.0);
    assert_eq!(metrics.get("tender_devices{state=\"up_to_date\"}"), 1.0);
    assert!(metrics.get("tender_connections") >= 1.0);
    assert!(metrics.get("tender_database_bytes") > 10_000.0);
    let [writes, batches, commits] =
        ["writes", "batches", "commits"].map(|name| metrics.get(&format!("tender_database_{name}_total")));
    assert!(writes >= batches && batches >= commits && commits > 3.0, "{writes} {batches} {commits}");

    server.time.advance(Duration::from_secs(90));
    let later = Metrics::of(&admin).await;
    assert_eq!(later.get("tender_uptime_seconds"), 90.0);
    assert_eq!(admin.get("/api/tender/v1/status").await.ok()["uptime_seconds"], 90);
    assert!(later.get("tender_database_commits_total") >= commits);
}

#[tokio::test]
async fn polling_writes_nothing_by_the_numbers_too() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let device = server.accepted_device("00:11:22:33:44:55").await;
    device.check().await;
    let commits = async || Metrics::of(&admin).await.get("tender_database_commits_total");
    let before = commits().await;
    for _ in 0..50 {
        device.check().await;
    }
    assert_eq!(commits().await, before);
}

#[tokio::test]
async fn the_readme_has_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let plan = BackupPlan {
        folder: folder.path().join("backups"),
        every: Duration::from_secs(24 * 60 * 60),
        keep: NonZeroUsize::MIN,
        hours: None,
        with_packages: true,
    };
    let server = TestServer::start_with(|config| {
        config.webhooks.push(webhook("http://127.0.0.1:9/hook"));
        config.backups = Some(BackupConfig { plan, passphrase: None });
    })
    .await;
    let admin = server.admin().await;
    // Requests are counted when they are answered, so the first page has none; and a backup takes a moment.
    let told = loop {
        Metrics::of(&admin).await;
        let told = Metrics::of(&admin).await.names();
        if told.iter().any(|name| name.starts_with("tender_last_backup")) {
            break told;
        }
    };
    let (_, section) = README.split_once("\n#### Metrics\n").expect("a section about metrics");
    let section = section.split("\n#").next().unwrap();
    let documented: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(|name| name.split('{').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, documented);
}

#[tokio::test]
async fn a_listener_of_its_own_has_metrics_for_everybody_and_nothing_else() {
    let server = TestServer::start_with(|config| config.metrics_listen = Some(("127.0.0.1".to_owned(), 0))).await;
    // It is no API, so what it answers is not held against the description of that.
    let mut open = Raw::to(&server.metrics_url().unwrap()).await;
    let mut ask = async |line: &str| {
        open.send(format!("{line} HTTP/1.1\r\nHost: tender.example\r\nContent-Length: 0\r\n\r\n")).await;
        open.reply().await.unwrap()
    };
    let reply = ask("GET /metrics").await;
    assert_eq!(reply.status, 200);
    assert!(String::from_utf8(reply.body).unwrap().contains("tender_build_info"));
    for path in ["/", "/api/v1/devices", "/api/tender/v1/status", "/static/main.js"] {
        ask(&format!("GET {path}")).await.error(404);
    }
    ask("POST /metrics").await.error(405);

    server.anonymous().get("/metrics").await.error(401);
    server.operator(Scope::CreateGroup).await.get("/metrics").await.error(403);
}
