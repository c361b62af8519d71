//! What devices are offered and what comes of it: attempts, devices that fail, and rollouts that stop.

use std::time::Duration;

use serde_json::{Value, json};
use tender::domain::attempt::Step;
use tender::domain::progress::Proposal;
use tender::domain::rollout::Rollout;
use tender::domain::{DeviceId, DeviceReport, GroupId, PackageId};
use tender::store::attempts;
use tender::usecase::check_update::{UpdateCheck, check_update};
use tender::usecase::planner::Planner;
use tender::usecase::track_progress::Tracker;

use crate::harness::{Device, Operator, TestServer, assert_fields, contents};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// More than is copied at once.
const LENGTH: u32 = 100_000;

/// A server with some devices of one group that is to reach `v1`.
struct Fleet {
    server: TestServer,
    admin: Operator,
    devices: Vec<Device>,
    group: i64,
}

impl Fleet {
    async fn of(devices: usize) -> Self {
        let server = TestServer::start().await;
        // It must be good for longer than the tests' days.
        let token = server.issue_token("ci", [tender::domain::Scope::ReadWrite].into_iter().collect(), None).await;
        let admin = server.holder_of(&token);
        let mut fleet = Self { server, admin, devices: Vec::new(), group: 0 };
        for number in 0..devices {
            fleet.devices.push(fleet.server.accepted_device(&format!("00:11:22:33:44:{number:02x}")).await);
        }
        let package = fleet.admin.package("v1", &[], &contents(LENGTH)).await;
        let ids: Vec<i64> = (1..=devices).map(|id| i64::try_from(id).unwrap()).collect();
        fleet.group = fleet.admin.group(&ids, &[package], "exact_match,v1").await;
        fleet
    }

    /// Time passes, and the devices have tokens again.
    async fn pass(&mut self, time: Duration) {
        self.server.time.advance(time);
        for device in &mut self.devices {
            device.authorize().await.ok();
        }
    }

    async fn restart(&mut self) {
        self.server.restart().await;
        let token = self.admin.token.clone();
        self.admin = self.server.holder_of(&token);
        for device in &mut self.devices {
            device.follow(self.server.url());
        }
    }

    /// What a device is offered now.
    async fn offer(&self, device: usize) -> Option<Value> {
        let reply = self.devices[device].check().await;
        match reply.status {
            204 => None,
            _ => Some(reply.ok()),
        }
    }

    /// A device fetches what it is offered, installs it, and falls back.
    async fn fail(&mut self, device: usize) {
        let offer = self.offer(device).await.expect("an offer");
        self.devices[device].download(&offer).await;
        self.pass(3 * MINUTE).await;
        // It asks again, and runs what it ran before: this is noticed, and it may be offered once more.
        self.offer(device).await;
    }

    /// A device fetches what it is offered and installs it.
    async fn succeed(&mut self, device: usize) {
        let offer = self.offer(device).await.expect("an offer");
        self.devices[device].download(&offer).await;
        self.devices[device].report("rdfm.software.version", "v1");
        assert_eq!(self.offer(device).await, None);
    }

    /// The attempts of a device, latest first.
    async fn attempts(&self, device: usize) -> Vec<Value> {
        let page = self.admin.get(&format!("/api/tender/v1/devices/{}/attempts", device + 1)).await.ok();
        page["attempts"].as_array().unwrap().clone()
    }

    /// Outcomes of a device's attempts, latest first; `null` for one that goes on.
    async fn outcomes(&self, device: usize) -> Vec<Value> {
        self.attempts(device).await.iter().map(|attempt| attempt["outcome"].clone()).collect()
    }

    async fn set(&self, settings: Value) {
        let path = format!("/api/tender/v1/groups/{}/rollout", self.group);
        self.admin.send(self.admin.request(reqwest::Method::PUT, &path).json(&settings)).await.ok();
    }

    async fn progress(&self) -> Value {
        self.admin.get(&format!("/api/tender/v1/groups/{}/rollout", self.group)).await.ok()["progress"].clone()
    }
}

#[tokio::test]
async fn an_attempt_is_followed_from_its_offer_to_its_end() {
    let fleet = Fleet::of(1).await;
    let device = &fleet.devices[0];
    assert!(fleet.attempts(0).await.is_empty());
    let offer = fleet.offer(0).await.unwrap();
    let attempt = fleet.attempts(0).await[0].clone();
    assert_fields(
        &attempt,
        &[
            "id",
            "device",
            "group",
            "package",
            "from",
            "to",
            "target",
            "path",
            "stage",
            "offered_at",
            "offers",
            "length",
            "fetched",
            "sent",
            "fetched_at",
            "ended_at",
            "outcome",
        ],
    );
    assert_eq!((&attempt["from"], &attempt["to"], &attempt["target"]), (&json!("v0"), &json!("v1"), &json!("v1")));
    assert_eq!((&attempt["stage"], &attempt["offers"], &attempt["path"]), (&json!("offered"), &json!(1), &json!([1])));
    fleet.offer(0).await.unwrap();
    assert_eq!(fleet.attempts(0).await[0]["stage"], "not_fetched");

    let uri = offer["uri"].as_str().unwrap();
    let half = reqwest_range(device, uri, "bytes=0-59999").await;
    assert_eq!(half, 60_000);
    let attempt = fleet.attempts(0).await[0].clone();
    assert_eq!((&attempt["stage"], &attempt["fetched"]), (&json!("fetching"), &json!(60_000)));
    assert_eq!(reqwest_range(device, uri, "bytes=60000-").await, 40_000);
    let attempt = fleet.attempts(0).await[0].clone();
    assert_eq!((&attempt["stage"], &attempt["fetched"]), (&json!("installing"), &json!(LENGTH)));
    assert_eq!(attempt["fetched_at"], "2027-01-15T08:00:00Z");

    let mut fleet = fleet;
    fleet.devices[0].report("rdfm.software.version", "v1");
    assert_eq!(fleet.offer(0).await, None);
    assert_eq!(fleet.outcomes(0).await, ["succeeded"]);
    assert_eq!(fleet.progress().await["reached"], 1);
    fleet.restart().await;
    assert_eq!(fleet.outcomes(0).await, ["succeeded"]);
    assert_eq!(fleet.progress().await["reached"], 1);
}

/// Fetches a part of what was offered; how many bytes came.
async fn reqwest_range(device: &Device, uri: &str, range: &str) -> usize {
    let path = &uri[uri.find("/local_storage").unwrap()..];
    let reply = device.send(device.request(reqwest::Method::GET, path).header("Range", range)).await;
    assert_eq!(reply.status, 206);
    reply.body.len()
}

#[tokio::test]
async fn a_device_that_falls_back_pauses_until_somebody_releases_it() {
    let mut fleet = Fleet::of(2).await;
    for failures in 1..=3 {
        fleet.fail(0).await;
        let outcomes = fleet.outcomes(0).await;
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == "reverted").count(), failures);
    }
    // Others have nothing to do with it.
    assert_eq!(fleet.offer(0).await, None);
    assert!(fleet.offer(1).await.is_some());
    fleet.restart().await;
    assert_eq!(fleet.offer(0).await, None, "a restart does not forget");
    fleet.pass(11 * MINUTE).await;
    fleet.fail(0).await;
    fleet.pass(11 * MINUTE).await;
    assert_eq!(fleet.offer(0).await, None, "the next pause is longer");
    fleet.admin.post("/api/tender/v1/devices/1/release", json!({})).await.ok();
    assert!(fleet.offer(0).await.is_some());
    fleet.restart().await;
    assert!(fleet.offer(0).await.is_some(), "released stays released");
    fleet.admin.post("/api/tender/v1/devices/2/release", json!({})).await.error(409);
    fleet.admin.post("/api/tender/v1/devices/9/release", json!({})).await.error(404);
}

#[tokio::test]
async fn another_target_or_package_releases_a_device_and_zero_switches_pauses_off() {
    let mut fleet = Fleet::of(1).await;
    for _ in 0..3 {
        fleet.fail(0).await;
    }
    assert_eq!(fleet.offer(0).await, None);
    fleet.set(json!({ "max_failures": 0 })).await;
    assert!(fleet.offer(0).await.is_some());
    fleet.set(json!({})).await;
    assert_eq!(fleet.admin.get("/api/tender/v1/groups/1/rollout").await.ok()["settings"]["max_failures"], 3);

    let better = fleet.admin.package("v1", &[], b"better").await;
    fleet.admin.post("/api/v1/groups/1/package", json!({ "packages": [better, 1] })).await.ok();
    assert_eq!(fleet.offer(0).await.unwrap()["id"], better);
}

#[tokio::test]
async fn too_many_failures_stop_a_rollout_until_a_person_resumes_it() {
    let mut fleet = Fleet::of(4).await;
    fleet.set(json!({ "halt": { "percent": 50, "devices": 2 } })).await;
    fleet.succeed(0).await;
    fleet.fail(1).await;
    assert_eq!(fleet.progress().await["halted_since"], Value::Null);
    fleet.fail(2).await;
    assert_eq!(fleet.offer(3).await, None, "two of three have failed");
    let progress = fleet.progress().await;
    assert_eq!((&progress["reached"], &progress["failed"]), (&json!(1), &json!(2)));
    assert!(progress["halted_since"].is_string());
    fleet.restart().await;
    assert_eq!(fleet.offer(3).await, None, "a restart does not resume it");

    fleet.admin.post("/api/tender/v1/groups/1/resume", json!({})).await.ok();
    assert!(fleet.offer(3).await.is_some());
    assert_eq!(fleet.progress().await["failed"], 0);
    fleet.admin.post("/api/tender/v1/groups/1/resume", json!({})).await.error(409);
    fleet.restart().await;
    assert!(fleet.offer(3).await.is_some());
    fleet.admin.post("/api/tender/v1/groups/7/resume", json!({})).await.error(404);
}

#[tokio::test]
async fn only_so_many_are_updated_at_once_and_the_first_go_first() {
    let mut fleet = Fleet::of(3).await;
    fleet.set(json!({ "max_parallel": 1 })).await;
    assert!(fleet.offer(0).await.is_some());
    assert_eq!((fleet.offer(1).await, fleet.offer(2).await), (None, None));
    assert!(fleet.offer(0).await.is_some(), "who has begun goes on");
    fleet.succeed(0).await;
    assert!(fleet.offer(1).await.is_some());
    assert_eq!(fleet.offer(2).await, None);

    let mut fleet = Fleet::of(3).await;
    fleet.set(json!({ "first": 1 })).await;
    assert!(fleet.offer(1).await.is_some());
    assert_eq!((fleet.offer(0).await, fleet.offer(2).await), (None, None));
    fleet.succeed(1).await;
    assert!(fleet.offer(0).await.is_some() && fleet.offer(2).await.is_some());
}

#[tokio::test]
async fn packages_are_offered_in_the_groups_hours() {
    // It is Friday, 8:00 in London and 9:00 in Berlin.
    let mut fleet = Fleet::of(1).await;
    fleet.set(json!({ "hours": { "windows": "mon-fri 22:00-09:00", "zone": "Europe/Berlin" } })).await;
    assert_eq!(fleet.offer(0).await, None);
    fleet.set(json!({ "hours": { "windows": "mon-fri 22:00-09:00", "zone": "Europe/London" } })).await;
    assert!(fleet.offer(0).await.is_some());
    fleet.pass(HOUR).await;
    assert_eq!(fleet.offer(0).await, None);
    fleet.pass(13 * HOUR).await;
    assert!(fleet.offer(0).await.is_some());
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() {
    let fleet = Fleet::of(1).await;
    let put = |path: &'static str, body: Value| {
        let request = fleet.admin.request(reqwest::Method::PUT, path).json(&body);
        fleet.admin.send(request)
    };
    for body in [
        json!({ "unknown": 1 }),
        json!({ "max_parallel": 0 }),
        json!({ "first": -1 }),
        json!({ "halt": { "percent": 100, "devices": 1 } }),
        json!({ "halt": { "percent": 10 } }),
        json!({ "hours": { "windows": "at night", "zone": "UTC" } }),
        json!({ "hours": { "windows": "22:00-06:00", "zone": "Mars/Olympus" } }),
        json!({ "hours": { "windows": "22:00-06:00" } }),
        json!([]),
    ] {
        put("/api/tender/v1/groups/1/rollout", body).await.error(400);
    }
    put("/api/tender/v1/groups/9/rollout", json!({})).await.error(404);
    fleet.admin.get("/api/tender/v1/groups/9/rollout").await.error(404);
    let settings = json!({
        "hours": { "windows": "mon-fri 22:00-06:00; sat,sun 00:00-24:00", "zone": "America/New_York" },
        "max_failures": 5, "halt": { "percent": 10, "devices": 3 }, "max_parallel": 20, "first": 2
    });
    put("/api/tender/v1/groups/1/rollout", settings.clone()).await.ok();
    assert_eq!(fleet.admin.get("/api/tender/v1/groups/1/rollout").await.ok()["settings"], settings);
}

#[tokio::test]
async fn attempts_are_listed_by_what_they_are_about() {
    let mut fleet = Fleet::of(3).await;
    fleet.succeed(0).await;
    fleet.fail(1).await;
    fleet.offer(2).await.unwrap();
    let list = |query: &'static str| {
        let admin = &fleet.admin;
        async move {
            let page = admin.get(&format!("/api/tender/v1/attempts{query}")).await.ok();
            let devices: Vec<_> = page["attempts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|attempt| attempt["device"].as_i64().unwrap())
                .collect();
            (devices, page["next"].clone())
        }
    };
    assert_eq!(list("").await, (vec![3, 2, 2, 1], Value::Null));
    assert_eq!(list("?outcome=reverted").await.0, [2]);
    assert_eq!(list("?device=1").await.0, [1]);
    assert_eq!(list("?group=1&package=1&outcome=succeeded").await.0, [1]);
    assert_eq!(list("?group=2").await.0, [0; 0]);
    let (devices, next) = list("?limit=3").await;
    assert_eq!(devices, [3, 2, 2]);
    let page = fleet.admin.get(&format!("/api/tender/v1/attempts?limit=3&before={next}")).await.ok();
    assert_eq!((&page["attempts"][0]["device"], &page["next"]), (&json!(1), &Value::Null));
    for query in ["?outcome=maybe", "?device=x", "?limit=0", "?colour=red"] {
        fleet.admin.get(&format!("/api/tender/v1/attempts{query}")).await.error(400);
    }
    fleet.admin.get("/api/tender/v1/devices/1/attempts?device=2").await.error(400);
    fleet.admin.get("/api/tender/v1/devices/9/attempts").await.error(404);
}

#[tokio::test]
async fn the_same_offer_once_more_writes_nothing() {
    let mut fleet = Fleet::of(1).await;
    fleet.server.stop().await;
    let store = fleet.server.beside().store;
    let tracker = Tracker::restore(&store).await.unwrap();
    let (rollout, database) = (Rollout::default(), fleet.server.database());
    let proposal = Proposal { group: GroupId(1), package: PackageId(1), target: "v1", rollout: &rollout };
    let step = || Step {
        group: GroupId(1),
        package: PackageId(1),
        length_bytes: u64::from(LENGTH),
        from_version: "v0".into(),
        to_version: "v1".into(),
        target: "v1".into(),
        path: [PackageId(1)].into(),
    };
    // Grows with each commit of another connection.
    let commits = || database.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let none = commits();
    assert_eq!(tracker.check(DeviceId(1), None, "v0", &proposal, step), None);
    tracker.save().await.unwrap();
    let begun = commits();
    assert_ne!(begun, none);
    for _ in 0..20 {
        assert_eq!(tracker.check(DeviceId(1), None, "v0", &proposal, step), None);
        tracker.save().await.unwrap();
    }
    assert_eq!(commits(), begun);
    tracker.see(DeviceId(1), "v1");
    tracker.save().await.unwrap();
    assert_ne!(commits(), begun);
    store.close().await;
}

#[tokio::test]
async fn what_devices_report_and_what_comes_of_their_offers_is_written_in_one_commit() {
    let mut fleet = Fleet::of(1).await;
    fleet.server.stop().await;
    let store = fleet.server.beside().store;
    let tracker = Tracker::restore(&store).await.unwrap();
    let mut metadata = fleet.devices[0].metadata.clone();
    metadata.insert("site".to_owned(), "new".into());
    let report = DeviceReport::for_update_check(serde_json::from_value(Value::Object(metadata)).unwrap()).unwrap();
    let check = check_update(&store, &Planner::default(), &tracker, report, None, None).await.unwrap();
    assert!(matches!(check, UpdateCheck::Update(_)), "{check:?}");
    let database = fleet.server.database();
    let on_disk = || {
        let count =
            "SELECT (SELECT count(*) FROM attempts), (SELECT count(*) FROM devices WHERE metadata ->> 'site' = 'new')";
        database.query_row(count, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };

    // What fails is kept, all of it.
    let obstacle = "CREATE TRIGGER obstacle BEFORE INSERT ON attempts BEGIN SELECT RAISE(ABORT, 'no'); END";
    database.execute_batch(obstacle).unwrap();
    tracker.save_with_presence().await.unwrap_err();
    assert_eq!(on_disk(), (0, 0));
    database.execute_batch("DROP TRIGGER obstacle").unwrap();
    let before = store.write_counts().commits.get();
    tracker.save_with_presence().await.unwrap();
    assert_eq!(on_disk(), (1, 1));
    tracker.save_with_presence().await.unwrap();
    assert_eq!(store.write_counts().commits.get() - before, 1);
    store.close().await;
}

#[tokio::test]
async fn the_last_hundred_attempts_of_a_device_are_kept() {
    let mut fleet = Fleet::of(2).await;
    fleet.server.stop().await;
    let store = fleet.server.beside().store;
    let database = fleet.server.database();
    // 150 of the first device, the first of which goes on; 50 of the other, among them.
    let insert = "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT 200)
         INSERT INTO attempts (id, device_id, group_id, package_id, length_bytes, from_version, to_version, target, path,
             offered_at, offers, fetched_bytes, sent_bytes, ended_at, outcome)
         SELECT number, 1 + (number % 4 = 0), 1, 1, 1, 'v0', 'v1', 'v1', '[1]', unixepoch(), 1, 0, 0,
             iif(number = 1, NULL, unixepoch()), iif(number = 1, NULL, 'superseded') FROM numbers";
    database.execute(insert, []).unwrap();
    assert_eq!(store.write(attempts::prune).await.unwrap(), 49);
    let kept = |device: i64| {
        let sql = "SELECT id FROM attempts WHERE device_id = ?1 ORDER BY id";
        let mut statement = database.prepare(sql).unwrap();
        statement.query_map([device], |row| row.get(0)).unwrap().collect::<Result<Vec<i64>, _>>().unwrap()
    };
    let first = kept(1);
    // The one that goes on, and the last hundred.
    assert_eq!((first.len(), first[0], first[1]), (101, 1, 67));
    assert_eq!(kept(2).len(), 50);
    store.close().await;
}
