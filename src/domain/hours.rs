//! Hours of the week in which something is done, such as `mon-fri 08:00-18:00; sat,sun 00:00-24:00`, by the clocks of a place.
//!
//! Zones come from outside: this module knows what their rules mean, not where they are kept.

use std::fmt;
use std::str::FromStr;

pub use jiff::tz::TimeZone;
use jiff::tz::TimeZoneDatabase;
use serde::Deserialize;

use super::{Invalid, Timestamp};

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const ALL_DAYS: u8 = 0b111_1111;
const DAY_MINUTES: u16 = 24 * 60;
const WEEK_SECONDS: i64 = 7 * 24 * 60 * 60;
/// No change is further away: what a change of the clocks skips in one week is there in the next.
const HORIZON_SECONDS: i64 = 3 * WEEK_SECONDS;

/// Windows of a week, at least one, as clocks show them; where that is, [`Hours::local`] says.
///
/// Written as windows with `;` between them. A window is days (`mon-fri`, `sat,sun`, none for every day) and times
/// (`08:00-18:00`, none for the whole day). One that ends at or before its start ends on the day after it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hours {
    windows: Vec<Window>,
}

/// Hours at a place. An hour that its clocks skip is not there; one that they show twice counts twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalHours {
    hours: Hours,
    zone: TimeZone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// The days on which it begins: a bit for each, Monday's is the lowest.
    days: u8,
    /// Minutes after midnight.
    start: u16,
    /// Minutes after midnight, up to 24:00; not after `start` if it is on the next day.
    end: u16,
}

impl Hours {
    /// These hours by the clocks of `zone`.
    pub fn local(self, zone: TimeZone) -> LocalHours {
        LocalHours { hours: self, zone }
    }
}

impl LocalHours {
    /// These hours by the clocks of the zone that has this name in the IANA's database.
    pub fn by_name(hours: Hours, zone: &str) -> Result<Self, Invalid> {
        let unknown = |_| Invalid::new(format!("there is no time zone \"{zone}\": give one such as Europe/Berlin"));
        let zone = TimeZoneDatabase::bundled().get(zone).map_err(unknown)?;
        Ok(hours.local(zone))
    }

    /// The hours, without their place.
    pub fn hours(&self) -> &Hours {
        &self.hours
    }

    /// The name of the zone; `None` if it has none.
    pub fn zone_name(&self) -> Option<&str> {
        self.zone.iana_name()
    }

    /// Whether it is one of these hours.
    pub fn contains(&self, at: Timestamp) -> bool {
        let second = second_of_week(at, &self.zone);
        self.hours.windows.iter().any(|window| window.contains(second))
    }

    /// When that is next another answer than it is at this moment; `None` if it never will be.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let (is_open, mut moment) = (self.contains(at), at.unix_seconds());
        let horizon = moment.saturating_add(HORIZON_SECONDS);
        while moment < horizon {
            let here = Timestamp::from_unix_seconds(moment);
            let second = second_of_week(here, &self.zone);
            let edges = self.hours.windows.iter().flat_map(Window::edges);
            let until_edge = edges.map(|edge| (edge - second - 1).rem_euclid(WEEK_SECONDS) + 1).min()?;
            let edge = moment.saturating_add(until_edge);
            // Where the clocks are changed before, they jump: from there on it is another way to the edge.
            let jump = self.zone.following(instant(here)).next().map(|jump| jump.timestamp().as_second());
            moment = jump.filter(|jump| *jump > moment).map_or(edge, |jump| jump.min(edge));
            let there = Timestamp::from_unix_seconds(moment);
            if self.contains(there) != is_open {
                return Some(there);
            }
        }
        None
    }
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    let furthest = if at.unix_seconds() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_second(at.unix_seconds()).unwrap_or(furthest)
}

/// What the clocks show, as seconds since Monday's midnight.
fn second_of_week(at: Timestamp, zone: &TimeZone) -> i64 {
    let shown = zone.to_datetime(instant(at));
    let day = i64::from(shown.weekday().to_monday_zero_offset());
    ((day * 24 + i64::from(shown.hour())) * 60 + i64::from(shown.minute())) * 60 + i64::from(shown.second())
}

impl Window {
    /// Where it begins and ends, as seconds since some Monday's midnight.
    fn edges(&self) -> impl Iterator<Item = i64> {
        self.spans().flat_map(|(start, end)| [start, end])
    }

    fn contains(&self, second: i64) -> bool {
        // Sunday's night may reach into Monday.
        self.spans()
            .any(|(start, end)| (start..end).contains(&second) || (start..end).contains(&(second + WEEK_SECONDS)))
    }

    fn spans(&self) -> impl Iterator<Item = (i64, i64)> {
        let Self { days, start, end } = *self;
        let end = if end <= start { end + DAY_MINUTES } else { end };
        let days = (0..7).filter(move |day| days & (1 << day) != 0);
        days.map(move |day| {
            let midnight = day * i64::from(DAY_MINUTES);
            ((midnight + i64::from(start)) * 60, (midnight + i64::from(end)) * 60)
        })
    }
}

impl FromStr for Hours {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let windows = text.split(';').map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { windows })
    }
}

impl TryFrom<String> for Hours {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl FromStr for Window {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        let invalid = || Invalid::new(format!("\"{text}\" are no hours, such as mon-fri 08:00-18:00"));
        let compact: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        if compact.is_empty() {
            return Err(invalid());
        }
        let times = compact.find(|character: char| character.is_ascii_digit()).unwrap_or(compact.len());
        let (days, times) = compact.split_at(times);
        let days = if days.is_empty() { Some(ALL_DAYS) } else { days_of(days) };
        let times = match times.split_once('-') {
            Some((start, end)) => minute_of_day(start).zip(minute_of_day(end)),
            None => times.is_empty().then_some((0, DAY_MINUTES)),
        };
        let (Some(days), Some((start, end))) = (days, times) else { return Err(invalid()) };
        if start == end || start == DAY_MINUTES {
            let sentence = format!("\"{text}\" is no time at all: the whole day is 00:00-24:00");
            return Err(Invalid::new(sentence));
        }
        // The same moment, written in one way.
        Ok(Self { days, start, end: if end == 0 { DAY_MINUTES } else { end } })
    }
}

/// The days of a list such as `mon-fri,sun`.
fn days_of(list: &str) -> Option<u8> {
    list.split(',').try_fold(0, |days, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        Some((0..=length).fold(days, |days, more| days | 1 << ((first + more) % 7)))
    })
}

fn day(text: &str) -> Option<usize> {
    let text = text.to_ascii_lowercase();
    DAYS.iter().position(|day| *day == text || day[..3] == text)
}

fn minute_of_day(text: &str) -> Option<u16> {
    let number = |text: &str| (1..=2).contains(&text.len()).then(|| text.parse::<u16>().ok()).flatten();
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (number(hour)?, number(minute).filter(|_| minute.len() == 2)?);
    (minute < 60).then_some(hour * 60 + minute).filter(|minute| *minute <= DAY_MINUTES)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, window) in self.windows.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{window}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LocalHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A machine may know the rules of its zone, but not the name.
        let zone = self.zone.iana_name().unwrap_or("local time");
        write!(f, "{} ({zone})", self.hours)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, start, end } = *self;
        if days != ALL_DAYS {
            let mut separator = "";
            let mut first = 0;
            while first < 7 {
                let length = (first..7).take_while(|day| days & (1 << day) != 0).count();
                let name = |day: usize| &DAYS[day][..3];
                match length {
                    0 => {}
                    1 => write!(f, "{separator}{}", name(first))?,
                    2 => write!(f, "{separator}{},{}", name(first), name(first + 1))?,
                    _ => write!(f, "{separator}{}-{}", name(first), name(first + length - 1))?,
                }
                separator = if length > 0 { "," } else { separator };
                first += length.max(1);
            }
            f.write_str(" ")?;
        }
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

#[cfg(test)]
mod tests;
