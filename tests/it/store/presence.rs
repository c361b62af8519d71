//! What devices report: seen at once, written in batches, and not lost when writing fails.

use std::time::Duration;

use tender::domain::{
    Action, Actor, ActorKind, Deed, Device, KeyFingerprint, MacAddress, Metadata, Registration, RegistrationState,
    Timestamp,
};
use tender::store::{Change, Speaker, Utterance, devices, registrations};
use tender::usecase::register_device;

use super::{Place, count};

const FINGERPRINT: KeyFingerprint = KeyFingerprint([7; 32]);

fn mac_address() -> MacAddress {
    MacAddress::parse("00:11:22:33:44:55").unwrap()
}

fn reporting(version: &str) -> Metadata {
    Metadata::from([("rdfm.software.version", version)])
}

/// Registers a device with the version `v0`, and accepts it.
async fn accept_device(place: &Place) {
    let registration = Registration {
        mac_address: mac_address(),
        public_key: "pem".to_owned(),
        metadata: reporting("v0"),
        last_appeared: place.store.clock().now(),
        state: RegistrationState::Pending,
    };
    let presence = place.store.presence().clone();
    place.store.write(move |tx| registrations::put(tx, &presence, registration, FINGERPRINT)).await.unwrap();
    let actor = Actor::new(ActorKind::User, "somebody");
    let deed = Deed { actor, address: None, action: Action::AcceptDevice };
    let accepted = register_device::accept(&place.store, vec![(mac_address().key(), FINGERPRINT)], deed).await.unwrap();
    assert_eq!(accepted.len(), 1);
}

/// The device reports this version now.
async fn report(place: &Place, version: &str) {
    let (store, key, metadata) = (&place.store, mac_address().key(), reporting(version));
    let now = store.clock().now();
    let speaker = Speaker { mac_key: key.clone(), device: None };
    if store.presence().heard(&speaker, Utterance::Check(&metadata), now).is_some() {
        return;
    }
    let generation = store.generations().current(Change::Assignments);
    let wanted = key.clone();
    let known = store.read(move |connection| devices::find_known(connection, &wanted)).await.unwrap().unwrap();
    let (presence, said) = (store.presence(), Utterance::Check(&metadata));
    assert!(presence.heard_after_reading(key, known.assignment, known.metadata, generation, said, now));
}

/// The device as readers see it.
async fn seen(place: &Place) -> Device {
    let presence = place.store.presence().clone();
    let mut found = Vec::new();
    let collect = move |connection: &rusqlite::Connection| {
        let collect = |device| {
            found.push(device);
            Ok::<_, tender::store::StoreError>(())
        };
        devices::for_each(connection, &presence, collect)?;
        Ok::<_, tender::store::StoreError>(found)
    };
    place.store.read(collect).await.unwrap().pop().unwrap()
}

fn on_disk(place: &Place) -> (String, Option<i64>) {
    let query = "SELECT metadata, last_access_at FROM devices LEFT JOIN device_presence ON device_id = id";
    place.beside().query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

fn version_json(version: &str) -> String {
    format!("{{\"rdfm.software.version\":\"{version}\"}}")
}

#[tokio::test]
async fn reports_are_seen_at_once_and_written_when_saved() {
    let mut place = Place::new();
    accept_device(&place).await;
    assert_eq!(seen(&place).await.last_access, None);
    place.time.advance(Duration::from_secs(10));
    report(&place, "v1").await;
    let now = place.store.clock().now();
    let device = seen(&place).await;
    assert_eq!((device.metadata, device.last_access), (reporting("v1"), Some(now)));
    assert_eq!(on_disk(&place), (version_json("v0"), None));

    place.store.save_presence().await.unwrap();
    assert_eq!(on_disk(&place), (version_json("v1"), Some(now.unix_seconds())));
    place.reopen().await;
    let device = seen(&place).await;
    assert_eq!((device.metadata, device.last_access), (reporting("v1"), Some(now)));
}

#[tokio::test]
async fn a_report_that_says_nothing_new_writes_nothing() {
    let place = Place::new();
    accept_device(&place).await;
    report(&place, "v1").await;
    place.store.save_presence().await.unwrap();
    // SQLite counts changes of a database for those who look from beside.
    let beside = place.beside();
    let version = || beside.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).unwrap();
    let before = version();
    for _ in 0..100 {
        report(&place, "v1").await;
    }
    place.store.save_presence().await.unwrap();
    assert_eq!(version(), before);
    // A later time alone is written, but only when the batch is.
    place.time.advance(Duration::from_secs(1));
    report(&place, "v1").await;
    assert_eq!(version(), before);
    place.store.save_presence().await.unwrap();
    assert_ne!(version(), before);
}

#[tokio::test]
async fn what_could_not_be_saved_is_saved_the_next_time() {
    let place = Place::new();
    accept_device(&place).await;
    report(&place, "v1").await;
    let now = place.store.clock().now();
    let obstacle = "CREATE TRIGGER obstacle BEFORE INSERT ON device_presence BEGIN SELECT RAISE(ABORT, 'no'); END";
    place.beside().execute_batch(obstacle).unwrap();
    for _ in 0..2 {
        assert!(place.store.save_presence().await.is_err());
        assert_eq!(on_disk(&place), (version_json("v0"), None), "nothing of the batch was kept");
        assert_eq!(seen(&place).await.metadata, reporting("v1"));
    }
    // What comes in between is saved along.
    report(&place, "v2").await;
    place.beside().execute_batch("DROP TRIGGER obstacle").unwrap();
    place.store.save_presence().await.unwrap();
    assert_eq!(on_disk(&place), (version_json("v2"), Some(now.unix_seconds())));
}

#[tokio::test]
async fn a_device_that_is_gone_does_not_hold_the_others_up() {
    let place = Place::new();
    accept_device(&place).await;
    report(&place, "v1").await;
    place.beside().execute_batch("DELETE FROM devices").unwrap();
    place.store.save_presence().await.unwrap();
    assert_eq!(count(&place.beside(), "device_presence"), 0);
}

#[tokio::test]
async fn time_goes_on_from_the_latest_date_in_the_database() {
    let mut place = Place::new();
    place.time.advance(Duration::from_secs(1_000_000));
    accept_device(&place).await;
    report(&place, "v1").await;
    let latest = place.store.clock().now();
    place.store.save_presence().await.unwrap();
    // The machine comes up with an earlier clock.
    place.reopen().await;
    place.time.set_wall(std::time::SystemTime::UNIX_EPOCH);
    let now: Timestamp = place.store.clock().now();
    assert!(now >= latest, "{now:?} is before {latest:?}");
}
