//! The log: which lines are written, in which form, and how often the same one is.
//!
//! Lines go to stderr, each with one write. What they say is decided where things happen (`tracing`'s macros); that no line can
//! pass for several, nor move a terminal's cursor, is decided here.

mod format;
mod repetition;

use std::cell::LazyCell;
use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use rustix::fs::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, registry};

use crate::clock::Clock;
use crate::config::LogFormat;
use format::{Form, Line};
use repetition::{Key, Repetition, Suppressed};

/// The running log: what can be changed about it while it is written.
#[derive(Clone)]
pub struct Logging {
    levels: reload::Handle<Targets, Registry>,
    lines: Lines,
}

impl Logging {
    /// Begins to write the log of this process to stderr. Dates are the wall clock's, right or wrong.
    ///
    /// Fails if a log was begun before.
    pub fn start(format: LogFormat, levels: Targets, clock: Clock) -> Result<Self, TryInitError> {
        let lines = Lines { form: form_for_stderr(format), clock, repetition: Arc::default() };
        let (levels, handle) = reload::Layer::new(levels);
        registry().with(levels).with(lines.clone()).try_init()?;
        Ok(Self { levels: handle, lines })
    }

    /// From now on these levels are written.
    pub fn set_filter(&self, levels: Targets) {
        // An error means that the log is gone, and with it what would be filtered.
        let _ = self.levels.reload(levels);
    }

    /// Says how often lines were held back that have not come again since. To be called about once a minute.
    pub fn write_suppressed(&self) {
        let suppressed = self.lines.lock().take_due(self.lines.clock.elapsed());
        self.lines.write_suppressed(suppressed);
    }
}

/// What a person wants, or what suits what stderr is.
fn form_for_stderr(format: LogFormat) -> Form {
    let stderr = io::stderr();
    match format {
        LogFormat::Text => Form::Text { is_coloured: false },
        LogFormat::Json => Form::Json,
        LogFormat::Journal => Form::Journal,
        LogFormat::Auto if stderr.is_terminal() => Form::Text { is_coloured: true },
        LogFormat::Auto if is_journal(env::var("JOURNAL_STREAM").ok().as_deref(), stream_of(&stderr)) => Form::Journal,
        LogFormat::Auto => Form::Text { is_coloured: false },
    }
}

/// Device and inode of an open file.
fn stream_of(stderr: &io::Stderr) -> Option<(u64, u64)> {
    fstat(stderr).ok().map(|stat| (stat.st_dev, stat.st_ino))
}

/// Whether a stream is the one that systemd connected to the journal: `$JOURNAL_STREAM` is `device:inode` (systemd.exec(5)).
fn is_journal(variable: Option<&str>, stream: Option<(u64, u64)>) -> bool {
    let named = variable.and_then(|text| text.split_once(':'));
    let named = named.and_then(|(device, inode)| Some((device.parse().ok()?, inode.parse().ok()?)));
    named.is_some() && named == stream
}

/// Writes a line for each event.
#[derive(Clone)]
struct Lines {
    form: Form,
    clock: Clock,
    repetition: Arc<Mutex<Repetition>>,
}

impl Lines {
    fn lock(&self) -> std::sync::MutexGuard<'_, Repetition> {
        self.repetition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, line: &Line) {
        // Where a log cannot be written, nobody can be told either.
        let _ = io::stderr().lock().write_all(self.form.render(line, self.clock.wall()).as_bytes());
    }

    fn write_suppressed(&self, suppressed: Vec<Suppressed>) {
        for Suppressed { level, message, times } in suppressed {
            self.write(&Line::of_suppressed(level, &message, times));
        }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = LazyCell::new(|| Line::of(event));
        if let Some(key) = key_of(event, &line) {
            let (level, message) = (*event.metadata().level(), || line.message().to_owned());
            let (is_written, suppressed) = self.lock().note(key, level, message, self.clock.elapsed());
            self.write_suppressed(suppressed);
            if !is_written {
                return;
            }
        }
        self.write(&line);
    }
}

/// What makes lines the same one; `None` for those that are written however often they come. An event says so by itself, with the
/// field `limited_by`; what is wrong with the server is the same while the same is wrong.
fn key_of<F: FnOnce() -> Line>(event: &Event<'_>, line: &LazyCell<Line, F>) -> Option<Key> {
    let metadata = event.metadata();
    match format::limited_by(event) {
        Some(kind) => Some(Key::new(metadata.callsite(), kind)),
        None if *metadata.level() <= Level::WARN => Some(Key::new(metadata.callsite(), line.gist())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_its_device_and_inode() {
        assert!(is_journal(Some("9:48291"), Some((9, 48291))));
        for variable in [None, Some(""), Some("9"), Some("9:48292"), Some("8:48291"), Some("9:48291:1"), Some(" 9:x")] {
            assert!(!is_journal(variable, Some((9, 48291))), "{variable:?}");
        }
        assert!(!is_journal(Some("x:y"), None) && !is_journal(None, None));
    }
}
