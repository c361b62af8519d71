//! Reading the configuration again, while the server runs.

use tokio::task::block_in_place;

use crate::app::Settings;
use crate::config::{Config, ConfigError, Difference};
use crate::logging::Logging;

/// Reads the configuration again and changes what can be changed.
pub struct Reloader {
    read: Box<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>,
    /// What the server was started with: some of it only a new start changes.
    started: Config,
    /// What holds.
    current: Config,
    settings: Settings,
    logging: Logging,
}

impl Reloader {
    /// For a server that was started with `started`; `read` reads what it would be started with now.
    pub fn new(
        read: impl Fn() -> Result<Config, ConfigError> + Send + Sync + 'static,
        started: Config,
        settings: Settings,
        logging: Logging,
    ) -> Self {
        Self { read: Box::new(read), current: started.clone(), started, settings, logging }
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
        self.logging.set_filter(new.log.clone());
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
