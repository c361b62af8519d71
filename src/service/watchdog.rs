//! The watchdog: the service manager hears that the server is alive as long as it is, and kills it otherwise.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::{ServiceManager, Word};
use crate::app::Pulse;

/// Lets the manager, whose patience this is, know that the server is alive, until this is dropped.
///
/// A server that hangs says nothing: the event loop stands still and with it this, or the pulse is not felt. There are three looks
/// within the time, so that one may take long.
pub async fn keep_watched(manager: &ServiceManager, pulse: &Pulse, patience: Duration) {
    loop {
        let mut beat = pin!(pulse.beat());
        let is_alive = match timeout(patience / 2, beat.as_mut()).await {
            Ok(is_alive) => is_alive,
            Err(_) => {
                tracing::error!(
                    "the database has not answered for {:?}: the service manager will start this server anew if it goes on",
                    patience / 2
                );
                beat.await
            }
        };
        if !is_alive {
            tracing::error!("connections are not accepted any more: the service manager will start this server anew");
            return;
        }
        manager.tell([Word::Alive]).await;
        sleep(patience / 3).await;
    }
}
