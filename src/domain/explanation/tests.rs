use std::time::Duration;

use super::*;
use crate::domain::attempt::Step;
use crate::domain::{AttemptId, MetadataValue, PackageState};

const NOON: Timestamp = Timestamp::from_unix_seconds(1_800_014_400);

fn mac_address() -> MacAddress {
    MacAddress::parse("00:11:22:33:44:55").unwrap()
}

fn waiting(first_byte: u8) -> Waiting {
    Waiting { fingerprint: KeyFingerprint([first_byte; 32]), last_appeared: NOON, state: RegistrationState::Pending }
}

fn step(package: i64, version: &str) -> PathStep {
    PathStep { package: PackageId(package), version: version.to_owned(), length_bytes: 16 << 20 }
}

fn attempt(offers: u64, fetched_bytes: u64, fetched_at: Option<Timestamp>) -> Attempt {
    let step = Step {
        group: GroupId(3),
        package: PackageId(7),
        length_bytes: 16 << 20,
        from_version: "v2".into(),
        to_version: "v3".into(),
        target: "v4".into(),
        path: [PackageId(7)].into(),
    };
    let (id, device, sent_bytes) = (AttemptId(1), DeviceId(1), fetched_bytes);
    Attempt { id, device, step, offered_at: NOON, offers, fetched_bytes, sent_bytes, fetched_at, end: None }
}

#[test]
fn every_finding_has_its_sentence() {
    let group = GroupId(3);
    let text = |text: &str| text.to_owned();
    let held = |hold, hours: Option<&str>| Finding::Held { group, step: step(7, "v3"), hold, hours: hours.map(text) };
    let offered = |attempt| Finding::Offered { step: step(7, "v3"), attempt };
    let later = NOON.saturating_add(Duration::from_secs(3600));
    let whole = |part| Considered { package: PackageId(1), version: text("v3"), damage: None, part };
    let path = |steps| Finding::Path { runs: text("v2"), target: text("v4"), steps };
    let table = [
        (
            Finding::Unknown { mac_address: mac_address() },
            "No device with the address 00:11:22:33:44:55 has ever asked this server to be let in.",
        ),
        (
            Finding::Known { mac_address: mac_address(), device: None },
            "A device with the address 00:11:22:33:44:55 has asked to be let in.",
        ),
        (
            Finding::Known { mac_address: mac_address(), device: Some(DeviceId(4)) },
            "It is device 4, with the address 00:11:22:33:44:55.",
        ),
        (Finding::Hypothetical, "The device is only thought of, and counts as known and accepted."),
        (
            Finding::Waits { waiting: vec![waiting(0xa1), waiting(0xb2)] },
            "No person has accepted it: it waits with the key a1a1a1a1a1a1…a1a1a1, last heard at 2027-01-15T12:00:00Z, and \
             with the key b2b2b2b2b2b2…b2b2b2, last heard at 2027-01-15T12:00:00Z.",
        ),
        (
            Finding::Waits { waiting: vec![Waiting { state: RegistrationState::Rejected, ..waiting(0xa1) }] },
            "No person has accepted it: it waits with the key a1a1a1a1a1a1…a1a1a1, which a person has rejected.",
        ),
        (Finding::Accepted { waiting: vec![] }, "A person has accepted it."),
        (
            Finding::Accepted { waiting: vec![waiting(0xa1)] },
            "A person has accepted it; somebody with its address also waits with the key a1a1a1a1a1a1…a1a1a1, last heard at \
             2027-01-15T12:00:00Z: accept that if the device has a new key.",
        ),
        (
            Finding::ReportLacks { key: keys::SOFTWARE_VERSION, last_access: None },
            "The device does not report rdfm.software.version, so its update checks are refused.",
        ),
        (
            Finding::Reports { version: text("v2"), device_type: text("gateway"), last_access: Some(NOON) },
            "The device reports version v2 and type gateway; it was last heard at 2027-01-15T12:00:00Z.",
        ),
        (Finding::NoGroup, "The device is in no group, so nothing says what it should run."),
        (Finding::InGroup { group }, "The device is in group 3."),
        (Finding::NoTarget { group }, "The policy of group 3 is that devices stay as they are."),
        (
            Finding::UpToDate { group, target: text("v4") },
            "The policy of group 3 names version v4, and the device runs it.",
        ),
        (
            Finding::Target { group, target: text("v4"), runs: text("v2") },
            "The policy of group 3 names version v4, and the device reports v2.",
        ),
        (Finding::NothingToOffer { group, packages: vec![] }, "Group 3 has no packages."),
        (
            Finding::NothingToOffer { group, packages: vec![whole(Part::Blocked(vec![]))] },
            "Group 3 has no packages that can be offered: all of them are damaged.",
        ),
        (
            Finding::Packages { group, packages: vec![whole(Part::Step(1))] },
            "Group 3 has 1 package, of which the device could install 1 now.",
        ),
        (
            Finding::NoPath { runs: text("v2"), target: text("v4") },
            "No sequence of the group's packages leads this device from v2 to v4.",
        ),
        (
            Finding::SearchTooLarge { target: text("v4") },
            "The group's packages can be combined in too many ways to find one that leads to v4: give it fewer.",
        ),
        (path(vec![step(7, "v4")]), "The shortest path from v2 to v4 is package 7 (v4): one download of 16.0 MiB."),
        (
            path(vec![step(7, "v3"), step(9, "v4")]),
            "The shortest path from v2 to v4 is package 7 (v3), then package 9 (v4): downloads of 32.0 MiB together.",
        ),
        (
            held(Hold::Halted { since: NOON }, None),
            "Too many devices of group 3 have failed: since 2027-01-15T12:00:00Z nothing is offered there, until a person has \
             looked.",
        ),
        (
            held(Hold::OutsideHours { opens: Some(later) }, Some("13:00-14:00 (UTC)")),
            "Group 3 is updated in some hours only, 13:00-14:00 (UTC); the next of them begin at 2027-01-15T13:00:00Z.",
        ),
        (
            held(Hold::OutsideHours { opens: None }, Some("13:00-14:00 (UTC)")),
            "Group 3 is updated in some hours only, 13:00-14:00 (UTC); there will be none.",
        ),
        (
            held(Hold::Pausing { failures: 3, until: later }, None),
            "Package 7 (v3) has failed on this device 3 times in a row, so it is not offered again before \
             2027-01-15T13:00:00Z.",
        ),
        (
            held(Hold::FirstWave { first: 5, reached: 2 }, None),
            "The first 5 devices of group 3 go first, and 2 of them have reached the target so far.",
        ),
        (
            held(Hold::BehindOthers, None),
            "Other devices of group 3 have waited for longer and go first: this one has had its turn before.",
        ),
        (
            held(Hold::TooManyAtOnce { limit: 10 }, None),
            "Only 10 devices of group 3 may be updated at once, and so many are: this one comes when one of them is done.",
        ),
        (Finding::NotHeld { group }, "Nothing about the rollout of group 3 holds the device back at this moment."),
        (offered(None), "When it asks now, the device is offered package 7 (v3), 16.0 MiB."),
        (
            offered(Some(attempt(1, 0, None))),
            "When it asks now, the device is offered package 7 (v3), 16.0 MiB; it was offered that at 2027-01-15T12:00:00Z, \
             and has fetched nothing yet.",
        ),
        (
            offered(Some(attempt(9, 0, None))),
            "When it asks now, the device is offered package 7 (v3), 16.0 MiB; it was offered that 9 times since \
             2027-01-15T12:00:00Z and has fetched nothing: look at the device, and whether it reaches the address of the \
             download.",
        ),
        (
            offered(Some(attempt(2, 4 << 20, None))),
            "When it asks now, the device is offered package 7 (v3), 16.0 MiB; it was offered that at 2027-01-15T12:00:00Z, \
             and has fetched 4.0 MiB of 16.0 MiB.",
        ),
        (
            offered(Some(attempt(2, 16 << 20, Some(later)))),
            "When it asks now, the device is offered package 7 (v3), 16.0 MiB; it had fetched all of that at \
             2027-01-15T13:00:00Z, and still reports its old version.",
        ),
    ];
    for (finding, sentence) in table {
        assert_eq!(finding.to_string(), sentence);
    }
}

#[test]
fn every_part_of_a_package_has_its_sentence() {
    let requirement = |required: MetadataValue, reported: Option<MetadataValue>| Obstacle::Requirement {
        key: "rootfs".to_owned(),
        required,
        reported,
    };
    let list = MetadataValue::List(["x".into(), "y".into()].into());
    let other_type = |reported| Obstacle::OtherDeviceType { package: "camera".to_owned(), reported };
    let needs_version = Obstacle::Requirement {
        key: keys::SOFTWARE_VERSION.to_owned(),
        required: "v1".into(),
        reported: Some("v\u{1b}[2J".into()),
    };
    let table = [
        (Part::Step(1), "is the next step."),
        (Part::Step(2), "is step 2 of the path."),
        (Part::NotNeeded, "could be installed, and is not on the shortest path."),
        (
            Part::Blocked(vec![Obstacle::LeadsNowhere]),
            "could be installed, but nothing leads on from it to the target.",
        ),
        (
            Part::Blocked(vec![other_type(Some("gateway".into())), Obstacle::SameVersion]),
            "is for devices of type camera; this one reports gateway; it brings the version that the device runs.",
        ),
        (Part::Blocked(vec![other_type(None)]), "is for devices of type camera; this one reports none."),
        (
            Part::Blocked(vec![requirement("a1".repeat(32).as_str().into(), Some("b7".into()))]),
            "is for devices that report rootfs = a1a1a1a1a1a1…a1a1a1; this one reports b7.",
        ),
        (
            Part::Blocked(vec![requirement("a1".into(), None)]),
            "is for devices that report rootfs = a1; this one reports no rootfs.",
        ),
        (
            Part::Blocked(vec![requirement(list.clone(), None)]),
            "is for devices that report rootfs = the list [x, y]; this one reports no rootfs, and no device meets a list.",
        ),
        (
            Part::Blocked(vec![requirement("x".into(), Some(list))]),
            "is for devices that report rootfs = x; this one reports the list [x, y].",
        ),
        // Nothing that a terminal would obey.
        (Part::Blocked(vec![needs_version]), "is for devices that report version = v1; this one reports v\u{fffd}[2J."),
    ];
    for (part, sentence) in table {
        let considered = Considered { package: PackageId(7), version: "v3".to_owned(), damage: None, part };
        assert_eq!(considered.to_string(), format!("Package 7 (v3) {sentence}"));
    }
    let damage = FoundDamage { state: PackageState::Missing, detail: "the file is not there".to_owned() };
    let part = Part::Blocked(vec![Obstacle::SameVersion]);
    let considered = Considered { package: PackageId(7), version: "v3".to_owned(), damage: Some(damage), part };
    assert_eq!(
        considered.to_string(),
        "Package 7 (v3) is missing and not offered, as the file is not there; it brings the version that the device runs."
    );
}
