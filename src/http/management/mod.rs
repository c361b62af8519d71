//! What people and scripts call: the frozen API of the reference server, and what tender has beside it.

pub mod admissions;
pub mod attempts;
pub mod audit;
pub mod bundles;
pub mod decision;
pub mod device_changes;
pub mod devices;
pub mod events;
pub mod fleet;
pub mod group_overview;
pub mod groups;
pub mod metrics;
pub mod package_overview;
pub mod packages;
mod paging;
pub mod preview;
pub mod registrations;
pub mod rollouts;
pub mod session;
pub mod status;
pub mod tus;
pub mod upload;
pub mod uploads;
pub mod webhooks;

/// The program's version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The longest JSON body of a person or script, in bytes: room for the identifiers of a hundred thousand devices.
const BODY_LIMIT_BYTES: usize = 2 * 1024 * 1024;
