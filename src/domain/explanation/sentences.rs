//! What is found about a device, in plain words. The only place that has them.

use std::fmt::{self, Display, Formatter};
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

use super::{Considered, Finding, Part, PathStep, Waiting};
use crate::domain::attempt::{Attempt, AttemptStage};
use crate::domain::resolver::Obstacle;
use crate::domain::rollout::Hold;
use crate::domain::{ByteSize, MetadataValue, PackageState, RegistrationState, Timestamp, keys};

/// Longer values are cut in their middle: hashes differ at both ends.
const LONGEST_VALUE: usize = 24;
const KEPT_AT_BEGINNING: usize = 12;
const KEPT_AT_END: usize = 6;

impl Display for Finding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { mac_address } => {
                let address = short(mac_address.as_str());
                write!(f, "No device with the address {address} has ever asked this server to be let in.")
            }
            Self::Known { mac_address, device: None } => {
                write!(f, "A device with the address {} has asked to be let in.", short(mac_address.as_str()))
            }
            Self::Known { mac_address, device: Some(device) } => {
                write!(f, "It is device {device}, with the address {}.", short(mac_address.as_str()))
            }
            Self::Hypothetical => f.write_str("The device is only thought of, and counts as known and accepted."),
            Self::Waits { waiting } => {
                write!(f, "No person has accepted it: it waits {}.", with_keys(waiting))
            }
            Self::Accepted { waiting } if waiting.is_empty() => f.write_str("A person has accepted it."),
            Self::Accepted { waiting } => write!(
                f,
                "A person has accepted it; somebody with its address also waits {}: accept that if the device has a new key.",
                with_keys(waiting)
            ),
            Self::ReportLacks { key, last_access } => {
                write!(f, "The device does not report {key}, so its update checks are refused")?;
                heard(f, *last_access)
            }
            Self::Reports { version, device_type, last_access } => {
                write!(f, "The device reports version {} and type {}", short(version), short(device_type))?;
                heard(f, *last_access)
            }
            Self::NoGroup => f.write_str("The device is in no group, so nothing says what it should run."),
            Self::InGroup { group } => write!(f, "The device is in group {group}."),
            Self::NoTarget { group } => write!(f, "The policy of group {group} is that devices stay as they are."),
            Self::UpToDate { group, target } => {
                write!(f, "The policy of group {group} names version {}, and the device runs it.", short(target))
            }
            Self::Target { group, target, runs } => {
                let (target, runs) = (short(target), short(runs));
                write!(f, "The policy of group {group} names version {target}, and the device reports {runs}.")
            }
            Self::NothingToOffer { group, packages } if packages.is_empty() => {
                write!(f, "Group {group} has no packages.")
            }
            Self::NothingToOffer { group, .. } => {
                write!(f, "Group {group} has no packages that can be offered: all of them are damaged.")
            }
            Self::Packages { group, packages } => {
                let can_install = packages.iter().filter(|package| package.can_be_installed()).count();
                let (noun, count) = (if packages.len() == 1 { "package" } else { "packages" }, packages.len());
                write!(f, "Group {group} has {count} {noun}, of which the device could install {can_install} now.")
            }
            Self::NoPath { runs, target } => {
                let (runs, target) = (short(runs), short(target));
                write!(f, "No sequence of the group's packages leads this device from {runs} to {target}.")
            }
            Self::SearchTooLarge { target } => write!(
                f,
                "The group's packages can be combined in too many ways to find one that leads to {}: give it fewer.",
                short(target)
            ),
            Self::Path { runs, target, steps } => path(f, runs, target, steps),
            Self::Held { group, step, hold, hours } => match hold {
                Hold::Halted { since } => write!(
                    f,
                    "Too many devices of group {group} have failed: since {} nothing is offered there, until a person has \
                     looked.",
                    date(*since)
                ),
                Hold::OutsideHours { opens } => {
                    let hours = hours.as_deref().unwrap_or_default();
                    write!(f, "Group {group} is updated in some hours only, {hours}; ")?;
                    match opens {
                        Some(opens) => write!(f, "the next of them begin at {}.", date(*opens)),
                        None => f.write_str("there will be none."),
                    }
                }
                Hold::Pausing { failures, until } => write!(
                    f,
                    "{} has failed on this device {failures} {}, so it is not offered again before {}.",
                    Named(step),
                    if *failures == 1 { "time" } else { "times in a row" },
                    date(*until)
                ),
                Hold::FirstWave { first, reached } => write!(
                    f,
                    "The first {first} devices of group {group} go first, and {reached} of them have reached the target so far."
                ),
                Hold::BehindOthers => write!(
                    f,
                    "Other devices of group {group} have waited for longer and go first: this one has had its turn before."
                ),
                Hold::TooManyAtOnce { limit } => write!(
                    f,
                    "Only {limit} devices of group {group} may be updated at once, and so many are: this one comes when one \
                     of them is done."
                ),
            },
            Self::NotHeld { group } => {
                write!(f, "Nothing about the rollout of group {group} holds the device back at this moment.")
            }
            Self::Offered { step, attempt } => {
                write!(f, "When it asks now, the device is offered {}", Inside(step))?;
                match attempt {
                    Some(attempt) => so_far(f, attempt),
                    None => f.write_str("."),
                }
            }
        }
    }
}

impl Considered {
    /// Whether the device could install it as it stands.
    fn can_be_installed(&self) -> bool {
        let nothing_is_in_the_way = match &self.part {
            Part::Step(number) => *number == 1,
            Part::NotNeeded => true,
            Part::Blocked(obstacles) => *obstacles == [Obstacle::LeadsNowhere],
        };
        self.damage.is_none() && nothing_is_in_the_way
    }
}

impl Display for Considered {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut clauses: Vec<String> = Vec::new();
        if let Some(damage) = &self.damage {
            let is_what = if damage.state == PackageState::Missing { "missing" } else { "corrupt" };
            clauses.push(format!("is {is_what} and not offered, as {}", printable(&damage.detail)));
        }
        match &self.part {
            Part::Step(1) => clauses.push("is the next step".to_owned()),
            Part::Step(number) => clauses.push(format!("is step {number} of the path")),
            Part::NotNeeded => clauses.push("could be installed, and is not on the shortest path".to_owned()),
            Part::Blocked(obstacles) => clauses.extend(in_the_way(obstacles)),
        }
        write!(f, "Package {} ({}) {}.", self.package, short(&self.version), clauses.join("; it "))
    }
}

/// What is in the way, said of a package: a clause for each thing, and one for all requirements.
fn in_the_way(obstacles: &[Obstacle]) -> Vec<String> {
    let (mut clauses, mut needed, mut reports, mut never) = (Vec::new(), Vec::new(), Vec::new(), "");
    let is_requirement = |obstacle: &&Obstacle| matches!(obstacle, Obstacle::Requirement { .. });
    let is_only_one = obstacles.iter().filter(is_requirement).count() == 1;
    for obstacle in obstacles {
        match obstacle {
            Obstacle::OtherDeviceType { package, reported } => {
                let reported = reported.as_ref().map_or_else(|| "none".to_owned(), value);
                clauses.push(format!("is for devices of type {}; this one reports {reported}", short(package)));
            }
            Obstacle::SameVersion => clauses.push("brings the version that the device runs".to_owned()),
            Obstacle::LeadsNowhere => {
                clauses.push("could be installed, but nothing leads on from it to the target".to_owned());
            }
            Obstacle::Requirement { key, required, reported } => {
                let key = short_key(key);
                needed.push(format!("{key} = {}", value(required)));
                reports.push(match reported {
                    None => format!("no {key}"),
                    Some(reported) if is_only_one => value(reported),
                    Some(reported) => format!("{key} = {}", value(reported)),
                });
                if required.as_text().is_none() {
                    never = ", and no device meets a list";
                }
            }
        }
    }
    if !needed.is_empty() {
        let (needed, reports) = (needed.join(" and "), reports.join(" and "));
        clauses.push(format!("is for devices that report {needed}; this one reports {reports}{never}"));
    }
    clauses
}

/// A package as the subject of a sentence.
struct Named<'a>(&'a PathStep);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "Package {} ({})", self.0.package, short(&self.0.version))
    }
}

/// A package within a sentence, with its length.
struct Inside<'a>(&'a PathStep);

impl Display for Inside<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let PathStep { package, version, length_bytes } = self.0;
        write!(f, "package {package} ({}), {}", short(version), ByteSize::from_bytes(*length_bytes))
    }
}

fn path(f: &mut Formatter<'_>, runs: &str, target: &str, steps: &[PathStep]) -> fmt::Result {
    write!(f, "The shortest path from {} to {} is ", short(runs), short(target))?;
    for (number, step) in steps.iter().enumerate() {
        let before = if number == 0 { "" } else { ", then " };
        write!(f, "{before}package {} ({})", step.package, short(&step.version))?;
    }
    let bytes = ByteSize::from_bytes(steps.iter().map(|step| step.length_bytes).sum());
    let downloads = if steps.len() == 1 { "one download" } else { "downloads" };
    write!(f, ": {downloads} of {bytes}{}.", if steps.len() == 1 { "" } else { " together" })
}

/// The end of a sentence about what a device reports.
fn heard(f: &mut Formatter<'_>, last_access: Option<Timestamp>) -> fmt::Result {
    match last_access {
        Some(at) => write!(f, "; it was last heard at {}.", date(at)),
        None => f.write_str("."),
    }
}

/// The end of a sentence about an offer: what has come of it so far.
fn so_far(f: &mut Formatter<'_>, attempt: &Attempt) -> fmt::Result {
    let offered = date(attempt.offered_at);
    match attempt.stage() {
        AttemptStage::Offered => write!(f, "; it was offered that at {offered}, and has fetched nothing yet."),
        AttemptStage::NotFetched => write!(
            f,
            "; it was offered that {} times since {offered} and has fetched nothing: look at the device, and whether it \
             reaches the address of the download.",
            attempt.offers
        ),
        AttemptStage::Fetching => {
            let [fetched, whole] = [attempt.fetched_bytes, attempt.step.length_bytes].map(ByteSize::from_bytes);
            write!(f, "; it was offered that at {offered}, and has fetched {fetched} of {whole}.")
        }
        AttemptStage::Installing | AttemptStage::Ended => {
            let fetched = attempt.fetched_at.map_or(offered, date);
            write!(f, "; it had fetched all of that at {fetched}, and still reports its old version.")
        }
    }
}

/// With which keys somebody waits.
fn with_keys(waiting: &[Waiting]) -> String {
    let keys = waiting.iter().map(|Waiting { fingerprint, last_appeared, state }| {
        let key = short(&fingerprint.to_string());
        match state {
            RegistrationState::Pending => format!("with the key {key}, last heard at {}", date(*last_appeared)),
            RegistrationState::Rejected => format!("with the key {key}, which a person has rejected"),
        }
    });
    keys.collect::<Vec<_>>().join(", and ")
}

/// A value as people compare it.
fn value(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Text(text) => short(text),
        MetadataValue::List(texts) => {
            format!("the list [{}]", short(&texts.iter().map(|text| &**text).collect::<Vec<_>>().join(", ")))
        }
    }
}

/// A key as people know it: some have short names.
fn short_key(key: &str) -> String {
    if key == keys::SOFTWARE_VERSION { "version".to_owned() } else { printable(key) }
}

/// A value in a sentence: nothing that a terminal would obey, and not so long that nobody reads on.
fn short(text: &str) -> String {
    let text = if text.is_empty() { "\"\"" } else { text };
    let length = text.chars().count();
    if length <= LONGEST_VALUE {
        return printable(text);
    }
    let beginning: String = text.chars().take(KEPT_AT_BEGINNING).collect();
    let end: String = text.chars().skip(length - KEPT_AT_END).collect();
    printable(&format!("{beginning}…{end}"))
}

fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

fn date(at: Timestamp) -> String {
    format_rfc3339_seconds(SystemTime::from(at)).to_string()
}
