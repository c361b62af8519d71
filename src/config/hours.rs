//! Whose clocks count, and hours by them.

use jiff::tz::TimeZoneDatabase;

use super::{ConfigError, refuse};
use crate::domain::{Hours, LocalHours, TimeZone};

/// The zone of this name, as the machine knows it, or else as the program does; without a name the machine's own, or UTC if it
/// has none.
pub(super) fn time_zone(name: Option<&str>) -> Result<TimeZone, ConfigError> {
    let Some(name) = name else { return Ok(TimeZone::try_system().unwrap_or(TimeZone::UTC)) };
    TimeZone::get(name)
        .or_else(|_| TimeZoneDatabase::bundled().get(name))
        .or_else(|_| refuse(format!("time_zone = \"{name}\" is not the name of a time zone, such as Europe/Berlin")))
}

/// Hours by the clocks of `zone`. `name` is for the sentence that says what is wrong.
pub(super) fn local_hours(name: &str, text: &str, zone: &TimeZone) -> Result<LocalHours, ConfigError> {
    match text.parse::<Hours>() {
        Ok(hours) => Ok(hours.local(zone.clone())),
        Err(invalid) => refuse(format!("{name}: {invalid}")),
    }
}
