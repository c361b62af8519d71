//! Reading the configuration again, while the server runs.

use tokio::task::block_in_place;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::reload;

use crate::app::Settings;
use crate::config::{Config, ConfigError, Difference};

/// What is logged, and can be changed.
pub type LogLevels = reload::Handle<Targets, Registry>;

/// Reads the configuration again and changes what can be changed.
pub struct Reloader {
    read: Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
    /// What the server was started with: some of it only a new start changes.
    started: Config,
    /// What holds.
    current: Config,
    settings: Settings,
    log: LogLevels,
}

impl Reloader {
    /// For a server that was started with `started`; `read` reads what it would be started with now.
    pub fn new(
        read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
        started: Config,
        settings: Settings,
        log: LogLevels,
    ) -> Self {
        Self { read: Box::new(read), current: started.clone(), started, settings, log }
    }

    /// Reads it again. One that cannot work changes nothing. What became of it is in the log.
    ///
    /// # Errors
    /// For a configuration that cannot work.
    pub async fn reload(&mut self) -> Result<(), ConfigError> {
        // What may fail comes first: nothing has been changed by then.
        let new = block_in_place(|| (self.read)()).inspect_err(|error| {
            tracing::error!("the configuration cannot be read again, and the old one goes on: {error}");
        })?;

        let Difference { changeable, .. } = self.current.difference(&new);
        self.settings.apply(&new).await;
        if let Err(error) = self.log.reload(new.log.clone()) {
            tracing::error!(%error, "what is logged could not be changed");
        }
        let Difference { fixed, .. } = self.started.difference(&new);
        self.current = new;

        let changed = if changeable.is_empty() { "nothing".to_owned() } else { changeable.join(", ") };
        if fixed.is_empty() {
            tracing::info!("read the configuration again; changed: {changed}");
        } else {
            tracing::warn!("read the configuration again; changed: {changed}; {}: need a restart", fixed.join(", "));
        }
        Ok(())
    }
}
