//! How often the same line is written: a few times in a period, and then how often it was not.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use tracing::Level;
use tracing::callsite::Identifier;

/// How often the same line is written in a period.
const TIMES: u64 = 10;
/// How long a period is; it begins with the first of the lines.
const PERIOD: Duration = Duration::from_secs(60);
/// How many different lines are known at once. Beyond that all lines of a place in the program count as the same.
const KNOWN: usize = 256;

/// Which lines are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    callsite: Identifier,
    hash: u64,
}

impl Key {
    /// Those of a place in the program that have the same kind.
    pub(super) fn new(callsite: Identifier, kind: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        kind.hash(&mut hasher);
        Self { callsite, hash: hasher.finish() }
    }

    fn of_place(callsite: Identifier) -> Self {
        Self { callsite, hash: 0 }
    }
}

/// Lines that were not written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suppressed {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) times: u64,
}

/// What was written of late.
#[derive(Debug, Default)]
pub(super) struct Repetition(HashMap<Key, Period>);

#[derive(Debug)]
struct Period {
    begin: Duration,
    times: u64,
    /// Of the first line that was held back.
    level_and_message: Option<(Level, String)>,
}

impl Period {
    fn is_over(&self, now: Duration) -> bool {
        now >= self.begin + PERIOD
    }

    fn end(self) -> Option<Suppressed> {
        let times = self.times.saturating_sub(TIMES);
        self.level_and_message.map(|(level, message)| Suppressed { level, message, times })
    }
}

impl Repetition {
    /// Notes that a line came at `now`, on a clock that only counts: whether to write it, and what to say before of lines whose
    /// period is over. Most that are not written need not say their `message` either.
    pub(super) fn note(
        &mut self,
        key: Key,
        level: Level,
        message: impl FnOnce() -> String,
        now: Duration,
    ) -> (bool, Vec<Suppressed>) {
        let is_new = !self.0.contains_key(&key);
        let is_over = self.0.get(&key).is_some_and(|period| period.is_over(now));
        let suppressed = if is_over || (is_new && self.0.len() >= KNOWN) { self.take_due(now) } else { Vec::new() };
        let key = if is_new && self.0.len() >= KNOWN { Key::of_place(key.callsite) } else { key };
        let period = self.0.entry(key).or_insert(Period { begin: now, times: 0, level_and_message: None });
        period.times += 1;
        let is_written = period.times <= TIMES;
        if !is_written && period.level_and_message.is_none() {
            period.level_and_message = Some((level, message()));
        }
        (is_written, suppressed)
    }

    /// Forgets lines whose period is over: how often which were not written.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<Suppressed> {
        self.0.extract_if(|_, period| period.is_over(now)).filter_map(|(_, period)| period.end()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        let callsite = tracing::callsite!(name: "here", kind: tracing::metadata::Kind::EVENT, fields: );
        Key::new(tracing::Callsite::metadata(callsite).callsite(), text)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn of_many_lines_some_are_written_and_the_rest_is_counted() {
        let mut repetition = Repetition::default();
        let mut note = |text: &str, at| repetition.note(key(text), Level::WARN, || text.to_owned(), at);
        let written = (0..50).filter(|_| note("the disk is full", seconds(1)).0).count();
        assert_eq!(written, 10);
        assert!(note("another", seconds(2)).0, "what is new is written");
        assert_eq!(note("the disk is full", seconds(60)), (false, vec![]));
        let told = Suppressed { level: Level::WARN, message: "the disk is full".to_owned(), times: 41 };
        assert_eq!(note("the disk is full", seconds(61)), (true, vec![told]));
    }

    #[test]
    fn what_does_not_come_again_is_told_by_and_by() {
        let mut repetition = Repetition::default();
        for _ in 0..12 {
            repetition.note(key("once"), Level::ERROR, || "once".to_owned(), seconds(0));
        }
        repetition.note(key("rare"), Level::ERROR, || "rare".to_owned(), seconds(0));
        assert_eq!(repetition.take_due(seconds(59)), []);
        let told = Suppressed { level: Level::ERROR, message: "once".to_owned(), times: 2 };
        assert_eq!(repetition.take_due(seconds(60)), [told]);
        assert!(repetition.0.is_empty());
    }

    #[test]
    fn memory_stays_small_whatever_comes() {
        let mut repetition = Repetition::default();
        let written =
            (0..100_000).filter(|i| repetition.note(key(&i.to_string()), Level::WARN, String::new, seconds(1)).0);
        assert_eq!(written.count(), KNOWN + TIMES as usize);
        assert!(repetition.0.len() <= KNOWN + 1);
    }
}
