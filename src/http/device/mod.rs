//! What devices call: the frozen API of the reference server.

pub mod auth;
pub mod download;
pub mod update;

/// The longest request of a device, in bytes: its metadata and key, several times over.
const REPORT_LIMIT_BYTES: usize = 64 * 1024;
