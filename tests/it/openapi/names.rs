//! What has names in the program has the same ones in the description.

use serde_json::Value;
use tender::domain::attempt::{AttemptOutcome, AttemptStage};
use tender::domain::explanation::{Link, LinkState};
use tender::domain::fleet::DeviceState;
use tender::domain::{
    Action, ActorKind, Concern, EventType, GroupChange, Outcome, PackageState, RegistrationState, Role,
};

use crate::harness::description::description;

/// Asserts that the `enum` at a place has these names, and perhaps `null`.
fn assert_named<'a>(place: &str, names: impl IntoIterator<Item = &'a str>) {
    let described = description().at(place).unwrap_or_else(|| panic!("nothing is at {place}"));
    let mut described: Vec<_> =
        described["enum"].as_array().unwrap().iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let mut names: Vec<_> = names.into_iter().map(str::to_owned).collect();
    described.sort();
    names.sort();
    assert_eq!(described, names, "{place}");
}

macro_rules! names {
    ($type:ident) => {
        $type::ALL.iter().map(|value| value.name())
    };
}

#[test]
fn names_are_those_of_the_program() {
    let property = |schema: &str, name: &str| format!("/components/schemas/{schema}/properties/{name}");
    assert_named("/components/schemas/DeviceState", names!(DeviceState));
    assert_named("/components/schemas/PackageState", names!(PackageState));
    assert_named("/components/schemas/LinkOutcome", names!(LinkState));
    assert_named("/components/schemas/Action", names!(Action));
    assert_named("/components/schemas/AuditOutcome", names!(Outcome));
    assert_named("/components/schemas/ConcernName", Concern::NAMES);
    assert_named(&format!("{}/properties/kind", property("AuditEntry", "actor")), names!(ActorKind));
    assert_named(&property("Registration", "state"), names!(RegistrationState));
    assert_named(&property("Attempt", "stage"), names!(AttemptStage));
    assert_named(&property("Attempt", "outcome"), names!(AttemptOutcome));
    assert_named(&property("User", "role"), names!(Role));
    assert_named(&format!("{}/properties/what", property("GroupChangedEvent", "data")), names!(GroupChange));

    let links = description().at(&property("Decision", "steps")).unwrap();
    let links: Vec<_> =
        links["items"]["oneOf"].as_array().unwrap().iter().map(|link| link["$ref"].as_str().unwrap()).collect();
    let in_order =
        links.iter().map(|link| description().at(&link[1..]).unwrap()["properties"]["name"]["const"].clone());
    assert!(in_order.eq(names!(Link).map(Value::from)), "{links:?}");
}

#[test]
fn every_type_of_event_is_described_once() {
    let events = &description().document["components"]["schemas"]["Event"]["oneOf"];
    let mut described: Vec<String> = Vec::new();
    for event in events.as_array().unwrap() {
        let event = description().at(&event["$ref"].as_str().unwrap()[1..]).unwrap();
        let types = event["properties"]["type"]["enum"].as_array().unwrap().iter();
        described.extend(types.map(|name| name.as_str().unwrap().to_owned()));
    }
    described.sort();
    let mut names: Vec<_> = names!(EventType).map(str::to_owned).collect();
    names.sort();
    assert_eq!(described, names);
}
