//! What the service manager is told.

use std::convert::Infallible;
use std::env;
use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{sleep, timeout};

/// How often more time is asked for, and how much each time: some messages may come late on a busy machine.
const EXTENSION_INTERVAL: Duration = Duration::from_secs(5);
const EXTENSION: Duration = Duration::from_secs(30);

/// The service manager. Clones are the same one.
#[derive(Debug, Clone)]
pub struct ServiceManager {
    /// Whether there is one that listens.
    is_there: bool,
    /// One complaint is enough, where it cannot be told anything.
    has_failed: Arc<AtomicBool>,
}

/// Something to tell the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Requests are served.
    Ready,
    /// The configuration is read again; what follows is [`Word::Ready`], whatever becomes of it.
    Reloading,
    /// The end has begun.
    Stopping,
    /// For people: what goes on, in one line.
    Status(String),
    /// The server is alive.
    Alive,
    /// What goes on, a start or an end, takes so much longer from now.
    MoreTime(Duration),
}

impl Word {
    /// As the protocol has it.
    fn states(&self) -> Vec<NotifyState<'_>> {
        let microseconds = |duration: &Duration| u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
        match self {
            Self::Ready => vec![NotifyState::Ready],
            // Without the moment a manager that waits for the end of a reload cannot tell it from an earlier one's.
            Self::Reloading => {
                [NotifyState::Reloading].into_iter().chain(NotifyState::monotonic_usec_now().ok()).collect()
            }
            Self::Stopping => vec![NotifyState::Stopping],
            Self::Status(line) => vec![NotifyState::Status(line)],
            Self::Alive => vec![NotifyState::Watchdog],
            Self::MoreTime(duration) => vec![NotifyState::ExtendTimeoutUsec(microseconds(duration))],
        }
    }
}

impl ServiceManager {
    /// The one that started this process, if it wants to be told anything.
    pub fn of_this_process() -> Self {
        let is_there = env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty());
        Self { is_there, has_failed: Arc::default() }
    }

    /// How often it wants to hear that the server is alive, if it does: after so long without a word it kills and starts it
    /// anew.
    pub fn watchdog(&self) -> Option<Duration> {
        sd_notify::watchdog_enabled().filter(|patience| self.is_there && !patience.is_zero())
    }

    /// Tells it these words, all at once.
    pub async fn tell(&self, words: impl IntoIterator<Item = Word>) {
        if !self.is_there {
            return;
        }
        let words: Vec<Word> = words.into_iter().collect();
        // A manager that is busy lets the sender wait.
        let telling = tokio::task::spawn_blocking(move || {
            let states: Vec<_> = words.iter().flat_map(Word::states).collect();
            sd_notify::notify(&states)
        });
        match telling.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.complain(&error),
            Err(error) => self.complain(&error),
        }
    }

    /// What `work` comes to; as long as it goes on, but no longer than `limit`, the manager is asked not to lose patience. The
    /// event loop turns meanwhile, so that is also told.
    pub async fn wait_for<T>(&self, limit: Duration, work: impl Future<Output = T>) -> T {
        let asking = async {
            loop {
                self.tell([Word::MoreTime(EXTENSION), Word::Alive]).await;
                sleep(EXTENSION_INTERVAL).await;
            }
        };
        let asking = async {
            let _: Result<Infallible, _> = timeout(limit, asking).await;
            pending::<Infallible>().await
        };
        tokio::select! {
            result = work => result,
            never = asking => match never {},
        }
    }

    fn complain(&self, error: &dyn fmt::Display) {
        if !self.has_failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the service manager cannot be told how this server is");
        }
    }
}
