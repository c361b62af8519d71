//! The server as a service: what the service manager that started it is told, what it hands over, and what it asks for.
//!
//! The manager is systemd, or whatever speaks its protocol (sd_notify(3), sd_listen_fds(3)). Without one nothing here does
//! anything.

mod manager;
mod reload;
mod sockets;
mod watchdog;

pub use manager::{ServiceManager, Word};
pub use reload::Reloader;
pub use sockets::{GivenSocketError, GivenSockets};
pub use watchdog::keep_watched;
